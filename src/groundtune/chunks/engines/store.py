"""Versions over any ``Rows``: a row is in every version from ``born`` to before ``died``; a version is one number with a name.

    write     put the new rows, then end the old ones: a version that was published sees neither
    publish   one row, ``version:`` + the name, that holds the number; readers look it up once

Databases of this kind have no transactions. A writer that is killed between two requests leaves a document of which the draft holds too
much or too little; each row says how many there should be, so such a document counts as torn, and the next write replaces it. Published
versions are never touched. One writer at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from groundtune.access.filter import Filter, Predicate
from groundtune.chunks import store as stores
from groundtune.chunks.engines.rows import ALIVE, NAMED, SENT, Ranks, Row, Rows, Where, chunk_of, key_of, payload_of
from groundtune.chunks.engines.words import ranked, words_of
from groundtune.chunks.index import Hit, sayable, wanted
from groundtune.chunks.store import Held, Readers, by_document, held_of, stamp
from groundtune.chunks.words import spaced
from groundtune.errors import InputError, StaleIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

# The document that the rows naming versions belong to. They are born when everything has died, so that no version shows them.
VERSIONS = "version:"

T = TypeVar("T")


class RowStore:
    """A store of versions in a database of rows."""

    def __init__(self, database: Rows) -> None:
        self.database = database
        self.place = database.place

    def draft(self, table: str, dimensions: int) -> RowDraft:
        """Open or create the table."""
        self.database.create(table, dimensions)
        return RowDraft(self, table, dimensions)

    def snapshot(self, table: str, tag: str) -> RowIndex:
        """Open a version for searching."""
        mark = self._mark(table, tag)
        at, total = int(mark["ordinal"]), int(mark["part_of"])
        return RowIndex(self.database, table, lambda: at, lambda: total, fixed=True)

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Read what a version holds."""
        return self.held_at(table, int(self._mark(table, tag)["ordinal"]))

    def tags(self, table: str) -> list[str]:
        """Return the names of a table's versions."""
        return sorted(row.payload["chunk_id"] for row in self.marks(table) if not row.payload["title"])

    def drop(self, table: str, tag: str) -> None:
        """Give a version up, and delete the rows that nothing shows any more."""
        marks = {row.payload["chunk_id"]: row for row in self.marks(table, vectors=True)}
        if tag not in marks:
            return
        # The row stays, so that no number is given twice.
        self.database.put(table, [replace(marks[tag], payload={**marks[tag].payload, "title": "dropped"})])
        shown = [int(row.payload["ordinal"]) for name, row in marks.items() if name != tag and not row.payload["title"]]
        gone = [
            row.key
            for row in self.database.find(table, Where(groups=None))
            if int(row.payload["died"]) != ALIVE and not any(int(row.payload["born"]) <= at < int(row.payload["died"]) for at in shown)
        ]
        for part in parts(gone, SENT):
            self.database.erase(table, part)

    def rows(self, table: str, tag: str, document_ids: Sequence[str] | None = None) -> Iterator[stores.Row]:
        """Yield the rows of these documents, or of all."""
        at = int(self._mark(table, tag)["ordinal"])
        some: list[tuple[str, ...] | None] = [None] if document_ids is None else [tuple(part) for part in parts(list(document_ids), NAMED)]
        for documents in some:
            for row in self.database.find(table, Where(groups=None, at=at, documents=documents)):
                chunk = chunk_of(row.payload)
                yield stores.Row(chunk.document_id, chunk.id, chunk.ordinal, chunk.start, chunk.end, chunk.text)

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def marks(self, table: str, *, vectors: bool = False) -> list[Row]:
        """Return the rows that name versions, dropped ones included."""
        return (
            list(self.database.find(table, Where(groups=None, documents=(VERSIONS,)), vectors=vectors)) if self.database.has(table) else []
        )

    def next(self, table: str) -> int:
        """Return the number of the version that the draft becomes."""
        return 1 + max((int(row.payload["ordinal"]) for row in self.marks(table)), default=0)

    def held_at(self, table: str, at: int) -> dict[str, Held]:
        """Read what is there at a number."""
        found = (row.payload for row in self.database.find(table, Where(groups=None, at=at)))
        return held_of(
            (item["document_id"], item["document_hash"], int(item["ordinal"]), item.get("readers") or (), int(item["part_of"]))
            for item in found
        )

    def _mark(self, table: str, tag: str) -> Mapping[str, Any]:
        for row in self.marks(table):
            if row.payload["chunk_id"] == tag and not row.payload["title"]:
                return row.payload
        raise StaleIndex(f"the table {table} in {self.place} has no version {tag}", "type: groundtune ingest")


