"""Words of a text, and BM25 over rows that a database proposed; for databases that do not rank words themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from groundtune.chunks.index import Hit
from groundtune.chunks.words import K1, B, words


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order, in any script, without case, not stemmed."""
    return [word for word in words(text) if len(word) <= 200]


def ranked(texts: Iterable[tuple[str, str]], asked: Sequence[str], total: int, limit: int) -> list[Hit]:
    """Rank chunks, given as (id, text), by BM25 for the words ``asked``; ``total`` is the number of chunks in the version.

    Frequencies and the mean length are those of the given texts, which the asker may see: an order tells nothing about hidden ones.
    """
    counted = {name: Counter(words_of(text)) for name, text in texts}
    sizes = {name: sum(counts.values()) for name, counts in counted.items()}
    mean = sum(sizes.values()) / len(sizes) if sizes else 1.0
    worth = {}
    for word in asked:
        holders = sum(word in counts for counts in counted.values())
        worth[word] = math.log(1 + (max(total, len(counted)) - holders + 0.5) / (holders + 0.5))
    hits = []
    for name, counts in counted.items():
        length = K1 * (1 - B + B * sizes[name] / mean)
        score = sum(worth[word] * counts[word] * (K1 + 1) / (counts[word] + length) for word in worth if word in counts)
        if score > 0:
            hits.append(Hit(name, score))
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]
