"""One small, immutable index version in memory: exact cosine and the winners' texts in about a millisecond instead of twenty.

Who may see what is still the engine's answer: it names the rows that a condition lets through, once for each condition, and only those
are ranked. That can be remembered since a tagged version never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from groundtune.chunks.index import Hit

if TYPE_CHECKING:
    import numpy as np

# Conditions (groups and filters of askers) whose rows are remembered; the longest unused goes first.
MOST_CONDITIONS = 256


class Hot:
    """All vectors of ``table`` (n, d), at length 1, in the order of its row ids, and the ``columns`` of each row."""

    def __init__(self, table: Any, rows: int, columns: Sequence[str]) -> None:
        import numpy as np

        held = table.search().select([*columns, "vector"]).with_row_id(True).limit(rows).to_arrow()
        numbers = held["_rowid"].to_numpy()
        order = np.argsort(numbers)
        width = table.schema.field("vector").type.list_size
        vectors = held["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)[order]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
        self._numbers = numbers[order]
        ids = held["id"].to_pylist()
        self._ids = [ids[place] for place in order]
        self._places = {item: place for place, item in enumerate(self._ids)}
        self._texts = held.drop_columns(["vector", "_rowid"]).take(order)
        self._table = table
        self._permitted: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def search(self, vector: np.ndarray, where: str, limit: int) -> list[Hit]:
        """Return up to ``limit`` of the rows that ``where`` lets through, by cosine with ``vector`` (d,); equal ones by id."""
        import numpy as np

        rows = self._rows(where)
        if not len(rows):
            return []
        scores = (self._vectors @ (vector / max(float(np.linalg.norm(vector)), 1e-12)))[rows]
        best = np.arange(len(rows))
        if len(rows) > limit:
            # All that equal the last one stay in, so that ids can decide between them.
            last = np.partition(scores, len(rows) - limit)[len(rows) - limit]
            best = np.nonzero(scores >= last)[0]
        hits = [Hit(self._ids[rows[place]], float(scores[place])) for place in best]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]

    def read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the columns of the rows that are there, in the order of ``ids``."""
        places = [self._places[item] for item in ids if item in self._places]
        rows: list[dict[str, Any]] = self._texts.take(places).to_pylist() if places else []
        return rows

    def _rows(self, where: str) -> np.ndarray:
        import numpy as np

        with self._lock:
            known = self._permitted.get(where)
            if known is not None:
                self._permitted.move_to_end(where)
                return known
        found = self._table.search().where(where).select(["id"]).with_row_id(True).limit(len(self._ids)).to_arrow()
        rows = np.searchsorted(self._numbers, np.sort(found["_rowid"].to_numpy()))
        with self._lock:
            self._permitted[where] = rows
            while len(self._permitted) > MOST_CONDITIONS:
                self._permitted.popitem(last=False)
        return rows
