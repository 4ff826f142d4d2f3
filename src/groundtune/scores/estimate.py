"""Scores → means and paired differences with their intervals, and p-values corrected for the number of comparisons.

    mean(scores, "token_f1", "rag")              → 0.61 (0.55 to 0.67), n = 84
    compare(scores, "token_f1", "hybrid", "rag") → 0.05 (-0.01 to 0.11), n = 84, p = 0.11

Intervals are BCa bootstraps over clusters of questions (questions on one source are not independent); p-values are exact McNemar for
0/1 metrics with unclustered questions, and sign flips of whole clusters otherwise. Everything is seeded, and no number depends
on the order of the scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from groundtune.errors import UnknownName
from groundtune.scores.metrics import metric_named
from groundtune.scores.pairing import FEWEST, LEVEL, RESAMPLES, SEED, Found, How, Reading, clusters_of, of_arm, of_pair
from groundtune.scores.power import minimum_detectable, questions_for, questions_needed, spread_of
from groundtune.types import Estimate, Score

__all__ = [
    "FEWEST", "LEVEL", "SEED", "clusters_of", "compare", "holm", "mean", "minimum_detectable", "questions_for", "questions_needed",
    "spread_of",
]  # fmt: skip

READING: Reading[Score, float] = Reading("scores", lambda score: score.value, lambda score: score.failed and score.value is None)


def mean(
    scores: Iterable[Score],
    metric: str,
    arm: str,
    clusters: Mapping[str, str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Return an arm's mean on a metric. ``clusters`` maps example ids to what they share, such as their source.

    ``bounds`` is the range of a metric that the table of metrics does not have.

    The state is ``not run`` where there are no scores or the metric applies to none, ``failed`` where any scorer failed, ``too few``
    under ``FEWEST`` questions. Raises ``StateError`` for two scores of one example or scores of different signatures.
    """

    def measure(values: Mapping[str, float]) -> Found:
        from groundtune.scores.resample import gather, interval

        low, high = bounds or _bounds(metric)
        sums, counts = gather(list(values.values()), clusters_of(values, clusters))
        ends = interval(sums, counts, resamples=resamples, seed=seed, level=LEVEL, low=low, high=high)
        return Found(value=float(sums.sum() / counts.sum()), low=ends[0], high=ends[1], clusters=len(sums))

    return of_arm(scores, READING, metric, arm, How(kind="mean", resamples=resamples, seed=seed), measure)


def compare(
    scores: Iterable[Score],
    metric: str,
    arm: str,
    versus: str,
    clusters: Mapping[str, str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Return the mean paired difference ``arm`` minus ``versus``, question by question, with its interval and p-value.

    A question to which the metric applies for one arm only is left out, and the reason says how many were. Raises ``StateError``
    when the two arms were not scored on the same questions, or by metrics of different signatures.
    """

    def measure(mine: Mapping[str, float], theirs: Mapping[str, float]) -> Found:
        from groundtune.scores.resample import gather, interval, mcnemar, sign_flip

        pairs = {example: mine[example] - theirs[example] for example in mine}
        low, high = bounds or _bounds(metric)
        span = None if low is None or high is None else high - low
        sums, counts = gather(list(pairs.values()), clusters_of(pairs, clusters))
        ends = interval(sums, counts, resamples=resamples, seed=seed, level=LEVEL, low=None if span is None else -span, high=span)
        binary = all(value in (-1.0, 0.0, 1.0) for value in pairs.values()) and (low, high) == (0.0, 1.0)
        if binary and len(sums) == len(pairs):
            gained = sum(value > 0 for value in pairs.values())
            p_value, test = mcnemar(gained, sum(value < 0 for value in pairs.values())), "mcnemar-exact"
        else:
            p_value, exact = sign_flip(sums, resamples=resamples, seed=seed)
            test = "sign-flip-exact" if exact else "sign-flip"
        value = float(sums.sum() / counts.sum())
        return Found(value=value, low=ends[0], high=ends[1], clusters=len(sums), test=test, p_value=p_value)

    return of_pair(scores, READING, metric, arm, versus, How(kind="compare", resamples=resamples, seed=seed), measure)


def holm(estimates: Sequence[Estimate]) -> tuple[Estimate, ...]:
    """Return the same estimates in the same order with ``p_holm`` set, for all that have a p-value, as one family (Holm 1979)."""
    ranked = sorted((e.p_value, position) for position, e in enumerate(estimates) if e.p_value is not None)
    corrected: dict[int, float] = {}
    reached = 0.0
    for rank, (p_value, position) in enumerate(ranked):
        reached = max(reached, min(1.0, (len(ranked) - rank) * p_value))
        corrected[position] = reached
    return tuple(
        replace(estimate, p_holm=corrected[position]) if position in corrected else estimate for position, estimate in enumerate(estimates)
    )


def _bounds(metric: str) -> tuple[float | None, float | None]:
    """Return the metric's range; none for one that a plug-in brought."""
    try:
        known = metric_named(metric)
    except UnknownName:
        return None, None
    return known.low, known.high
