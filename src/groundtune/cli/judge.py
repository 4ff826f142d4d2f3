"""``groundtune judge``."""

from __future__ import annotations

from pathlib import Path

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("judge")
@click.option("--sample", "size", type=click.IntRange(min=1), default=60, show_default=True, help="questions to draw at random")
@click.option(
    "--to", "target", default="labels.jsonl", show_default=True, metavar="FILE", help="the file to write, below the project folder"
)
@verb
def command(folder: str, as_json: bool, shown: str | None, size: int, target: str) -> int:
    """Draw answers for people to label, so that the judge's verdicts can be corrected by them.

    Fill in value (1 for yes, 0 for no) and by (who says so) in each row, set judge.labels to the file, and decide again.
    """
    from groundtune.project.judge import sample

    project = opened(folder, shown)
    path = Path(project.folder) / target
    rows = sample(project, project.evaluate(), size, path)
    if as_json:
        say_json({"file": str(path), "rows": rows})
    else:
        say(f"{path}: {rows} answers to label; each needs value (1 or 0) and by")
    return 0