class RowDraft:
    """The rows of a table that have not died."""

    def __init__(self, store: RowStore, table: str, dimensions: int) -> None:
        self._store, self._rows, self._table, self._dimensions = store, store.database, table, dimensions

    def held(self) -> dict[str, Held]:
        """Read what the draft holds."""
        return self._store.held_at(self._table, self._store.next(self._table))

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Put the new rows, then end the old ones."""
        seq = self._store.next(self._table)
        sizes = by_document(chunks)
        old = list(self._of(sorted(sizes), seq))
        rows = [
            Row(key_of(chunk.id, seq), vector, payload_of(chunk, seq, sizes[chunk.document_id]))
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        for part in parts(rows, SENT):
            self._rows.put(self._table, part)
        kept = {row.key for row in rows}
        self._end([row for row in old if row.key not in kept], seq)

    def delete(self, document_ids: Sequence[str]) -> None:
        """End the documents' rows."""
        seq = self._store.next(self._table)
        self._end(list(self._of(document_ids, seq)), seq)

    def restamp(self, readers: Mapping[str, Readers]) -> None:
        """Put copies with other readers, then end the rows that were copied."""
        seq = self._store.next(self._table)
        old = list(self._of(sorted(readers), seq, vectors=True))
        for part in parts(old, SENT):
            stamped = []
            for row in part:
                chunk = chunk_of(row.payload)
                chunk = replace(chunk, readers=stamp(readers[chunk.document_id], chunk.ordinal))
                stamped.append(Row(key_of(chunk.id, seq), row.vector, payload_of(chunk, seq, int(row.payload["part_of"]))))
            self._rows.put(self._table, stamped)
        self._end([row for row in old if int(row.payload["born"]) < seq], seq)

    def index(self) -> RowIndex:
        """Return search over the draft; it sees every later write."""

        def at() -> int:
            return self._store.next(self._table)

        return RowIndex(self._rows, self._table, at, lambda: self._rows.count(self._table, Where(groups=None, at=at())))

    def publish(self, tag: str) -> None:
        """Put the one row that gives the draft's number this name."""
        import numpy as np

        seq = self._store.next(self._table)
        mark = Chunk(
            id=tag,
            document_id=VERSIONS,
            document_hash="",
            ordinal=seq,
            text="",
            start=0,
            end=0,
            heading_path=(),
            title="",
            readers=frozenset(),
            tokens=0,
        )
        total = self._rows.count(self._table, Where(groups=None, at=seq))
        vector = np.eye(1, self._dimensions, dtype=np.float32)[0]
        self._rows.put(self._table, [Row(key_of(VERSIONS + tag, ALIVE), vector, payload_of(mark, ALIVE, total))])

    def _of(self, document_ids: Sequence[str], seq: int, *, vectors: bool = False) -> Iterator[Row]:
        for named in parts(document_ids, NAMED):
            yield from self._rows.find(self._table, Where(groups=None, at=seq, documents=tuple(named)), vectors=vectors)

    def _end(self, rows: Iterable[Row], seq: int) -> None:
        """Take rows out of the draft: from the database those that no version shows."""
        new = [row.key for row in rows if int(row.payload["born"]) == seq]
        for part in parts(new, SENT):
            self._rows.erase(self._table, part)
        for part in parts([row.key for row in rows if int(row.payload["born"]) < seq], SENT):
            self._rows.end(self._table, part, seq)


class RowIndex:
    """The rows of one version (``fixed``), or of the draft."""

    def __init__(self, rows: Rows, table: str, at: Callable[[], int], total: Callable[[], int], *, fixed: bool = False) -> None:
        self._rows, self._table, self._at, self._total, self._fixed = rows, table, at, total, fixed
        self._known: frozenset[str] | None = None

    def count(self) -> int:
        """Return how many chunks there are, hidden ones included."""
        return self._total()

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25: in the database where it does that, else over the rows that hold a word of the text and may be seen."""
        plain = text.encode("utf-8", "replace").decode()
        asked = sorted(set(words_of(plain)))
        where = self._where(allowed, filter)
        if where is None or not asked:
            return []
        if isinstance(self._rows, Ranks):
            # As it was asked: how letters are folded is the database's own affair.
            said = "".join(letter if letter.isprintable() else " " for letter in spaced(plain))
            hits = [Hit(name, score) for name, score in self._rows.keyword(self._table, said, where, limit)]
            return sorted(hits, key=lambda hit: (-hit.score, hit.id))
        found = self._rows.find(self._table, replace(where, words=tuple(asked)))
        return ranked(((row.payload["chunk_id"], row.payload["search_text"]) for row in found), asked, self._total(), limit)

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine, as the database does."""
        import numpy as np

        where = self._where(allowed, filter)
        length = float(np.linalg.norm(vector))
        if where is None or length == 0:
            return []
        found = self._rows.nearest(self._table, np.asarray(vector, dtype=np.float32) / length, where, limit)
        return sorted((Hit(name, score) for name, score in found), key=lambda hit: (-hit.score, hit.id))

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        where = self._where(allowed, None)
        found: dict[str, Chunk] = {}
        if where is None:
            return found
        for named in parts(sayable(ids), NAMED):
            for row in self._rows.find(self._table, replace(where, ids=tuple(named))):
                found[row.payload["chunk_id"]] = chunk_of(row.payload)
        return found

    def _where(self, allowed: Predicate, filter: Filter | None) -> Where | None:
        """Return the asker's filter and permission as a condition; ``None`` where nothing can meet it."""
        groups, labels = tuple(sayable(sorted(allowed.groups))), wanted(filter, self._labels)
        if not groups or labels is None:
            return None
        if labels.none and not self._rows.negates:
            raise InputError(
                f"the filter asks for what is not {' or '.join(labels.none)}, which {self._rows.place} cannot be asked",
                "name the values that are wanted (version=4|5), or take the engine lance, pgvector or qdrant",
            )
        return Where(groups=groups, at=self._at(), labels=labels.some, without=labels.none)

    def _labels(self) -> frozenset[str]:
        """Return the labels that there are, for a range: read from all rows, once for a version. What may be seen is asked after that."""
        if self._known is not None:
            return self._known
        rows = self._rows.find(self._table, Where(groups=None, at=self._at()))
        found = frozenset(label for row in rows for label in row.payload.get("labels") or ())
        if self._fixed:
            self._known = found
        return found


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in runs of at most ``size``."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
