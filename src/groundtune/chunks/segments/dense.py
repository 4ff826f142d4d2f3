"""A vector → the nearest of the rows that may be seen, planned by how many of them there are.

    of a part in one cell, or up to 20,000 rows in all     every one is compared
    more                                                  cell by cell, the nearest centre first, until more cells change nothing

The second plan ends when several steps in a row, of 2,048 permitted rows and a hundredth of them or more each, brought nothing among
the best; so a tight permission looks into more cells, by itself, and so does a large table, whose cells are of many parts.
``tests/chunks/test_dense.py`` and ``benchmarks/scale.py`` hold it to the exact answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.chunks.segments.keyword import Found, last_of
from groundtune.chunks.segments.sieve import Seen

if TYPE_CHECKING:
    import numpy as np

EXACT = 20_000  # permitted rows up to which all are compared
DENSE_SHARE = 0.3  # share of permitted rows from which it is quicker to compare the others too
STEP_ROWS = 2_048  # permitted rows, at least, that are compared between two looks at what has changed
STEP_SHARE = 0.01  # of the permitted rows, at least; at 1,000,000 the recall was 0.955 without it (docs/benchmarks.md)
STEP_CELLS = 4  # cells, at least, between two such looks
STEADY = 4  # looks in a row that must find nothing new
LOOKED_AT = 20  # the best, among which nothing new must be found


def search(vector: np.ndarray, seen: Sequence[Seen], limit: int) -> list[Found]:
    """Return the best rows of all parts: the ``limit`` best and what equals the last of them, and more. ``vector`` (d,) has length 1."""
    some = [visible for visible in seen if visible.count]
    large = [visible for visible in some if len(visible.part.segment.centres)]
    if sum(visible.count for visible in large) <= EXACT:
        return [_all(vector, visible, limit) for visible in some]
    found = [_all(vector, visible, limit) for visible in some if not len(visible.part.segment.centres)]
    return [*found, *_probed(vector, large, limit)]


def _all(vector: np.ndarray, visible: Seen, limit: int) -> Found:
    vectors = visible.part.segment.vectors
    if visible.mask is None:
        rows, scores = visible.rows, vectors @ vector
    elif visible.count >= DENSE_SHARE * len(vectors):
        rows, scores = visible.rows, (vectors @ vector)[visible.rows]
    else:
        if visible.vectors is None:
            visible.vectors = vectors[visible.rows]
        rows, scores = visible.rows, visible.vectors @ vector
    return _best(Found(visible.part, rows, scores), limit)


def _best(found: Found, limit: int) -> Found:
    if len(found.scores) <= limit:
        return found
    kept = found.scores >= last_of(found.scores, limit)
    return Found(found.part, found.rows[kept], found.scores[kept])


def _probed(vector: np.ndarray, large: Sequence[Seen], limit: int) -> list[Found]:
    import numpy as np

    sizes = [np.diff(visible.by_cell) for visible in large]
    nearness = np.concatenate([visible.part.segment.centres @ vector for visible in large])
    owner = np.repeat(np.arange(len(large)), [len(size) for size in sizes])
    cell = np.concatenate([np.arange(len(size)) for size in sizes])
    size = np.concatenate(sizes)
    order = np.argsort(-nearness, kind="stable")
    order = order[size[order] > 0]
    counted = np.cumsum(size[order])
    step = max(STEP_ROWS, int(STEP_SHARE * counted[-1])) if len(order) else STEP_ROWS
    found: list[Found] = []
    best = np.full(min(limit, LOOKED_AT), -np.inf, dtype=np.float32)
    steady = done = 0
    while done < len(order) and steady < STEADY:
        before = int(counted[done - 1]) if done else 0
        end = max(done + STEP_CELLS, int(np.searchsorted(counted, before + step)) + 1)
        scores = []
        for number in order[done:end]:
            rows, nearby = _cell(vector, large[owner[number]], int(cell[number]))
            found.append(Found(large[owner[number]].part, rows, nearby))
            scores.append(nearby)
        done = min(end, len(order))
        both = np.concatenate([best, *scores])
        now = np.sort(np.partition(both, len(both) - len(best))[len(both) - len(best) :])
        enough = int(counted[done - 1]) >= limit
        steady = steady + 1 if enough and np.array_equal(now, best) else 0
        best = now
    return found


def _cell(vector: np.ndarray, visible: Seen, cell: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    segment = visible.part.segment
    begin, end = int(segment.cells[cell]), int(segment.cells[cell + 1])
    if visible.mask is None:
        return np.arange(begin, end), segment.vectors[begin:end] @ vector
    rows = visible.rows[int(visible.by_cell[cell]) : int(visible.by_cell[cell + 1])]
    if len(rows) >= DENSE_SHARE * (end - begin):
        return rows, (segment.vectors[begin:end] @ vector)[rows - begin]
    return rows, segment.vectors[rows] @ vector
