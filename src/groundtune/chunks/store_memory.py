"""Index versions in this process's memory: exact, and gone when it ends. What other engines are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks.index import Following
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.chunks.store import Held, Readers, Row, held_of, stamp
from groundtune.errors import StaleIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

    Rows = dict[str, tuple[Chunk, np.ndarray]]


def open(settings: Mapping[str, Any], folder: Path) -> MemoryStore:
    """Open an empty store; nothing of it is written to the folder."""
    return MemoryStore()


class MemoryStore:
    """Tables of rows by chunk id; a version is a copy of such a table."""

    place = "memory"

    def __init__(self) -> None:
        self._drafts: dict[str, MemoryDraft] = {}
        self._versions: dict[str, dict[str, Rows]] = {}

    def draft(self, table: str, dimensions: int) -> MemoryDraft:
        """Return the table's one draft."""
        versions = self._versions.setdefault(table, {})
        return self._drafts.setdefault(table, MemoryDraft(dimensions, versions))

    def _rows(self, table: str, tag: str) -> Rows:
        if tag not in self._versions.get(table, {}):
            raise StaleIndex(f"the table {table} in memory has no version {tag}", "type: groundtune ingest")
        return self._versions[table][tag]

    def snapshot(self, table: str, tag: str) -> MemoryIndex:
        """Return exact search over a copy."""
        return _index(self._rows(table, tag), self._drafts[table].dimensions)

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Return what the copy holds."""
        return _held(self._rows(table, tag))

    def rows(self, table: str, tag: str, document_ids: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the chunks of the copy, in the order they were written."""
        wanted = None if document_ids is None else set(document_ids)
        for chunk, _ in self._rows(table, tag).values():
            if wanted is None or chunk.document_id in wanted:
                yield Row(chunk.document_id, chunk.id, chunk.ordinal, chunk.start, chunk.end, chunk.text)

    def tags(self, table: str) -> list[str]:
        """Return the names of the copies."""
        return sorted(self._versions.get(table, {}))

    def drop(self, table: str, tag: str) -> None:
        """Forget a copy."""
        self._versions.get(table, {}).pop(tag, None)

    def close(self) -> None:
        """Do nothing."""


class MemoryDraft:
    """Rows by chunk id."""

    def __init__(self, dimensions: int, versions: dict[str, Rows]) -> None:
        self.dimensions = dimensions
        self._versions = versions
        self.rows: Rows = {}

    def held(self) -> dict[str, Held]:
        """Return what is there."""
        return _held(self.rows)

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Replace documents."""
        self.delete([chunk.document_id for chunk in chunks])
        self.rows = {**self.rows, **{chunk.id: (chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)}}

    def delete(self, document_ids: Sequence[str]) -> None:
        """Take documents out."""
        gone = set(document_ids)
        self.rows = {name: row for name, row in self.rows.items() if row[0].document_id not in gone}

    def restamp(self, readers: Mapping[str, Readers]) -> None:
        """Replace the chunks of these documents by ones with other readers."""
        self.rows = {
            name: (replace(chunk, readers=stamp(readers.get(chunk.document_id, chunk.readers), chunk.ordinal)), vector)
            for name, (chunk, vector) in self.rows.items()
        }

    def index(self) -> Following:
        """Return exact search that follows the draft."""
        return Following(lambda: _index(self.rows, self.dimensions))

    def publish(self, tag: str) -> None:
        """Keep the rows; they are replaced by every write, never changed."""
        self._versions[tag] = self.rows


def _index(rows: Rows, dimensions: int) -> MemoryIndex:
    import numpy as np

    vectors = np.array([vector for _, vector in rows.values()], dtype=np.float32).reshape(-1, dimensions)
    return MemoryIndex([chunk for chunk, _ in rows.values()], vectors)


def _held(rows: Rows) -> dict[str, Held]:
    return held_of((chunk.document_id, chunk.document_hash, chunk.ordinal, chunk.readers, None) for chunk, _ in rows.values())
