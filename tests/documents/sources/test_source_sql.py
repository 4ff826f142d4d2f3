"""Rows of a query as documents, from a real database; NULLs, wrong columns, errors, and nothing that is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from made_sources import by_name, read_all, settings

from groundtune.documents.sources.sql import open as open_sql
from groundtune.documents.sources.sql import readers_in
from groundtune.errors import DocumentError, SourceError

pytest.importorskip("sqlalchemy")
COLUMNS = {"name": "id", "text": "body", "title": "head", "format": "kind", "readers": "team", "product": "product"}
QUERY = "SELECT id, body, head, kind, team, product FROM articles"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "kb.sqlite") as base:
        base.execute("CREATE TABLE articles (id, body, head, kind, team, product)")
        base.executemany(
            "INSERT INTO articles VALUES (?, ?, ?, ?, ?, ?)",
            [
                (1, "# Slots\n\ntext", "Slots", "md", "everyone, support", "harbour"),
                ("in/2", b"plain bytes", None, None, '["hr"]', None),
                (3, "nobody's", None, "txt", "", None),
                (4, "no readers named", None, "txt", None, None),
                (5, None, None, "txt", "everyone", None),
                (6, "odd format", None, "../sh", "everyone", None),
                (None, "no name", None, "txt", "everyone", None),
                ("../up", "traversal", None, "txt", "everyone", None),
            ],
        )
    return tmp_path


def opened(folder: Path, **given: object):  # type: ignore[no-untyped-def]
    return open_sql(settings("sql", **{"url": "sqlite:///kb.sqlite", "query": QUERY, "columns": COLUMNS, **given}), folder)


def test_rows_are_documents_with_their_columns(folder: Path) -> None:
    items = by_name(opened(folder))
    one, two, three = items["1.md"], items["in/2.txt"], items["3.txt"]
    assert (one.read(), one.title, one.readers, one.metadata) == (
        b"# Slots\n\ntext",
        "Slots",
        {"everyone", "support"},
        {"product": "harbour"},
    )
    assert (two.read(), two.title, two.readers, two.metadata) == (b"plain bytes", None, {"hr"}, {})
    assert three.readers == frozenset()


def test_rows_that_say_too_little_are_told_one_by_one(folder: Path) -> None:
    found = read_all(opened(folder))
    assert "NULL" in str(found["4.txt"]) and "no text" in str(found["5.txt"]) and "no usable format" in str(found["6./sh"])
    assert "no name" in str(found[".txt"]) and len(found) == 8


def test_a_name_that_is_a_path_upwards_is_refused(folder: Path) -> None:
    from made_sources import Memory, origin, synced  # noqa: F401

    from groundtune.documents.catalogue import Catalogue

    found = synced(Catalogue(None), origin(opened(folder)))
    assert found.counts["failed"] == 5 and not any(
        "up" in document for document in {d.id for c in found.changes for d in c.known.documents}
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"query": "SELECT id FROM articles"}, "gives no column body"),
        ({"query": "SELECT * FROM missing"}, "no such table"),
        ({"query": "SELECT FROM WHERE"}, "syntax error"),
        ({"url": "sqlite:///missing.sqlite"}, "no such file"),
        ({"url": "nonsense"}, "parse"),
        ({"url": "nodialect://x/y"}, "nodialect"),
        ({"most_items": 3}, "more than 3 rows"),
    ],
)
def test_what_the_database_refuses_is_told(given: dict[str, object], words: str, folder: Path) -> None:
    with pytest.raises(SourceError, match=words):
        read_all(opened(folder, **given))
    assert not (folder / "missing.sqlite").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"query": "DROP TABLE articles"}, "SELECT"),
        ({"query": "  delete from articles"}, "SELECT"),
        ({"query": None}, "needs url"),
        ({"columns": {"name": "id"}}, "no text"),
    ],
)
def test_a_table_that_makes_no_source_is_told(given: dict[str, object], words: str, folder: Path) -> None:
    with pytest.raises(SourceError, match=words):
        opened(folder, **given)


def test_a_query_that_writes_is_refused_by_the_database(folder: Path) -> None:
    query = (
        "WITH x AS (SELECT 1) INSERT INTO articles SELECT 9, 'b', 'h', 'md', 'e', 'p' FROM x RETURNING id, body, head, kind, team, product"
    )
    with pytest.raises(SourceError, match="readonly"):
        list(opened(folder, query=query).items())
    with sqlite3.connect(folder / "kb.sqlite") as base:
        assert base.execute("SELECT count(*) FROM articles").fetchone() == (8,)


def test_a_password_is_not_told(folder: Path) -> None:
    with pytest.raises(SourceError) as told:
        read_all(opened(folder, url="postgresql+nodriver://ana:secret-word@localhost/x"))
    assert "secret-word" not in str(told.value)


@pytest.mark.parametrize("written", ["[1]", '["a"', '{"a": 1}'[:0] + '[""]', 3, [1]])
def test_readers_that_are_no_groups_are_refused(written: object) -> None:
    with pytest.raises(DocumentError):
        readers_in("x", written)


def test_rows_of_postgres_with_its_own_types(postgres: str, tmp_path: Path) -> None:
    """A real server: arrays and JSON of readers, UUIDs and times as names and metadata, a cursor that streams, and nothing written."""
    psycopg = pytest.importorskip("psycopg")

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA kb")
        connection.execute("CREATE TABLE kb.articles (id uuid PRIMARY KEY, body text, teams text[], more jsonb, at timestamptz)")
        connection.execute(
            "INSERT INTO kb.articles VALUES (%s, 'The crane.', '{support,it''s}', '[\"hr\"]', '2026-03-02 10:00+00'), "
            "(%s, 'The quay.', '{}', NULL, NULL), (%s, 'The buoy.', NULL, '[]', NULL)",
            ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b", "00000000-0000-0000-0000-00000000000c"],
        )
    url = postgres.replace("postgresql://", "postgresql+psycopg://", 1)
    columns = {"name": "id", "text": "body", "readers": "teams", "at": "at"}
    query = "SELECT id, body, teams, more, at FROM kb.articles WHERE body LIKE 'The %' AND id::text <> ''"
    items = by_name(opened(tmp_path, url=url, query=query, columns=columns))
    one, two = items["00000000-0000-0000-0000-00000000000a.txt"], items["00000000-0000-0000-0000-00000000000b.txt"]
    assert (one.read(), one.readers, two.readers, two.metadata) == (b"The crane.", {"support", "it's"}, frozenset(), {})
    assert one.metadata["at"].startswith("2026-03-02")
    assert "NULL" in str(read_all(opened(tmp_path, url=url, query=query, columns=columns))["00000000-0000-0000-0000-00000000000c.txt"])
    by_json = by_name(opened(tmp_path, url=url, query=query, columns={**columns, "readers": "more"}))
    assert by_json["00000000-0000-0000-0000-00000000000a.txt"].readers == {"hr"}
    for hostile in (
        "WITH x AS (DELETE FROM kb.articles RETURNING *) SELECT * FROM x",
        "SELECT set_config('x.y', pg_sleep(9)::text, true) AS id",
    ):
        with pytest.raises(SourceError, match="read-only|statement timeout|DECLARE CURSOR"):
            read_all(opened(tmp_path, url=url, query=hostile, columns=columns, timeout_seconds=0.3))
    assert len(read_all(opened(tmp_path, url=url, query=query, columns=columns))) == 3


def test_members_of_groups_from_postgres(postgres: str, tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    from groundtune.access.sql import members
    from groundtune.errors import ConfigError

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE people (login text, team text); INSERT INTO people VALUES ('ana', 'hr'), ('ana', 'x'), ('bo', NULL)"
        )
    url = postgres.replace("postgresql://", "postgresql+psycopg://", 1)
    found = members(url, "SELECT login, team FROM people ORDER BY 1, 2", tmp_path, timeout=5, most=9)
    assert found.groups == {"ana": ("hr", "x"), "bo": ()} and "writer" not in found.read_from
    with pytest.raises(ConfigError, match="read-only"):
        members(url, "WITH x AS (DELETE FROM people RETURNING *) SELECT * FROM x", tmp_path, timeout=5, most=9)
    with pytest.raises(ConfigError, match="statement timeout"):
        members(url, "SELECT 'ana', pg_sleep(9)::text", tmp_path, timeout=0.3, most=9)
