"""What the verbs share: the options that every verb has, opening the project, printing a result."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import click

from groundtune.errors import StateError
from groundtune.progress import DISPLAYS, display

if TYPE_CHECKING:
    from groundtune.annex import Grid
    from groundtune.project import Project

F = TypeVar("F", bound=Callable[..., Any])


def verb(function: F) -> F:
    """Give a command ``--project``, ``--json`` and ``--progress``."""
    for option in (
        click.option("--progress", "shown", type=click.Choice(DISPLAYS), default=None, help="how progress is shown on stderr"),
        click.option("--json", "as_json", is_flag=True, help="print the result as JSON"),
        click.option("--project", "-p", "folder", default=".", metavar="FOLDER", help="the folder that holds groundtune.toml"),
    ):
        function = option(function)
    return function


def opened(folder: str, shown: Any) -> Project:
    """Open the project with the progress display that was asked for."""
    from groundtune.project import open

    return open(folder, progress=display(shown))


def login(option: str) -> str:
    """Return who is at the keyboard, as the system knows them; ``option`` is what names somebody instead. Raises ``StateError``."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise StateError("the system has no name for this user, and this is kept with a name", f"say who it is: {option} NAME") from None


def link_told(link: str) -> None:
    """Say where the page is. The link lets one browser in, once."""
    click.echo(
        f"open this link, which works once:\n  {link}\nCtrl-C stops; each decision is on disk before the next row is shown", err=True
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 problem", "1,200 problems"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say(text: str = "") -> None:
    """Print a line of the result to stdout."""
    click.echo(text)


def say_json(value: Any) -> None:
    """Print a result as JSON to stdout."""
    from groundtune.files import plain

    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def table(header: list[str], rows: list[list[str]], words: Collection[int] = (0,)) -> None:
    """Print aligned columns; all but those of ``words`` are aligned to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(w) if i in words else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        say("  ".join(cells).rstrip())


def grid(made: Grid, most: int = 110) -> None:
    """Print a table of a section below an empty line, columns of words to the left, wide cells cut, and its note."""
    cells = [[cell if len(cell) <= most else cell[: most - 1] + "…" for cell in row] for row in made.rows]
    words = {place for place in range(len(made.head)) if not place or sum(len(row[place].split()) > 3 for row in cells) * 2 > len(cells)}
    say(f"\n{made.title}" if made.title else "")
    if cells:
        table(list(made.head), cells, words)
    else:
        say("none")
    if made.note:
        say(made.note)
