"""``groundtune costs``."""

from __future__ import annotations

import click

from groundtune.cli.common import grid, opened, say, say_json, verb


@click.command("costs")
@click.option("--write", is_flag=True, help="write costs.toml with every assumption, its range and its source, to be edited")
@verb
def command(folder: str, as_json: bool, shown: str | None, write: bool) -> int:
    """Reckon each arm's costs from the sheet of assumptions and what the latest decision measured."""
    project = opened(folder, shown)
    if write:
        from groundtune.project.before import write_sheet

        path = write_sheet(project)
        if as_json:
            say_json({"sheet": path})
        else:
            say(f"{path}: written; edit it, then type: groundtune costs")
        return 0
    found = project.costs()
    if as_json:
        say_json(found)
        return 0
    from groundtune.decisions.costs.report import section

    made = section(found)
    for line in made.lines:
        say(f"- {line}")
    for table in made.grids:
        grid(table)
    return 0
