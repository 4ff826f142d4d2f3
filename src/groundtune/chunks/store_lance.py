"""Index versions in LanceDB: a table's own versions are the drafts' history, and its tags the published ones.

Every call is a commit of the table, or two for a document that is replaced; a tag pins one commit, and readers follow tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks import index_lance as lance
from groundtune.chunks.store import Held, held_of
from groundtune.errors import StaleIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np


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
        if table in self._tables():
            return LanceDraft(self._database.open_table(table), self._folder)
        with _storing(self._folder):
            return LanceDraft(self._database.create_table(table, schema=lance.schema(dimensions)), self._folder)

    def _at(self, table: str, tag: str) -> Any:
        if table not in self._tables():
            raise StaleIndex(f"the table {table} is not in {self._folder}", f"remove {self._folder.parent}, then type: groundtune ingest")
        opened = self._database.open_table(table)
        if tag not in opened.tags.list():
            raise StaleIndex(f"the table {table} in {self._folder} has no version {tag}", "type: groundtune ingest")
        return opened

    def snapshot(self, table: str, tag: str) -> lance.LanceIndex:
        """Open the table at its tag."""
        return lance.LanceIndex(self._at(table, tag), tag)

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Read what the table holds at its tag."""
        opened = self._at(table, tag)
        opened.checkout(tag)
        return _held(opened)

    def tags(self, table: str) -> list[str]:
        """Return the table's tags."""
        return sorted(self._database.open_table(table).tags.list()) if table in self._tables() else []

    def drop(self, table: str, tag: str) -> None:
        """Remove the tag. Its files go when the table's old versions are cleaned up."""
        if tag in self.tags(table):
            self._database.open_table(table).tags.delete(tag)

    def close(self) -> None:
        """Do nothing: files are opened as they are read."""


class LanceDraft:
    """The newest version of a table."""

    def __init__(self, table: Any, folder: Path) -> None:
        self._table = table
        self._folder = folder

    def held(self) -> dict[str, Held]:
        """Read what the table holds now."""
        return _held(self._table)

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Delete the documents' rows, then add theirs in one commit."""
        if not chunks:
            return
        with _storing(self._folder):
            lance.drop_documents(self._table, sorted({chunk.document_id for chunk in chunks}))
            self._table.add(lance.rows_of(chunks, vectors))

    def delete(self, document_ids: Sequence[str]) -> None:
        """Delete the documents' rows."""
        with _storing(self._folder):
            lance.drop_documents(self._table, document_ids)

    def restamp(self, readers: Mapping[str, frozenset[str]]) -> None:
        """Write other readers into the documents' rows, in one commit."""
        if readers:
            with _storing(self._folder):
                lance.restamp(self._table, readers)

    def index(self) -> lance.LanceIndex:
        """Return search over the table as it is now; an index that is opened later sees what came after."""
        return lance.LanceIndex(self._table)

    def publish(self, tag: str) -> None:
        """Index what is new, then tag the table."""
        with _storing(self._folder):
            lance.make_indices(self._table)
            if tag in self._table.tags.list():
                self._table.tags.delete(tag)
            self._table.tags.create(tag, self._table.version)


def _held(table: Any) -> dict[str, Held]:
    columns = ["document_id", "document_hash", "readers"]
    rows = table.search().select(columns).limit(max(1, table.count_rows())).to_arrow().to_pylist()
    return held_of((row["document_id"], row["document_hash"], row["readers"], None) for row in rows)


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
