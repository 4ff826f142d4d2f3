"""Vector search over more rows than are compared one by one, planned by how many of them the asker may see.

    permitted rows      plan
    none                nothing to do
    up to 20,000        exact, over their vectors in memory; read once for each condition of a version that never changes
    up to 5,000         exact, by the engine, where the version still changes and nothing can be remembered
    more                IVF_RQ: the more partitions there are, the more are probed; hundreds of candidates are compared exactly

An approximate index alone loses rows quietly as tables grow and permissions tighten: with the engine's own defaults, recall@10 at a million
rows fell to 0.89 without a filter and to 0.72 with one that passes a thousandth. The numbers here are held to the exact answer by
``tests/chunks/test_near.py`` and ``benchmarks/scale.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from groundtune.chunks.index import Hit

if TYPE_CHECKING:
    import numpy as np

REMEMBERED = 20_000  # permitted rows up to which their vectors are held in memory
EXACT_PERMITTED = 5_000  # permitted rows up to which the engine compares all, where they cannot be held
MOST_BYTES = 256 * 2**20  # of vectors held at once, over all conditions; the longest unused go first
MOST_COUNTS = 4_096  # conditions whose number of rows is remembered
PARTITION = 4_096  # rows that the engine puts into one partition of IVF_RQ
RESCORED = 400  # candidates whose exact distance decides, at least


class Near:
    """Vector search over ``table``, whose rows never change if it is ``pinned``. Several threads may search at once."""

    def __init__(self, table: Any, rows: int, *, pinned: bool) -> None:
        self._table = table
        self._pinned = pinned
        self._partitions = max(1, rows // PARTITION)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._held: OrderedDict[str, tuple[list[str], np.ndarray]] = OrderedDict()
        self._lock = Lock()

    def search(self, vector: np.ndarray, where: str, limit: int) -> list[Hit]:
        """Return up to ``limit`` of the rows that ``where`` lets through, by cosine with ``vector`` (d,); equal ones by id."""
        import pyarrow.compute as pc

        permitted = self.permitted(where)
        if not permitted:
            return []
        if self._pinned and permitted <= REMEMBERED:
            return _best(*self._vectors(where, permitted), vector, limit)
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine").where(where, prefilter=True)
        if permitted <= EXACT_PERMITTED:
            query = query.bypass_vector_index()
        else:
            least = max(20, self._partitions // 8)
            refined = max(5, -(-RESCORED // limit))
            query = query.minimum_nprobes(least).maximum_nprobes(max(least, self._partitions)).refine_factor(refined)
        found = query.select(["id", "_distance"]).limit(limit).to_arrow()
        scores = pc.subtract(1.0, found["_distance"]).to_pylist()
        hits = [Hit(item, float(score)) for item, score in zip(found["id"].to_pylist(), scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def permitted(self, where: str) -> int:
        """Return how many rows a condition lets through, from the engine's index over it."""
        if not self._pinned:
            return int(self._table.count_rows(where))
        with self._lock:
            known = self._counts.get(where)
        if known is None:
            known = int(self._table.count_rows(where))
            with self._lock:
                self._counts[where] = known
                while len(self._counts) > MOST_COUNTS:
                    self._counts.popitem(last=False)
        return known

    def _vectors(self, where: str, permitted: int) -> tuple[list[str], np.ndarray]:
        """Return the ids of the permitted rows and their vectors (n, d) at length 1, read once and then held."""
        import numpy as np

        with self._lock:
            known = self._held.get(where)
            if known is not None:
                self._held.move_to_end(where)
                return known
        found = self._table.search().where(where).select(["id", "vector"]).limit(permitted).to_arrow()
        width = self._table.schema.field("vector").type.list_size
        vectors = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        made = (found["id"].to_pylist(), np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32))
        with self._lock:
            self._held[where] = made
            while len(self._held) > 1 and sum(item[1].nbytes for item in self._held.values()) > MOST_BYTES:
                self._held.popitem(last=False)
        return made


def _best(ids: list[str], vectors: np.ndarray, vector: np.ndarray, limit: int) -> list[Hit]:
    import numpy as np

    scores = vectors @ (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    best = np.arange(len(ids))
    if len(ids) > limit:
        # All that equal the last one stay in, so that ids can decide between them.
        last = np.partition(scores, len(ids) - limit)[len(ids) - limit]
        best = np.nonzero(scores >= last)[0]
    hits = [Hit(ids[place], float(scores[place])) for place in best]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]
