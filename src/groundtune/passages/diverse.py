"""Ranked texts → an order in which a text that says the same again comes later.

Maximal marginal relevance (Carbonell and Goldstein 1998): take next whatever has the highest
share · relevance - (1 - share) · likeness to what is taken already. Likeness is the Jaccard coefficient of the texts' words and pairs of
words, which sees what wastes a prompt (versions of one page, repeated clauses) and needs no vectors from the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.chunks.words import words


def diverse(texts: Sequence[str], scores: Sequence[float], *, share: float, limit: int) -> list[int]:
    """Return the places of up to ``limit`` texts, in their new order. ``share`` from 0 (only new) to 1 (only relevant).

    ``scores`` are brought to the scale from 0 to 1; of equals, the one that came first is taken.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    relevance = [(score - low) / (high - low) if high > low else 1.0 for score in scores]
    marks = [_marks(text) for text in texts]
    nearest = [0.0] * len(texts)
    left, taken = list(range(len(texts))), list[int]()
    while left and len(taken) < limit:
        best = max(left, key=lambda place: (share * relevance[place] - (1 - share) * nearest[place], -place))
        left.remove(best)
        taken.append(best)
        for place in left:
            nearest[place] = max(nearest[place], _likeness(marks[place], marks[best]))
    return taken


def _marks(text: str) -> frozenset[object]:
    found = words(text)
    return frozenset([*found, *zip(found, found[1:], strict=False)])


def _likeness(left: frozenset[object], right: frozenset[object]) -> float:
    return len(left & right) / len(left | right) if left or right else 1.0
