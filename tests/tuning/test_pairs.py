import json
from pathlib import Path

import pytest
from test_trainset import ASKERS, DOCUMENTS, HOUSE, search

from groundtune.errors import ExampleError, InputError, Problems, StateError
from groundtune.examples.preferences import Preference, load
from groundtune.tables import TuningTable
from groundtune.tuning.pairs import build
from groundtune.tuning.rows import Pair, TrainSet

ROW = {"id": "p", "question": "q", "as": "ana", "chosen": "yes", "rejected": "no", "source": "review", "status": "approved"}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "preferences.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def preference(number: int, **change: str) -> Preference:
    fields = {"id": f"p{number}", "question": f"what {number}", "asker": "ana", "chosen": "yes", "rejected": "no", "source": "review"}
    return Preference(**{**fields, "status": "approved", **change})


def built(rows: list[Preference], **recipe: object) -> tuple[TrainSet, tuple[Pair, ...]]:
    table = TuningTable(objective="dpo", **recipe)
    return build(rows, recipe=table, house=HOUSE, documents=DOCUMENTS, askers=ASKERS, retrieve=search, seed=7)


def test_a_file_is_read_in_its_order(tmp_path: Path) -> None:
    found = load(written(tmp_path, ROW, "", {**ROW, "id": "r", "status": "draft"}))
    assert [(item.id, item.asker, item.status) for item in found] == [("p", "ana", "approved"), ("r", "ana", "draft")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON"),
        ([1], "expected a JSON object, found list"),
        ({**ROW, "more": 1}, "unknown key 'more'"),
        ({key: value for key, value in ROW.items() if key != "chosen"}, "'chosen' is missing"),
        ({**ROW, "rejected": " "}, "'rejected' must be a text"),
        ({**ROW, "id": 3}, "'id' must be a text"),
        ({**ROW, "status": "ok"}, "status is 'ok'; known: approved, draft"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(ExampleError, match=r"preferences\.jsonl:2: ") as raised:
        load(written(tmp_path, ROW | {"id": "first"}, row))
    assert said in raised.value.message


def test_all_bad_lines_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(Problems, match="2 problems"):
        load(written(tmp_path, ROW, ROW, {}))
    with pytest.raises(ExampleError, match="no such file"):
        load(tmp_path / "none.jsonl")


def test_only_approved_pairs_of_documents_that_the_audience_reads_are_learned() -> None:
    rows = [preference(1), preference(2, status="draft"), preference(3, source="document:c"), preference(4, source="document:gone")]
    found, held = built([*rows, preference(5, source="document:d")], readers=["everyone"])
    assert [row.example_id for row in found.rows] == ["p1", "p5"] and held == ()
    assert sum(found.left_out.values()) == 3
    assert found.document_ids == ("document:d",) and found.readers == {"everyone", "finance"}


def test_pairs_with_passages_show_only_what_the_audience_reads() -> None:
    found, _ = built([preference(1)], readers=["finance"], passages=True, distractors=4)
    [row] = found.rows
    assert set(row.document_ids) == {"document:c", "document:d"}
    assert "The text of c." in row.messages[-1]["content"] and "The text of a." not in row.messages[-1]["content"]


def test_a_tenth_of_many_pairs_is_held_out() -> None:
    found, held = built([preference(number) for number in range(40)], dev_rows=3)
    assert len(held) == 3 and len(found.rows) == 37
    assert not {pair.example_id for pair in held} & {row.example_id for row in found.rows}


def test_an_unknown_asker_and_no_approved_pair_are_told() -> None:
    with pytest.raises(InputError, match="preference p1: asked as 'eve'"):
        built([preference(1, asker="eve")])
    with pytest.raises(StateError, match="no training row is left"):
        built([preference(1, status="rejected")])
