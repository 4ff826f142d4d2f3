"""A judge's verdicts on all answers and people's labels on some → an estimate of what people would say of all.

    labelled [(1, 1), (0, 1), …] (person, judge), judged alone [1, 0, 1, …]  →  0.62 (0.52 to 0.72), weight 0.8

Prediction-powered inference, PPI++ for a mean: Angelopoulos, Duchi and Zrnic 2023, PPI++: Efficient Prediction-Powered Inference. With n
labelled answers, N others, people's Y and the judge's F:

    estimate = mean_n(Y) + weight · (mean_N(F) - mean_n(F))
    weight   = cov_n(Y, F) / ((1 + n/N) · var_{n+N}(F)), held to 0 … 1

A judge that says nothing of people's verdicts gets the weight 0, and the estimate is that of the labels alone; so it is valid for any
judge, and the narrower the better the judge. The labelled answers have to be drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from groundtune.errors import StateError
from groundtune.scores.estimate import LEVEL, clusters_of, holm
from groundtune.types import Estimate, Score

FEWEST_LABELS = 50
_NORMAL = NormalDist()
Labels = Mapping[tuple[str, str], float]  # (metric, answer id) → what people said


@dataclass(frozen=True, slots=True, kw_only=True)
class Powered:
    """An estimate with its interval, the judge's ``weight``, and the two-sided p-value of its being 0."""

    value: float
    low: float
    high: float
    p_value: float
    weight: float
    labelled: int
    judged: int


def powered(
    people: Sequence[float],
    judge: Sequence[float],
    judge_alone: Sequence[float],
    *,
    level: float = LEVEL,
    clusters: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Powered:
    """Return the estimate. ``people`` and ``judge`` are of the labelled answers, ``judge_alone`` of the others.

    ``clusters`` names the cluster of each labelled and each other answer; the variance is then that of whole clusters. Raises
    ``ValueError`` for fewer than two labels or lists that do not fit together.
    """
    said, seen, alone = (np.asarray(row, dtype=np.float64) for row in (people, judge, judge_alone))
    n, others = len(said), len(alone)
    if n < 2 or len(seen) != n:
        raise ValueError(f"{n} labels and {len(seen)} verdicts on the same answers: at least 2 of each, and as many, are needed")
    weight = 0.0
    if others:
        spread = float(np.concatenate([seen, alone]).var(ddof=1))
        shared = float(np.mean((said - said.mean()) * (seen - seen.mean())))
        weight = min(1.0, max(0.0, shared / ((1 + n / others) * spread))) if spread > 0 else 0.0
    rest = said - weight * seen
    value = float(rest.mean() + (weight * alone.mean() if others else 0.0))
    parts = [(rest - rest.mean()) / n, weight * (alone - alone.mean()) / others if others else alone]
    if clusters is None:
        variance = float(sum((part**2).sum() for part in parts))
    else:
        totals: dict[str, float] = {}
        for part, names in zip(parts, clusters, strict=True):
            for amount, name in zip(part.tolist(), names, strict=True):
                totals[name] = totals.get(name, 0.0) + amount
        variance = sum(amount**2 for amount in totals.values())
    error = variance**0.5
    reach = _NORMAL.inv_cdf((1 + level) / 2) * error
    p_value = 2 * (1 - _NORMAL.cdf(abs(value) / error)) if error > 0 else (1.0 if value == 0 else 0.0)
    return Powered(value=value, low=value - reach, high=value + reach, p_value=p_value, weight=weight, labelled=n, judged=others)


def corrected(
    estimates: Sequence[Estimate], scores: Iterable[Score], labels: Labels, clusters: Mapping[str, str] | None = None
) -> tuple[Estimate, ...]:
    """Return the estimates, those of judged metrics corrected by people's labels where at least ``FEWEST_LABELS`` answers have one.

    A difference is corrected where that many questions have a label for both arms. Each says in its reason what it was corrected by, or how
    many labels are missing. Holm's correction is made again over each metric whose differences changed.
    """
    rows: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        if score.value is not None:
            rows.setdefault((score.metric, score.arm), {})[score.example_id] = score
    judged = {metric for metric, _ in labels}
    done = [_corrected(item, rows, labels, clusters) if item.metric in judged else item for item in estimates]
    for metric in judged:
        places = [place for place, item in enumerate(done) if item.metric == metric and item.versus is not None]
        if any(done[place] is not estimates[place] for place in places):
            for place, item in zip(places, holm([done[place] for place in places]), strict=True):
                done[place] = item
    return tuple(done)


def _corrected(
    item: Estimate, rows: Mapping[tuple[str, str], Mapping[str, Score]], labels: Labels, clusters: Mapping[str, str] | None
) -> Estimate:
    if item.value is None:
        return item
    mine = rows.get((item.metric, item.arm), {})
    theirs = rows.get((item.metric, item.versus), {}) if item.versus is not None else None
    people: list[float] = []
    judge: list[float] = []
    alone: list[float] = []
    known: list[str] = []
    unknown: list[str] = []
    for name in sorted(mine if theirs is None else mine.keys() & theirs.keys()):
        pair = [mine[name]] if theirs is None else [mine[name], theirs[name]]
        told = [labels.get((item.metric, score.answer_id)) for score in pair]
        verdict = _less([score.value for score in pair])
        if None in told:
            alone.append(verdict)
            unknown.append(name)
        else:
            people.append(_less(told))
            judge.append(verdict)
            known.append(name)
    if len(people) < FEWEST_LABELS:
        short = f"the judge's own, not corrected: {len(people)} answers have people's labels, {FEWEST_LABELS} are needed"
        return replace(item, reason="; ".join(part for part in (item.reason, short) if part))
    if len(people) + len(alone) != item.n:
        raise StateError(
            f"{item.metric} of {item.arm}: {item.n} verdicts, but {len(people) + len(alone)} scores", "type: groundtune evaluate"
        )
    named = (clusters_of(dict.fromkeys(known, 0.0), clusters), clusters_of(dict.fromkeys(unknown, 0.0), clusters))
    found = powered(people, judge, alone, clusters=named)
    said = (
        f"corrected by prediction-powered inference: {found.labelled} labels of people beside {found.judged} other verdicts"
        f" (judge's weight {found.weight:.2f}); the judge alone says {item.value:.3f}"
    )
    return replace(
        item,
        value=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value if item.versus is not None else None,
        p_holm=None,
        reason="; ".join(part for part in (item.reason, said) if part),
        signature=f"ppi++|level:{LEVEL}|labels:{found.labelled}|weight:{found.weight:.4f}|of:{item.signature}",
    )


def _less(values: Sequence[float | None]) -> float:
    """Return the one value, or the first less the second."""
    told = [value for value in values if value is not None]
    return told[0] if len(told) == 1 else told[0] - told[1]
