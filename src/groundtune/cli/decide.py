"""``groundtune decide``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say_json, verb


@click.command("decide")
@verb
def command(folder: str, as_json: bool, shown: str | None) -> int:
    """Apply the rubric to the evaluation, and write the decision to decisions/."""
    from groundtune.cli.pilot import exit_code, print_decision

    project = opened(folder, shown)
    decision = project.decide()
    if as_json:
        say_json(decision)
    else:
        print_decision(project, decision)
    return exit_code(decision)
