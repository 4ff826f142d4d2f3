"""What was read, from where, and what became of it: one SQLite file, so that nothing is read or parsed twice.

    items      (source, name) → stamp, hash of the bytes, state, reasons
    documents  id → what it is known by: hash, readers, title, metadata, and its signature for near-duplicates
    texts      id → the whole document as JSON, read where its text is asked for
    sources    name → when it was last listed, and why not since
    state      a word that is another one after every change, by which a process knows whether what it read before still holds

It holds no secret and nothing that cannot be made again from the sources, apart from which bad items somebody chose to drop.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from groundtune.documents.kept import Kept, kept
from groundtune.errors import DocumentError, GroundtuneError, StorageError
from groundtune.files import plain, storing
from groundtune.types import Document

SCHEMA = 3
BEFORE = 2  # had the whole document in one row, beside its signature
TABLES = """
CREATE TABLE IF NOT EXISTS items (source TEXT, name TEXT, stamp TEXT, given TEXT, raw TEXT, state TEXT, reasons TEXT,
    PRIMARY KEY (source, name));
CREATE TABLE documents (id TEXT PRIMARY KEY, source TEXT, item TEXT, path TEXT, title TEXT, hash TEXT, readers TEXT, metadata TEXT,
    unnamed INTEGER, signature BLOB);
