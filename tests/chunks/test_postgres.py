import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install 'groundtune[pgvector]'")
import psycopg

from groundtune.access.filter import Predicate
from groundtune.chunks.postgres import search
from groundtune.chunks.postgres.store import PostgresStore
from groundtune.chunks.postgres.store import open as open_store
from groundtune.chunks.verify import verify_version
from groundtune.errors import ConfigError, StaleIndex, StorageError
from groundtune.testing.index_contract import GROUPS, WIDTH, made, sieved
from groundtune.testing.store_contract import StoreContract
from groundtune.testing.store_damage import document, manifest_of
from groundtune.testing.store_rows import written


class TestPostgresStore(StoreContract):
    cases = 20
    role: str | None = "reader"
    exact_rows = search.EXACT_ROWS

    @pytest.fixture(autouse=True)
    def _schema(self, postgres: str) -> Iterator[None]:
        self.url, self.namespace = postgres, f"s{uuid.uuid4().hex[:8]}"
        self.opened: list[PostgresStore] = []
        yield
        for store in self.opened:
            store.close()

    def store(self) -> PostgresStore:
        self.opened.append(PostgresStore(self.url, namespace=self.namespace, role=self.role, exact_rows=self.exact_rows))
        return self.opened[-1]

    def opener(self) -> str:
        return (
            "from groundtune.chunks.postgres.store import PostgresStore\n"
            f"store = PostgresStore({self.url!r}, namespace={self.namespace!r}, role={self.role!r})"
        )

    def test_the_database_hides_rows_from_a_query_that_forgets_to_ask(self) -> None:
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        chunks, vectors = made(60, 8)
        draft.write(chunks, vectors)
        query = store._sql("SELECT id FROM {table}", table)
        with psycopg.connect(self.url, autocommit=True) as connection:
            assert connection.execute(query).fetchall() == [], "the owner"
            if self.role:
                connection.execute(f"SET ROLE {self.role}")
            assert connection.execute(query).fetchall() == [], "somebody who says nothing"
            for groups in ([], ["support"], ["finance", 'it\'s "odd"'], ["{support}"]):
                with connection.transaction():
                    connection.execute("SELECT set_config('groundtune.groups', (%s::text[])::text, true)", [groups])
                    seen = {row[0] for row in connection.execute(query).fetchall()}
                assert seen == {chunk.id for chunk in chunks if Predicate(frozenset(groups)).permits(chunk.readers)}
            assert connection.execute(query).fetchall() == [], "after the transaction"
        change = store._sql("UPDATE {table} SET readers = readers", table)
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT set_config('groundtune.groups', '{support}', true)")
            assert connection.execute(change).rowcount == 0, "a reading owner writes nothing"
            connection.execute("SET ROLE reader")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change)

    def test_searches_run_as_a_role_that_the_policies_bind(self, postgres: str) -> None:
        store = PostgresStore(postgres.replace("//writer:", "//postgres:"), namespace=self.namespace)
        draft = store.draft("chunks", WIDTH)
        with pytest.raises(ConfigError, match="as postgres, whom row-level security does not bind") as caught:
            draft.index()
        assert 'role = "groundtune_reader"' in caught.value.hint

    def test_a_stemmed_word_is_found_and_syntax_is_not_read(self) -> None:
        from dataclasses import replace

        chunks, vectors = made(12, 10)
        chunks[3] = replace(chunks[3], text="Hauliers were cancelling bookings", readers=frozenset(["everyone"]))
        index = self.build(chunks, vectors)
        may = Predicate(frozenset(["everyone"]))
        assert index.keyword("cancelled booking", may, None, 3)[0].id == chunks[3].id
        assert index.keyword("!bookings & <-> | :*", may, None, 3)[0].id == chunks[3].id

    def test_an_order_of_words_tells_nothing_about_hidden_rows(self) -> None:
        from dataclasses import replace

        chunks, vectors = made(20, 15)
        mine = [replace(chunk, readers=frozenset(["support"])) for chunk in chunks[:10]]
        may = Predicate(frozenset(["support"]))
        hidden = [replace(chunk, text="slot", readers=frozenset()) for chunk in chunks[10:]]
        other = [replace(chunk, text="gate", readers=frozenset()) for chunk in chunks[10:]]
        found = [self.build([*mine, *rest], vectors).keyword("slot gate", may, None, 10) for rest in (hidden, other)]
        assert found[0] == found[1]

    def test_settings_are_checked_before_anything_is_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigError, match="needs index.url"):
            open_store({"url": None}, Path())
        with pytest.raises(ConfigError, match="key_env names NOT_SET, which is not set"):
            open_store({"url": self.url, "key_env": "NOT_SET"}, Path())
        with pytest.raises(ConfigError, match="not a Postgres address"):
            open_store({"url": "nonsense"}, Path()).draft("chunks", WIDTH)
        monkeypatch.setenv("PASSWORD_OF_TEST", "s3cret")
        store = open_store({"url": "postgresql://me@127.0.0.1:1/db", "key_env": "PASSWORD_OF_TEST", "timeout_seconds": 2}, Path())
        with pytest.raises(StorageError, match="cannot be reached") as caught:
            store.draft("chunks", WIDTH)
        assert "s3cret" not in str(caught.value) and store.place == "pgvector 127.0.0.1:1/db groundtune"
        with pytest.raises(ValueError, match="not a table name"):
            self.store().draft('x"; DROP TABLE y', WIDTH)

    def test_a_connection_that_died_is_replaced(self) -> None:
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(*written(0))
        draft.publish("one")
        index = store.snapshot(table, "one")
        vector = written(0)[1][0]
        may = Predicate(frozenset(["everyone"]))
        assert len(index.dense(vector, may, None, 5)) == 3
        with psycopg.connect(self.url.replace("//writer:", "//postgres:"), autocommit=True) as administrator:
            administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'groundtune'")
        assert len(index.dense(vector, may, None, 5)) == 3
        assert store.tags(table) == ["one"]

    @pytest.mark.parametrize(
        ("change", "kinds"),
        [
            ('"text" = upper("text")', {"rows", "coverage"}),
            ("start = start + 1", {"rows", "coverage"}),
            ("id = id || 'x'", {"rows"}),
            ("readers = readers || '{{world}}'", {"readers"}),
        ],
    )
    def test_a_row_that_somebody_changed_in_the_database_is_found(self, change: str, kinds: set[str]) -> None:
        store, table = self.store(), self.table()
        whole, chunks = document(0)
        draft = store.draft(table, WIDTH)
        draft.write(chunks, written(0)[1])
        draft.publish("one")
        version = manifest_of(store, table, "one", [(whole, chunks)])
        assert verify_version(version, store, documents=[whole]).differences == ()
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT set_config('groundtune.writing', 'on', true)")
            assert connection.execute(store._sql(f"UPDATE {{table}} SET {change} WHERE ordinal = 1", table)).rowcount == 1
        assert {item.kind for item in verify_version(version, store, documents=[whole]).differences} == kinds

    def test_an_index_that_somebody_dropped_is_told_as_stale(self) -> None:
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(*written(0))
        draft.publish("one")
        index = store.snapshot(table, "one")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(store._sql("DROP TABLE {table}", table))
        with pytest.raises(StaleIndex, match="does not hold this index"):
            index.dense(written(0)[1][0], Predicate(frozenset(["everyone"])), None, 5)


