"""The exact index: NumPy cosine and a plain BM25 over what the asker may see. The oracle of the tests; fit for a few thousand chunks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.access.conditions import matches
from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.index import Hit, search_text
from groundtune.chunks.words import K1, B, words
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np


class MemoryIndex:
    """Chunks and their unit vectors (n, d), in the same order."""

    def __init__(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        if len(chunks) != len(vectors):
            raise ValueError(f"{len(chunks)} chunks, but {len(vectors)} vectors")
        self._chunks = list(chunks)
        self._vectors = vectors
        self._by_id = {chunk.id: chunk for chunk in chunks}
        self._words = [Counter(words(search_text(chunk))) for chunk in chunks]

    def count(self) -> int:
        """Return how many chunks there are."""
        return len(self._chunks)

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        known = {item: self._by_id[item] for item in ids if item in self._by_id}
        return {item: chunk for item, chunk in known.items() if allowed.permits(chunk.readers)}

    def _visible(self, allowed: Predicate, filter: Filter | None) -> list[int]:
        return [number for number, chunk in enumerate(self._chunks) if allowed.permits(chunk.readers) and matches(filter, chunk.metadata)]

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25; document frequencies are over all chunks, as in an engine."""
        query = set(words(text))
        total = len(self._chunks)
        mean = sum(sum(counts.values()) for counts in self._words) / total if total else 0.0
        scored = []
        for number in self._visible(allowed, filter):
            counts = self._words[number]
            size = sum(counts.values())
            score = 0.0
            for word in sorted(query & counts.keys()):
                holders = sum(word in other for other in self._words)
                rarity = math.log(1 + (total - holders + 0.5) / (holders + 0.5))
                score += rarity * counts[word] * (K1 + 1) / (counts[word] + K1 * (1 - B + B * size / mean))
            if score > 0:
                scored.append(Hit(self._chunks[number].id, score))
        return sorted(scored, key=lambda hit: (-hit.score, hit.id))[:limit]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine, exactly."""
        visible = self._visible(allowed, filter)
        if not visible:
            return []
        scores = self._vectors[visible] @ vector
        scored = [Hit(self._chunks[number].id, float(score)) for number, score in zip(visible, scores, strict=True)]
        return sorted(scored, key=lambda hit: (-hit.score, hit.id))[:limit]
