"""Rows of one metric → an arm's estimate, or two arms' difference on the same questions. What is measured is handed in.

    scores or counts ─ rows_of ─→ {"q001": …} ─┬─ of_arm  ─→ 0.61 (0.55 to 0.67), n = 84
                                                └─ of_pair ─→ 0.05 (-0.01 to 0.11), n = 84, p = 0.11

Here is all that a mean over questions and a metric of a whole arm have in common: which rows belong together, which questions count, what
is not measured and why, and what an estimate says of how it was made. The arithmetic is in ``resample``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from groundtune.errors import StateError
from groundtune.types import Estimate, Evidenced

FEWEST = 10  # questions below which no interval is given, and clusters below which it comes with a warning
LEVEL = 0.95
RESAMPLES = 10_000
SEED = 7
VERSION = 1
AGAIN = "type: groundtune evaluate"
_CLUSTERS = re.compile(r"\|clusters:(\d+)\|")


class Row(Protocol):
    """What was measured of one answer."""

    @property
    def example_id(self) -> str:
        """The question."""
        ...

    @property
    def arm(self) -> str:
        """The arm that answered."""
        ...

    @property
    def metric(self) -> str:
        """The metric's name."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the answer, or its scorer, failed."""
        ...

    @property
    def reason(self) -> str:
        """Why the value is what it is."""
        ...

    @property
    def signature(self) -> str:
        """How the value was made."""
        ...


