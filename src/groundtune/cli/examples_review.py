"""``groundtune examples review``: the terminal that a review happens in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import say, say_json
from groundtune.errors import StateError

if TYPE_CHECKING:
    from groundtune.project.examples import Curation


class Screen:
    """The terminal that the command was started in."""

    def show(self, lines: Sequence[str]) -> None:
        """Print the lines, each row's keys last."""
        for line in lines:
            click.echo(line)

    def key(self) -> str:
        """Wait for one key, without Enter."""
        pressed: str = click.getchar()
        return pressed

    def line(self, prompt: str) -> str:
        """Ask for a line."""
        said: str = click.prompt(prompt.rstrip(": "), default="", show_default=False)
        return said

    def edit(self, text: str) -> str | None:
        """Open the user's editor."""
        changed: str | None = click.edit(text, extension=".json", require_save=True)
        return changed


def user() -> str:
    """Return who is at the keyboard, as the system knows them."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise StateError("the system has no name for this user", "say who decides: --by NAME") from None


def run(curation: Curation, given: dict[str, Any], as_json: bool) -> int:
    """Review, and print what was decided. Needs a terminal to read keys from."""
    if not sys.stdin.isatty():
        raise StateError("a review needs a terminal to read keys from", "start it in one: groundtune examples review")
    by = given["by"] or user()
    done = curation.review(Screen(), by, statuses=given["statuses"] or ("draft",), names=given["rows"], stale=given["stale"])
    left = sum(item.status == "draft" for item in curation.rows().rows)
    if as_json:
        say_json({"decided": done, "by": by, "drafts": left})
    else:
        said = ", ".join(f"{count} {name}" for name, count in done.items()) or "nothing"
        say(f"decided by {by}: {said}; {left} drafts are left")
    return 0
