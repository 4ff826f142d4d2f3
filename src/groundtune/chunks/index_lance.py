"""The default index: a LanceDB table with vectors, BM25, readers and metadata, read at one tagged version.

Permissions are part of both queries and are applied before ranking (``prefilter``). Up to ``EXACT_ROWS`` rows vectors are compared exactly,
in memory; above that by the plan of ``chunks/near.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.conditions import Condition, Labels, parts_of
from groundtune.access.filter import Filter, Predicate, literal, narrow, settled
from groundtune.chunks.hot import Hot
from groundtune.chunks.index import Hit, from_kept, kept, labels, sayable, search_text
from groundtune.chunks.near import Near
from groundtune.chunks.store import Readers, stamp
from groundtune.errors import MissingExtra, StorageError
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

# Otherwise the engine prints a warning for each query.
os.environ.setdefault("LANCE_LOG", "error")

EXACT_ROWS = 20_000
TAIL = 1_000  # rows beyond those indices that a search reads one by one, before they are indexed too
FRAGMENTS = 16  # of files that one commit each has left, before they are joined
COLUMNS = (
    "id",
    "document_id",
    "document_hash",
    "ordinal",
    "text",
    "start",
    "end",
    "heading_path",
    "title",
    "readers",
    "tokens",
    "metadata_json",
)


def connect(folder: Path) -> Any:
    """Open (and create) the database folder, reading what other processes committed. Raises ``MissingExtra``."""
    try:
        import lancedb
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "lancedb", "local") from error
    from datetime import timedelta

    return lancedb.connect(str(folder), read_consistency_interval=timedelta(0))


def schema(dimensions: int) -> Any:
    """Return the Arrow schema of a table of chunks with vectors of that many dimensions."""
    import pyarrow as pa

    # The engine uses an index over a list column only where the list's items are called "item".
    texts = pa.list_(pa.field("item", pa.string()))
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("document_id", pa.string()),
            pa.field("document_hash", pa.string()),
            pa.field("ordinal", pa.int32()),
            pa.field("text", pa.string()),
            pa.field("search_text", pa.string()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("heading_path", texts),
            pa.field("title", pa.string()),
            pa.field("readers", texts),
            pa.field("tokens", pa.int32()),
            pa.field("metadata", texts),
            pa.field("metadata_json", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def rows_of(chunks: Sequence[Chunk], vectors: np.ndarray) -> Any:
    """Return chunks and their vectors (n, d) as an Arrow table."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "id": [chunk.id for chunk in chunks],
        "document_id": [chunk.document_id for chunk in chunks],
        "document_hash": [chunk.document_hash for chunk in chunks],
        "ordinal": [chunk.ordinal for chunk in chunks],
        "text": [chunk.text for chunk in chunks],
        "search_text": [search_text(chunk) for chunk in chunks],
        "start": [chunk.start for chunk in chunks],
        "end": [chunk.end for chunk in chunks],
        "heading_path": [list(chunk.heading_path) for chunk in chunks],
        "title": [chunk.title for chunk in chunks],
        "readers": [sorted(chunk.readers) for chunk in chunks],
        "tokens": [chunk.tokens for chunk in chunks],
        "metadata": [labels(chunk.metadata) for chunk in chunks],
        "metadata_json": [kept(chunk) for chunk in chunks],
        "vector": list(vectors.astype("float32")),
    }
    return pa.table(columns, schema=schema(vectors.shape[1]))


class LanceIndex:
    """One tagged version of a table, opened once and kept warm."""

    def __init__(self, table: Any, tag: str | None = None) -> None:
        if tag is not None:
            table.checkout(tag)
        self._table = table
        self._rows = table.count_rows()
        self._pinned = tag is not None
        # Only a tagged version never changes.
        self._small = tag is not None and self._rows <= EXACT_ROWS
        self._approximate = any("vector" in index.columns for index in table.list_indices())
        self._near = Near(table, self._rows, pinned=tag is not None)

    def count(self) -> int:
        """Return how many chunks there are."""
        return int(self._rows)

    @cached_property
    def _hot(self) -> Hot:
        return Hot(self._table, self._rows, COLUMNS)

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25. The text is data: quotes, colons and operators in it mean nothing."""
        from lancedb.query import MatchQuery

        if not text.strip() or not self._rows:
            return []
        query = self._table.search(
            MatchQuery(text.replace("\x00", " ").encode("utf-8", "replace").decode(), "search_text"), query_type="fts"
        )
        found = query.where(self._where(allowed, filter), prefilter=True).select(["id", "_score"]).limit(limit).to_arrow()
        return _ranked(found["id"], found["_score"])

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine; exactly, where that is cheap."""
        import pyarrow.compute as pc

        if not self._rows:
            return []
        where = self._where(allowed, filter)
        if self._small:
            return self._hot.search(vector, where, limit)
        if self._approximate:
            return self._near.search(vector, where, limit)
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine").where(where, prefilter=True)
        found = query.select(["id", "_distance"]).limit(limit).to_arrow()
        return _ranked(found["id"], pc.subtract(1.0, found["_distance"]))

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        if not ids or not self._rows:
            return {}
        if self._small:
            found = {row["id"]: chunk_of(row) for row in self._hot.read(ids)}
            return {name: chunk for name, chunk in found.items() if allowed.permits(chunk.readers)}
        named = ", ".join(literal(item) for item in sayable(ids))
        if not named:
            return {}
        where = f"id IN ({named}) AND ({self._where(allowed, None)})"
        rows = self._table.search().where(where).select(list(COLUMNS)).limit(len(ids)).to_list()
        return {row["id"]: chunk_of(row) for row in rows}

    def _where(self, allowed: Predicate, filter: Filter | None) -> str:
        """Return the condition of a search. Which values lie in a range is read off the table: once, where it never changes."""
        sought = settled(filter, lambda: self._labels if self._pinned else self._read_labels())
        return narrow(Predicate(frozenset(sayable(allowed.groups))), _sayable(sought))

    @cached_property
    def _labels(self) -> list[str]:
        return self._read_labels()

    def _read_labels(self) -> list[str]:
        import pyarrow.compute as pc

        held = self._table.search().select(["metadata"]).limit(max(1, self._rows)).to_arrow()["metadata"]
        return [label for label in pc.unique(pc.list_flatten(held)).to_pylist() if label is not None]

    def explain(self, allowed: Predicate, filter: Filter | None = None) -> str:
        """Return the engine's plan of a vector search, to see that the permission is answered from its index."""
        import numpy as np

        width = self._table.schema.field("vector").type.list_size
        query = self._table.search(np.zeros(width, dtype="float32"), vector_column_name="vector").where(
            self._where(allowed, filter), prefilter=True
        )
        return str(query.limit(1).explain_plan(True))