CREATE INDEX documents_by_item ON documents (source, item);
CREATE TABLE texts (id TEXT PRIMARY KEY, row TEXT);
CREATE TABLE state (word TEXT);
CREATE TABLE IF NOT EXISTS sources (name TEXT PRIMARY KEY, listed_at TEXT, reason TEXT)
"""
HEAD = "id, path, title, hash, readers, metadata, unnamed"

State = Literal["ok", "partly", "failed", "dropped", "unread"]
# What is wrong with an item: the message, the next step, and what kind of trouble it is (``DocumentError.state``).
Reason = tuple[str, str, str]
OUT_OF_REACH = "out of reach"
MANY = 500  # texts that are rather read in one go than one by one


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


# What was read last, by file: the word of its state, and the items of each source.
_READ: dict[Path, tuple[str, dict[str, dict[str, Known]]]] = {}
_LOCK = Lock()
MOST_READ = 2


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
        self._seen = ""
        if path is not None and not read_only:
            with storing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        there = path is not None and (not read_only or path.is_file())
        with self._told():
            self._db = sqlite3.connect(str(path) if there else ":memory:", timeout=30, isolation_level=None)
            if there and not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
            if self._version() != SCHEMA:
                if there and read_only:
                    self._go_to_memory()
                    there = False
                self._make()
        self._file = path if there else None

    def _version(self) -> int:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _go_to_memory(self) -> None:
        """Leave the file as it is, and go on with a copy where that can be brought to the present form."""
        file, self._db = self._db, sqlite3.connect(":memory:", isolation_level=None)
        if file.execute("PRAGMA user_version").fetchone()[0] == BEFORE:
            file.backup(self._db)
        file.close()

    def _make(self) -> None:
        """Make the tables; what the form before had is kept, and any other is read from the sources again."""
        self._db.execute("BEGIN IMMEDIATE")
        before = self._version()
        if before != SCHEMA:  # otherwise another process was first
            rows = self._db.execute("SELECT source, item, row, signature FROM documents").fetchall() if before == BEFORE else []
            for table in ("documents", "texts", "state", *(("items", "sources") if before != BEFORE else ())):
                self._db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in TABLES.split(";"):
                self._db.execute(statement)
            for source, item, row, signature in rows:
                self._insert(source, item, _document(row), signature)
            self._db.execute("INSERT INTO state VALUES (?)", (secrets.token_hex(8),))
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
            self._look_again()
            self._known = {source: dict(items) for source, items in self._known.items()}
            word = secrets.token_hex(8)
            try:
                yield
                self._db.execute("UPDATE state SET word = ?", (word,))
            except BaseException:
                self._db.execute("ROLLBACK")
                self._known, self._seen = {}, ""
                raise
            self._db.execute("COMMIT")
            self._seen = word
            self._share()

    def close(self) -> None:
        """Close the file. Texts of its documents can be asked for all the same."""
        self._db.close()

    def known(self, source: str) -> dict[str, Known]:
        """Return the items of a source by name, with the documents that were made of them; a process reads once, until somebody writes."""
        with self._told():
            self._look_again()
        if source not in self._known:
            self._known[source] = self._read(source)
            self._share()
        return dict(self._known[source])

    def _look_again(self) -> None:
        """Drop what was read before somebody else wrote, and take what this process has read since."""
        word = self._db.execute("SELECT word FROM state").fetchone()[0]
        if word != self._seen:
            there = _READ.get(self._file) if self._file is not None else None
            self._known = dict(there[1]) if there is not None and there[0] == word else {}
            self._seen = word

    def _share(self) -> None:
        """Leave what is known for the next who opens this file in this process; it is not changed from here on."""
        if self._file is not None and not self._db.in_transaction:
            with _LOCK:
                _READ.pop(self._file, None)
                while len(_READ) >= MOST_READ:
                    del _READ[next(iter(_READ))]
                _READ[self._file] = (self._seen, dict(self._known))

    @contextmanager
    def _at_one_moment(self) -> Iterator[None]:
        """Let what is read inside be of one state, whatever others write meanwhile."""
        inside = self._db.in_transaction
        if not inside:
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            if not inside:
                self._db.execute("COMMIT")

    def _read(self, source: str) -> dict[str, Known]:
        with self._told(), self._at_one_moment():
            rows = self._db.execute(f"SELECT item, signature, {HEAD} FROM documents WHERE source = ? ORDER BY id", (source,)).fetchall()  # noqa: S608
            items = self._db.execute("SELECT name, stamp, given, raw, state, reasons FROM items WHERE source = ?", (source,)).fetchall()
        fetch = self.document if self._file is None else partial(_fetched, self._file)
        made: dict[str, list[tuple[Kept, bytes]]] = {}
        # Most documents have readers, and often metadata, in common with others.
        readers_of: dict[str, frozenset[str]] = {}
        metadata_of: dict[str, Mapping[str, str]] = {}
        for item, signature, name, path, title, text_hash, readers, metadata, unnamed in rows:
            may = readers_of.get(readers)
            if may is None:
                may = readers_of[readers] = frozenset(json.loads(readers))
            fields = metadata_of.get(metadata)
            if fields is None:
                fields = metadata_of[metadata] = json.loads(metadata)
            made.setdefault(item, []).append((kept(fetch, name, path, title, text_hash, may, fields, bool(unnamed)), signature))
        return {
            name: Known(
                source=source,
                name=name,
                stamp=stamp,
                given=given,
                raw=raw,
                state=state,
                reasons=_reasons(reasons) if reasons != "[]" else (),
                documents=tuple(document for document, _ in made.get(name, ())),
                signatures={document.id: signature for document, signature in made.get(name, ())},
            )
            for name, stamp, given, raw, state, reasons in items
        }

    def document(self, name: str, content_hash: str) -> Document:
        """Return a document whole. Raises ``StorageError`` where the catalogue does not hold it with this hash any more."""
        with self._told():
            found = self._db.execute("SELECT row FROM texts WHERE id = ?", (name,)).fetchone()
        made = None if found is None else _document(found[0])
        if made is None or made.content_hash != content_hash:
            raise StorageError(
                f"the catalogue {self.path} does not hold {name} as it was: it was changed by another process meanwhile",
                "type: groundtune ingest",
            )
        return made

    def fill(self, documents: Iterable[Document]) -> None:
        """Fetch the texts of these documents together, so that they are there when the catalogue is closed. Raises as ``document``."""
        wanted = {document.id: document for document in documents if isinstance(document, Kept) and not document.fetched}
        if len(wanted) > MANY:
            with self._told():
                for name, row in self._db.execute("SELECT id, row FROM texts"):
                    if name in wanted:
                        wanted[name].fill(_document(row))
        for document in wanted.values():
            _ = document.text

    def keep(self, items: Iterable[Known]) -> None:
        """Write items with their documents in place of what was there. Only inside ``writing``."""
        for item in items:
            stored = set(self._db.execute(f"SELECT {HEAD} FROM documents WHERE source = ? AND item = ?", (item.source, item.name)))  # noqa: S608
            if stored != {_head(document) for document in item.documents}:
                # Before they are taken out: an item that was not read has its texts there.
                self.fill(item.documents)
                self._out([(item.source, item.name)])
                for document in item.documents:
                    self._insert(item.source, item.name, document, item.signatures.get(document.id))
            if item.source in self._known:
                self._known[item.source][item.name] = item
            self._db.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (item.source, item.name, item.stamp, item.given, item.raw, item.state, json.dumps(item.reasons, ensure_ascii=False)),
            )

    def _insert(self, source: str, item: str, document: Document, signature: bytes | None) -> None:
        columns = f"source, item, signature, {HEAD}"
        marks = ", ".join("?" * (columns.count(",") + 1))
        values = (source, item, signature, *_head(document))
        self._db.execute(f"INSERT OR REPLACE INTO documents ({columns}) VALUES ({marks})", values)  # noqa: S608
        self._db.execute("INSERT OR REPLACE INTO texts VALUES (?, ?)", (document.id, json.dumps(plain(document), ensure_ascii=False)))

    def forget(self, source: str, names: Iterable[str]) -> None:
        """Remove items that are gone, with their documents. Only inside ``writing``."""
        pairs = [(source, name) for name in names]
        for _, name in pairs:
            self._known.get(source, {}).pop(name, None)
        self._out(pairs)
        self._db.executemany("DELETE FROM items WHERE source = ? AND name = ?", pairs)

    def _out(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Take the documents of these items (source, name) out."""
        whose = "SELECT id FROM documents WHERE source = ? AND item = ?"
        self._db.executemany(f"DELETE FROM texts WHERE id IN ({whose})", pairs)  # noqa: S608
        self._db.executemany("DELETE FROM documents WHERE source = ? AND item = ?", pairs)

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
        self._db.execute("DELETE FROM texts WHERE id IN (SELECT id FROM documents WHERE source = ?)", (name,))
        for table, column in (("documents", "source"), ("items", "source"), ("sources", "name")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608


def _fetched(path: Path, name: str, content_hash: str) -> Document:
    """Return a document of a catalogue that may be closed by now, or open in another thread."""
    opened = Catalogue(path, read_only=True)
    try:
        return opened.document(name, content_hash)
    finally:
        opened.close()


def _head(document: Document) -> tuple[str | int, ...]:
    """Return what a document is known by, as the columns ``HEAD`` have it."""
    readers, metadata = (json.dumps(plain(value), ensure_ascii=False) for value in (document.readers, document.metadata))
    return (document.id, document.source, document.title, document.content_hash, readers, metadata, int(document.unnamed))


def _reasons(written: str) -> tuple[Reason, ...]:
    # Written before there were states, a reason has none.
    return tuple((reason[0], reason[1], reason[2] if len(reason) > 2 else "unreadable") for reason in json.loads(written))


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Document)


def _document(row: str) -> Document:
    made: Document = _adapter().validate_json(row)
    return made
