"""Answers → counts → an arm's estimate on a metric that is no mean over questions, and two arms' difference in it.

    tallies_of(answers, examples, context, {"macro_f1:label": …})   → one row of counts an answer
    whole_mean(tallies, metric, "rag")                               → 0.71 (0.63 to 0.78), n = 84

Intervals are BCa bootstraps over clusters of questions, as those of means are. Two arms are compared by approximate randomisation: in
each draw the two arms' counts change places for a random half of the clusters (Noreen 1989, Computer-Intensive Methods for Testing
Hypotheses; for BLEU and F-scores, Riezler and Maxwell 2005). Everything is seeded, and the order of the answers does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundtune.errors import InputError, StateError
from groundtune.files import fingerprint
from groundtune.scores.estimate import FEWEST, LEVEL, RESAMPLES, SEED, clusters_of, empty, stamp, warning
from groundtune.scores.scorer import Context, CorpusMetric
from groundtune.types import Answer, Estimate, Evidenced, Example

if TYPE_CHECKING:
    from groundtune.scores.resample import Floats

_CELLS = 4_000_000  # of a matrix of draws held at once: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One answer's counts for a metric of whole arms; ``counts`` is ``None`` where it does not apply, or failed for ``reason``."""

    example_id: str
    arm: str
    metric: str
    counts: tuple[float, ...] | None
    signature: str
    failed: bool = False
    reason: str = ""


def tallies_of(
    answers: Sequence[Answer], examples: Sequence[Example], context: Context, metrics: Mapping[str, CorpusMetric]
) -> list[Tally]:
    """Count every answer for every metric, in the order of the answers. What a metric raises is kept with the answer.

    Raises ``InputError`` for an answer to no known example.
    """
    by_id = {example.id: example for example in examples}
    seen = fingerprint(sorted(by_id), length=8)
    found = []
    for metric in metrics.values():
        signature = f"{metric.signature(context)},examples:{seen}"
        count, broken = None, ""
        try:
            count = metric.prepare(examples, context)
        except Exception as error:  # a finding about that metric, not the end of the evaluation
            broken = f"the scorer failed: {type(error).__name__}: {error}"
        for answer in answers:
            example = by_id.get(answer.example_id or "")
            if example is None:
                raise InputError(
                    f"{answer.id} answers the example {answer.example_id!r}, which is not among those scored", "type: groundtune evaluate"
                )
            counts, failed, reason = None, bool(broken), broken
            if count is not None:
                try:
                    counts = count(answer, example)
                except Exception as error:
                    failed, reason = True, f"the scorer failed: {type(error).__name__}: {error}"
            found.append(
                Tally(
                    example_id=example.id,
                    arm=answer.arm,
                    metric=metric.name,
                    counts=counts,
                    signature=signature,
                    failed=failed or answer.failure is not None,
                    reason=reason,
                )
            )
    return found


