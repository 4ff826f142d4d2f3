"""A sentence and the passages behind it → numbers that say how much of it stands there, word for word.

    features("Slots are free until 3 hours before.", ["Slots can be cancelled free of charge until two hours before they start."], "")
    → covered 0.8 (slots, free, until, hours, before), numbers_missing 1 ("3"), …

No model, no download. Words are compared by their stems; a word that the question holds too is counted apart, as an answer may repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from groundtune.scores.claims import sentences
from groundtune.scores.numbers import numbers
from groundtune.scores.runs import words
from groundtune.scores.stem import stem

FUNCTION_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being but by can could did do does doing don down during each
    few for from further had has have having he her here hers him his how i if in into is it its itself just me more most my no nor not now
    of off on once only or other our ours out over own s same she should so some such t than that the their theirs them then there these
    they this those through to too under until up very was we were what when where which while who whom why will with would you your yours
    m re ve ll d may might must shall upon yet""".split()
)
NEGATIONS = frozenset(
    "no not never none nobody nothing neither nor without cannot isn aren wasn weren don doesn didn won wouldn couldn".split()
)
PERSONAL = frozenset("i me my mine we us our you your myself yourself".split())

NAMES = (
    "covered",
    "covered_by_one",
    "pairs_covered",
    "fours_covered",
    "longest_run",
    "missing",
    "missing_run",
    "missing_asked",
    "numbers_missing",
    "negation_differs",
    "personal",
    "asks",
    "length",
)


def features(claim: str, passages: Sequence[str], question: str) -> tuple[float, ...]:
    """Return the values of ``NAMES`` for one claim; shares are 0 to 1, and 1 for a claim without content words."""
    said = words(claim)
    stems = [stem(word) for word in said]
    content = [stem(word) for word in said if word not in FUNCTION_WORDS]
    whole, pairs, fours, pieces = _passages(tuple(passages))
    asked = {stem(word) for word in words(question)}
    absent = [name not in whole for name in content]
    missing = sum(absent)
    best = max(pieces, key=lambda piece: _share(content, piece[0]), default=(frozenset[str](), False))
    numbers_of = numbers(claim)
    known = set().union(*(numbers(text) for text in passages)) if numbers_of else set()
    return (
        _share(content, whole),
        _share(content, best[0]),
        _share(_runs(stems, 2), pairs),
        _share(_runs(stems, 4), fours),
        _longest_run(stems, passages) / len(stems) if stems else 1.0,
        math.log1p(missing),
        math.log1p(_longest_true(absent)),
        sum(name in asked for name, gone in zip(content, absent, strict=True) if gone) / missing if missing else 0.0,
        math.log1p(sum(number not in known for number in numbers_of)),
        float(bool(NEGATIONS & set(said)) != best[1]),
        sum(word in PERSONAL for word in said) / len(said) if said else 0.0,
        float("?" in claim),
        math.log1p(len(said)),
    )


@lru_cache(maxsize=4_096)
def _passages(
    passages: tuple[str, ...],
) -> tuple[frozenset[str], frozenset[tuple[str, ...]], frozenset[tuple[str, ...]], tuple[tuple[frozenset[str], bool], ...]]:
    """Return all stems, all pairs and fours of neighbouring ones, and for each sentence its stems and whether it negates."""
    stems: set[str] = set()
    pairs: set[tuple[str, ...]] = set()
    fours: set[tuple[str, ...]] = set()
    pieces = []
    for text in passages:
        row = [stem(word) for word in words(text)]
        stems.update(row)
        pairs.update(_runs(row, 2))
        fours.update(_runs(row, 4))
        for piece in sentences(text):
            said = words(piece)
            pieces.append((frozenset(stem(word) for word in said), bool(NEGATIONS & set(said))))
    return frozenset(stems), frozenset(pairs), frozenset(fours), tuple(pieces)


def _runs(row: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(row[start : start + length]) for start in range(len(row) - length + 1)]


def _share(wanted: Sequence[object], there: frozenset[object] | frozenset[str] | frozenset[tuple[str, ...]]) -> float:
    return sum(item in there for item in wanted) / len(wanted) if wanted else 1.0


def _longest_true(flags: Sequence[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _longest_run(stems: Sequence[str], passages: Sequence[str]) -> int:
    """Return the length of the longest run of the claim's words that stands in one passage."""
    longest = 0
    for text in passages:
        row = _stems(text)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(row):
            places.setdefault(name, []).append(place)
        before: dict[int, int] = {}
        for name in stems:
            now = {place: before.get(place - 1, 0) + 1 for place in places.get(name, ())}
            longest = max(longest, max(now.values(), default=0))
            before = now
    return longest


@lru_cache(maxsize=4_096)
def _stems(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in words(text))
