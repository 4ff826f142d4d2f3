"""``groundtune decide``: the decision, and before or beside it the interview and what-if."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say_json, verb
from groundtune.errors import InputError


@click.command("decide")
@click.argument("given", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--interview", is_flag=True, help="ask for the needs, write them to groundtune.toml, and recommend before measuring")
@click.option("--what-if", "what_if", is_flag=True, help="show what would change: --what-if churn=daily volume=2e6; nothing is written")
@verb
def command(folder: str, as_json: bool, shown: str | None, given: tuple[str, ...], interview: bool, what_if: bool) -> int:
    """Apply the rubric to the evaluation, and write the decision to decisions/."""
    from groundtune.cli.pilot import exit_code, print_decision

    if interview and what_if:
        raise InputError("--interview and --what-if are two things to do", "type: groundtune decide --interview")
    if given and not what_if:
        raise InputError(f"{given[0]!r} is only for --what-if", f"type: groundtune decide --what-if {' '.join(given)}")
    project = opened(folder, shown)
    if interview:
        from groundtune.cli.interview import run

        return run(project, as_json=as_json)
    if what_if:
        from groundtune.cli.what_if import show

        return show(project, given, as_json=as_json)
    decision = project.decide()
    if as_json:
        say_json(decision)
    else:
        print_decision(project, decision)
    return exit_code(decision)
