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
from typing import TYPE_CHECKING

from groundtune.errors import InputError
from groundtune.files import fingerprint
from groundtune.scores.pairing import LEVEL, RESAMPLES, SEED, Found, How, Reading, clusters_of, of_arm, of_pair
from groundtune.scores.scorer import Context, CorpusMetric
from groundtune.types import Answer, Estimate, Example

if TYPE_CHECKING:
    from groundtune.scores.resample import Floats

VERSION = 2
Counts = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One answer's counts for a metric of whole arms; ``counts`` is ``None`` where it does not apply, or failed for ``reason``."""

    example_id: str
    arm: str
    metric: str
    counts: Counts | None
    signature: str
    failed: bool = False
    reason: str = ""


READING: Reading[Tally, Counts] = Reading("counts", lambda tally: tally.counts, lambda tally: tally.counts is None and bool(tally.reason))


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

    def measure(counted: Mapping[str, Counts]) -> Found:
        from groundtune.scores.resample import bca_of, left_open

        [sums] = _gathered([counted], clusters)
        value = float(metric.value(sums.sum(axis=0)))
        ends = bca_of(sums, metric.value, resamples=resamples, seed=seed, level=LEVEL)
        low, high = ends or left_open(value, len(counted), level=LEVEL, low=metric.low, high=metric.high)
        return Found(value=value, low=low, high=high, clusters=len(sums))

    return of_arm(tallies, READING, metric.name, arm, How(kind="whole", resamples=resamples, seed=seed, version=VERSION), measure)


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

    def measure(mine: Mapping[str, Counts], theirs: Mapping[str, Counts]) -> Found:
        import numpy as np

        from groundtune.scores.resample import bca_of, left_open, swapped

        left, right = _gathered([mine, theirs], clusters)
        width = left.shape[1]

        def apart(totals: Floats) -> Floats:
            return np.asarray(metric.value(totals[..., :width]) - metric.value(totals[..., width:]))

        both = np.hstack([left, right])
        value = float(apart(both.sum(axis=0)))
        span = None if metric.high is None else metric.high - metric.low
        ends = bca_of(both, apart, resamples=resamples, seed=seed, level=LEVEL)
        low, high = ends or left_open(value, len(mine), level=LEVEL, low=None if span is None else -span, high=span)
        p_value, exact = swapped(left, right, metric.value, resamples=resamples, seed=seed)
        test = "swap-exact" if exact else "swap"
        return Found(value=value, low=low, high=high, clusters=len(left), test=test, p_value=p_value)

    how = How(kind="whole-compare", resamples=resamples, seed=seed, version=VERSION)
    return of_pair(tallies, READING, metric.name, arm, versus, how, measure)


def _gathered(arms: Sequence[Mapping[str, Counts]], clusters: Mapping[str, str] | None) -> list[Floats]:
    """Return each arm's sums by cluster, (k, width), the same clusters in the same order for all."""
    import numpy as np

    examples = sorted(arms[0])
    names = clusters_of(dict.fromkeys(examples), clusters)
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    owner = np.array([places[name] for name in names])
    gathered = []
    for counts in arms:
        sums = np.zeros((len(places), len(counts[examples[0]])))
        np.add.at(sums, owner, np.array([counts[name] for name in examples], dtype=np.float64))
        gathered.append(sums)
    return gathered
