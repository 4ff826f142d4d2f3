"""Documents → rows that say from which version on and up to which they are there; a version is one number with a name.

    draft 7      born=3 died=∞      in versions 3, 4, … and in the draft
                 born=3 died=7      in versions 3 to 6; the draft has replaced or deleted it
    publish      the name takes the number 7, and the draft goes on as 8

Every call is one transaction under a lock on its table: what a killed writer had begun is rolled back by the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks.index import sayable
from groundtune.chunks.postgres import tables
from groundtune.chunks.postgres.connect import Connections, told
from groundtune.chunks.postgres.search import EXACT_ROWS, PostgresIndex
from groundtune.chunks.postgres.tables import ALIVE, HNSW_DIMENSIONS, WRITTEN, named
from groundtune.chunks.store import Held, Readers, Row, address, held_of, secret
from groundtune.errors import ConfigError, StaleIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np
    from psycopg import Connection, sql

# Rows that are fetched in one go when all of a version are listed.
LISTED = 5_000
# Says to the policies of a table that this transaction is the owner's own: see ``tables``.
_AS_WRITER = "SELECT set_config('groundtune.writing', 'on', true)"


def open(settings: Mapping[str, Any], folder: Path) -> PostgresStore:
    """Open the engine ``pgvector``: ``url``, ``key_env`` for the password, ``namespace`` as schema, ``role`` for searches."""
    return PostgresStore(
        address(settings, "pgvector"),
        password=secret(settings),
        namespace=settings.get("namespace") or "groundtune",
        role=settings.get("role"),
        timeout=settings.get("timeout_seconds") or 30.0,
    )


class PostgresStore:
    """One schema of one database."""

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        namespace: str = "groundtune",
        role: str | None = None,
        timeout: float = 30.0,
        exact_rows: int = EXACT_ROWS,
    ) -> None:
        self._namespace, self._role, self._timeout, self._exact_rows = namespace, role, timeout, exact_rows
        self.place = f"pgvector {_shown(url)} {namespace}"
        self._writers = Connections(url, password, self.place, timeout)
        self._readers = Connections(url, password, self.place, timeout, role)
        self._ready = self._checked = False

    def draft(self, table: str, dimensions: int) -> PostgresDraft:
        """Open or create the table."""
        with self._writers.one() as connection, told(self.place):
            if not self._ready:
                tables.prepare(connection, self._namespace, self._role)
                self._ready = True
            with connection.transaction():
                tables.create(connection, self._namespace, table, dimensions, self._role)
        return PostgresDraft(self, table)

    def snapshot(self, table: str, tag: str) -> PostgresIndex:
        """Open a version for searching."""
        seq, chunks, mean = self._version(table, tag)
        return self._index(table, seq, lambda: (chunks, mean))

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Read what a version holds."""
        seq, _, _ = self._version(table, tag)
        return self._held(table, "born <= %s AND died > %s", [seq, seq])

    def rows(self, table: str, tag: str, document_ids: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the chunks as a cursor of the server hands them out, so that a version of any size is read in little memory."""
        seq, _, _ = self._version(table, tag)
        query = 'SELECT document_id, id, ordinal, start, "end", "text" FROM {table} WHERE born <= %s AND died > %s'
        given: list[Any] = [seq, seq]
        if document_ids is not None:
            query, given = f"{query} AND document_id = ANY(%s)", [*given, sayable(document_ids)]
        with self._writers.one() as connection, told(self.place), connection.transaction():
            connection.execute(_AS_WRITER)
            with connection.cursor("listed") as cursor:
                cursor.itersize = LISTED
                for row in cursor.execute(self._sql(query, table), given):
                    yield Row(*row)

    def tags(self, table: str) -> list[str]:
        """Return the names of a table's versions."""
        with self._writers.one() as connection, told(self.place):
            there = connection.execute("SELECT to_regclass(%s)", [f"{self._namespace}.versions"]).fetchone()
            if there is None or there[0] is None:
                return []
            rows = connection.execute(self._sql('SELECT tag FROM {schema}.versions WHERE name = %s ORDER BY tag COLLATE "C"'), [table])
            return [row[0] for row in rows.fetchall()]

    def drop(self, table: str, tag: str) -> None:
        """Give a version up, and delete the rows that nothing shows any more."""
        if tag not in self.tags(table):
            return
        with self._writing(table) as (connection, _):
            connection.execute(self._sql("DELETE FROM {schema}.versions WHERE name = %s AND tag = %s"), [table, tag])
            shown = "SELECT 1 FROM {schema}.versions AS v WHERE v.name = %s AND born <= v.seq AND died > v.seq"
            connection.execute(self._sql(f"DELETE FROM {{table}} WHERE died <> {ALIVE} AND NOT EXISTS ({shown})", table), [table])

    def close(self) -> None:
        """Close the idle connections."""
        self._writers.close()
        self._readers.close()

    # ── what drafts and versions share ──

    def _sql(self, text: str, table: str | None = None) -> sql.Composed:
        from psycopg import sql

        names = {} if table is None else {"table": named(self._namespace, table)}
        return sql.SQL(text).format(schema=sql.Identifier(self._namespace), **names)

    def _version(self, table: str, tag: str) -> tuple[int, int, float]:
        query = "SELECT seq, chunks, mean_size FROM {schema}.versions WHERE name = %s AND tag = %s"
        with self._writers.one() as connection, told(self.place):
            row = connection.execute(self._sql(query), [table, tag]).fetchone()
        if row is None:
            raise StaleIndex(f"the table {table} in {self.place} has no version {tag}", "type: groundtune ingest")
        return int(row[0]), int(row[1]), float(row[2])

    def _index(self, table: str, at: int | None, totals: Any) -> PostgresIndex:
        self._check_reader()
        words = f"{self._namespace}.{tables.words_index(table)}"
        with self._readers.one() as connection, told(self.place):
            there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [words]).fetchone()
        return PostgresIndex(
            self._readers,
            self._namespace,
            table,
            at=at,
            totals=totals,
            timeout=self._timeout,
            exact_rows=self._exact_rows,
            words=words if there == (True,) else None,
        )

    def _check_reader(self) -> None:
        """Refuse to search as somebody whom row-level security does not bind."""
        if self._checked:
            return
        query = "SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
        with self._readers.one() as connection, told(self.place):
            unbound = connection.execute(query).fetchone()
        if unbound is not None:
            raise ConfigError(
                f"{self.place} would be searched as {unbound[0]}, whom row-level security does not bind",
                'make a role that owns nothing (CREATE ROLE groundtune_reader), and write role = "groundtune_reader" under [index]',
            )
        self._checked = True

    @contextmanager
    def _writing(self, table: str) -> Iterator[tuple[Connection[Any], int]]:
        """Open a transaction that may write, alone; hand over its connection and the draft's number."""
        with self._writers.one() as connection, told(self.place), connection.transaction():
            connection.execute(_AS_WRITER)
            row = connection.execute(self._sql("SELECT seq FROM {schema}.tables WHERE name = %s FOR UPDATE"), [table]).fetchone()
            if row is None:
                raise StaleIndex(f"{self.place} has no table {table}", "type: groundtune ingest")
            yield connection, int(row[0])

    def _looking(self, query: str, table: str, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read as the owner, past the permissions: for counting back, never for an asker."""
        with self._writers.one() as connection, told(self.place), connection.transaction():
            connection.execute(_AS_WRITER)
            rows: list[tuple[Any, ...]] = connection.execute(self._sql(query, table), given).fetchall()
            return rows

    def _held(self, table: str, where: str, given: Sequence[Any]) -> dict[str, Held]:
        query = f"SELECT document_id, document_hash, ordinal, readers, NULL FROM {{table}} WHERE {where}"
        return held_of(self._looking(query, table, given))


class PostgresDraft:
    """The rows of a table that have not died."""

    def __init__(self, store: PostgresStore, table: str) -> None:
        self._store, self._table = store, table

    def held(self) -> dict[str, Held]:
        """Read what the draft holds."""
        return self._store._held(self._table, "died = %s", [ALIVE])

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Replace documents, in one transaction."""
        if not chunks:
            return
        with self._store._writing(self._table) as (connection, seq):
            self._end(connection, seq, sorted({chunk.document_id for chunk in chunks}))
            # Copied by way of a table of its own: Postgres copies into none that has row-level security.
            connection.execute(self._sql(f"CREATE TEMP TABLE given ON COMMIT DROP AS SELECT {WRITTEN} FROM {{table}} WITH NO DATA"))
            with connection.cursor() as cursor, cursor.copy(f"COPY given ({WRITTEN}) FROM STDIN") as copy:
                for chunk, vector in zip(chunks, vectors, strict=True):
                    copy.write_row(tables.row_of(chunk, vector))
            insert = f"INSERT INTO {{table}} (born, died, {WRITTEN}) SELECT %s, %s, {WRITTEN} FROM given"
            connection.execute(self._sql(insert), [seq, ALIVE])

    def delete(self, document_ids: Sequence[str]) -> None:
        """Take documents out, in one transaction."""
        if document_ids:
            with self._store._writing(self._table) as (connection, seq):
                self._end(connection, seq, document_ids)

    def _end(self, connection: Connection[Any], seq: int, document_ids: Sequence[str]) -> None:
        named = [ALIVE, list(document_ids), seq]
        connection.execute(self._sql("DELETE FROM {table} WHERE died = %s AND document_id = ANY(%s) AND born = %s"), named)
        connection.execute(self._sql("UPDATE {table} SET died = %s WHERE died = %s AND document_id = ANY(%s)"), [seq, *named[:2]])

    def restamp(self, readers: Mapping[str, Readers]) -> None:
        """Give documents other readers, in one transaction; rows that a version shows are ended, and copied with their vectors."""
        if not readers:
            return
        given = json.dumps(
            {
                name: sorted(groups) if isinstance(groups, frozenset) else [sorted(each) for each in groups]
                for name, groups in readers.items()
            }
        )
        listed = "given AS (SELECT key AS document_id, value AS stamped FROM jsonb_each(%s::jsonb))"
        theirs = "{table}.document_id = given.document_id AND died = %s"
        # A list of lists has one for each chunk, by ordinal; what is beyond it is NULL, which is no reader.
        mine = "CASE WHEN jsonb_typeof(stamped -> 0) = 'array' THEN stamped -> ordinal ELSE stamped END"
        new = f"ARRAY(SELECT jsonb_array_elements_text({mine}))"
        kept = ", ".join(new if name == "readers" else name for name in tables.COLUMNS)
        taken = ", ".join(f"{{table}}.{name}" for name in tables.COLUMNS)
        change = f"WITH {listed} UPDATE {{table}} SET readers = {new} FROM given WHERE {theirs} AND born = %s"
        move = f"""WITH {listed}, ended AS (UPDATE {{table}} SET died = %s FROM given WHERE {theirs} AND born < %s
          RETURNING {taken}, stamped) INSERT INTO {{table}} (born, died, {WRITTEN}) SELECT %s, %s, {kept} FROM ended"""
        with self._store._writing(self._table) as (connection, seq):
            connection.execute(self._sql(change), [given, ALIVE, seq])
            connection.execute(self._sql(move), [given, seq, ALIVE, seq, seq, ALIVE])

    def index(self) -> PostgresIndex:
        """Return search over the draft; it sees every later write."""
        query = "SELECT count(*), coalesce(avg(size), 0) FROM {table} WHERE died = %s"

        def totals() -> tuple[int, float]:
            count, mean = self._store._looking(query, self._table, [ALIVE])[0]
            return int(count), float(mean)

        return self._store._index(self._table, None, totals)

    def publish(self, tag: str) -> None:
        """Give the draft's number the name, and count the draft up; where there are many rows, index their vectors first."""
        with self._store._writing(self._table) as (connection, seq):
            query = "SELECT count(*), coalesce(avg(size), 0) FROM {table} WHERE died = %s"
            row = connection.execute(self._sql(query), [ALIVE]).fetchone()
            assert row is not None  # noqa: S101 - an aggregate has one row
            size = connection.execute(self._sql("SELECT dimensions FROM {schema}.tables WHERE name = %s"), [self._table]).fetchone()
            if row[0] > self._store._exact_rows and size is not None and size[0] <= HNSW_DIMENSIONS:
                connection.execute(
                    self._sql(f"CREATE INDEX IF NOT EXISTS {self._table}_near ON {{table}} USING hnsw (vector vector_ip_ops)")
                )
            tables.index_words(connection, self._store._namespace, self._table)
            connection.execute(
                self._sql(
                    """INSERT INTO {schema}.versions VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name, tag)
                    DO UPDATE SET seq = excluded.seq, chunks = excluded.chunks, mean_size = excluded.mean_size"""
                ),
                [self._table, tag, seq, row[0], row[1]],
            )
            connection.execute(self._sql("UPDATE {schema}.tables SET seq = seq + 1 WHERE name = %s"), [self._table])
        with self._store._writers.one() as connection, told(self._store.place):
            connection.execute(self._sql("ANALYZE {table}"))

    def _sql(self, text: str) -> sql.Composed:
        return self._store._sql(text, self._table)


def _shown(url: str) -> str:
    """Return host, port and database of an address; never its user or password."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        parts = conninfo_to_dict(url)
    except (ModuleNotFoundError, ProgrammingError):
        return "server"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
