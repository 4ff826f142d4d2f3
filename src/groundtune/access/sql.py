"""A query of a database, through SQLAlchemy → rows, read-only; and group membership from such a query.

SELECT login, team FROM staff_teams    (ana, finance), (ana, everyone), (bo, NULL)  →  ana in finance and everyone, bo in no group
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError, MissingExtra

READS = re.compile(r"\s*(?:select|with|table|values)\b", re.IGNORECASE)
# The query may only read, and for so many milliseconds. Elsewhere there is the roll-back alone, and what the database user may do.
GUARDS = {
    "sqlite": ("PRAGMA query_only = ON",),
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {}"),
    "mysql": ("SET SESSION max_execution_time = {}", "SET SESSION TRANSACTION READ ONLY"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Who is in which groups, as a source of membership says, before nesting."""

    groups: Mapping[str, tuple[str, ...]]
    read_from: str
    read_at: datetime


def members(url: str, query: str, folder: Path, *, timeout: float, most: int) -> Members:
    """Ask for principals and their groups: rows of two columns, a principal's name and a group, which is NULL for none.

    A path in a SQLite URL is below ``folder``. Raises ``ConfigError`` for whatever does not go as it should: membership that cannot be
    read is not taken for empty.
    """
    if not READS.match(query):
        raise _wrong("its query does not begin with SELECT or WITH")
    found: dict[str, list[str]] = {}
    with asked(url, query, folder, timeout=timeout) as rows:
        for number, row in enumerate(rows, start=1):
            if len(row) != 2:
                raise _wrong(f"its query gives {len(row)} columns; expected two, the principal and the group")
            if number > most:
                raise _wrong(f"its query gives more than {most:,} rows; raise access.sql.most_rows if that is right")
            name, group = row
            if not isinstance(name, str) or not isinstance(group, str | None):
                raise _wrong(f"row {number} is ({name!r}, {group!r}); expected two texts, or NULL for no group")
            groups = found.setdefault(name, [])
            if group is not None:
                groups.append(group)
    return Members(groups={name: tuple(groups) for name, groups in found.items()}, read_from=_shown(url), read_at=datetime.now(UTC))


def _shown(url: str) -> str:
    """Return which database it is, never the user or the password."""
    import sqlalchemy as sa

    made = sa.engine.make_url(url)
    return f"{made.get_backend_name()}://{made.host or ''}/{made.database or ''}"


@contextmanager
def asked(url: str, query: str, folder: Path, *, timeout: float) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Run a query in a transaction that may only read and is rolled back. Raises ``ConfigError`` with the database's own words."""
    try:
        import sqlalchemy as sa
    except ModuleNotFoundError as error:
        raise MissingExtra.of("sqlalchemy", "sources") from error
    try:
        engine = sa.create_engine(located(sa, url, folder))
    except ModuleNotFoundError as error:
        raise _wrong(f"{error.name or 'the driver of its database'} is not installed") from None
    except (sa.exc.SQLAlchemyError, ValueError, FileNotFoundError) as error:
        raise _wrong(said(error)) from None
    try:
        with engine.connect() as connection:
            for statement in GUARDS.get(engine.dialect.name, ()):
                connection.execute(sa.text(statement.format(int(timeout * 1000))))
            yield (tuple(row) for row in connection.execute(sa.text(query)))
            connection.rollback()
    except sa.exc.SQLAlchemyError as error:
        raise _wrong(f"its query failed: {said(error)}") from None
    finally:
        engine.dispose()


def located(sa: Any, url: str, folder: Path) -> Any:
    """Return an address with a SQLite path below ``folder``. Raises ``FileNotFoundError``: SQLite would make an empty database of it."""
    made = sa.engine.make_url(url)
    if made.get_backend_name() == "sqlite" and made.database and made.database != ":memory:" and not made.database.startswith("file:"):
        path = folder / made.database
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        made = made.set(database=str(path))
    return made


def said(error: Exception) -> str:
    """Return the first line: what follows is the statement and its parameters."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0][:300]


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"[access.sql]: {what}", "mend that, then type: groundtune access report")