class TestPostgresAsTheOwner(TestPostgresStore):
    """Without a role of its own, searches run as the owner, whom the forced policies bind as well."""

    role = None
    cases = 5


class TestPostgresWithBm25(TestPostgresStore):
    """A database with pg_textsearch, whose address is in GROUNDTUNE_BM25_POSTGRES; no package for every Python brings such a server."""

    cases = 10

    @pytest.fixture(autouse=True)
    def _schema(self) -> Iterator[None]:
        url = os.environ.get("GROUNDTUNE_BM25_POSTGRES")
        if url is None:
            pytest.skip("GROUNDTUNE_BM25_POSTGRES names no server")
        self.url, self.namespace, self.opened = url, f"s{uuid.uuid4().hex[:8]}", []
        yield
        for store in self.opened:
            store.close()

    def test_words_are_ranked_by_the_extension(self) -> None:
        chunks, vectors = made(30, 17)
        index = self.build(chunks, vectors)
        assert index._words is not None  # type: ignore[attr-defined]
        assert index.keyword("slot", Predicate(frozenset(["support"])), None, 5)

    # The extension counts words over all rows, hidden ones included, so this does not hold here.
    test_an_order_of_words_tells_nothing_about_hidden_rows = None  # type: ignore[assignment]


class TestPostgresByHnsw(TestPostgresStore):
    """Few rows are compared exactly, so that the index over vectors is what answers."""

    exact_rows = 40
    cases = 5

    def test_the_vectors_are_asked_by_their_index(self) -> None:
        chunks, vectors, _ = sieved(1000, 16)
        index = self.build(chunks, vectors)
        assert index._rows_permitted({"groups": ["all"], "labels": [], "without": [], "at": 1, "alive": 0}) == 41  # type: ignore[attr-defined]
        with psycopg.connect(self.url) as connection:
            assert connection.execute("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'").fetchone() != (0,)
        assert len(index.dense(vectors[0], Predicate(frozenset(["all", *GROUPS])), None, 10)) == 10
