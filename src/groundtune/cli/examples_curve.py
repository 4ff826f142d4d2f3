"""``groundtune examples curve``: from points in a file, or by tuning on a quarter, half and all of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import say, say_json, table
from groundtune.progress import clock_text

if TYPE_CHECKING:
    from groundtune.examples.curve import Advice
    from groundtune.project import Project
    from groundtune.project.curve import Measured, Plan


def run(project: Project, given: dict[str, Any], as_json: bool) -> int:
    """Print the advice; exit code 1 where nothing can be said, or nothing was measured yet."""
    if bool(given["points"]) == bool(given["adapter"]):
        raise click.UsageError(
            "examples curve needs --adapter NAME, to tune that [tuning.*] table at three sizes, or --points FILE with what was scored"
        )
    for name in ("metric", "arm", "yes"):
        if given["points"] and given[name]:
            raise click.UsageError(f"--{name}: only with examples curve --adapter")
    if given["points"]:
        from groundtune.examples.curve import advise, load

        return _told(advise(load(Path(given["points"])), more=given["more"] or 500, seed=project.settings.project.seed), as_json)
    from groundtune.project import curve

    planned = curve.plan(project, given["adapter"], metric=given["metric"], arm=given["arm"])
    if not given["yes"] and any(step.version is None for step in planned.steps):
        return _plan(planned, as_json)
    measured = curve.measure(project, planned, more=given["more"] or curve.MORE)
    if as_json:
        say_json(measured)
        return 0 if measured.advice.gain is not None else 1
    return _measured(measured)


def _plan(planned: Plan, as_json: bool) -> int:
    from groundtune.tuning.adapter import planned as cost_of

    costs = [None if step.version else cost_of(step.job) for step in planned.steps]
    if as_json:
        rows = [
            {"rows": step.rows, "version": step.version.id if step.version else None, "plan": cost}
            for step, cost in zip(planned.steps, costs, strict=True)
        ]
        say_json({"plan": {"adapter": planned.name, "metric": planned.metric, "steps": rows}})
        return 1
    for step, cost in zip(planned.steps, costs, strict=True):
        say(f"{step.rows:>8,} rows  " + (f"there: {step.version.id}" if step.version else f"to be tuned: {cost.told() if cost else ''}"))
    total = sum(cost.seconds for cost in costs if cost)
    say(f"about {clock_text(total)} of tuning, then the dev questions once for each size, scored by {planned.metric}; to do it, add --yes")
    return 1


def _measured(found: Measured) -> int:
    rows = [
        [f"{point.rows:,}", version, f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" if e.low is not None else e.state, str(e.n)]
        for point, version, e in zip(found.points, found.versions, found.estimates, strict=True)
    ]
    table(["rows", "version", found.metric, "questions"], rows)
    say(found.advice.says)
    return 0 if found.advice.gain is not None else 1


def _told(advice: Advice, as_json: bool) -> int:
    if as_json:
        say_json(advice)
    else:
        for rows, value in advice.points:
            say(f"{rows:>8,} rows  {value:.3f}")
        say(advice.says)
    return 0 if advice.gain is not None else 1
