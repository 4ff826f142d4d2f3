"""The tables of the Postgres engine, and the policies that hide rows from whoever forgets to ask.

    groundtune.tables        one line per table of chunks: its dimensions and the number of the draft that is being written
    groundtune.versions      published versions: the number that a name stands for, how many chunks it has and how long they are
    groundtune.chunks_3f2a   the chunks; a row is in every version from ``born`` to before ``died``

Two fences. Every query asks for ``readers && groups``; and row-level security, forced on the owner as well, shows a row only to a
transaction that has said for which groups it reads (``groundtune.groups``), or that it writes, as the owner (``groundtune.writing``).
A transaction that has said neither sees nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from groundtune.chunks.index import kept, labels, search_text
from groundtune.chunks.words import spaced
from groundtune.errors import StorageError
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np
    from psycopg import Connection, sql

# ``died`` of a row that the draft still holds: the largest bigint.
ALIVE = 2**63 - 1
# The columns of a chunk as they are written, in order, and their types.
COLUMNS = {
    "id": "text",
    "document_id": "text",
    "document_hash": "text",
    "ordinal": "int",
    '"text"': "text",
    "start": "bigint",
    '"end"': "bigint",
    "heading_path": "text[]",
    "title": "text",
    "readers": "text[]",
    "tokens": "int",
    "metadata": "text[]",
    "metadata_json": "text",
    "search_text": "text",
    "size": "int",
    "vector": "vector",
}
WRITTEN = ", ".join(COLUMNS)
# What pgvector's HNSW index takes at most; wider vectors are compared exactly.
HNSW_DIMENSIONS = 2000

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.tables (name text PRIMARY KEY, dimensions int NOT NULL, seq bigint NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS {schema}.versions (
  name text NOT NULL REFERENCES {schema}.tables, tag text NOT NULL, seq bigint NOT NULL, chunks bigint NOT NULL, mean_size float8 NOT NULL,
  PRIMARY KEY (name, tag));
"""

_TABLE = """
CREATE TABLE {table} (
  row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, born bigint NOT NULL, died bigint NOT NULL, {columns},
  words tsvector GENERATED ALWAYS AS (to_tsvector('english', search_text)) STORED);
ALTER TABLE {table} ALTER COLUMN vector SET STORAGE PLAIN;
CREATE INDEX ON {table} USING gin (readers);
CREATE INDEX ON {table} USING gin (metadata);
CREATE INDEX ON {table} USING gin (words);
CREATE INDEX ON {table} (document_id);
CREATE INDEX ON {table} (id);
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY readers ON {table} FOR SELECT
  USING (readers && (SELECT NULLIF(current_setting('groundtune.groups', true), '')::text[]));
CREATE POLICY writer ON {table} TO CURRENT_USER
  USING ((SELECT current_setting('groundtune.writing', true) = 'on'))
  WITH CHECK ((SELECT current_setting('groundtune.writing', true) = 'on'));
"""


def named(namespace: str, table: str) -> sql.Identifier:
    """Return a table's name as SQL. Raises ``ValueError`` for one that is not of small letters, digits and underscores."""
    from psycopg import sql

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,50}", table):
        raise ValueError(f"{table!r} is not a table name: small letters, digits, underscores")
    return sql.Identifier(namespace, table)


def row_of(chunk: Chunk, vector: np.ndarray) -> list[Any]:
    """Return a chunk and its vector (d,) as the values of ``COLUMNS``, in their order."""
    text = spaced(search_text(chunk))
    return [
        chunk.id,
        chunk.document_id,
        chunk.document_hash,
        chunk.ordinal,
        chunk.text,
        chunk.start,
        chunk.end,
        list(chunk.heading_path),
        chunk.title,
        sorted(chunk.readers),
        chunk.tokens,
        labels(chunk.metadata),
        kept(chunk),
        text,
        len(text.split()),
        str(vector.tolist()),
    ]


def prepare(connection: Connection[Any], namespace: str, role: str | None) -> None:
    """Make the schema and its lists where they are missing. Raises ``StorageError`` where the server cannot hold an index."""
    from psycopg import errors, sql

    if connection.info.parameter_status("server_encoding") != "UTF8":
        raise StorageError("the database is not encoded in UTF-8", "make one that is: createdb --encoding=UTF8 --template=template0 NAME")
    with connection.transaction():
        # Two processes that start together would otherwise both try to create.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('groundtune'))")
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except (errors.UndefinedFile, errors.FeatureNotSupported, errors.InsufficientPrivilege) as error:
            raise StorageError(
                f"pgvector is not to be had on the server: {error}", "as its administrator: CREATE EXTENSION vector"
            ) from error
        schema = sql.Identifier(namespace)
        connection.execute(sql.SQL(_SCHEMA).format(schema=schema))
        if role is not None:
            _grant(connection, sql.SQL("USAGE ON SCHEMA {}").format(schema), role)
            _grant(connection, sql.SQL("SELECT ON {}.tables, {}.versions").format(schema, schema), role)


def create(connection: Connection[Any], namespace: str, table: str, dimensions: int, role: str | None) -> None:
    """Make a table of chunks with its indices and policies, in the transaction that is open, unless it is there."""
    from psycopg import sql

    connection.execute("SELECT pg_advisory_xact_lock(hashtext('groundtune'))")
    lists = sql.Identifier(namespace, "tables")
    if connection.execute(sql.SQL("SELECT 1 FROM {} WHERE name = %s").format(lists), [table]).fetchone():
        return
    kinds = {**COLUMNS, "vector": f"vector({int(dimensions)})"}
    columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in kinds.items())
    place = named(namespace, table)
    connection.execute(sql.SQL(_TABLE).format(table=place, columns=sql.SQL(columns)))
    connection.execute(sql.SQL("INSERT INTO {} (name, dimensions) VALUES (%s, %s)").format(lists), [table, dimensions])
    if role is not None:
        _grant(connection, sql.SQL("SELECT ON {}").format(place), role)


def index_words(connection: Connection[Any], namespace: str, table: str) -> None:
    """Make a BM25 index where the database has the extension pg_textsearch, which its administrator has to have created."""
    from psycopg import sql

    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_textsearch'").fetchone():
        statement = "CREATE INDEX IF NOT EXISTS {index} ON {table} USING bm25 (search_text) WITH (text_config = 'english')"
        names = {"index": sql.Identifier(words_index(table)), "table": named(namespace, table)}
        connection.execute(sql.SQL(statement).format(**names))


def words_index(table: str) -> str:
    """Return the name of a table's BM25 index."""
    return f"{table}_bm25"


def _grant(connection: Connection[Any], what: sql.Composed, role: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("GRANT {} TO {}").format(what, sql.Identifier(role)))