def whole_mean(
    tallies: Iterable[Tally],
    metric: CorpusMetric,
    arm: str,
    clusters: Mapping[str, str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """Return an arm's value. States and warnings are as those of ``estimate.mean``."""
    rows = _rows(tallies, metric.name, arm)
    signature = _signature(rows.values())
    missing = _unmeasured(rows, metric.name, arm)
    counted = {name: row.counts for name, row in rows.items() if row.counts is not None}
    n_failed = sum(rows[name].failed for name in counted)
    if missing is None and len(counted) < FEWEST:
        missing = ("too few", f"{len(counted)} questions; an interval needs {FEWEST}")
    if missing is not None:
        return empty(metric.name, arm, None, missing, len(counted), n_failed, signature)
    [sums] = _gathered([counted], clusters)
    value = float(metric.value(sums.sum(axis=0)))
    low, high = _interval(metric, [sums], value, resamples, seed, len(counted))
    return Estimate(
        metric=metric.name,
        arm=arm,
        versus=None,
        state="measured",
        value=value,
        low=low,
        high=high,
        n=len(counted),
        n_failed=n_failed,
        signature=stamp("whole", seed, resamples, len(sums), None, signature),
        reason=warning(len(sums), len(counted)),
    )


def whole_compare(
    tallies: Iterable[Tally],
    metric: CorpusMetric,
    arm: str,
    versus: str,
    clusters: Mapping[str, str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """Return the difference ``arm`` minus ``versus`` on the questions of both. Raises ``StateError`` where these are not the same."""
    kept = list(tallies)
    left, right = _rows(kept, metric.name, arm), _rows(kept, metric.name, versus)
    missing = _unmeasured(left, metric.name, arm) or _unmeasured(right, metric.name, versus)
    if left and right and left.keys() != right.keys():
        odd = sorted(left.keys() ^ right.keys())
        raise StateError(
            f"{arm} and {versus} were not scored on the same questions by {metric.name}: {len(odd)} are only in one, such as {odd[0]}",
            "type: groundtune evaluate",
        )
    signature = _signature([*left.values(), *right.values()])
    mine: dict[str, tuple[float, ...]] = {}
    theirs: dict[str, tuple[float, ...]] = {}
    single = 0
    for name in left.keys() & right.keys():
        one, other = left[name].counts, right[name].counts
        if one is not None and other is not None:
            mine[name], theirs[name] = one, other
        elif one is not None or other is not None:
            single += 1
    n_failed = sum(left[name].failed or right[name].failed for name in mine)
    if missing is None and len(mine) < FEWEST:
        missing = ("too few", f"{len(mine)} questions; an interval needs {FEWEST}")
    if missing is not None:
        return empty(metric.name, arm, versus, missing, len(mine), n_failed, signature)
    sums = _gathered([mine, theirs], clusters)
    value = float(metric.value(sums[0].sum(axis=0)) - metric.value(sums[1].sum(axis=0)))
    low, high = _interval(metric, sums, value, resamples, seed, len(mine))
    left_out = f"{single} questions apply to only one of the two arms and are left out" if single else ""
    return Estimate(
        metric=metric.name,
        arm=arm,
        versus=versus,
        state="measured",
        value=value,
        low=low,
        high=high,
        n=len(mine),
        n_failed=n_failed,
        signature=stamp("whole-compare", seed, resamples, len(sums[0]), "swap", signature),
        p_value=swapped(metric, sums[0], sums[1], resamples=resamples, seed=seed),
        reason="; ".join(part for part in (left_out, warning(len(sums[0]), len(mine))) if part),
    )


def swapped(metric: CorpusMetric, mine: Floats, theirs: Floats, *, resamples: int, seed: int) -> float:
    """Return the two-sided p-value of the difference of two arms' values; ``mine`` and ``theirs`` are sums by cluster, (k, width).

    The observed assignment is counted among the draws (Phipson and Smyth 2010), so the value is never 0.
    """
    import numpy as np

    first, second, apart = mine.sum(axis=0), theirs.sum(axis=0), theirs - mine
    observed = abs(float(metric.value(first) - metric.value(second)))
    limit = observed - 1e-9 * max(1.0, observed)
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // len(mine))
    hits = 0
    for start in range(0, resamples, rows):
        change = generator.integers(0, 2, size=(min(rows, resamples - start), len(mine))).astype(np.float64) @ apart
        hits += int(np.sum(np.abs(metric.value(first + change) - metric.value(second - change)) >= limit))
    return (hits + 1) / (resamples + 1)


def _rows(tallies: Iterable[Tally], metric: str, arm: str) -> dict[str, Tally]:
    rows: dict[str, Tally] = {}
    for tally in tallies:
        if tally.metric != metric or tally.arm != arm:
            continue
        if tally.example_id in rows:
            raise StateError(f"{arm} has two {metric} counts for {tally.example_id}", "type: groundtune evaluate")
        rows[tally.example_id] = tally
    return dict(sorted(rows.items()))


def _unmeasured(rows: Mapping[str, Tally], metric: str, arm: str) -> tuple[Evidenced, str] | None:
    if not rows:
        return "not run", f"{arm} was not scored by {metric}"
    broken = [row for row in rows.values() if row.counts is None and row.reason]
    if broken:
        first = f"{broken[0].example_id}: {broken[0].reason}"
        return "failed", f"{len(broken)} of {len(rows)} answers of {arm} could not be scored, such as {first}"
    if all(row.counts is None for row in rows.values()):
        return "not run", f"{metric} does not apply to {arm}"
    return None


def _signature(rows: Iterable[Tally]) -> str:
    found = sorted({row.signature for row in rows})
    if len(found) > 1:
        raise StateError(f"counts of different making cannot be put together: {' and '.join(found)}", "type: groundtune evaluate")
    return found[0] if found else ""


def _gathered(arms: Sequence[Mapping[str, tuple[float, ...]]], clusters: Mapping[str, str] | None) -> list[Floats]:
    """Return each arm's sums by cluster, (k, width), the same clusters in the same order for all."""
    import numpy as np

    examples = sorted(arms[0])
    names = clusters_of(dict.fromkeys(examples, 0.0), clusters)
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    owner = np.array([places[name] for name in names])
    gathered = []
    for counts in arms:
        sums = np.zeros((len(places), len(counts[examples[0]])))
        np.add.at(sums, owner, np.array([counts[name] for name in examples], dtype=np.float64))
        gathered.append(sums)
    return gathered


def _interval(metric: CorpusMetric, sums: Sequence[Floats], value: float, resamples: int, seed: int, n: int) -> tuple[float, float]:
    """Return the BCa interval of an arm's value, or of the difference of two."""
    import numpy as np

    from groundtune.scores.resample import bca, interval

    def of(totals: Sequence[Any]) -> Any:
        found = metric.value(totals[0])
        return found - metric.value(totals[1]) if len(totals) > 1 else found

    clusters = len(sums[0])
    left_out = np.asarray(of([part.sum(axis=0) - part for part in sums]))
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS // clusters)
    draws = []
    for start in range(0, resamples, rows):
        picks = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=min(rows, resamples - start)).astype(np.float64)
        draws.append(np.asarray(of([picks @ part for part in sums])))
    drawn = np.concatenate(draws)
    if float(np.ptp(drawn)) < 1e-12 and float(np.ptp(left_out)) < 1e-12:
        # No spread in the sample: what an exact binomial bound leaves open, as for means.
        top = None if metric.high is None else metric.high
        bottom = metric.low if len(sums) == 1 else None if top is None else metric.low - top
        same = np.full(clusters, value)
        return interval(
            same * n / clusters, np.full(clusters, n / clusters), resamples=resamples, seed=seed, level=LEVEL, low=bottom,
            high=top if len(sums) == 1 else None if top is None else top - metric.low,
        )  # fmt: skip
    return bca(drawn, value, left_out, LEVEL)
