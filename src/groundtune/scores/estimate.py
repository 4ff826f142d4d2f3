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

from groundtune.errors import StateError, UnknownName
from groundtune.scores.metrics import metric_named
from groundtune.scores.power import minimum_detectable, questions_for, questions_needed, spread_of
from groundtune.types import Estimate, Evidenced, Score

__all__ = ["FEWEST", "LEVEL", "compare", "holm", "mean", "minimum_detectable", "questions_for", "questions_needed", "spread_of"]

FEWEST = 10  # questions below which no interval is given, and clusters below which it comes with a warning
LEVEL = 0.95
RESAMPLES = 10_000
SEED = 7
VERSION = 1


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
    rows = _rows(scores, metric, arm)
    signature = _signature_of(rows.values())
    missing = _unmeasured(rows, metric, arm)
    values = {example: row.value for example, row in rows.items() if row.value is not None}
    n_failed = sum(rows[example].failed for example in values)
    if missing is None and len(values) < FEWEST:
        missing = ("too few", f"{len(values)} questions; an interval needs {FEWEST}")
    if missing is not None:
        return empty(metric, arm, None, missing, len(values), n_failed, signature)
    from groundtune.scores.resample import gather, interval

    low, high = bounds or _bounds(metric)
    names = clusters_of(values, clusters)
    sums, counts = gather(list(values.values()), names)
    ends = interval(sums, counts, resamples=resamples, seed=seed, level=LEVEL, low=low, high=high)
    return Estimate(
        metric=metric,
        arm=arm,
        versus=None,
        state="measured",
        value=float(sums.sum() / counts.sum()),
        low=ends[0],
        high=ends[1],
        n=len(values),
        n_failed=n_failed,
        signature=stamp("mean", seed, resamples, len(sums), None, signature),
        reason=warning(len(sums), len(values)),
    )


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
    kept = [score for score in scores if score.metric == metric and score.arm in (arm, versus)]
    left, right = _rows(kept, metric, arm), _rows(kept, metric, versus)
    missing = _unmeasured(left, metric, arm) or _unmeasured(right, metric, versus)
    if left and right and left.keys() != right.keys():
        odd = sorted(left.keys() ^ right.keys())
        raise StateError(
            f"{arm} and {versus} were not scored on the same questions by {metric}: {len(odd)} are only in one, such as {odd[0]}",
            "type: groundtune evaluate",
        )
    signature = _signature_of([*left.values(), *right.values()])
    pairs: dict[str, float] = {}
    single = 0
    for example in sorted(left.keys() & right.keys()):
        mine, theirs = left[example].value, right[example].value
        if mine is not None and theirs is not None:
            pairs[example] = mine - theirs
        elif mine is not None or theirs is not None:
            single += 1
    n_failed = sum(left[example].failed or right[example].failed for example in pairs)
    if missing is None and len(pairs) < FEWEST:
        missing = ("too few", f"{len(pairs)} questions; an interval needs {FEWEST}")
    if missing is not None:
        return empty(metric, arm, versus, missing, len(pairs), n_failed, signature)
    from groundtune.scores.resample import gather, interval, mcnemar, sign_flip

    low, high = bounds or _bounds(metric)
    span = None if low is None or high is None else high - low
    names = clusters_of(pairs, clusters)
    sums, counts = gather(list(pairs.values()), names)
    ends = interval(sums, counts, resamples=resamples, seed=seed, level=LEVEL, low=None if span is None else -span, high=span)
    binary = all(value in (-1.0, 0.0, 1.0) for value in pairs.values()) and (low, high) == (0.0, 1.0)
    if binary and len(sums) == len(pairs):
        gained = sum(value > 0 for value in pairs.values())
        p_value, test = mcnemar(gained, sum(value < 0 for value in pairs.values())), "mcnemar-exact"
    else:
        p_value, exact = sign_flip(sums, resamples=resamples, seed=seed)
        test = "sign-flip-exact" if exact else "sign-flip"
    left_out = f"{single} questions apply to only one of the two arms and are left out" if single else ""
    return Estimate(
        metric=metric,
        arm=arm,
        versus=versus,
        state="measured",
        value=float(sums.sum() / counts.sum()),
        low=ends[0],
        high=ends[1],
        n=len(pairs),
        n_failed=n_failed,
        signature=stamp("compare", seed, resamples, len(sums), test, signature),
        p_value=p_value,
        reason="; ".join(part for part in (left_out, warning(len(sums), len(pairs))) if part),
    )


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


def _rows(scores: Iterable[Score], metric: str, arm: str) -> dict[str, Score]:
    """Return an arm's scores by example id, sorted."""
    rows: dict[str, Score] = {}
    for score in scores:
        if score.metric != metric or score.arm != arm:
            continue
        if score.example_id in rows:
            raise StateError(f"{arm} has two {metric} scores for {score.example_id}", "type: groundtune evaluate")
        rows[score.example_id] = score
    return dict(sorted(rows.items()))


def _unmeasured(rows: Mapping[str, Score], metric: str, arm: str) -> tuple[Evidenced, str] | None:
    """Return the state and the reason when there is nothing to average, or when what there is cannot be trusted."""
    if not rows:
        return "not run", f"{arm} was not scored by {metric}"
    broken = [row for row in rows.values() if row.failed and row.value is None]
    if broken:
        return (
            "failed",
            f"{len(broken)} of {len(rows)} answers of {arm} could not be scored, such as {broken[0].example_id}: {broken[0].reason}",
        )
    if all(row.value is None for row in rows.values()):
        return "not run", f"{metric} does not apply to {arm}: {next(iter(rows.values())).reason}"
    return None


def _signature_of(rows: Iterable[Score]) -> str:
    found = sorted({row.signature for row in rows})
    if len(found) > 1:
        raise StateError(f"scores of different making cannot be put together: {' and '.join(found)}", "type: groundtune evaluate")
    return found[0] if found else ""


def _bounds(metric: str) -> tuple[float | None, float | None]:
    """Return the metric's range; none for one that a plug-in brought."""
    try:
        known = metric_named(metric)
    except UnknownName:
        return None, None
    return known.low, known.high


def clusters_of(values: Mapping[str, float], clusters: Mapping[str, str] | None) -> list[str]:
    """Return the cluster of each example; one of its own for each where none is given."""
    if clusters is None:
        return list(values)
    return [f"in {clusters[example]}" if example in clusters else f"alone {example}" for example in values]


def stamp(kind: str, seed: int, resamples: int, clusters: int, test: str | None, scored: str) -> str:
    """Return how an estimate was made, down to the signature of what it was made of."""
    tested = f"|test:{test}" if test else ""
    return f"{kind}|bca-clustered|level:{LEVEL}|resamples:{resamples}|seed:{seed}|clusters:{clusters}{tested}|v{VERSION}|of:{scored}"


def warning(clusters: int, n: int) -> str:
    """Return what is to be said of an interval over few clusters, or nothing."""
    if clusters >= FEWEST or clusters == n:
        return ""
    return f"the {n} questions come from only {clusters} sources, so the interval is likely too narrow"


def empty(metric: str, arm: str, versus: str | None, why: tuple[Evidenced, str], n: int, n_failed: int, signature: str) -> Estimate:
    """Return an estimate without a value, and why it has none."""
    return Estimate(
        metric=metric,
        arm=arm,
        versus=versus,
        state=why[0],
        value=None,
        low=None,
        high=None,
        n=n,
        n_failed=n_failed,
        signature=signature,
        reason=why[1],
    )
