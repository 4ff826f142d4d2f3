"""METEOR of two texts, by equal words and equal stems; synonyms are not looked up.

    meteor("the cat sat", "the cats sat")  →  1 - 0.5 · (1 run / 3 words)³ = 0.981…

Lavie and Agarwal 2007 with alpha 0.9, beta 3, gamma 0.5: the weighted harmonic mean of precision and recall of the matched words, less a
penalty for the number of runs that they fall into. Words are paired from the end on, each with the last one that is still free, as NLTK
does it; a search for the pairing with the fewest runs would give some texts a little more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from groundtune.scores.runs import words
from groundtune.scores.stem import stem

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5


def meteor(said: str, wanted: str) -> float:
    """Return METEOR, 0 to 1. Words are letters and digits in lower case."""
    return of_words(words(said), words(wanted))


def of_words(mine: Sequence[str], theirs: Sequence[str]) -> float:
    """Return METEOR of two sequences of words; 0 where nothing is shared."""
    pairs = _pairs(mine, theirs)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(mine), len(pairs) / len(theirs)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    runs = 1 + sum((left + 1, right + 1) != after for (left, right), after in zip(pairs, pairs[1:], strict=False))
    penalty: float = GAMMA * (runs / len(pairs)) ** BETA
    return (1 - penalty) * mean


def _pairs(mine: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Return (place in mine, place in theirs) of matched words, in the order of mine: equal ones first, then equal stems."""
    left, right = list(enumerate(mine)), list(enumerate(theirs))
    found = _taken(left, right, str)
    return sorted(found + _taken(left, right, stem))


def _taken(left: list[tuple[int, str]], right: list[tuple[int, str]], form: Callable[[str], str]) -> list[tuple[int, int]]:
    """Take out of both lists what is equal by ``form``."""
    found = []
    forms = [form(word) for _, word in right]
    for place in range(len(left) - 1, -1, -1):
        wanted = form(left[place][1])
        other = next((spot for spot in range(len(right) - 1, -1, -1) if forms[spot] == wanted), None)
        if other is not None:
            found.append((left[place][0], right[other][0]))
            del left[place], right[other], forms[other]
    return found
