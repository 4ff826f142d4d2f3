"""Index versions in LanceDB: a table's own versions are the drafts' history, and its tags the published ones.

index/lance/chunks_3f2a.lance            the table: every call is a commit, or two for a document that is replaced; a tag pins one commit
index/lance/segments/chunks_3f2a/        what a published commit is searched by, written before its tag
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import literal
from groundtune.chunks import index_lance as lance
from groundtune.chunks.index import Following
from groundtune.chunks.segments.versions import Versions
from groundtune.chunks.segments.view import View
from groundtune.chunks.store import TORN, Held, Readers, Row, held_of
from groundtune.errors import StaleIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

FEW = 500  # documents that one condition names
MOST_NAMED = 5_000  # documents up to which their rows are asked for by name; beyond, all rows are read and sorted out


def open(settings: Mapping[str, Any], folder: Path) -> LanceStore:
    """Open the engine ``lance`` in the project's index folder; it has no settings."""
    return LanceStore(folder / "lance")


class LanceStore:
    """A folder of tables."""

    place = "lance"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = lance.connect(folder)

    def _tables(self) -> list[str]:
        listed = self._database.list_tables()
        return list(getattr(listed, "tables", listed))

    def draft(self, table: str, dimensions: int) -> LanceDraft:
        """Open or create the table."""
        if table not in self._tables():
            with _storing(self._folder):
                self._database.create_table(table, schema=lance.schema(dimensions))
        return LanceDraft(self._database, table, self._folder, self._versions(table))

    def _versions(self, table: str) -> Versions:
        return Versions(self._folder / "segments" / table)

    def _at(self, table: str, tag: str) -> Any:
        if table not in self._tables():
            raise StaleIndex(f"the table {table} is not in {self._folder}", f"remove {self._folder.parent}, then type: groundtune ingest")
        opened = self._database.open_table(table)
        if tag not in opened.tags.list():
            raise StaleIndex(f"the table {table} in {self._folder} has no version {tag}", "type: groundtune ingest")
        return opened

    def _pinned(self, table: str, tag: str) -> tuple[Any, int]:
        opened = self._at(table, tag)
        opened.checkout(tag)
        if "uid" not in opened.schema.names:
            raise StaleIndex(f"the table {table} in {self._folder} was written by an older version", "type: groundtune ingest")
        return opened, int(opened.version)

    def snapshot(self, table: str, tag: str) -> View:
        """Open what the commit of the tag is searched by."""
        with _storing(self._folder):
            return self._versions(table).view(*self._pinned(table, tag))

    def damage(self, table: str, tag: str) -> list[str]:
        """Return in words what of the files that a version is searched by is not as it was written."""
        return self._versions(table).damage(*self._pinned(table, tag))

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Read what the table holds at its tag."""
        opened = self._at(table, tag)
        opened.checkout(tag)
        return _held(opened)

    def untouched(self, table: str, tag: str) -> bool:
        """Compare the table's newest commit with the tag's."""
        if table not in self._tables():
            return False
        opened = self._database.open_table(table)
        tags = opened.tags.list()
        return tag in tags and int(tags[tag]["version"]) == int(opened.version)

    def held_of(self, table: str, tag: str, document_ids: Sequence[str]) -> tuple[dict[str, Held], int]:
        """Ask for the documents' rows by name; for many of them, read all and sort out."""
        opened = self._at(table, tag)
        opened.checkout(tag)
        if len(document_ids) > MOST_NAMED:
            wanted = set(document_ids)
            return {name: item for name, item in _held(opened).items() if name in wanted}, int(opened.count_rows())
        found: dict[str, Held] = {}
        names = sorted(set(document_ids))
        for begin in range(0, len(names), FEW):
            found |= _held(opened, names[begin : begin + FEW])
        return found, int(opened.count_rows())

    def tags(self, table: str) -> list[str]:
        """Return the table's tags."""
        return sorted(self._database.open_table(table).tags.list()) if table in self._tables() else []

    def rows(self, table: str, tag: str, document_ids: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the rows of these documents, or of all, in the order of the files."""
        opened = self._at(table, tag)
        opened.checkout(tag)
        begins = [None] if document_ids is None or len(document_ids) > MOST_NAMED else range(0, len(document_ids), FEW)
        wanted = None if document_ids is None else set(document_ids)
        for begin in begins:
            query = opened.search().select(list(Row._fields)).limit(max(1, opened.count_rows()))
            if begin is not None and document_ids is not None:
                query = query.where(f"document_id IN ({', '.join(literal(item) for item in document_ids[begin : begin + FEW])})")
            for batch in query.to_batches(batch_size=8_192):
                columns = (batch.column(name).to_pylist() for name in Row._fields)
                yield from (Row(*row) for row in zip(*columns, strict=True) if wanted is None or row[0] in wanted)

    def drop(self, table: str, tag: str) -> None:
        """Remove the tag, then the files that no other tag and not the newest state needs."""
        if table not in self._tables():
            return
        opened = self._database.open_table(table)
        if tag in opened.tags.list():
            opened.tags.delete(tag)
        if opened.tags.list():
            self.reclaim(table)

    def reclaim(self, table: str) -> None:
        """Remove the files of states that lie before every published version, and a table without any."""
        if table not in self._tables():
            return
        opened = self._database.open_table(table)
        kept = opened.tags.list()
        if not kept:
            self._database.drop_table(table)
            self._versions(table).reclaim(())
            return
        self._versions(table).reclaim(int(item["version"]) for item in kept.values())
        made = {item["version"]: item["timestamp"] for item in opened.list_versions()}
        oldest = min(made[item["version"]] for item in kept.values())
        # The engine refuses to clean up past a version that is tagged, so the age is that of the oldest of these and some seconds.
        for spare in (1, 10, 100):
            try:
                opened.optimize(cleanup_older_than=datetime.now(oldest.tzinfo) - oldest + timedelta(seconds=spare))
            except RuntimeError as error:
                if "tagged version" not in str(error) or spare == 100:
                    raise
            else:
                return

    def close(self) -> None:
        """Do nothing: files are opened as they are read."""


class LanceDraft:
    """The newest version of a table."""

    def __init__(self, database: Any, name: str, folder: Path, versions: Versions) -> None:
        self._table = database.open_table(name)
        self._database, self._name = database, name
        self._folder = folder
        self._versions = versions
        self._viewed: tuple[int, View] | None = None

    def held(self) -> dict[str, Held]:
        """Read what the table holds now."""
        return _held(self._table)

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Delete the documents' rows, then add theirs in one commit."""
        if not chunks:
            return
        with _storing(self._folder):
            lance.drop_documents(self._table, self._present({chunk.document_id for chunk in chunks}))
            self._table.add(lance.rows_of(chunks, vectors))

    def _present(self, document_ids: set[str]) -> list[str]:
        """Return those that have rows, so that nothing is deleted, and nothing committed, for documents that are new."""
        if len(document_ids) <= FEW:
            named = ", ".join(literal(item) for item in sorted(document_ids))
            query = self._table.search().where(f"document_id IN ({named})").select(["document_id"])
            return sorted(set(query.limit(max(1, self._table.count_rows())).to_arrow()["document_id"].to_pylist()))
        return sorted(document_ids & self._documents())

    def _documents(self) -> set[str]:
        import pyarrow.compute as pc

        rows = self._table.count_rows()
        if not rows:
            return set()
        return set(pc.unique(self._table.search().select(["document_id"]).limit(rows).to_arrow()["document_id"]).to_pylist())

    def delete(self, document_ids: Sequence[str]) -> None:
        """Delete the documents' rows."""
        with _storing(self._folder):
            lance.drop_documents(self._table, document_ids)

    def restamp(self, readers: Mapping[str, Readers]) -> None:
        """Write other readers into the documents' rows, in one commit."""
        if readers:
            with _storing(self._folder):
                lance.restamp(self._table, readers)

    def index(self) -> Following:
        """Return search over the table as it is whenever it is asked: what was published by its segments, what came since beside them."""
        return Following(self._view)

    def _now(self) -> tuple[Any, int]:
        """Return the table as it is now and stays, and the number of its last commit."""
        pinned = self._database.open_table(self._name)
        pinned.checkout(pinned.version)
        return pinned, int(pinned.version)

    def _view(self) -> View:
        """Return search over the last commit; the one from before where there is no later one."""
        known = self._viewed
        if known is None or known[0] != int(self._table.version):
            pinned, version = self._now()
            known = self._viewed = version, self._versions.passing(pinned, version)
        return known[1]

    def publish(self, tag: str) -> None:
        """Write what the table is searched by, then tag it."""
        with _storing(self._folder):
            lance.make_indices(self._table)
            pinned, version = self._now()
            self._versions.view(pinned, version)
            if tag in self._table.tags.list():
                self._table.tags.update(tag, version)
            else:
                self._table.tags.create(tag, version)


def _held(table: Any, document_ids: Sequence[str] | None = None) -> dict[str, Held]:
    """Read four columns and count them together in the engine's memory: a million rows are too many to look at one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = ["document_id", "document_hash", "ordinal", "readers"]
    query = table.search().select(columns).limit(max(1, table.count_rows()))
    if document_ids is not None:
        query = query.where(f"document_id IN ({', '.join(literal(item) for item in document_ids)})")
    rows = query.to_arrow()
    readers = rows["readers"].combine_chunks()
    kinds = pc.fill_null(pc.binary_join(readers.cast(pa.list_(pa.string())), "\0"), "")
    # A list of one empty name reads like an empty list; lengths tell them apart.
    sizes = pc.fill_null(pc.list_value_length(readers), 0)
    keyed = pa.table({"document": rows["document_id"], "hash": rows["document_hash"], "readers": kinds, "size": sizes})
    groups = keyed.group_by(["document", "hash", "readers", "size"]).aggregate([([], "count_all")]).to_pydict()
    found: dict[str, Held] = {}
    mixed: set[str] = set()
    sets: dict[tuple[str, int], frozenset[str]] = {}
    for name, text_hash, joined, size, count in zip(
        groups["document"], groups["hash"], groups["readers"], groups["size"], groups["count_all"], strict=True
    ):
        old = found.get(name)
        may = sets.get((joined, size))
        if may is None:
            may = sets[joined, size] = frozenset(joined.split("\0")) if size else frozenset()
        if old is not None:
            mixed.add(name)
        found[name] = Held(text_hash, may, count) if old is None else Held(TORN, may, old.chunks + count)
    if mixed:
        # Few documents have chunks with different readers; those are looked at one by one.
        picked = rows.filter(pc.is_in(rows["document_id"], value_set=pa.array(sorted(mixed))))
        each = zip(*(picked[name].to_pylist() for name in columns), strict=True)
        found |= held_of((name, text_hash, ordinal, may or (), None) for name, text_hash, ordinal, may in each)
    return found


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Tell a full disk from other failures of the engine."""
    try:
        yield
    except RuntimeError as error:
        told = lance.full_disk(error, folder)
        if told is not None:
            raise told from error
        raise
