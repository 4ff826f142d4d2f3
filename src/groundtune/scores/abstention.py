"""Signals of dev questions → how sure one has to be to answer: a logistic regression, and the threshold for a false-answer rate.

    rows (signals, has an answer?)  →  out-of-fold probabilities  →  curve: threshold → false answers, questions answered  →  threshold

Every probability in the curve comes from a model that saw no question of the same source. The threshold is chosen on that curve, which
flatters it a little; ``checked`` is what a threshold chosen without a part of the questions does to that part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from groundtune.calibration import Calibrated, CurvePoint, Term, Weights

if TYPE_CHECKING:
    import numpy as np

FEWEST = 10  # questions of either kind; below that one question moves a rate by more than ten points
FOLDS = 5
PRESENT = 0.8  # share of the questions that must have a signal for it to count
# Ridge on standardised signals: one unit is a prior of standard deviation 1 on each weight, so that ten signals and some
# seventy questions give no weight that rests on two of them.
RIDGE = 1.0
LEVEL = 0.95
MOST_SOUGHT = 2_000  # questions


Signals = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One dev question. ``answerable``: it has an answer; ``supported``: and what was shown holds enough of its evidence.

    ``willing`` is false where the model declined by itself or nothing was found: no threshold makes such a question answered.
    ``source`` keeps questions of one source on one side of a fold. A signal that is absent is not in ``signals``; a question without
    any (nothing was found for it) is counted and not fitted.
    """

    id: str
    source: str
    answerable: bool
    supported: bool
    willing: bool
    signals: Signals


def too_few(answerable: int, unanswerable: int, target: float) -> str:
    """Say why so many dev questions cannot carry a threshold; empty where they can."""
    # With fewer than 1 / target of them, the only false-answer rate within the target is none at all.
    least = max(FEWEST, math.ceil(1 / target - 1e-9))
    if answerable >= FEWEST and unanswerable >= least:
        return ""
    wanted = f"{FEWEST} with an answer and {least} without"
    return f"the dev questions are {answerable} with an answer and {unanswerable} without; a target of {target:g} needs at least {wanted}"


def calibrate(rows: Sequence[Row], *, target: float, on: str = "value") -> Calibrated:
    """Fit, cross-fit and choose. ``on`` is what has to meet the target: the rate (``value``) or its upper bound (``bound``).

    The state is ``too few`` or ``out of reach`` (each threshold that meets the target refuses every answerable question) where there is
    no threshold to choose; ``reason`` then says what is missing.
    """
    answerable = sum(row.answerable for row in rows)
    unanswerable = len(rows) - answerable
    why = too_few(answerable, unanswerable, target)
    names = _usable([row for row in rows if row.signals])
    parts = folds(rows)
    if not why and not names:
        why = "no signal differs between the dev questions"
    seen = [{row.supported for row, part in zip(rows, parts, strict=True) if part != fold and row.signals} for fold in set(parts)]
    if not why and any(len(kinds) < 2 for kinds in seen):
        why = "the dev questions of one kind come from one source only, so no part of them can be judged by the others"
    if why:
        return Calibrated(state="too few", reason=why, answerable=answerable, unanswerable=unanswerable, target=target, on=on)
    sure = cross_fitted(rows, names, parts)
    points = curve(rows, sure)
    chosen = choose(points, target, on)
    return Calibrated(
        state="out of reach" if chosen is None else "measured",
        reason=_unreachable(points, unanswerable, target, on) if chosen is None else "",
        answerable=answerable,
        unanswerable=unanswerable,
        target=target,
        on=on,
        threshold=None if chosen is None else chosen.threshold,
        chosen=chosen,
        checked=_checked(rows, sure, parts, target, on),
        curve=points,
        weights=fit(rows, names),
        needed=None if chosen is None else _needed(chosen, unanswerable, target),
    )


# ── the model ──


