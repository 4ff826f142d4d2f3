"""What a vector database has to do for Groundtune: keep rows by key, change one number in them, and find them by a few conditions.

    Where(groups=("support",), at=7, labels=(("version=5",),))
      Qdrant    must: readers any of, born ≤ 7, died > 7, labels = version=5
      Chroma    {"$and": [{"readers": {"$contains": "support"}}, {"born": {"$lte": 7}}, …]}

Permissions are one more condition of the same query, so the database applies them before it ranks.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from groundtune.chunks.engines.words import words_of
from groundtune.chunks.index import from_kept, kept, labels, search_text
from groundtune.chunks.words import spaced
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

# ``died`` of a row that the draft still holds. Some databases keep numbers as 64-bit floats, which are exact up to 2^53.
ALIVE = 2**50
# Documents that are named in one condition, and rows that are sent in one request.
NAMED, SENT = 100, 200

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What a row has to be. ``groups`` is ``None`` only where the writer looks at its own rows; empty groups see nothing.

    ``at``: born by then, and not died. ``labels``: of each set one. ``without``: none of these labels. ``documents``, ``ids`` and
    ``words``: one of them.
    """

    groups: tuple[str, ...] | None
    at: int | None = None
    labels: tuple[tuple[str, ...], ...] = ()
    without: tuple[str, ...] = ()
    documents: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None

    def any_of(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the conditions of the kind "the field has one of these"; the permission last."""
        for one_of in self.labels:
            yield "labels", one_of
        named = {"document_id": self.documents, "chunk_id": self.ids, "words": self.words, "readers": self.groups}
        yield from ((field, values) for field, values in named.items() if values is not None)

    def nothing(self) -> bool:
        """Return whether no row can meet it, so that no database has to be asked what an empty list means."""
        return any(not values for _, values in self.any_of())


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is put: ``key`` is a UUID, ``vector`` has length 1."""

    key: str
    vector: np.ndarray
    payload: Payload


class Rows(Protocol):
    """A database. What a call wrote is found by the next, from any process.

    ``negates``: whether it can be asked for rows ``without`` labels, in the same query; one that cannot is never handed any.
    """

    place: str
    negates: bool

    def has(self, table: str) -> bool:
        """Return whether there is such a table."""
        ...

    def create(self, table: str, dimensions: int) -> None:
        """Make a table, unless there is one."""
        ...

    def put(self, table: str, rows: Sequence[Row]) -> None:
        """Put up to ``SENT`` rows, in place of those of the same key."""
        ...

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        """Set ``died`` of these rows, and nothing else."""
        ...

    def erase(self, table: str, keys: Sequence[str]) -> None:
        """Delete these rows."""
        ...

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        """Yield all rows that are so, in any order. Without ``vectors`` they may be empty."""
        ...

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        """Return chunk ids and cosines of the nearest rows that are so, best first."""
        ...

    def count(self, table: str, where: Where) -> int:
        """Return how many rows are so."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


@runtime_checkable
class Ranks(Protocol):
    """What a database has beside ``Rows`` when it ranks by BM25 itself."""

    def keyword(self, table: str, text: str, where: Where, limit: int) -> list[tuple[str, float]]:
        """Return chunk ids and scores of the rows that are so and hold a word of the text, best first."""
        ...


def key_of(chunk_id: str, born: int) -> str:
    """Return the key of a row: the same chunk in two versions is two rows, unless nothing about it changed."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{chunk_id}\0{born}"))


def payload_of(chunk: Chunk, born: int, of: int) -> Payload:
    """Return a chunk as plain values; ``of`` is how many chunks its document has."""
    text = search_text(chunk)
    return {
        "chunk_id": chunk.id,
        "document_id": chunk.document_id,
        "document_hash": chunk.document_hash,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "search_text": spaced(text),
        "begin": chunk.start,
        "finish": chunk.end,
        "heading_path": json.dumps(chunk.heading_path),
        "title": chunk.title,
        "readers": sorted(chunk.readers),
        "tokens": chunk.tokens,
        "labels": labels(chunk.metadata),
        "metadata": kept(chunk),
        "words": sorted(set(words_of(text))),
        "part_of": of,
        "born": born,
        "died": ALIVE,
    }


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    """Rebuild a chunk. Databases leave out empty lists, and some return whole numbers as floats."""
    return Chunk(
        id=payload["chunk_id"],
        document_id=payload["document_id"],
        document_hash=payload["document_hash"],
        ordinal=int(payload["ordinal"]),
        text=payload["text"],
        start=int(payload["begin"]),
        end=int(payload["finish"]),
        heading_path=tuple(json.loads(payload["heading_path"])),
        title=payload["title"],
        readers=frozenset(payload.get("readers") or ()),
        tokens=int(payload["tokens"]),
        **from_kept(payload["metadata"]),
    )