def _sayable(filter: Filter | None) -> Filter | None:
    """Leave out the values that no row can hold: none equals them, and all are none of them."""
    found: dict[str, Condition] = {}
    for part in parts_of(filter):
        if isinstance(part, Labels):
            values = sayable(sorted(part.values)) if sayable([part.name]) else []
            name = part.name if sayable([part.name]) else "name"
            found[name] = {"not": values} if part.negated else values
    return found


def _ranked(ids: Any, scores: Any) -> list[Hit]:
    found = [Hit(item, float(score)) for item, score in zip(ids.to_pylist(), scores.to_pylist(), strict=True)]
    return sorted(found, key=lambda hit: (-hit.score, hit.id))


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


def make_indices(table: Any) -> None:
    """Index a table for search: words, readers, metadata, documents, and vectors where there are many rows. Call after every change."""
    from lancedb.index import FTS, BTree, IvfRq, LabelList

    there = {column for index in table.list_indices() for column in index.columns}
    wanted: dict[str, Any] = {
        "search_text": FTS(
            base_tokenizer="icu/split", with_position=False, stem=True, language="English", remove_stop_words=False, ascii_folding=True
        ),
        "readers": LabelList(),
        "metadata": LabelList(),
        "document_id": BTree(),
        "id": BTree(),
    }
    if table.count_rows() > EXACT_ROWS:
        wanted["vector"] = IvfRq(distance_type="cosine")
    new = [column for column in wanted if column not in there]
    for column in new:
        table.create_index(column, config=wanted[column])
    if not new and table.count_rows() > EXACT_ROWS and not _overdue(table):
        return
    table.optimize()


def _overdue(table: Any) -> bool:
    """Return whether a large table has so much that is not indexed, or lies in so many files, that searches would feel it."""
    outside: int = max(table.index_stats(index.name).num_unindexed_rows for index in table.list_indices())
    small: int = table.stats()["fragment_stats"]["num_small_fragments"]
    return outside > TAIL or small > FRAGMENTS


def drop_documents(table: Any, document_ids: Sequence[str]) -> None:
    """Delete every chunk of these documents."""
    for begin in range(0, len(document_ids), 500):
        named = ", ".join(literal(item) for item in document_ids[begin : begin + 500])
        table.delete(f"document_id IN ({named})")


def restamp(table: Any, readers: Mapping[str, Readers]) -> None:
    """Give the chunks of these documents other readers, in one commit; texts and vectors stay as they are."""
    import pyarrow as pa

    named = ", ".join(literal(item) for item in sorted(readers))
    rows = table.search().where(f"document_id IN ({named})").limit(max(1, table.count_rows())).to_arrow()
    wanted = table.schema
    # Rewritten as whole rows, since the engine cannot update a list to an empty one.
    each = zip(rows["document_id"].to_pylist(), rows["ordinal"].to_pylist(), strict=True)
    stamped = [sorted(stamp(readers[name], ordinal)) for name, ordinal in each]
    columns = [pa.array(stamped, type=field.type) if field.name == "readers" else rows[field.name] for field in wanted]
    table.merge_insert("id").when_matched_update_all().execute(pa.table(columns, schema=wanted))


def full_disk(error: Exception, place: Path) -> StorageError | None:
    """Return the error to raise where the engine says, in its own words, that the disk is full."""
    text = str(error).lower()
    if "no space left" in text or "os error 28" in text or "disk quota" in text:
        return StorageError(f"no space left while writing the index in {place}", f"free some space, then see: df -h {place}")
    return None
