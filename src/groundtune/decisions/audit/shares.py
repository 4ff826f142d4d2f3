"""Labels → shares with their intervals, what they point to, and how far two people agree.

wrong fact 31 of 200: 15 % (11 % to 21 %);  facts in 31 of 40 failures: 78 % (62 % to 88 %)  →  retrieval
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import Literal

from groundtune.decisions.audit.labels import Labels
from groundtune.decisions.audit.propose import FAILURES, LABELS, Label

LEVEL = 0.95
FEWEST = 10  # below which no verdict is given and no kappa
FACTS: tuple[Label, ...] = ("wrong fact",)
BEHAVIOUR: tuple[Label, ...] = ("wrong format", "wrong tone")
HALF = 0.5
MIXED = (1 / 3, 2 / 3)  # a share of facts that is surely in here is a mixture
RARE = 0.05  # a share of failures that is surely below this is not worth another system
_MOST = 100_000

Points = Literal["facts", "behaviour", "mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """``count`` of ``n``, with Wilson's interval; ``None`` where ``n`` is 0."""

    count: int
    n: int
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return "none labelled"
        return f"{self.count / self.n:.0%} ({self.low:.0%} to {self.high:.0%}, n = {self.n})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two people agree: the share of equal labels, and Cohen's kappa with its interval; ``reason`` where there is none."""

    labellers: tuple[str, str]
    equal: Share
    kappa: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit says so far. ``points`` is what failures are about, ``None`` where that cannot be said; ``verdict`` says so in words.

    ``shares`` are of all responses with a settled label; ``facts`` is the share of facts in failures of fact or behaviour; ``needed`` is
    about how many failures of the same mix would settle a "too close to say". ``accepted`` is the share of proposals that were confirmed.
    """

    source: str
    rows: int
    sampled: int
    labelled: int
    disputed: int
    shares: Mapping[str, Share]
    failures: Share
    facts: Share
    points: Points | None
    verdict: str
    needed: int | None
    agreements: tuple[Agreement, ...]
    accepted: Share
    median_seconds: float | None


def wilson(count: int, n: int, level: float = LEVEL) -> Share:
    """Return a share with the score interval of Wilson (1927), as in Brown, Cai and DasGupta (2001), section 3.1.1."""
    if n == 0:
        return Share(count=count, n=0, low=None, high=None)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, square = count / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return Share(count=count, n=n, low=low, high=1.0 if count == n else min(1.0, middle + half))


def audited(labels: Labels) -> Audited:
    """Return what the labels of the sample come to."""
    settled, disputed = labels.settled(), labels.disputed()
    n = len(settled)
    counts = {label: sum(item == label for item in settled.values()) for label in LABELS}
    failing = sum(counts[label] for label in FAILURES)
    about_facts = sum(counts[label] for label in FACTS)
    telling = about_facts + sum(counts[label] for label in BEHAVIOUR)
    failures, facts = wilson(failing, n), wilson(about_facts, telling)
    points, verdict, needed = _verdict(n, failures, facts)
    if points is not None and not _stands(labels, about_facts, telling - about_facts, points):
        verdict = (
            f"Too close to say: two people disagree about {len(disputed)} answers, and the verdict hangs on those. Without them,"
            f" facts are {facts} of the failures of fact, form or tone."
        )
        points = None
    confirmed = [item in labels.proposed[name][:1] for name, item in settled.items() if labels.proposed.get(name)]
    seconds = sorted(labels.seconds)
    return Audited(
        source=labels.sample.source if labels.sample else "",
        rows=labels.sample.rows if labels.sample else 0,
        sampled=len(labels.sample.responses) if labels.sample else 0,
        labelled=n + len(disputed),
        disputed=len(disputed),
        shares={label: wilson(count, n) for label, count in counts.items()},
        failures=failures,
        facts=facts,
        points=points,
        verdict=verdict,
        needed=needed,
        agreements=tuple(agreement(labels, *pair) for pair in combinations(labels.by, 2)),
        accepted=wilson(sum(confirmed), len(confirmed)),
        median_seconds=seconds[len(seconds) // 2] if seconds else None,
    )


def _stands(labels: Labels, facts: int, behaviour: int, points: Points) -> bool:
    """Return whether a verdict stays the same whichever of their labels counts for the answers that people dispute."""
    given = [labels.given()[item] for item in labels.disputed()]

    def at(first: tuple[Label, ...], second: tuple[Label, ...]) -> tuple[int, int]:
        """Count each disputed answer as one of the first if anybody says so, else as one of the second only if all say so."""
        ones = sum(any(label in first for label in item) for item in given)
        return ones, sum(all(label in second for label in item) for item in given)

    for more_facts in (True, False):
        ones, others = at(FACTS, BEHAVIOUR) if more_facts else at(BEHAVIOUR, FACTS)
        counted = (facts + ones, behaviour + others) if more_facts else (facts + others, behaviour + ones)
        if sum(counted) and points_of(wilson(counted[0], sum(counted))) != points:
            return False
    return True


def points_of(facts: Share) -> Points | None:
    """Return what failures are about by the interval of the share of facts; ``None``: too close to say."""
    if facts.low is None or facts.high is None:
        return None
    if facts.low >= MIXED[0] and facts.high <= MIXED[1]:
        return "mixed"
    if facts.low > HALF:
        return "facts"
    return "behaviour" if facts.high < HALF else None


def _verdict(n: int, failures: Share, facts: Share) -> tuple[Points | None, str, int | None]:
    if n == 0:
        return None, "Nothing was labelled yet.", None
    if n < FEWEST:
        return None, f"Too few to say: {n} labelled, {FEWEST} are the least.", None
    if failures.high is not None and failures.high < RARE:
        return None, f"Failures are rare: {failures}. What there is may be good enough; another system would have little to gain.", None
    points = points_of(facts) if facts.n >= FEWEST else None
    said = f"facts are {facts} of the failures of fact, form or tone"
    if points == "facts":
        return points, f"Facts dominate: {said}. That points to retrieval.", None
    if points == "behaviour":
        return points, f"Behaviour dominates: {said}. That points to tuning, after the cheaper levers.", None
    if points == "mixed":
        return points, f"Facts and behaviour are mixed: {said}. That points to a hybrid, or to one after the other.", None
    if facts.n == 0:
        return None, "Too close to say: no failure is one of fact, form or tone, and neither retrieval nor tuning is for the others.", None
    return None, f"Too close to say: {said}.", _needed(facts)


def _needed(facts: Share) -> int | None:
    """Return about how many such failures would settle it, if their mix stays; ``None`` where no number would."""
    share = facts.count / facts.n
    n = max(facts.n, FEWEST)
    while n < _MOST:
        if points_of(wilson(round(share * n), n)) is not None:
            return n
        n = max(n + 1, n * 21 // 20)
    return None


def agreement(labels: Labels, one: str, other: str) -> Agreement:
    """Return how far two labellers agree on what both labelled."""
    wanted = set(labels.sample.responses) if labels.sample else set()
    both = sorted(wanted & labels.by[one].keys() & labels.by[other].keys())
    pairs = [(labels.by[one][item], labels.by[other][item]) for item in both]
    equal = wilson(sum(left == right for left, right in pairs), len(pairs))
    if len(pairs) < FEWEST:
        why = f"both labelled {len(pairs)}, {FEWEST} are the least"
        return Agreement(labellers=(one, other), equal=equal, kappa=None, low=None, high=None, reason=why)
    found = kappa(pairs)
    if found is None:
        why = "both gave one and the same label throughout, so no agreement beyond chance can be seen"
        return Agreement(labellers=(one, other), equal=equal, kappa=None, low=None, high=None, reason=why)
    return Agreement(labellers=(one, other), equal=equal, kappa=found[0], low=found[1], high=found[2])


def kappa(pairs: Sequence[tuple[str, str]], level: float = LEVEL) -> tuple[float, float, float] | None:
    """Return Cohen's kappa (1960) with its interval by the large-sample variance of Fleiss, Cohen and Everitt (1969).

    ``None`` where chance alone would agree always: there is then nothing to correct for. The ends are kept within -1 and 1.
    """
    n = len(pairs)
    names = sorted({name for pair in pairs for name in pair})
    table = {(row, column): sum(pair == (row, column) for pair in pairs) / n for row in names for column in names}
    rows = {name: sum(table[name, other] for other in names) for name in names}
    columns = {name: sum(table[other, name] for other in names) for name in names}
    observed = sum(table[name, name] for name in names)
    expected = sum(rows[name] * columns[name] for name in names)
    if expected >= 1 - 1e-12:
        return None
    value = (observed - expected) / (1 - expected)
    agreeing = sum(table[name, name] * (1 - (rows[name] + columns[name]) * (1 - value)) ** 2 for name in names)
    apart = sum(table[row, column] * (columns[row] + rows[column]) ** 2 for row in names for column in names if row != column)
    spread = agreeing + (1 - value) ** 2 * apart - (value - expected * (1 - value)) ** 2
    error = sqrt(max(0.0, spread) / n) / (1 - expected)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return value, max(-1.0, value - reach), min(1.0, value + reach)
