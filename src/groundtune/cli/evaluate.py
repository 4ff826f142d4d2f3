"""``groundtune evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundtune.cli.common import opened, say, say_json, table, verb

if TYPE_CHECKING:
    from groundtune.project.evaluate import Evaluation


@click.command("evaluate")
@click.option("--arm", "arms", multiple=True, help="only this arm (repeatable); all arms without it")
@click.option("--holdout", is_flag=True, help="ask the holdout instead, which nothing else ever does; the look is counted")
@verb
def command(folder: str, as_json: bool, shown: str | None, arms: tuple[str, ...], holdout: bool) -> int:
    """Answer the locked test questions by every arm, and score the answers."""
    project = opened(folder, shown)
    evaluation = project.evaluate(list(arms) or None, asked="holdout" if holdout else "test")
    from groundtune.project.decide import estimates_of

    estimates = estimates_of(project, evaluation)
    if as_json:
        say_json(
            {
                "run": evaluation.run_id,
                "asked": evaluation.asked,
                "looks": evaluation.looks,
                "not_run": evaluation.not_run,
                "estimates": estimates,
            }
        )
        return 0
    _print(evaluation, estimates)
    return 0


def _print(evaluation: Evaluation, estimates: object) -> None:
    from groundtune.types import Estimate

    means: list[Estimate] = [e for e in estimates if e.versus is None]  # type: ignore[attr-defined]
    metrics = list(dict.fromkeys(e.metric for e in means))
    by_cell = {(e.arm, e.metric): e for e in means}
    rows = []
    for metric in metrics:
        row = [metric]
        for arm in evaluation.arms:
            found = by_cell.get((arm.name, metric))
            row.append(
                "–" if found is None or found.value is None else f"{found.value:.3f} [{found.low:.2f}, {found.high:.2f}] n={found.n}"
            )
        rows.append(row)
    table(["metric", *(arm.name for arm in evaluation.arms)], rows)
    for name, reason in evaluation.not_run.items():
        say(f"{name}: not run: {reason}")
    seen = "this test set" if evaluation.asked == "test" else "the holdout"
    say(f"{evaluation.run_id}: {len(evaluation.examples)} questions; look {evaluation.looks} at {seen}; {evaluation.folder}")
