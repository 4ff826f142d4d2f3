"""Search in a Postgres table, at one published version or in the draft, as a role that owns nothing.

Up to ``exact_rows`` permitted rows are compared exactly; above that HNSW proposes, and keeps proposing until enough permitted rows are
found (``hnsw.iterative_scan``; pgvector's default looks once, and returns too few). Words are matched by ``tsvector`` and ranked by BM25
with the frequencies of what the asker may see, so that an order tells nothing about hidden rows; or by pg_textsearch, where the database
has that extension, whose frequencies are those of all rows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.index import Hit, from_kept, sayable, wanted
from groundtune.chunks.postgres.connect import Connections
from groundtune.chunks.postgres.tables import ALIVE, named
from groundtune.chunks.words import K1, B, spaced
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np
    from psycopg import Connection, sql

EXACT_ROWS = 20_000
# Candidates that HNSW keeps in view, and rows it may look at before it gives up. Seen with these: at least 98 of the 100 nearest of ten
# questions, under filters of 100 and 10 % (2,000 clustered rows of 24 dimensions; ``TestPostgresByHnsw``). Of larger ones it says little.
EF_SEARCH, MOST_SCANNED = 400, 200_000
MOST_CONDITIONS = 256

# Of ``{further}`` there is one condition for each set of labels of which a row has to have one; the permission comes last.
_ASKED = "metadata @> %(labels)s::text[]{further} AND NOT (metadata && %(without)s::text[]) AND readers && %(groups)s::text[]"
_VISIBLE = f"born <= %(at)s AND died > %(at)s AND {_ASKED}"
_DRAFT = f"died = %(alive)s AND {_ASKED}"
_LABELS = """
SELECT DISTINCT label FROM {table}, unnest(metadata) AS label WHERE {visible} AND split_part(label, '=', 1) = ANY(%(names)s::text[])
"""
_EXACT = "SELECT id, -(vector <#> %(vector)s::vector) FROM {table} WHERE {visible} ORDER BY 2 DESC, 1 LIMIT %(limit)s"
_NEAR = "SELECT id, -(vector <#> %(vector)s::vector) FROM {table} WHERE {visible} ORDER BY vector <#> %(vector)s::vector LIMIT %(limit)s"
_WORDS = """
WITH asked AS (SELECT lexeme FROM unnest(to_tsvector('english', %(text)s))),
query AS (SELECT string_agg('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''', ' | ')::tsquery AS words FROM asked),
found AS MATERIALIZED (SELECT id, size, words FROM {table} WHERE {visible} AND words @@ (SELECT words FROM query)),
held AS MATERIALIZED (
  SELECT found.id, found.size, held.lexeme, cardinality(held.positions) AS times
  FROM found, unnest(found.words) AS held WHERE held.lexeme IN (SELECT lexeme FROM asked)),
rare AS (SELECT lexeme, ln(1 + (%(total)s - count(*) + 0.5) / (count(*) + 0.5)) AS worth FROM held GROUP BY lexeme)
SELECT id, sum(worth * times * {k1} / (times + {k} * (1 - {b} + {b} * size / %(mean)s))) FROM held JOIN rare USING (lexeme)
GROUP BY id ORDER BY 2 DESC, 1 LIMIT %(limit)s
"""
# By the extension pg_textsearch, whose operator returns the negative of a score, and 0 for rows without any of the words.
_BM25 = """
SELECT id, score FROM (
  SELECT id, -(search_text <@> to_bm25query(%(text)s, %(words)s)) AS score FROM {table} WHERE {visible}
  ORDER BY search_text <@> to_bm25query(%(text)s, %(words)s) LIMIT %(limit)s) AS best
