"""``groundtune calibrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundtune.cli.common import opened, say, say_json, table, verb

if TYPE_CHECKING:
    from groundtune.calibration import Calibrated, Term
    from groundtune.project import Project
    from groundtune.project.calibrations import Calibration


@click.command("calibrate")
@click.option("--arm", default="rag", show_default=True, help="which arm's answers are judged")
@click.option("--retrieval-only", is_flag=True, help="judge by the passages alone: the model is not asked where it would be refused")
@click.option("--show", is_flag=True, help="print what is kept; nothing is fitted")
@click.option("--remove", is_flag=True, help="remove what is kept for this arm, of all index versions: it answers as before")
@verb
def command(folder: str, as_json: bool, shown: str | None, arm: str, retrieval_only: bool, show: bool, remove: bool) -> int:
    """Fit when an arm says that it does not know, on the dev questions with and without an answer."""
    if show + remove + retrieval_only > 1:
        raise click.UsageError("--show, --remove and --retrieval-only: one of them at most")
    project = opened(folder, shown)
    if show or remove:
        from groundtune.project.arms import arm_named

        return (_show if show else _remove)(project, arm_named(project.settings, arm).name, as_json)
    calibration = project.calibrate(arm, retrieval_only=retrieval_only)
    if as_json:
        say_json(calibration)
    else:
        _print(calibration)
    return 0 if calibration.found.state == "measured" else 1


def _show(project: Project, arm: str, as_json: bool) -> int:
    from groundtune.project.calibrations import kept

    held = list(kept(project, arm).values())
    if as_json:
        say_json(held)
    for calibration in [] if as_json else held:
        _print(calibration)
    if not held and not as_json:
        say(f"arm {arm} is not calibrated: it answers whenever search finds anything")
    return 0


def _remove(project: Project, arm: str, as_json: bool) -> int:
    from groundtune.project.calibrations import remove

    count = remove(project, arm)
    if as_json:
        say_json({"arm": arm, "removed": count})
    else:
        say(f"{count} removed; arm {arm} is not calibrated")
    return 0


def _print(calibration: Calibration) -> None:
    from groundtune.decisions.withheld import point_words

    found = calibration.found
    by = "passages and answers" if calibration.generation else "passages alone"
    failed = f"; {calibration.failed} more got no answer and are left out" if calibration.failed else ""
    say(
        f"arm {calibration.arm}, {calibration.made_for['index']}, judged by {by}: {found.answerable} dev questions with an answer,"
        f" {found.unanswerable} without{failed}"
    )
    if found.curve:
        say()
        _print_curve(found)
    if found.chosen is None or found.threshold is None:
        say(f"\n{found.state}: {found.reason}")
        say("nothing was kept")
        return
    say()
    rows = [[name, f"{term.weight:+.2f}", f"{term.mean:.3g}", f"{term.scale:.3g}"] for name, term in _heaviest(found)]
    table(["signal", "weight", "mean", "spread"], rows)
    say(f"\nthreshold {found.threshold:.3f}: {point_words(found.chosen, found)}")
    if found.checked is not None:
        say(f"with each threshold chosen without the questions it judges: {point_words(found.checked, found)}")
    if found.needed is not None and found.needed > found.unanswerable:
        more = f"it takes about {found.needed} questions without an answer, not {found.unanswerable}"
        say(f"to show that no more than {found.target:g} are answered, at this rate {more}")
    say(f"{calibration.id} is kept in {calibration.path}")


def _print_curve(found: Calibrated) -> None:
    from groundtune.decisions.withheld import CURVE, curve_rows

    table([f"  {CURVE[0]}", *CURVE[1:]], [list(row) for row in curve_rows(found)])


def _heaviest(found: Calibrated) -> list[tuple[str, Term]]:
    return sorted(found.weights.terms.items(), key=lambda item: -abs(item[1].weight))
