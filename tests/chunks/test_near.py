import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from groundtune.access.filter import Predicate
from groundtune.chunks import index_lance as lance
from groundtune.chunks import near
from groundtune.chunks.index import labels

ROWS, WIDTH = 22_000, 48
SHARES = {"all": 1.0, "ten": 0.1, "one": 0.01, "tenth": 0.001}
TAGGED, DRAFT = "tagged", "draft"


class Made:
    """22,000 rows in 150 clusters, nested permissions, and the exact answer to any question about them."""

    def __init__(self, folder: Path) -> None:
        draw = np.random.default_rng(5)
        centres = draw.standard_normal((150, WIDTH))
        self.vectors = self.near(draw, centres, ROWS)
        self.questions = self.near(draw, centres, 20)
        self.chance = draw.random(ROWS)
        self.version = draw.integers(4, 6, ROWS)
        readers = [[name for name, share in SHARES.items() if chance < share] for chance in self.chance]
        table = lance.connect(folder).create_table("t", schema=lance.schema(WIDTH))
        columns = {
            "id": [self.name(number) for number in range(ROWS)],
            "document_id": [f"document:{number // 5}" for number in range(ROWS)],
            "search_text": [f"word{number % 97} gate" for number in range(ROWS)],
            "readers": readers,
            "metadata": [labels({"version": str(version)}) for version in self.version],
            "vector": list(self.vectors),
        }
        empty = {field.name: pa.nulls(ROWS, field.type) for field in table.schema if field.name not in columns}
        given = {name: pa.array(values, table.schema.field(name).type) for name, values in columns.items()}
        table.add(pa.table({**empty, **given}).select(table.schema.names))
        lance.make_indices(table)
        table.tags.create("one", table.version)
        self.folder = folder
        self.indices = {
            TAGGED: lance.LanceIndex(lance.connect(folder).open_table("t"), "one"),
            DRAFT: lance.LanceIndex(lance.connect(folder).open_table("t")),
        }

    @staticmethod
    def near(draw: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
        made = centres[draw.integers(0, len(centres), count)] + 0.7 * draw.standard_normal((count, WIDTH))
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    @staticmethod
    def name(number: int) -> str:
        return f"chunk:{number:05d}"

    def exact(self, question: np.ndarray, may: np.ndarray) -> set[str]:
        rows = np.nonzero(may)[0]
        return {self.name(number) for number in rows[np.argsort(-(self.vectors[rows] @ question))[:10]]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield Made(tmp_path_factory.mktemp("near"))


@pytest.mark.parametrize("kind", [TAGGED, DRAFT])
@pytest.mark.parametrize("group", list(SHARES))
@pytest.mark.parametrize("filter", [None, {"version": "5"}])
def test_recall_under_every_filter_is_that_of_the_exact_answer(made: Made, kind: str, group: str, filter: dict[str, str] | None) -> None:
    index = made.indices[kind]
    may = made.chance < SHARES[group]
    if filter:
        may &= made.version == 5
    recalls = []
    for question in made.questions:
        found = [hit.id for hit in index.dense(question, Predicate(frozenset([group])), filter, 10)]
        assert all(may[int(item.removeprefix("chunk:"))] for item in found)
        wanted = made.exact(question, may)
        assert len(found) == len(wanted)
        recalls.append(len(set(found) & wanted) / len(wanted))
    assert np.mean(recalls) >= 0.98


def test_the_plan_is_the_one_for_the_number_of_permitted_rows(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []
    from lancedb.query import LanceVectorQueryBuilder

    for name in ("bypass_vector_index", "minimum_nprobes"):
        real = getattr(LanceVectorQueryBuilder, name)

        def watched(self: object, *arguments: object, real: object = real, name: str = name) -> object:
            plans.append(name)
            return real(self, *arguments)  # type: ignore[operator]

        monkeypatch.setattr(LanceVectorQueryBuilder, name, watched)
    for kind, group, wanted in (
        (TAGGED, "all", ["minimum_nprobes"]),
        (TAGGED, "ten", []),
        (DRAFT, "all", ["minimum_nprobes"]),
        (DRAFT, "ten", ["bypass_vector_index"]),
    ):
        plans.clear()
        made.indices[kind].dense(made.questions[0], Predicate(frozenset([group])), None, 10)
        assert plans == wanted


def test_permissions_are_answered_from_their_index_in_both_searches(made: Made) -> None:
    from lancedb.query import MatchQuery

    may = Predicate(frozenset(["ten"]))
    index = made.indices[TAGGED]
    assert "ScalarIndexQuery" in index.explain(may, {"version": "5"})
    words = index._table.search(MatchQuery("gate", "search_text"), query_type="fts").where(may.sql(), prefilter=True).limit(5)
    assert "ScalarIndexQuery" in words.explain_plan(True)


def test_hidden_rows_do_not_use_up_a_keyword_searchs_limit(made: Made) -> None:
    for group, share in SHARES.items():
        found = made.indices[TAGGED].keyword("gate", Predicate(frozenset([group])), None, 50)
        permitted = int((made.chance < share).sum())
        assert len(found) == min(50, permitted)
        assert all(made.chance[int(hit.id.removeprefix("chunk:"))] < share for hit in found)


def test_what_is_held_is_bounded_and_each_asker_gets_their_own(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = near.Near(made.indices[TAGGED]._table, ROWS, pinned=True)
    monkeypatch.setattr(near, "MOST_BYTES", 400 * WIDTH * 4)
    for _ in range(2):
        for group in ("one", "tenth", "ten"):
            hits = planned.search(made.questions[1], Predicate(frozenset([group])).sql(), 10_000)
            assert {int(hit.id.removeprefix("chunk:")) for hit in hits} == set(np.nonzero(made.chance < SHARES[group])[0])
            assert sum(item[1].nbytes for item in planned._held.values()) <= near.MOST_BYTES or len(planned._held) == 1
    assert planned.search(made.questions[1], "false", 10) == []


def test_a_small_change_of_a_large_table_is_seen_before_it_is_indexed(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "copy")
    table = lance.connect(tmp_path / "copy").open_table("t")
    before = table.version
    row = table.search().where("id = 'chunk:00007'").limit(1).to_arrow().to_pylist()[0]
    table.add(pa.Table.from_pylist([{**row, "id": "chunk:new", "search_text": "zyxwvut", "readers": ["tenth"]}], schema=table.schema))
    lance.make_indices(table)
    assert table.version == before + 1
    index = lance.LanceIndex(table)
    assert [hit.id for hit in index.keyword("zyxwvut", Predicate(frozenset(["tenth"])), None, 3)] == ["chunk:new"]
    assert "chunk:new" in [hit.id for hit in index.dense(made.vectors[7], Predicate(frozenset(["tenth"])), None, 3)]
    assert not index.keyword("zyxwvut", Predicate(frozenset(["one"])), None, 3)
    for number in range(lance.FRAGMENTS + 1):
        table.add(pa.Table.from_pylist([{**row, "id": f"chunk:more{number}"}], schema=table.schema))
    lance.make_indices(table)
    assert table.index_stats("vector_idx").num_unindexed_rows == 0
