"""``groundtune pilot``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundtune.cli.common import opened, say, say_json, verb

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.types import Decision


@click.command("pilot")
@click.option("--relock", is_flag=True, help="accept a changed test set, rubric or arms, and have the decision say so")
@verb
def command(folder: str, as_json: bool, shown: str | None, relock: bool) -> int:
    """Check, lock, ingest, tune, evaluate, probe, decide. Broken off at any moment, the same command goes on where it stopped."""
    project = opened(folder, shown)
    result = project.pilot(relock=relock)
    if as_json:
        say_json(result)
    else:
        print_decision(project, result.decision)
        say("\n" + "  ".join(f"{step} {seconds:.0f} s" for step, seconds in result.seconds.items()))
    return exit_code(result.decision)


def exit_code(decision: Decision) -> int:
    """Return 1 where no arm passes the gates, which is a finding, not a failure of the program."""
    return 1 if decision.verdict in ("none passes", "stop") else 0


def print_decision(project: Project, decision: Decision) -> None:
    """Print the verdict, the reasons and where the decision was written."""
    headline = {
        "ship": f"ship {decision.choice}",
        "can't tell": "can't tell yet",
        "none passes": "no arm passes the gates",
        "stop": "stop: no arm comes near enough",
    }[decision.verdict]
    say(f"{decision.id}: {headline}" + (f"; fallback {decision.fallback}" if decision.fallback else ""))
    if decision.sure:
        say(f"  how sure: {decision.sure}")
    for reason in decision.reasons:
        say(f"  - {reason}")
    for path in sorted((project.folder / "decisions").glob(decision.id.removeprefix("decision:") + ".*")):
        say(f"  {path}")
