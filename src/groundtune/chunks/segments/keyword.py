"""Words → the rows that BM25 ranks best, of those that may be seen: exactly, without looking at all postings of common words.

    "the slot of a haulier"    haulier (rare)  all its rows are scored      → the tenth best has 7.1 already
                               slot            could add 3.2 at most        → only rows that have 3.9 or more can still get there
                               the, of, a      could add 0.4 together       → looked up for the few rows that are left

Terms are taken from the rarest to the commonest; what the rest could still add is bounded by each word's largest count and shortest row
(MaxScore; Turtle and Flood 1995). The bound is never below what a row can get, so the ranking is that of scoring every row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.chunks.segments.sieve import Part, Seen
from groundtune.chunks.words import K1, B

if TYPE_CHECKING:
    import numpy as np

SLACK = 1e-4  # share by which a bound is taken to be too low, since scores are added up in single precision
LOOKUP = 8  # postings that are read in the time in which one row is looked up
WORTH = 4_096  # postings for which it pays to see first what they could still change


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the question in one part: its postings, the weight of its rarity, and the most that it adds to any row."""

    begin: int
    end: int
    weight: float
    most: float

    def times(self, number: int) -> Term:
        """Return the term for a question that has the word ``number`` times."""
        return self if number == 1 else Term(self.begin, self.end, self.weight * number, self.most * number)


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one part and their scores, in no order."""

    part: Part
    rows: np.ndarray
    scores: np.ndarray


class Statistics:
    """Of a version: how many rows, how long they are, and in how many of them a word is. Hidden rows are counted, as in any engine."""

    def __init__(self, parts: Sequence[Part]) -> None:
        import numpy as np

        self._parts = parts
        self._rows = sum(part.count for part in parts)
        alive = [part.segment.lengths if part.alive is None else part.segment.lengths[part.alive] for part in parts]
        self._mean = sum(int(lengths.sum(dtype=np.int64)) for lengths in alive) / max(1, self._rows)
        self.norms = [self._norm(part.segment.lengths).astype(np.float32) for part in parts]

    def _norm(self, lengths: np.ndarray) -> np.ndarray:
        found: np.ndarray = K1 * (1 - B + B * (lengths / self._mean if self._mean else lengths * 0.0))
        return found

    def terms(self, word: str) -> list[Term | None]:
        """Return the word's postings in each part; ``None`` where it has none."""
        import numpy as np

        numbers = [part.segment.term(word.encode()) for part in self._parts]
        holders, spans = 0, []
        for part, number in zip(self._parts, numbers, strict=True):
            begin, end = (int(part.segment.starts[number]), int(part.segment.starts[number + 1])) if number >= 0 else (0, 0)
            spans.append((begin, end))
            holders += end - begin if part.alive is None else int(np.count_nonzero(part.alive[part.segment.rows_of[begin:end]]))
        weight = (K1 + 1) * math.log(1 + (self._rows - holders + 0.5) / (holders + 0.5))
        found: list[Term | None] = []
        for part, number, (begin, end) in zip(self._parts, numbers, spans, strict=True):
            if begin == end or not holders:
                found.append(None)
                continue
            most = float(part.segment.most[number])
            least = float(self._norm(part.segment.shortest[number : number + 1])[0])
            found.append(Term(begin, end, weight, weight * most / (most + least)))
        return found


def search(words: Sequence[Sequence[Term | None]], seen: Sequence[Seen], norms: Sequence[np.ndarray], limit: int) -> list[Found]:
    """Return the best rows of all parts: the ``limit`` best, what equals the last of them, maybe more. ``words``: by word and part."""
    import numpy as np

    best = np.zeros(0, dtype=np.float32)
    found: list[Found] = []
    for number, visible in enumerate(seen):
        terms = [term for of in words if (term := of[number]) is not None]
        if not visible.count or not terms:
            continue
        rows, scores = _part(terms, visible, norms[number], limit, floor=last_of(best, limit))
        found.append(Found(visible.part, rows, scores))
        best = np.concatenate([best, scores])
        if len(best) > limit:
            best = np.partition(best, len(best) - limit)[len(best) - limit :]
    return found


def _part(terms: Sequence[Term], visible: Seen, norm: np.ndarray, limit: int, floor: float) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    segment, mask = visible.part.segment, visible.mask
    # Every row adds up its words in the same order, so equal rows have equal scores.
    ordered = sorted(terms, key=lambda term: (-term.weight, term.begin))
    rest = np.cumsum([term.most for term in reversed(ordered)])[::-1]
    total = np.zeros(segment.rows, dtype=np.float32)
    few = visible.rows if mask is not None and visible.count * LOOKUP < segment.rows else None
    for number, term in enumerate(ordered):
        need = floor * (1 - SLACK) - float(rest[number])
        if need > 0:
            few = np.flatnonzero(total >= need) if few is None else few[total[few] >= need]
            if mask is not None:
                few = few[mask[few]]
            if not len(few):
                break
        holders = segment.rows_of[term.begin : term.end]
        counts = segment.counts[term.begin : term.end]
        if few is not None and len(few) * LOOKUP < len(holders):
            places = np.minimum(np.searchsorted(holders, few), len(holders) - 1)
            there = holders[places] == few
            holders, counts = few[there], counts[places[there]]
        times = counts.astype(np.float32)
        total[holders] += np.float32(term.weight) * times / (times + norm[holders])
        if number + 1 < len(ordered) and ordered[number + 1].end - ordered[number + 1].begin > WORTH:
            floor = max(floor, last_of(_visible(total, few, mask), limit))
    rows = few if few is not None else np.flatnonzero(total) if mask is None else np.flatnonzero((total > 0) & mask)
    scores = total[rows]
    kept = (scores > 0) & (scores >= last_of(scores, limit))
    return rows[kept], scores[kept]


def _visible(total: np.ndarray, few: np.ndarray | None, mask: np.ndarray | None) -> np.ndarray:
    found: np.ndarray = total[few] if few is not None else total if mask is None else total[mask]
    return found[found > 0]


def last_of(scores: np.ndarray, limit: int) -> float:
    """Return the score of the ``limit``-th best, below every score where there are fewer.

    Whoever cuts by it keeps all rows that equal the last one, so that ids can decide between them.
    """
    import numpy as np

    return float(np.partition(scores, len(scores) - limit)[len(scores) - limit]) if len(scores) >= limit else -math.inf
