"""Scores of models tuned on 1/4, 1/2 and all of the examples → what the next examples are likely to buy, with an interval.

    score(n) = limit − b · n^(−c),  b ≥ 0                  a power law of the error (Hestness et al. 2017, arXiv:1712.00409)
    [Point(75, …), Point(150, …), Point(300, …)]  →  "500 more: +0.021, 95 % interval +0.002 to +0.047"

The interval is from resampling: whole questions where scores of each question are given, since the same question is hard at every size;
else each point by its own interval. It answers "can't say" rather than guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import ExampleError

if TYPE_CHECKING:
    import numpy as np

EXPONENTS = (0.05, 2.0, 40)
RESAMPLES = 1000
LEAST_POINTS = 3
LEAST_QUESTIONS = 20
FARTHEST = 3.0  # times the largest measured size, beyond which nothing is told
WIDEST = 0.15  # of a score from 0 to 1: an interval wider than this helps nobody
LEVEL = 0.95
HINT = 'write lines such as {"rows": 75, "scores": {"q-1": 1, "q-2": 0}}, then type: groundtune examples curve --points FILE'


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The score after tuning on ``rows`` examples: of each question by its id, or a mean with its 95 % interval."""

    rows: int
    scores: Mapping[str, float] | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """``gain`` of ``more`` examples with its interval, or why it can't be said; the fitted curve and the points as they were used."""

    more: int
    says: str
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    slope: float | None = None
    exponent: float | None = None
    reason: str = ""
    points: tuple[tuple[int, float], ...] = ()
    questions: int | None = None


def load(path: Path) -> tuple[Point, ...]:
    """Read points from JSON lines: ``rows``, and ``scores`` by question, or ``value`` with ``low`` and ``high``."""
    from groundtune.examples.records import read

    problems: list[ExampleError] = []
    found = []
    for record in read(path, problems):
        try:
            found.append(_point(record.value))
        except ValueError as error:
            problems.append(ExampleError(f"{path}:{record.line}: {error}", HINT))
    if problems:
        raise problems[0]
    return tuple(found)


