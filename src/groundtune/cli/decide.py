"""``groundtune decide``: the decision, and before or beside it the interview and what-if."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say_json, verb
from groundtune.errors import InputError


@click.command("decide")
@click.argument("given", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--interview", is_flag=True, help="ask for the needs, write them to groundtune.toml, and recommend before measuring")
@click.option("--what-if", "what_if", is_flag=True, help="show what would change: --what-if churn=daily volume=2e6; nothing is written")
@click.option("--verify", is_flag=True, help="check that the decisions and their log are as they were written and signed")
@click.option("--compare", "pair", nargs=2, metavar="FIRST SECOND", help="say what changed between two decisions, and why")
@click.option("--reproduce", metavar="DECISION", help="work a decision out once more, or say what is missing")
@click.option("--holdout", is_flag=True, help="decide on the holdout's questions; a look at it is counted")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    given: tuple[str, ...],
    interview: bool,
    what_if: bool,
    verify: bool,
    pair: tuple[str, str] | None,
    reproduce: str | None,
    holdout: bool,
) -> int:
    """Apply the rubric to the evaluation, and write the decision to decisions/."""
    from groundtune.cli.pilot import exit_code, print_decision

    asked = {
        "--interview": interview,
        "--what-if": what_if,
        "--verify": verify,
        "--compare": bool(pair),
        "--reproduce": bool(reproduce),
        "--holdout": holdout,
    }
    several = [name for name, wanted in asked.items() if wanted]
    if len(several) > 1:
        raise InputError(f"{' and '.join(several)} are two things to do", f"type: groundtune decide {several[0]}")
    if given and not what_if:
        raise InputError(f"{given[0]!r} is only for --what-if", f"type: groundtune decide --what-if {' '.join(given)}")
    project = opened(folder, shown)
    if interview:
        from groundtune.cli.interview import run

        return run(project, as_json=as_json)
    if what_if:
        from groundtune.cli.what_if import show

        return show(project, given, as_json=as_json)
    if verify or pair or reproduce:
        from groundtune.cli import decision_log

        if verify:
            return decision_log.verify(project, as_json)
        return decision_log.compare(project, *pair, as_json) if pair else decision_log.reproduce(project, str(reproduce), as_json)
    decision = project.decide(asked="holdout" if holdout else "test")
    if as_json:
        say_json(decision)
    else:
        print_decision(project, decision)
    return exit_code(decision)
