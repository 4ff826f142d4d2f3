"""``groundtune init``."""

from __future__ import annotations

import click

from groundtune.cli.common import say, say_json, verb


@click.command("init")
@click.argument("target", required=False)
@verb
def command(folder: str, as_json: bool, shown: str | None, target: str | None) -> int:
    """Make a new project folder with a commented groundtune.toml, two documents and a few examples."""
    from pathlib import Path

    from groundtune.project.starter import create

    made = create(Path(target or folder))
    if as_json:
        say_json({"written": made})
        return 0
    for path in made:
        say(str(path))
    say(f"next, type: groundtune check -p {target or folder}")
    return 0
