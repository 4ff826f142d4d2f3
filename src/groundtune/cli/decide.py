"""``groundtune decide``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say_json, verb


@click.command("decide")
@click.option("--verify", is_flag=True, help="check that the decisions and their log are as they were written and signed")
@click.option("--compare", "pair", nargs=2, metavar="FIRST SECOND", help="say what changed between two decisions, and why")
@click.option("--reproduce", metavar="DECISION", help="work a decision out once more, or say what is missing")
@verb
def command(folder: str, as_json: bool, shown: str | None, verify: bool, pair: tuple[str, str] | None, reproduce: str | None) -> int:
    """Apply the rubric to the evaluation, and write the decision to decisions/."""
    project = opened(folder, shown)
    if verify or pair or reproduce:
        from groundtune.cli import decision_log

        if verify:
            return decision_log.verify(project, as_json)
        return decision_log.compare(project, *pair, as_json) if pair else decision_log.reproduce(project, str(reproduce), as_json)
    decision = project.decide()
    if as_json:
        say_json(decision)
    else:
        from groundtune.cli.pilot import print_decision

        print_decision(project, decision)
    return 1 if decision.verdict == "none passes" else 0
