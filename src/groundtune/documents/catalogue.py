"""What was read, from where, and what became of it: one SQLite file, so that nothing is read or parsed twice.

    items      (source, name) → stamp, hash of the bytes, state, reasons
    documents  id → the document as JSON, and its signature for near-duplicates
    sources    name → when it was last listed, and why not since

It holds no secret and nothing that cannot be made again from the sources, apart from which bad items somebody chose to drop.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from groundtune.errors import DocumentError, GroundtuneError, StorageError
from groundtune.files import plain, storing
from groundtune.types import Document

SCHEMA = 2
TABLES = """
CREATE TABLE items (source TEXT, name TEXT, stamp TEXT, given TEXT, raw TEXT, state TEXT, reasons TEXT, PRIMARY KEY (source, name));
CREATE TABLE documents (id TEXT PRIMARY KEY, source TEXT, item TEXT, row TEXT, signature BLOB);
CREATE INDEX documents_by_item ON documents (source, item);
CREATE TABLE sources (name TEXT PRIMARY KEY, listed_at TEXT, reason TEXT)
"""

State = Literal["ok", "partly", "failed", "dropped", "unread"]
# What is wrong with an item: the message, the next step, and what kind of trouble it is (``DocumentError.state``).
Reason = tuple[str, str, str]
OUT_OF_REACH = "out of reach"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An item as it was last read. ``raw`` is the SHA-256 of its bytes, ``given`` a fingerprint of all that its documents also hang on.

    ``state``: ``ok``; ``partly`` (some of what is in it could not be read); ``failed`` (nothing of it is served); ``dropped`` (failed, and
    somebody chose not to hear of it again); ``unread`` (it could not be fetched; what is served is as it was before).
    """

    source: str
    name: str
    stamp: str
    given: str
    raw: str
    state: State
    reasons: tuple[Reason, ...] = ()
    documents: tuple[Document, ...] = ()
    signatures: Mapping[str, bytes] = field(default_factory=dict)


def reason_of(error: GroundtuneError) -> Reason:
    """Return an error as it is kept."""
    return error.message, error.hint, getattr(error, "state", OUT_OF_REACH)


def remembered(reasons: Iterable[Reason]) -> tuple[DocumentError, ...]:
    """Return what was kept as errors again."""
    return tuple(DocumentError(message, hint, state=state) for message, hint, state in reasons)


class Catalogue:
    """Open the catalogue at ``path``; ``None`` for the path keeps it in memory. Raises ``StorageError`` when it cannot be used."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._known: dict[str, dict[str, Known]] = {}
        self._seen = 0
        if path is not None and not read_only:
            with storing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        there = path is not None and (not read_only or path.is_file())
        with self._told():
            self._db = sqlite3.connect(str(path) if there else ":memory:", timeout=30, isolation_level=None)
            if there and not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA:
                if there and read_only:
                    self._db.close()
                    self._db = sqlite3.connect(":memory:", isolation_level=None)
                self._make()

    def _make(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for table in ("items", "documents", "sources"):
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in TABLES.split(";"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            hint = f"it can be made again; remove it (rm {self.path}), then type: groundtune ingest"
            raise StorageError(f"the catalogue {self.path} cannot be used: {error}", hint) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold one transaction: all of what is written inside, or nothing."""
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            self._forget_what_others_changed()
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                self._known.clear()
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def known(self, source: str) -> dict[str, Known]:
        """Return the items of a source by name, with the documents that were made of them; read once, until somebody else writes."""
        with self._told():
            self._forget_what_others_changed()
        if source not in self._known:
            self._known[source] = self._read(source)
        return dict(self._known[source])

    def _forget_what_others_changed(self) -> None:
        """Drop what was read before another connection wrote; the number changes with that, and not with our own writing."""
        number = self._db.execute("PRAGMA data_version").fetchone()[0]
        if number != self._seen:
            self._known.clear()
            self._seen = number

    def _read(self, source: str) -> dict[str, Known]:
        with self._told():
            rows = self._db.execute("SELECT item, row, signature FROM documents WHERE source = ? ORDER BY id", (source,)).fetchall()
            made: dict[str, list[tuple[Document, bytes]]] = {}
            for item, row, signature in rows:
                made.setdefault(item, []).append((_document(row), signature))
            items = self._db.execute("SELECT name, stamp, given, raw, state, reasons FROM items WHERE source = ?", (source,)).fetchall()
        return {
            name: Known(
                source=source,
                name=name,
                stamp=stamp,
                given=given,
                raw=raw,
                state=state,
                # Written before there were states, a reason has none.
                reasons=tuple((reason[0], reason[1], reason[2] if len(reason) > 2 else "unreadable") for reason in json.loads(reasons)),
                documents=tuple(document for document, _ in made.get(name, [])),
                signatures={document.id: signature for document, signature in made.get(name, [])},
            )
            for name, stamp, given, raw, state, reasons in items
        }

    def keep(self, items: Iterable[Known]) -> None:
        """Write items with their documents in place of what was there. Only inside ``writing``."""
        for item in items:
            if item.source in self._known:
                self._known[item.source][item.name] = item
            self._db.execute("DELETE FROM documents WHERE source = ? AND item = ?", (item.source, item.name))
            self._db.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (item.source, item.name, item.stamp, item.given, item.raw, item.state, json.dumps(item.reasons, ensure_ascii=False)),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)",
                [
                    (document.id, item.source, item.name, json.dumps(plain(document), ensure_ascii=False), item.signatures.get(document.id))
                    for document in item.documents
                ],
            )

    def forget(self, source: str, names: Iterable[str]) -> None:
        """Remove items that are gone, with their documents. Only inside ``writing``."""
        pairs = [(source, name) for name in names]
        for name in (name for _, name in pairs):
            self._known.get(source, {}).pop(name, None)
        self._db.executemany("DELETE FROM documents WHERE source = ? AND item = ?", pairs)
        self._db.executemany("DELETE FROM items WHERE source = ? AND name = ?", pairs)

    def listed(self, source: str, at: str, reason: str = "") -> None:
        """Record that a source was listed, or why it was not. Only inside ``writing``."""
        if reason:
            self._db.execute("INSERT OR IGNORE INTO sources VALUES (?, '', '')", (source,))
            self._db.execute("UPDATE sources SET reason = ? WHERE name = ?", (reason, source))
        else:
            self._db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, '')", (source, at))

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return, by source, when it was last listed (UTC, empty: never) and why not since (empty: it was)."""
        with self._told():
            rows = self._db.execute("SELECT name, listed_at, reason FROM sources").fetchall()
        return {name: (listed_at, reason) for name, listed_at, reason in rows}

    def forget_source(self, name: str) -> None:
        """Remove a source that the project does not name any more. Only inside ``writing``."""
        self._known.pop(name, None)
        for table, column in (("documents", "source"), ("items", "source"), ("sources", "name")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Document)


def _document(row: str) -> Document:
    made: Document = _adapter().validate_json(row)
    return made
