"""Does a training set ask the weights to remember facts that documents hold? Then search is the better tool, and here is the evidence.

A row asks for recall when what its answer adds to the question stands in its evidence: the number, the name, the term. It asks for
behaviour when it doesn't: a label, a tone, a form, a refusal. Facts that many rows share can be learned; a fact of one or two rows can
only be remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from groundtune.examples.findings import Case, Finding, shown
from groundtune.examples.support import facts, shared

MOSTLY = 0.5  # share of training rows that ask for recall, from which on the set is called one of facts
CARRIED = 0.5  # share of an answer's facts that its evidence holds
SEEN = 2  # rows that a fact may be in and still be one to remember
LEAST_ROWS = 10
ASKED = 200

Finds = Callable[[Case], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that asks for recall, and the facts that it asks for."""

    case: Case
    facts: tuple[str, ...]


def asks_for_recall(cases: Sequence[Case]) -> tuple[Asked, ...]:
    """Return the rows whose answer is a fact of its evidence that hardly any other row has."""
    claims = {}
    for case in cases:
        if case.answerable and case.evidence:
            quote = facts(" ".join(item.quote for item in case.evidence))
            claimed = facts(case.answer, case.question)
            if len(claimed) and shared(claimed, quote) >= CARRIED and claimed.numbers <= quote.numbers:
                claims[case.id] = (case, (claimed.numbers & quote.numbers) | (claimed.words & quote.words))
    often = Counter(fact for _, held in claims.values() for fact in held)
    found = []
    for case, held in claims.values():
        rare = sorted(fact for fact in held if often[fact] <= SEEN)
        if rare:
            found.append(Asked(case, tuple(rare)))
    return tuple(found)


def recall(cases: Sequence[Case], adapters: Mapping[str, bool], finds: Finds | None, why_not: str = "") -> Iterator[Finding]:
    """Find a set of facts. ``adapters`` says of each whether it is trained with passages; ``finds`` whether search shows a row's evidence.

    Where there is nothing to search with, ``why_not`` says so in the finding.
    """
    training = [case for case in cases if case.split == "train" and case.example is not None]
    asked = asks_for_recall(training)
    if len(training) < LEAST_ROWS or len(asked) < MOSTLY * len(training):
        return
    closed = sorted(name for name, passages in adapters.items() if not passages)
    spread = [asked[place * len(asked) // min(len(asked), ASKED)] for place in range(min(len(asked), ASKED))]
    if finds is None:
        searched = f"whether search finds them was not measured: {why_not}"
    else:
        hits = sum(finds(item.case) for item in spread)
        low, high = wilson(hits, len(spread))
        interval = f"{hits / len(spread):.0%}, 95 % interval {low:.0%} to {high:.0%}"
        searched = f"search shows the evidence of {hits} of {len(spread)} of them ({interval})"
    blamed = f"; without passages: {', '.join(closed)}" if closed else ""
    yield Finding(
        kind="fact recall",
        severity="warning" if closed or not adapters else "note",
        says=f"{len(asked):,} of {len(training):,} training rows ({len(asked) / len(training):.0%}) ask for facts that a document holds and"
        f" at most {SEEN} rows repeat{blamed}; {searched}",
        do="let documents hold the facts: an arm with retrieves = true, and passages = true in the [tuning.*] table, so that the weights"
        " learn to read and not to remember; facts in weights go stale, cannot be cited, and cannot be kept from anybody",
        rows=tuple(item.case.id for item in asked),
        samples=tuple(
            (item.case.id, f"{shown(item.case.question, 110)} → {', '.join(item.facts[:4])}, in {item.case.evidence[0].document_id}")
            for item in asked[:: max(1, len(asked) // 5)][:5]
        ),
    )


def wilson(hits: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / of + spread / (4 * of)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
