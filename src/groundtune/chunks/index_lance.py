"""Tables of chunks in LanceDB: what is stored of a chunk, and how rows are written, restamped and deleted.

    Chunk, vector  →  one row, with a ``uid`` that stands for its content: written again, with other readers say, it gets another one

The table is what counts, and has every commit; it is searched by the segments of its versions (``chunks/segments``), made from its rows.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import literal
from groundtune.chunks.index import kept, labels, search_text
from groundtune.chunks.late import lancedb
from groundtune.chunks.store import Readers, stamp
from groundtune.errors import MissingExtra, StorageError
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

# Otherwise the engine prints a warning for each query.
os.environ.setdefault("LANCE_LOG", "error")

TAIL = 4_000  # rows that are in no index over documents and ids, before they are indexed too
FRAGMENTS = 32  # of files that one commit each has left, before they are joined


def connect(folder: Path) -> Any:
    """Open (and create) the database folder, reading what other processes committed. Raises ``MissingExtra``."""
    try:
        engine = lancedb()
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "lancedb", "local") from error
    from datetime import timedelta

    return engine.connect(str(folder), read_consistency_interval=timedelta(0))


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
            pa.field("uid", pa.int64()),
        ]
    )


def rows_of(chunks: Sequence[Chunk], vectors: np.ndarray) -> Any:
    """Return chunks and their vectors (n, d) as an Arrow table."""
    import numpy as np
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
        "vector": pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)), vectors.shape[1]
        ),
        "uid": _uids(len(chunks)),
    }
    return pa.table(columns, schema=schema(vectors.shape[1]))


def _uids(count: int) -> np.ndarray:
    """Return numbers that no other row has: a run of them from a random place among 2**62, so that writers need not know each other."""
    import numpy as np

    return secrets.randbits(62) + np.arange(count, dtype=np.int64)


def make_indices(table: Any) -> None:
    """Index a table by document and id, for what is written next, and put it in order where it lies in too many pieces."""
    from lancedb.index import BTree

    there = {column for index in table.list_indices() for column in index.columns}
    for column in ("document_id", "id"):
        if column not in there and table.count_rows():
            table.create_index(column, config=BTree())
    if _overdue(table):
        table.optimize()


def _overdue(table: Any) -> bool:
    """Return whether so much is not indexed, or lies in so many files, that writing would feel it."""
    outside: int = max((table.index_stats(index.name).num_unindexed_rows for index in table.list_indices()), default=0)
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
    anew = {"readers": stamped, "uid": _uids(len(stamped))}
    columns = [pa.array(anew[field.name], type=field.type) if field.name in anew else rows[field.name] for field in wanted]
    table.merge_insert("id").when_matched_update_all().execute(pa.table(columns, schema=wanted))


def full_disk(error: Exception, place: Path) -> StorageError | None:
    """Return the error to raise where the engine says, in its own words, that the disk is full."""
    text = str(error).lower()
    if "no space left" in text or "os error 28" in text or "disk quota" in text:
        return StorageError(f"no space left while writing the index in {place}", f"free some space, then see: df -h {place}")
    return None
