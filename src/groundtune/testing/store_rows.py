"""Documents that the kits write, and what is there of them: shared by the tests of versions, of damage and of random histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from groundtune.access.filter import Predicate
from groundtune.chunks.index import Index
from groundtune.testing.index_contract import GROUPS, WIDTH, made
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

EVERYONE = Predicate(frozenset(GROUPS))


def written(number: int, edition: int = 0, readers: Sequence[str] = ("everyone",)) -> tuple[list[Chunk], np.ndarray]:
    """Return the three chunks of document ``number`` in one of its editions, with their vectors (3, 24)."""
    chunks, vectors = made(3, 1000 * edition + number)
    name, text_hash = f"document:d{number}.md", f"{edition:016d}"
    whole = [
        replace(
            chunk,
            id=f"chunk:d{number}.md#{chunk.ordinal}@{text_hash[-8:]}",
            document_id=name,
            document_hash=text_hash,
            readers=frozenset(readers),
        )
        for chunk in chunks
    ]
    return whole, vectors


def seen(index: Index) -> dict[str, Chunk]:
    """Return all that somebody in every group finds, read back."""
    import numpy as np

    hits = index.dense(np.ones(WIDTH, dtype=np.float32), EVERYONE, None, 1000)
    found = index.chunks([hit.id for hit in hits], EVERYONE)
    assert found.keys() == {hit.id for hit in hits}
    return found