def _point(value: Mapping[str, Any]) -> Point:
    rows = value.get("rows")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise ValueError(f"rows is {rows!r}, expected how many examples were tuned on")
    unknown = sorted(set(value) - {"rows", "scores", "value", "low", "high"})
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)}")
    scores = value.get("scores")
    if scores is not None:
        if not isinstance(scores, dict) or not scores or not all(_share(item) for item in scores.values()):
            raise ValueError("scores: expected question → number from 0 to 1")
        return Point(rows=rows, scores={key: float(item) for key, item in scores.items()})
    numbers = [value.get(name) for name in ("low", "value", "high")]
    if not all(_share(item) for item in numbers):
        raise ValueError("expected scores, or value, low and high, numbers from 0 to 1")
    low, middle, high = (float(item) for item in numbers if item is not None)
    if not low <= middle <= high or low == high:
        raise ValueError(f"value {middle} is not between low {low} and high {high}, or they are the same")
    return Point(rows=rows, value=middle, low=low, high=high)


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def advise(points: Sequence[Point], *, more: int = 500, seed: int = 7) -> Advice:
    """Return what ``more`` examples beyond the largest size are likely to buy."""
    import numpy as np

    ordered = sorted(points, key=lambda point: point.rows)
    sizes = np.array([point.rows for point in ordered], dtype=np.float64)

    def cannot(reason: str, **known: Any) -> Advice:
        return Advice(more=more, says=f"can't say what {more:,} more examples buy: {reason}", reason=reason, **known)

    if len(set(sizes.tolist())) < LEAST_POINTS:
        return cannot(f"{len(set(sizes.tolist()))} sizes were measured, and {LEAST_POINTS} different ones are needed (1/4, 1/2 and all)")
    by_question = all(point.scores is not None for point in ordered)
    if not by_question and any(point.scores is not None for point in ordered):
        return cannot("some points have scores by question and others do not")
    questions = None
    random = np.random.default_rng(seed)
    if by_question:
        shared = sorted(set.intersection(*(set(point.scores or {}) for point in ordered)))
        questions = len(shared)
        if questions < LEAST_QUESTIONS:
            return cannot(f"only {questions} questions were scored at every size; {LEAST_QUESTIONS} are needed", questions=questions)
        table = np.array([[(point.scores or {})[name] for name in shared] for point in ordered])
        means = table.mean(axis=1)
        spread = table.std(axis=1, ddof=1) / np.sqrt(questions)
        drawn = random.integers(0, questions, size=(RESAMPLES, questions))
        samples = table[:, drawn].mean(axis=2).T
    else:
        means = np.array([point.value for point in ordered], dtype=np.float64)
        spread = np.array([((point.high or 0) - (point.low or 0)) / (2 * 1.959964) for point in ordered])
        samples = random.normal(means, spread, size=(RESAMPLES, len(ordered)))
    measured = tuple((point.rows, round(float(mean), 6)) for point, mean in zip(ordered, means, strict=True))
    known: dict[str, Any] = {"points": measured, "questions": questions}
    spread = np.maximum(spread, 1e-3)
    target = sizes[-1] + more
    if target > FARTHEST * sizes[-1]:
        most = int((FARTHEST - 1) * sizes[-1])
        return cannot(f"that is {target / sizes[-1]:.1f} times the largest size measured; ask for {most:,} at most", **known)
    best = int(means.argmax())
    if best < len(means) - 1:
        # The same questions were scored twice, so their difference is told more sharply than two means are.
        fall = samples[:, best] - samples[:, -1]
        if float(np.quantile(fall, (1 - LEVEL) / 2)) > 0:
            fell = f"{sizes[best]:,.0f} to {sizes[-1]:,.0f} rows"
            return cannot(f"the score falls from {fell}, which more of the same does not mend", **known)
    limit, slope, exponent, residual = _fit(sizes, means[None, :], spread)
    free = len(sizes) - 3
    # Three numbers always fit three points, except where the slope or the limit is held at its end: then one degree of freedom is left.
    if residual[0] > _chi_square_99(max(free, 1)):
        return cannot(f"no curve fits the points (chi-square {residual[0]:.1f} with {max(free, 1)} degrees of freedom)", **known)
    limits, slopes, exponents, _ = _fit(sizes, samples, spread)
    gains = slopes * (sizes[-1] ** -exponents - target**-exponents)
    low, high = (float(np.quantile(gains, share)) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    gain = float(slope[0] * (sizes[-1] ** -exponent[0] - target ** -exponent[0]))
    if high - low > WIDEST:
        return cannot(f"the interval would be {low:+.2f} to {high:+.2f}; measure more questions or more sizes", **known)
    if float((slopes <= 1e-12).mean()) > 0.5:
        words = "no rise was seen between the sizes measured"
    else:
        words = "with only 3 sizes the curve itself is not tested" if free == 0 else "the curve fits the points"
    return Advice(
        more=more,
        says=f"{more:,} more examples are likely to buy {gain:+.3f} (95 % interval {low:+.3f} to {high:+.3f}); {words}",
        gain=gain,
        low=low,
        high=high,
        limit=float(limit[0]),
        slope=float(slope[0]),
        exponent=float(exponent[0]),
        **known,
    )


def _fit(sizes: np.ndarray, values: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return limit, slope, exponent and weighted squares left of the best curve for each row of ``values``.

    For a given exponent the curve is a straight line in n^(-c), solved by least squares with the slope held at 0 or above and the limit
    at 1 or below; the exponent is taken from a grid, so that the same points always give the same curve.
    """
    import numpy as np

    weights = 1.0 / spread**2
    best: list[np.ndarray] | None = None
    for exponent in np.geomspace(*EXPONENTS[:2], EXPONENTS[2]):
        x = -(sizes**-exponent)
        middle = (weights * x).sum() / weights.sum()
        mean = (values * weights).sum(axis=1) / weights.sum()
        slope = np.maximum(((values - mean[:, None]) * weights * (x - middle)).sum(axis=1) / (weights * (x - middle) ** 2).sum(), 0.0)
        limit = mean - slope * middle
        # No score is above 1: where the best line ends above it, it is the best line that ends at 1.
        above = limit > 1.0
        slope = np.where(above, np.maximum(((values - 1.0) * weights * x).sum(axis=1) / (weights * x**2).sum(), 0.0), slope)
        limit = np.where(above, 1.0, limit)
        left = (weights * (values - limit[:, None] - slope[:, None] * x) ** 2).sum(axis=1)
        here = [limit, slope, np.full(len(values), exponent), left]
        if best is None:
            best = here
        else:
            better = left < best[3] - 1e-12
            best = [np.where(better, new, old) for new, old in zip(here, best, strict=True)]
    assert best is not None  # noqa: S101
    return best[0], best[1], best[2], best[3]


def _chi_square_99(free: int) -> float:
    """Return the 99 % quantile of chi-square (Wilson and Hilferty 1931; within 1 %)."""
    return float(free * (1 - 2 / (9 * free) + 2.326348 * (2 / (9 * free)) ** 0.5) ** 3)