def fit(rows: Sequence[Row], names: Sequence[str]) -> Weights:
    """Return the weights of a ridge logistic regression of ``supported`` on the standardised signals, by Newton's method.

    An absent signal counts as the mean of those that are there. The intercept is not shrunk.
    """
    import numpy as np

    rows = [row for row in rows if row.signals]
    values = _matrix(rows, names)
    means = np.array([float(np.nanmean(column)) for column in values.T])
    scales = np.array([max(float(np.nanstd(column)), 1e-9) for column in values.T])
    wanted = np.array([float(row.supported) for row in rows])
    scaled = np.clip(np.nan_to_num((values - means) / scales), -3, 3)  # as Term.scaled does
    design = np.hstack([np.ones((len(rows), 1)), scaled])
    penalty = np.diag([0.0] + [RIDGE] * len(names))
    weights = np.zeros(design.shape[1])
    for _ in range(100):
        sure = _logistic(design @ weights)
        slope = design.T @ (sure - wanted) + penalty @ weights
        bend = design.T @ (design * np.maximum(sure * (1 - sure), 1e-9)[:, None]) + penalty
        step = np.linalg.solve(bend, slope)
        # Where the classes are far apart a full step can overshoot: none is longer than 2 in any weight.
        weights -= step / max(1.0, float(np.max(np.abs(step))) / 2)
        if float(np.max(np.abs(step))) < 1e-9:
            break
    terms = {
        name: Term(mean=float(mean), scale=float(scale), weight=float(weight))
        for name, mean, scale, weight in zip(names, means, scales, weights[1:], strict=True)
    }
    return Weights(intercept=float(weights[0]), terms=terms)


def cross_fitted(rows: Sequence[Row], names: Sequence[str], parts: Sequence[int]) -> list[float]:
    """Return a probability for each row, from a model that was fitted without the row's fold; 0 where there is no signal."""
    sure = [0.0] * len(rows)
    for fold in sorted(set(parts)):
        weights = fit([row for row, part in zip(rows, parts, strict=True) if part != fold], names)
        for place, part in enumerate(parts):
            if part == fold and rows[place].signals:
                sure[place] = weights.probability(rows[place].signals)
    return sure


def folds(rows: Sequence[Row]) -> list[int]:
    """Return the fold of each row: a source is in one fold; questions without an answer are spread first, then the others.

    Fewer sources than ``FOLDS`` make as many folds; with a single source every question is a source of its own.
    """
    sources = [row.source for row in rows]
    if len(set(sources)) < 2:
        sources = [row.id for row in rows]
    counts: dict[str, list[int]] = {}
    for source, row in zip(sources, rows, strict=True):
        held = counts.setdefault(source, [0, 0])
        held[row.answerable] += 1
    number = min(FOLDS, len(counts))
    filled = [[0, 0] for _ in range(number)]
    fold_of: dict[str, int] = {}
    for source, (without, having) in sorted(counts.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])):
        fold = min(range(number), key=lambda place: (filled[place][0] if without else 0, sum(filled[place]), place))
        fold_of[source] = fold
        filled[fold][0] += without
        filled[fold][1] += having
    return [fold_of[source] for source in sources]


def _usable(rows: Sequence[Row]) -> list[str]:
    """Return the signals that most rows have and that differ between them. The labels are not looked at."""
    names = sorted({name for row in rows for name in row.signals})
    found = []
    for name in names:
        values = [row.signals[name] for row in rows if name in row.signals]
        if len(values) >= PRESENT * len(rows) and max(values) - min(values) > 1e-9:
            found.append(name)
    return found


def _matrix(rows: Sequence[Row], names: Sequence[str]) -> np.ndarray:
    import numpy as np

    return np.array([[row.signals.get(name, math.nan) for name in names] for row in rows], dtype=float)


def _logistic(values: np.ndarray) -> np.ndarray:
    import numpy as np

    result: np.ndarray = 1 / (1 + np.exp(-np.clip(values, -40, 40)))
    return result


# ── the curve and the threshold ──


def curve(rows: Sequence[Row], sure: Sequence[float]) -> tuple[CurvePoint, ...]:
    """Return what each threshold does, the lowest first: from answering all that can be answered to refusing everything."""
    willing = sorted(((value, row) for row, value in zip(rows, sure, strict=True) if row.willing), key=lambda pair: pair[0])
    levels = sorted({value for value, _ in willing})
    # Between two neighbours, so that a question as sure as one seen is not on the edge.
    cuts = [0.0, *((low + high) / 2 for low, high in zip(levels, levels[1:], strict=False)), 1.0]
    points = []
    place = len(willing)
    answered = _Counts(len(rows), sum(not row.answerable for row in rows))
    for cut in reversed(cuts):
        while place and willing[place - 1][0] >= cut:
            place -= 1
            answered.add(willing[place][1])
        points.append(answered.point(cut))
    return tuple(reversed(points))


