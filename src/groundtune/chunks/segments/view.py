"""One version of a table, open for searching: parts of segments → the rows that may be seen → ranked → named, or read.

keyword, dense     sieve (remembered) → each part's best → of all the best, by score and then by id
chunks             ids → rows → columns, and the permission is asked again of what was read
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from groundtune.access.conditions import Filter, parts_of, settled
from groundtune.access.filter import Predicate
from groundtune.chunks.index import Hit, from_kept
from groundtune.chunks.segments import dense as by_meaning
from groundtune.chunks.segments import keyword as by_words
from groundtune.chunks.segments.segment import hashed
from groundtune.chunks.segments.sieve import Part, Seen, sieve
from groundtune.chunks.segments.words import tokens
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 256 * 2**20  # of masks and vectors that are remembered for askers; the longest unused go first
MOST_ASKERS = 256
MOST_TERMS = 20_000  # words whose places are remembered


class View:
    """The rows of ``parts``, which never change. Several threads may search at once."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(part for part in parts if part.count)
        self._count = sum(part.count for part in self._parts)
        self._sieves: OrderedDict[Hashable, list[Seen]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._bytes = 0
        self._terms: OrderedDict[str, list[by_words.Term | None]] = OrderedDict()
        self._lock = Lock()

    def count(self) -> int:
        """Return how many chunks there are."""
        return self._count

    @cached_property
    def _statistics(self) -> by_words.Statistics:
        return by_words.Statistics(self._parts)

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25. The text is data: quotes, colons and operators in it mean nothing."""
        _, seen = self._seen(allowed, filter)
        if limit < 1 or not text.strip() or not any(visible.count for visible in seen):
            return []
        words = [
            [None if term is None else term.times(number) for term in self._term(word)] for word, number in Counter(tokens(text)).items()
        ]
        return _ranked(by_words.search(words, seen, self._statistics.norms, limit), limit)

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine: exactly where few rows may be seen, else by the nearest cells."""
        import numpy as np

        key, seen = self._seen(allowed, filter)
        if limit < 1 or not any(visible.count for visible in seen):
            return []
        asked = np.asarray(vector, dtype=np.float32)
        hits = _ranked(by_meaning.search(asked / max(float(np.linalg.norm(asked)), 1e-12), seen, limit), limit)
        self._weigh(key, seen)
        return hits

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        import numpy as np

        wanted = list(dict.fromkeys(ids))
        hashes = hashed(wanted)
        found: dict[str, Chunk] = {}
        for part in self._parts:
            rows, places = part.segment.find(hashes)
            if part.alive is not None:
                rows, places = rows[part.alive[rows]], places[part.alive[rows]]
            if len(rows):
                for row, place in zip(part.segment.table.take(rows.astype(np.int64)).to_pylist(), places, strict=True):
                    chunk = chunk_of(row)
                    if chunk.id == wanted[place] and allowed.permits(chunk.readers):
                        found[chunk.id] = chunk
        return {item: found[item] for item in wanted if item in found}

    def _term(self, word: str) -> list[by_words.Term | None]:
        with self._lock:
            known = self._terms.get(word)
            if known is not None:
                self._terms.move_to_end(word)
                return known
        made = self._statistics.terms(word)
        with self._lock:
            self._terms[word] = made
            while len(self._terms) > MOST_TERMS:
                self._terms.popitem(last=False)
        return made

    @cached_property
    def _labels(self) -> list[str]:
        return [f"{name}={value}" for part in self._parts for name, value in part.segment.labels.numbers]

    def _seen(self, allowed: Predicate, filter: Filter | None) -> tuple[Hashable, list[Seen]]:
        """Return what may be seen of each part, and the key by which it is remembered; the same asker and filter are asked once."""
        sought = settled(filter, lambda: self._labels)
        key = (allowed.groups, tuple(parts_of(sought)))
        with self._lock:
            known = self._sieves.get(key)
            if known is not None:
                self._sieves.move_to_end(key)
                return key, known
        made = sieve(self._parts, allowed, sought)
        with self._lock:
            self._sieves[key] = made
        self._weigh(key, made)
        return key, made

    def _weigh(self, key: Hashable, seen: list[Seen]) -> None:
        """Count what is held for one asker, of which a search may have made more, and make room."""
        with self._lock:
            if self._sieves.get(key) is not seen:
                return
            size = sum(one.size for one in seen)
            self._bytes += size - self._sizes.get(key, 0)
            self._sizes[key] = size
            # One sum that is kept: to add up all askers anew takes longer than a search, with hundreds of them.
            while len(self._sieves) > 1 and (len(self._sieves) > MOST_ASKERS or self._bytes > MOST_BYTES):
                gone, _ = self._sieves.popitem(last=False)
                self._bytes -= self._sizes.pop(gone, 0)


def _ranked(found: Sequence[by_words.Found], limit: int) -> list[Hit]:
    """Return the best of all parts by score; equal ones by id."""
    import numpy as np

    if not found:
        return []
    scores = np.concatenate([part.scores for part in found])
    least = by_words.last_of(scores, limit)
    hits: list[Hit] = []
    for part in found:
        kept = np.flatnonzero(part.scores >= least)
        if len(kept):
            ids = part.part.segment.ids(part.rows[kept])
            hits += [Hit(item, float(score)) for item, score in zip(ids, part.scores[kept], strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


def chunk_of(row: Mapping[str, Any]) -> Chunk:
    """Rebuild a chunk from a row."""
    return Chunk(
        id=row["id"],
        document_id=row["document_id"],
        document_hash=row["document_hash"],
        ordinal=row["ordinal"],
        text=row["text"],
        start=row["start"],
        end=row["end"],
        heading_path=tuple(row["heading_path"] or ()),
        title=row["title"],
        readers=frozenset(row["readers"] or ()),
        tokens=row["tokens"],
        **from_kept(row["metadata_json"]),
    )
