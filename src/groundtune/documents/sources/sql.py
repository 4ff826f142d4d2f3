"""A query of a database, through SQLAlchemy: each row is a document.

    query = "SELECT id, body, team FROM articles", columns = {name = "id", text = "body", readers = "team"}
    →  Item("17.txt", readers={"support"}, read → the body)

The query may only read, and its transaction is rolled back. Every row is read each time; unchanged ones are known by their hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.access.sql import GUARDS, READS, located, said
from groundtune.documents.load import HINT, most_bytes, too_large
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import DocumentError, MissingExtra, SourceError

OWN = ("name", "text", "title", "format", "readers")
MOST_TOGETHER = 2_000_000_000  # bytes of all rows, which are in memory together


def open(settings: Mapping[str, Any], folder: Path) -> Rows:
    """Open a query. ``columns`` maps name and text, and may map title, format and readers; every other key in it is metadata."""
    name, columns = settings["name"], settings["columns"]
    hint = f"correct the [[sources]] table of {name}, then type: groundtune ingest"
    if not settings.get("url") or not settings.get("query"):
        raise SourceError(f"source {name}: needs url (or url_env) and query", hint)
    if not READS.match(settings["query"]):
        raise SourceError(f"source {name}: its query does not begin with SELECT or WITH", hint)
    missing = [key for key in ("name", "text") if key not in columns]
    if missing:
        raise SourceError(f"source {name}: columns names no {' and no '.join(missing)}", hint)
    return Rows(
        name,
        settings["url"],
        settings["query"],
        columns,
        folder=folder,
        options=settings["options"],
        timeout=settings["timeout_seconds"],
        most_items=settings["most_items"],
    )


class Rows:
    """The rows of one query."""

    def __init__(
        self,
        name: str,
        url: str,
        query: str,
        columns: Mapping[str, str],
        *,
        folder: Path,
        options: Mapping[str, str],
        timeout: float,
        most_items: int,
    ) -> None:
        self.name = name
        self.url = url
        self.query = query
        self.columns = columns
        self.folder = folder
        self.options = options
        self.timeout = timeout
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """Return the rows. Raises ``SourceError`` for what the database refuses, and for columns that the query does not give."""
        try:
            import sqlalchemy as sa
        except ModuleNotFoundError as error:
            raise MissingExtra.of("sqlalchemy", "sources") from error
        try:
            engine = sa.create_engine(located(sa, self.url, self.folder), connect_args=dict(self.options))
        except ModuleNotFoundError as error:
            driver = error.name or "the database's driver"
            raise SourceError(f"source {self.name}: {driver} is not installed", f"type: pip install {driver}") from None
        except (sa.exc.SQLAlchemyError, ValueError, FileNotFoundError) as error:
            raise SourceError(f"source {self.name}: {said(error)}", "correct its url, then type: groundtune ingest") from None
        try:
            with engine.connect() as connection:
                for statement in GUARDS.get(engine.dialect.name, ()):
                    connection.execute(sa.text(statement.format(int(self.timeout * 1000))))
                result = connection.execution_options(stream_results=True, max_row_buffer=1000).execute(sa.text(self.query))
                given = list(result.keys())
                absent = sorted(set(self.columns.values()) - set(given))
                if absent:
                    told = f"source {self.name}: the query gives no column {', '.join(absent)}; it gives {', '.join(given)}"
                    raise SourceError(told, "correct its columns, then type: groundtune ingest")
                rows = []
                size = 0
                for row in result.mappings():
                    rows.append(self._item(row))
                    text = row[self.columns["text"]]
                    size += len(text) if isinstance(text, str | bytes) else 0
                    if len(rows) > self.most_items or size > MOST_TOGETHER:
                        told = f"source {self.name}: more than {self.most_items:,} rows or {MOST_TOGETHER:,} bytes"
                        raise SourceError(told, "raise its most_items, or ask for less")
                connection.rollback()
        except sa.exc.SQLAlchemyError as error:
            raise SourceError(
                f"source {self.name}: the query failed: {said(error)}", "correct its query or url, then type: groundtune ingest"
            ) from None
        finally:
            engine.dispose()
        yield from rows

    def _item(self, row: Mapping[str, Any]) -> Item:
        def value(key: str) -> Any:
            return row[self.columns[key]] if key in self.columns else None

        ending = str(value("format") or "txt").strip().lower().lstrip(".")
        name = f"{'' if value('name') is None else value('name')}".strip()
        full = f"{name}.{ending}"
        if not name or not re.fullmatch(r"[a-z0-9]{1,10}", ending):
            return Item(name=full, read=refused(DocumentError(f"{self.name}/{full}: the row has no name, or no usable format", HINT)))
        text = value("text")
        if text is None:
            return Item(name=full, read=refused(DocumentError(f"{self.name}/{full}: the row has no text", HINT)))
        raw = bytes(text) if isinstance(text, bytes | bytearray | memoryview) else str(text).encode("utf-8", "surrogateescape")
        if len(raw) > most_bytes(full):
            return Item(name=full, read=refused(too_large(f"{self.name}/{full}", full, len(raw))))
        try:
            readers = None if "readers" not in self.columns else readers_in(f"{self.name}/{full}", value("readers"))
        except DocumentError as error:
            return Item(name=full, read=refused(error))
        title = value("title")
        metadata = {key: str(row[column]) for key, column in self.columns.items() if key not in OWN and row[column] is not None}
        return Item(name=full, read=lambda: raw, title=None if title is None else str(title), metadata=metadata, readers=readers)


def readers_in(name: str, written: Any) -> frozenset[str]:
    """Return the readers in a column: an array, a JSON list, or texts with commas; empty is nobody. NULL is not supplied: an error."""
    if written is None:
        raise DocumentError(f"{name}: its readers are NULL, which is not the same as nobody", "write '' for nobody, or name groups")
    if isinstance(written, str) and written.lstrip().startswith("["):
        try:
            written = json.loads(written)
        except (ValueError, RecursionError):
            raise DocumentError(f"{name}: its readers begin like a JSON list, and are none", "correct the row") from None
    groups = [part.strip() for part in written.split(",") if part.strip()] if isinstance(written, str) else written
    if not isinstance(groups, list | tuple | set | frozenset) or not all(isinstance(group, str) and group.strip() for group in groups):
        raise DocumentError(f"{name}: its readers are {str(written)[:80]!r}; expected a list of group names", "correct the row")
    return frozenset(groups)
