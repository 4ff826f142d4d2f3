"""A [tuning.*] table → models tuned on a quarter, half and all of its rows → scores on the dev questions → what more rows may buy.

    300 rows  →  75 ⊂ 150 ⊂ 300, chosen by the seed  →  three versions  →  three scores of each dev question  →  the fitted curve

Every model is a version like any other (listed, traced, resumed after a kill), and every answer is kept, so the same command goes on where
it was broken off. The locked test set is not touched.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from groundtune.annex import Annex, Curve, Grid
from groundtune.errors import NothingToLearn, StateError, UnknownName
from groundtune.examples.curve import FARTHEST, Advice, Point, advise
from groundtune.files import fingerprint
from groundtune.project import compare, tune
from groundtune.registry.gates import CANDIDATE
from groundtune.scores import estimate
from groundtune.scores.metrics import metric_named
from groundtune.tuning import adapter, canary, trainset
from groundtune.tuning.replay import GENERAL
from groundtune.tuning.rows import TrainSet
from groundtune.types import Estimate, ModelVersion

if TYPE_CHECKING:
    from groundtune.project.main import Project

SHARES = (0.25, 0.5, 1.0)
MORE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One size: how many rows of the project's own, the job that tunes on them, and the version where it is there already."""

    rows: int
    job: adapter.Job
    version: ModelVersion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a curve takes. ``metric`` is from 0 to 1, higher is better."""

    name: str
    metric: str
    arm: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A curve that was measured: the score at each size, with its interval, by which version; and the advice that was asked for."""

    run_id: str
    name: str
    metric: str
    arm: str
    versions: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    points: tuple[Point, ...]
    advice: Advice


def plan(project: Project, name: str, *, metric: str | None = None, arm: str | None = None) -> Plan:
    """Return what is to be tuned. Raises ``UnknownName``, ``NothingToLearn`` for too few rows, ``StateError`` for a metric of no curve."""
    chosen = metric or project.settings.rubric.primary
    known = metric_named(chosen)
    if (known.low, known.high, known.better) != (0.0, 1.0, "higher"):
        raise StateError(
            f"{chosen} is not from 0 to 1 with the higher the better, so no curve is fitted to it",
            "name another: groundtune examples curve --adapter NAME --metric token_f1",
        )
    whole = tune.job_for(project, name)
    own = _own(whole.rows)
    sizes = [round(len(own) * share) for share in SHARES]
    if sizes[0] < 1 or len(set(sizes)) < len(sizes):
        raise NothingToLearn(
            f"{len(own)} training rows cannot be cut into a quarter, half and all",
            "add training examples, then type: groundtune examples audit",
        )
    steps = []
    for size in sizes:
        job = whole if size == len(own) else _job(project, whole, size)
        found = adapter.read_version(adapter.folder_of(project.state / "models", name, job.key))
        steps.append(Step(rows=size, job=job, version=found))
    return Plan(name=name, metric=chosen, arm=arm, steps=tuple(steps))


def part_of(rows: TrainSet, size: int, seed: int) -> TrainSet:
    """Return ``size`` of the project's own rows, and the same share of the others; a smaller part is inside every larger one.

    Its readers are those of all the rows: who may not be answered by the whole is not answered by a part of it.
    """
    own = _own(rows)
    others = sorted(set(range(len(rows.rows))) - set(own))
    random.Random(f"{seed}:curve").shuffle(own)  # noqa: S311
    taken = {*own[:size], *others[: round(len(others) * size / len(own))]}
    kept = tuple(row for place, row in enumerate(rows.rows) if place in taken)
    left_out = {**rows.left_out, "left out for the learning curve": len(rows.rows) - len(kept)}
    return replace(rows, rows=kept, left_out=left_out, document_ids=tuple(sorted({item for row in kept for item in row.document_ids})))


def _own(rows: TrainSet) -> list[int]:
    """Return the places of the project's own rows: neither general ones of the package nor canaries."""
    return [place for place, row in enumerate(rows.rows) if not row.example_id.startswith((GENERAL, canary.PREFIX))]


def _job(project: Project, whole: adapter.Job, size: int) -> adapter.Job:
    rows = part_of(whole.rows, size, whole.seed)
    if whole.start is not None:
        # What the adapter before was made from is in the weights of every part.
        rows = trainset.after(rows, whole.start.rows)
    key = adapter.version_key(
        name=whole.name,
        recipe=whole.recipe,
        rows=rows,
        dev_rows=whole.dev_rows,
        base=project.chat.fingerprint,
        prompt_hash=whole.prompt_hash,
        seed=whole.seed,
        start=None if whole.start is None else whole.start.key,
    )
    return replace(whole, rows=rows, key=key)


