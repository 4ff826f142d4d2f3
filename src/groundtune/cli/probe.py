"""``groundtune probe``."""

from __future__ import annotations

import click

from groundtune.cli.common import grid, opened, say, say_json, verb


@click.command("probe")
@verb
def command(folder: str, as_json: bool, shown: str | None) -> int:
    """Change facts, ask without permission, forget a document and plant instructions, in a copy of the project; say what each arm does.

    The locked test set is not looked at, and the project's own index and ledger stay as they are. Broken off, the same command goes on.
    """
    from groundtune.probes.section import grids

    project = opened(folder, shown)
    report = project.probe()
    if as_json:
        say_json(report)
        return 0
    for made in grids(report, quoted=True):
        grid(made)
    for name, why in report.not_run.items():
        say(f"{name}: not probed: {why}")
    say(f"\n{report.questions} questions a probe, {report.seconds:.0f} s; {project.state / 'probes' / report.key}")
    return 0