R = TypeVar("R", bound=Row)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Reading(Generic[R, V]):
    """How rows of one sort are read: what they are called, what a row holds (``None``: does not apply), and whether its scorer failed."""

    name: str
    held: Callable[[R], V | None]
    broken: Callable[[R], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the arithmetic gives back: a value, its interval, over how many clusters, and for a pair the test and its p-value."""

    value: float
    low: float
    high: float
    clusters: int
    test: str | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What an estimate's signature says of its making."""

    kind: str
    resamples: int
    seed: int
    version: int = VERSION

    def stamp(self, found: Found, scored: str) -> str:
        """Return how an estimate was made, down to the signature of what it was made of."""
        tested = f"|test:{found.test}" if found.test else ""
        return (
            f"{self.kind}|bca-clustered|level:{LEVEL}|resamples:{self.resamples}|seed:{self.seed}|clusters:{found.clusters}"
            f"{tested}|v{self.version}|of:{scored}"
        )


def of_arm(
    rows: Iterable[R], reading: Reading[R, V], metric: str, arm: str, how: How, measure: Callable[[Mapping[str, V]], Found]
) -> Estimate:
    """Return an arm's estimate. ``measure`` is given what each question's row holds, by question, in their order.

    The state is ``not run`` where there are no rows or the metric applies to none, ``failed`` where any scorer failed, ``too few``
    under ``FEWEST`` questions. Raises ``StateError`` for two rows of one question or rows of different signatures.
    """
    mine = _rows(rows, reading, metric, arm)
    signature = _making(reading, mine.values())
    missing = _unmeasured(mine, reading, metric, arm)
    values = {name: held for name, row in mine.items() if (held := reading.held(row)) is not None}
    n_failed = sum(mine[name].failed for name in values)
    missing = missing or _too_few(len(values))
    if missing is not None:
        return _empty(metric, arm, None, missing, len(values), n_failed, signature)
    found = measure(values)
    return _made(metric, arm, None, found, len(values), n_failed, how.stamp(found, signature), "")


def of_pair(
    rows: Iterable[R],
    reading: Reading[R, V],
    metric: str,
    arm: str,
    versus: str,
    how: How,
    measure: Callable[[Mapping[str, V], Mapping[str, V]], Found],
) -> Estimate:
    """Return the difference ``arm`` minus ``versus`` on the questions of both; ``measure`` is given both arms' by the same questions.

    A question to which the metric applies for one arm only is left out, and the reason says how many were. Raises ``StateError``
    when the two arms were not scored on the same questions, or by metrics of different signatures.
    """
    kept = [row for row in rows if row.metric == metric and row.arm in (arm, versus)]
    left, right = _rows(kept, reading, metric, arm), _rows(kept, reading, metric, versus)
    missing = _unmeasured(left, reading, metric, arm) or _unmeasured(right, reading, metric, versus)
    if left and right and left.keys() != right.keys():
        odd = sorted(left.keys() ^ right.keys())
        raise StateError(
            f"{arm} and {versus} were not scored on the same questions by {metric}: {len(odd)} are only in one, such as {odd[0]}", AGAIN
        )
    signature = _making(reading, [*left.values(), *right.values()])
    mine: dict[str, V] = {}
    theirs: dict[str, V] = {}
    single = 0
    for name in sorted(left.keys() & right.keys()):
        one, other = reading.held(left[name]), reading.held(right[name])
        if one is not None and other is not None:
            mine[name], theirs[name] = one, other
        elif one is not None or other is not None:
            single += 1
    n_failed = sum(left[name].failed or right[name].failed for name in mine)
    missing = missing or _too_few(len(mine))
    if missing is not None:
        return _empty(metric, arm, versus, missing, len(mine), n_failed, signature)
    found = measure(mine, theirs)
    left_out = f"{single} questions apply to only one of the two arms and are left out" if single else ""
    return _made(metric, arm, versus, found, len(mine), n_failed, how.stamp(found, signature), left_out)


def clusters_of(values: Mapping[str, Any], clusters: Mapping[str, str] | None) -> list[str]:
    """Return the cluster of each example; one of its own for each where none is given."""
    if clusters is None:
        return list(values)
    return [f"in {clusters[example]}" if example in clusters else f"alone {example}" for example in values]


def groups_of(estimate: Estimate) -> int | None:
    """Return over how many clusters an estimate was resampled, as its signature says; ``None`` where it was not."""
    found = _CLUSTERS.search(estimate.signature)
    return int(found[1]) if found else None


def _rows(rows: Iterable[R], reading: Reading[R, V], metric: str, arm: str) -> dict[str, R]:
    """Return an arm's rows by example id, sorted."""
    found: dict[str, R] = {}
    for row in rows:
        if row.metric != metric or row.arm != arm:
            continue
        if row.example_id in found:
            raise StateError(f"{arm} has two {metric} {reading.name} for {row.example_id}", AGAIN)
        found[row.example_id] = row
    return dict(sorted(found.items()))


def _unmeasured(rows: Mapping[str, R], reading: Reading[R, V], metric: str, arm: str) -> tuple[Evidenced, str] | None:
    """Return the state and the reason when there is nothing to average, or when what there is cannot be trusted."""
    if not rows:
        return "not run", f"{arm} was not scored by {metric}"
    broken = [row for row in rows.values() if reading.broken(row)]
    if broken:
        first = f"{broken[0].example_id}: {broken[0].reason}"
        return "failed", f"{len(broken)} of {len(rows)} answers of {arm} could not be scored, such as {first}"
    if all(reading.held(row) is None for row in rows.values()):
        why = next(iter(rows.values())).reason
        return "not run", f"{metric} does not apply to {arm}" + (f": {why}" if why else "")
    return None


def _too_few(count: int) -> tuple[Evidenced, str] | None:
    return ("too few", f"{count} questions; an interval needs {FEWEST}") if count < FEWEST else None


def _making(reading: Reading[R, V], rows: Iterable[R]) -> str:
    found = sorted({row.signature for row in rows})
    if len(found) > 1:
        raise StateError(f"{reading.name} of different making cannot be put together: {' and '.join(found)}", AGAIN)
    return found[0] if found else ""


def _warning(clusters: int, n: int) -> str:
    """Return what is to be said of an interval over few clusters, or nothing."""
    if clusters >= FEWEST or clusters == n:
        return ""
    return f"the {n} questions come from only {clusters} sources, so the interval is likely too narrow"


def _made(metric: str, arm: str, versus: str | None, found: Found, n: int, n_failed: int, signature: str, left_out: str) -> Estimate:
    return Estimate(
        metric=metric,
        arm=arm,
        versus=versus,
        state="measured",
        value=found.value,
        low=found.low,
        high=found.high,
        n=n,
        n_failed=n_failed,
        signature=signature,
        p_value=found.p_value,
        reason="; ".join(part for part in (left_out, _warning(found.clusters, n)) if part),
    )


def _empty(metric: str, arm: str, versus: str | None, why: tuple[Evidenced, str], n: int, n_failed: int, signature: str) -> Estimate:
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
