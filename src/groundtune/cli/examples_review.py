"""``groundtune examples review``: the terminal that a review happens in, or the page with ``--web``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import link_told, login, say, say_json
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


def run(curation: Curation, given: dict[str, Any], as_json: bool) -> int:
    """Review, and print what was decided. Needs a terminal to read keys from."""
    by = given["by"] or login("--by")
    if given["web"]:
        return _web(curation, by, given, as_json)
    if not sys.stdin.isatty():
        raise StateError("a review needs a terminal to read keys from", "type: groundtune examples review --web")
    done = curation.review(Screen(), by, statuses=given["statuses"] or ("draft",), names=given["rows"], stale=given["stale"])
    return _told(curation, by, done, as_json)


def _web(curation: Curation, by: str, given: dict[str, Any], as_json: bool) -> int:
    """Serve the page until Ctrl-C, and print what was decided."""
    from groundtune.project.reviewing import Review
    from groundtune.server import review as pages
    from groundtune.server.serve import ready, serve

    if len(given["statuses"]) > 1:
        raise click.UsageError("examples review --web begins with one --status; the page shows the others")
    ready()
    review = Review(curation, by, names=given["rows"], stale=given["stale"])
    # Of rows that are named, and of stale ones, none is left out for its status, as in the terminal.
    status = (given["statuses"] or (("any",) if given["rows"] or given["stale"] else ("draft",)))[0]
    serve(lambda door: pages.routes(review, door, status), port=given["port"] or 0, tell=link_told)
    return _told(curation, by, review.tally(), as_json)


def _told(curation: Curation, by: str, done: dict[str, int], as_json: bool) -> int:
    left = curation.drafts()
    if as_json:
        say_json({"decided": done, "by": by, "drafts": left})
    else:
        said = ", ".join(f"{count} {name}" for name, count in done.items()) or "nothing"
        say(f"decided by {by}: {said}; {left} drafts are left")
    return 0