def measure(project: Project, planned: Plan, *, more: int = MORE) -> Measured:
    """Tune what is missing, ask every version the dev questions, and keep the scores in the ledger."""
    versions = [step.version or tune.made_after(project, step.job) for step in planned.steps]
    plans = [
        compare.plan(project, replace(version, readers=project.models.readers_now(version)), None, planned.arm) for version in versions
    ]
    key = fingerprint("curve", planned.metric, [item.key for item in plans])
    found = project.ledger.done("curve", key)
    if found is None:
        run = project.ledger.begin("curve", key, {f"version {step.rows}": v.id for step, v in _each(planned, versions)}, _seed(project))
        points = []
        clusters = {example.id: example.split_group for example in plans[0].examples}
        for (step, version), item in zip(_each(planned, versions), plans, strict=True):
            scores, _ = compare.answered_by(project, item, [(replace(item.arm, name=CANDIDATE), item.version)])
            of_metric = [score for score in scores if score.metric == planned.metric]
            if not of_metric:
                known = sorted({score.metric for score in scores})
                raise UnknownName.of("metric of the dev questions", planned.metric, known, "name one of these with --metric")
            broken = [score for score in of_metric if score.failed and score.value is None]
            if broken:
                raise StateError(
                    f"{len(broken)} answers of {version.id} could not be scored, such as {broken[0].example_id}: {broken[0].reason}",
                    "mend it, or name another metric with --metric",
                )
            mean = estimate.mean(
                of_metric, planned.metric, CANDIDATE, clusters, resamples=project.settings.rubric.resamples, seed=_seed(project)
            )
            scored = {score.example_id: score.value for score in of_metric if score.value is not None}
            points.append({"rows": step.rows, "version": version.id, "estimate": mean, "scores": scored})
        outputs = {"name": planned.name, "metric": planned.metric, "arm": plans[0].arm.name, "points": points}
        project.ledger.link(run.id, [(run.id, version.id) for version in versions])
        project.ledger.end(run.id, "done", outputs)
        found = project.ledger.run(run.id)
    return _from(found.id, found.outputs, more, _seed(project))


def measured_for(project: Project, inputs: Mapping[str, str]) -> list[Measured]:
    """Return the latest curve of each adapter that a decision's inputs name, where its largest size is that very version.

    The advice is for 500 more rows, or as many as the curve bears.
    """
    kept: dict[str, Measured] = {}
    for run in project.ledger.runs("curve"):
        held: Mapping[str, Any] = run.outputs
        if run.status == "done" and inputs.get(f"adapter {held['name']}") == held["points"][-1]["version"]:
            most = int((FARTHEST - 1) * held["points"][-1]["rows"])
            kept[held["name"]] = _from(run.id, held, min(MORE, most), _seed(project))
    return [kept[name] for name in sorted(kept)]


def section(found: Measured) -> Annex:
    """Return a curve as a section of a decision: the advice, the points, and the drawing."""
    advice = found.advice
    ends = [(point.rows, item) for point, item in zip(found.points, found.estimates, strict=True)]
    drawn = tuple((float(rows), float(e.value), float(e.low), float(e.high)) for rows, e in ends if _has_interval(e))  # type: ignore[arg-type]
    rows = tuple(
        (f"{rows:,}", version, f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" if _has_interval(e) else e.state, str(e.n))
        for (rows, e), version in zip(ends, found.versions, strict=True)
    )
    fit: tuple[float, ...] = ()
    ahead: tuple[float, ...] = ()
    if advice.limit is not None and advice.slope is not None and advice.exponent is not None and drawn:
        fit = (advice.limit, advice.slope, advice.exponent)
        last = ends[-1][0]
        base = advice.limit - advice.slope * last**-advice.exponent
        gains = (advice.gain or 0.0, advice.low or 0.0, advice.high or 0.0)
        ahead = (float(last + advice.more), *(base + gain for gain in gains))
    title = f"Learning curve of {found.name}"
    return Annex(
        title=title,
        lines=(
            f"{advice.says[:1].upper()}{advice.says[1:]}.",
            f"Measured on dev questions in the arm {found.arm}; the test set was not seen.",
        ),
        grids=(Grid(head=("training rows", "version", found.metric, "questions"), rows=rows),),
        curve=Curve(title=f"{title}: {found.metric} by training rows", metric=found.metric, points=drawn, fit=fit, ahead=ahead),
    )


def _has_interval(item: Estimate) -> bool:
    return item.value is not None and item.low is not None and item.high is not None


def _from(run_id: str, outputs: Mapping[str, Any], more: int, seed: int) -> Measured:
    points = tuple(Point(rows=row["rows"], scores=row["scores"]) for row in outputs["points"])
    return Measured(
        run_id=run_id,
        name=outputs["name"],
        metric=outputs["metric"],
        arm=outputs["arm"],
        versions=tuple(row["version"] for row in outputs["points"]),
        estimates=tuple(Estimate(**row["estimate"]) for row in outputs["points"]),
        points=points,
        advice=advise(points, more=more, seed=seed),
    )


def _each(planned: Plan, versions: Sequence[ModelVersion]) -> list[tuple[Step, ModelVersion]]:
    return list(zip(planned.steps, versions, strict=True))


def _seed(project: Project) -> int:
    return project.settings.project.seed