@dataclass(slots=True)
class _Counts:
    """What is answered, counted: of ``rows`` questions, ``unanswerable`` of which have no answer."""

    rows: int
    unanswerable: int
    said: int = 0
    false: int = 0
    unsupported: int = 0

    def add(self, row: Row) -> None:
        """Count a question as answered."""
        self.said += 1
        self.false += not row.answerable
        self.unsupported += not row.supported

    def point(self, threshold: float | None) -> CurvePoint:
        """Return the counts as rates."""
        return CurvePoint(
            threshold=threshold,
            false_answers=self.false,
            false_rate=self.false / self.unanswerable if self.unanswerable else 0.0,
            false_upper=upper_bound(self.false, self.unanswerable),
            answered_answerable=self.said - self.false,
            coverage=self.said / self.rows if self.rows else 0.0,
            risk=self.unsupported / self.said if self.said else None,
        )


def choose(points: Sequence[CurvePoint], target: float, on: str) -> CurvePoint | None:
    """Return the lowest threshold that meets the target and answers anything that has an answer, or ``None``."""
    for item in points:
        rate = item.false_rate if on == "value" else item.false_upper
        if rate <= target + 1e-12:
            return item if item.answered_answerable else None
    return None


def _checked(rows: Sequence[Row], sure: Sequence[float], parts: Sequence[int], target: float, on: str) -> CurvePoint:
    """Judge each fold by the threshold that the other folds choose; where they choose none, the fold is refused."""
    answered = _Counts(len(rows), sum(not row.answerable for row in rows))
    for fold in sorted(set(parts)):
        others = [place for place, part in enumerate(parts) if part != fold]
        held = [rows[place] for place in others]
        chosen = choose(curve(held, [sure[place] for place in others]), target, on)
        for row, value, part in zip(rows, sure, parts, strict=True):
            if part == fold and chosen is not None and chosen.threshold is not None and row.willing and value >= chosen.threshold:
                answered.add(row)
    return answered.point(None)


@lru_cache(maxsize=4096)
def upper_bound(count: int, of: int, level: float = LEVEL) -> float:
    """Return the one-sided upper bound of a share by Clopper and Pearson 1934: the p for which P(X ≤ count) = 1 - level."""
    if count >= of:
        return 1.0
    low, high = count / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(count, of, middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, of: int, share: float) -> float:
    """Return P(X ≤ count) for X binomial."""
    if share <= 0 or share >= 1:
        return 1.0 if share <= 0 or count >= of else 0.0
    logs = (
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * math.log(share) + (of - k) * math.log1p(-share)
        for k in range(count + 1)
    )
    return math.fsum(math.exp(value) for value in logs)


def _needed(chosen: CurvePoint, unanswerable: int, target: float) -> int | None:
    """Return about how many questions without an answer bring the upper bound within the target at this rate; ``None``: too many."""
    if chosen.false_upper <= target:
        return unanswerable
    if chosen.false_rate >= target:
        return None
    count = unanswerable
    while count < MOST_SOUGHT:
        # The bound is within the target where so few false answers would be a rare thing at the target itself.
        if _at_most(math.ceil(chosen.false_rate * count - 1e-9), count, target) <= 1 - LEVEL:
            return count
        count += max(1, count // 50)
    return None


def _unreachable(points: Sequence[CurvePoint], unanswerable: int, target: float, on: str) -> str:
    if on == "bound" and upper_bound(0, unanswerable) > target:
        return (
            f"even with no false answer among {unanswerable} questions without an answer the upper bound is"
            f' {upper_bound(0, unanswerable):.2f}, above {target:g}; write more of them, or set on = "value"'
        )
    return (
        f"every threshold with a false-answer {'rate' if on == 'value' else 'bound'} of {target:g} or less refuses all that has an answer"
    )