WHERE score > 0 ORDER BY 2 DESC, 1
"""
_CHUNKS = """
SELECT id, document_id, document_hash, ordinal, "text", start, "end", heading_path, title, readers, tokens, metadata_json
FROM {table} WHERE {visible} AND id = ANY(%(ids)s::text[])
"""


class PostgresIndex:
    """The rows of one version (``at``), or of the draft (``at`` is ``None``). ``totals`` gives how many there are, and their mean size."""

    def __init__(
        self,
        connections: Connections,
        namespace: str,
        table: str,
        *,
        at: int | None,
        totals: Callable[[], tuple[int, float]],
        timeout: float,
        exact_rows: int = EXACT_ROWS,
        words: str | None = None,
    ) -> None:
        self._connections = connections
        self._table = named(namespace, table)
        self._at = at
        self._totals = totals
        self._timeout = timeout
        self._exact_rows = exact_rows
        self._words = words
        self._permitted: OrderedDict[tuple[Any, ...], int] = OrderedDict()
        self._held: OrderedDict[tuple[Any, ...], list[str]] = OrderedDict()
        self._lock = Lock()

    def count(self) -> int:
        """Return how many chunks there are, hidden ones included."""
        return self._totals()[0]

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25 over the words that Postgres' English configuration finds: stemmed, without stop words."""
        given = self._given(allowed, filter)
        if given is None or not text.strip():
            return []
        asked = spaced(text.encode("utf-8", "replace").decode().replace("\0", " "))
        if self._words is not None:
            given.update(text=asked, words=self._words, limit=limit)
            return [Hit(name, float(score)) for name, score in self._ask(_BM25, given)]
        total, mean = self._totals()
        given.update(text=asked, total=total, mean=max(mean, 1.0), limit=limit)
        return [Hit(name, float(score)) for name, score in self._ask(_WORDS, given)]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine; exactly, where that is cheap."""
        import numpy as np

        given = self._given(allowed, filter)
        if given is None:
            return []
        unit = np.asarray(vector, dtype=np.float32) / max(float(np.linalg.norm(vector)), 1e-12)
        given.update(vector=str(unit.tolist()), limit=limit)
        near = self._rows_permitted(given) > self._exact_rows
        found = [Hit(name, float(score)) for name, score in self._ask(_NEAR if near else _EXACT, given, near=near)]
        return sorted(found, key=lambda hit: (-hit.score, hit.id))

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        given = self._given(allowed, None)
        if given is None or not ids:
            return {}
        given.update(ids=sayable(ids))
        return {row[0]: _chunk(row) for row in self._ask(_CHUNKS, given)}

    def _given(self, allowed: Predicate, filter: Filter | None) -> dict[str, Any] | None:
        """Return what the asker's condition needs; ``None`` where nothing can meet it."""
        groups = sayable(sorted(allowed.groups))
        asks = wanted(filter, lambda: self._labels(groups, sayable(filter or {})))
        if not groups or asks is None:
            return None
        alone = [labels[0] for labels in asks.some if len(labels) == 1]
        several = [list(labels) for labels in asks.some if len(labels) > 1]
        given = {"groups": groups, "labels": alone, "without": list(asks.none), "at": self._at, "alive": ALIVE}
        return given | {f"some{number}": labels for number, labels in enumerate(several)}

    def _labels(self, groups: list[str], names: list[str]) -> list[str]:
        """Return the labels of these names that are on rows that may be seen; remembered for a version, which never changes."""
        key = (tuple(groups), tuple(names))
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        given = {"groups": groups, "labels": [], "without": [], "at": self._at, "alive": ALIVE, "names": names}
        found = [row[0] for row in self._ask(_LABELS, given)] if groups else []
        if self._at is not None:
            with self._lock:
                self._held[key] = found
                while len(self._held) > MOST_CONDITIONS:
                    self._held.popitem(last=False)
        return found

    def _rows_permitted(self, given: Mapping[str, Any]) -> int:
        """Return how many rows may be seen, counted no further than it matters; remembered for a version, which never changes."""
        key = tuple((name, tuple(value)) for name, value in sorted(given.items()) if isinstance(value, list))
        with self._lock:
            if key in self._permitted:
                self._permitted.move_to_end(key)
                return self._permitted[key]
        counted = "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {visible} LIMIT %(most)s) AS seen"
        rows = int(self._ask(counted, {**given, "most": self._exact_rows + 1})[0][0])
        if self._at is not None:
            with self._lock:
                self._permitted[key] = rows
                while len(self._permitted) > MOST_CONDITIONS:
                    self._permitted.popitem(last=False)
        return rows

    def _ask(self, query: str, given: Mapping[str, Any], *, near: bool = False) -> list[tuple[Any, ...]]:
        """Run a query in a transaction that has said for whom it reads."""
        from psycopg import sql

        further = "".join(f" AND metadata && %({name})s::text[]" for name in sorted(given) if name.startswith("some"))
        whole = sql.SQL(query).format(
            table=self._table,
            visible=sql.SQL((_DRAFT if self._at is None else _VISIBLE).format(further=further)),
            **({"k1": sql.Literal(K1 + 1), "k": sql.Literal(K1), "b": sql.Literal(B)} if query is _WORDS else {}),
        )

        def work(connection: Connection[Any]) -> list[tuple[Any, ...]]:
            with connection.transaction():
                connection.execute(
                    "SELECT set_config('groundtune.groups', (%s::text[])::text, true), set_config('statement_timeout', %s, true)",
                    [given["groups"], str(round(self._timeout * 1000))],
                )
                if near:
                    connection.execute(_near(int(given["limit"])))
                rows: list[tuple[Any, ...]] = connection.execute(whole, given).fetchall()
                return rows

        found: list[tuple[Any, ...]] = self._connections.read(work)
        return found


def _near(limit: int) -> sql.SQL:
    from psycopg import sql

    looked = min(1000, max(EF_SEARCH, 4 * limit))
    settings = f"SET LOCAL hnsw.ef_search = {looked}; SET LOCAL hnsw.iterative_scan = strict_order;"
    return sql.SQL(f"{settings} SET LOCAL hnsw.max_scan_tuples = {MOST_SCANNED}")


def _chunk(row: tuple[Any, ...]) -> Chunk:
    return Chunk(
        id=row[0],
        document_id=row[1],
        document_hash=row[2],
        ordinal=row[3],
        text=row[4],
        start=row[5],
        end=row[6],
        heading_path=tuple(row[7]),
        title=row[8],
        readers=frozenset(row[9]),
        tokens=row[10],
        **from_kept(row[11]),
    )
