import json
from pathlib import Path

import pytest
from test_trainset import ASKERS, DOCUMENTS, HOUSE, search

from groundtune.errors import InputError, StateError
from groundtune.examples.ratings import Rating
from groundtune.tables import TuningTable
from groundtune.tuning.pairs import balance, build, build_rated
from groundtune.tuning.rendering import Rendering
from groundtune.tuning.rows import Pair, TrainSet
from groundtune.types import Preference

ROW = {"id": "p", "question": "q", "as": "ana", "chosen": "yes", "rejected": "no", "status": "approved"}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "preferences.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def preference(number: int, **change: str) -> Preference:
    fields = {"id": f"p{number}", "question": f"what {number}", "asker": "ana", "chosen": "yes", "rejected": "no"}
    return Preference(**{**fields, "status": "approved", **change})


def built(rows: list[Preference], **recipe: object) -> tuple[TrainSet, tuple[Pair, ...]]:
    table = TuningTable(objective="dpo", **{"readers": ["everyone"], **recipe})
    return build(rows, Rendering(recipe=table, house=HOUSE, documents=DOCUMENTS, askers=ASKERS, retrieve=search, seed=7))


def test_the_file_is_not_taken_for_examples(tmp_path: Path) -> None:
    from groundtune.examples.load import read

    written(tmp_path, ROW)
    (tmp_path / "ratings.jsonl").write_text('{"id": "r"}\n')
    found = read(tmp_path, [], {})
    assert [problem.message for problem in found.problems] == [f"{tmp_path}: holds no examples (*.jsonl)"]


def test_only_approved_pairs_of_documents_that_the_audience_reads_are_learned() -> None:
    rows = [preference(1), preference(2, status="draft"), preference(3, source="document:c"), preference(4, source="document:gone")]
    found, held = built([*rows, preference(5, source="document:d")], readers=["everyone"])
    assert [row.example_id for row in found.rows] == ["p1", "p5"] and held == ()
    assert sum(found.left_out.values()) == 3
    # The first names no document, so it is for those alone whom the table names.
    assert found.document_ids == ("document:d",) and found.readers == {"everyone"}
    found, _ = built([preference(5, source="d")], readers=["everyone"])
    assert found.document_ids == ("document:d",) and found.readers == {"everyone", "finance"}


@pytest.mark.parametrize("source", ["review", "gone", "document:gone", "a.md"])
def test_a_source_that_is_no_document_leaves_its_row_out(source: str) -> None:
    """It may be one that was renamed: its readers are not known, so nobody may be taught what was drawn from it."""
    found, _ = built([preference(1), preference(2, source=source)])
    assert [row.example_id for row in found.rows] == ["p1"]
    assert found.left_out == {"a preference whose source is no document, or is gone": 1}


@pytest.mark.parametrize("readers", [["everyone"], ["finance"], ["everyone", "finance"]])
def test_a_row_that_names_no_document_is_for_the_readers_of_its_table_and_nobody_else(readers: list[str]) -> None:
    found, _ = built([preference(1)], readers=readers)
    assert found.readers == set(readers)
    with pytest.raises(StateError, match="preference p1 names no document, so nobody knows who may be answered") as raised:
        built([preference(2, source="document:d"), preference(1)], readers=None)
    assert "set readers in the [tuning.*] table" in raised.value.hint
    found, _ = built([preference(2, source="document:d")], readers=None)
    assert found.readers == {"everyone", "finance"}


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


def rating(number: int, **change: object) -> Rating:
    fields = {"id": f"r{number}", "question": f"what {number}", "asker": "ana", "reply": "yes", "desirable": number % 2 == 0}
    return Rating(**{**fields, **change})  # type: ignore[arg-type]


def test_ratings_are_bound_as_pairs_are_and_halves_of_a_pair_are_not_parted() -> None:
    table = TuningTable(objective="kto", readers=["everyone"], undesirable_weight=2.0)
    rendering = Rendering(recipe=table, house=HOUSE, documents=DOCUMENTS, askers=ASKERS, retrieve=search, seed=7)
    several = [rating(0, source="document:d"), rating(1), rating(2, status="draft"), rating(3, source="document:c")]
    found, held = build_rated(several, rendering)
    assert [row.example_id for row in found.rows] == ["r0", "r1"] and held == () and sum(found.left_out.values()) == 2
    assert found.document_ids == ("document:d",) and found.readers == {"everyone"}
    assert balance(found.rows, table) == (1, 1, 0.5)  # type: ignore[arg-type]

    halves = [rating(number, id=f"p{number // 2}", desirable=number % 2 == 0) for number in range(80)]
    found, held = build_rated(halves, rendering)
    assert len(held) == 8 and not {row.example_id for row in held} & {row.example_id for row in found.rows}
    with pytest.raises(InputError, match="rating r1: asked as 'eve'"):
        build_rated([rating(1, asker="eve")], rendering)
