"""Replies that were rated one by one: a file of them is read line by line, pairs are taken apart, and what is no rating is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import ExampleError, Problems
from groundtune.examples.load import STATUSES
from groundtune.examples.ratings import load, read

ROW = {"id": "r", "question": "how long", "as": "ana", "reply": {"answer": "two"}, "desirable": True, "status": "approved"}
PAIR = {"id": "p", "question": "how long", "as": "ana", "chosen": "two", "rejected": "ages", "source": "a.md"}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "ratings.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_ratings_and_pairs_are_read_from_one_file(tmp_path: Path) -> None:
    rows = [ROW, PAIR, {**ROW, "id": "bad", "desirable": False, "status": "draft"}]
    found = load(written(tmp_path, *rows), STATUSES)
    assert [(item.id, item.reply, item.desirable, item.source) for item in found] == [
        ("r", {"answer": "two"}, True, ""),
        ("p", "two", True, "a.md"),
        ("p", "ages", False, "a.md"),
        ("bad", {"answer": "two"}, False, ""),
    ]
    assert [item.id for item in load(written(tmp_path, *rows))] == ["r", "p", "p"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"desirable": 1}, "desirable is 1; expected true or false"),
        ({"desirable": "yes"}, "desirable is 'yes'; expected true or false"),
        ({"reply": ""}, "reply is ''; expected a text or an object"),
        ({"reply": None}, "reply is missing"),
        ({"question": " "}, "question is missing or no text"),
        ({"stars": 5}, "unknown field stars; known: id, question, as, reply, desirable"),
        ({"status": "maybe"}, "status is 'maybe'"),
        ({"source": 3}, "source is 3"),
        ({"chosen": "two"}, "rejected is missing"),
    ],
)
def test_a_line_that_is_no_rating_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    row = {key: value for key, value in {**ROW, **change}.items() if value is not None}
    with pytest.raises((ExampleError, Problems)) as raised:
        load(written(tmp_path, ROW, {**row, "id": "other"}))
    assert said in raised.value.message and "ratings.jsonl:2" in raised.value.message


def test_a_missing_file_a_double_id_and_no_json_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="no such file"):
        load(tmp_path / "nowhere.jsonl")
    with pytest.raises(Problems, match="id 'r' was used before"):
        load(written(tmp_path, ROW, PAIR, ROW, "{"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=4), inner)
)


@settings(max_examples=40)
@given(st.lists(VALUES, max_size=6))
def test_no_line_is_lost_without_a_word(tmp_path_factory: pytest.TempPathFactory, values: list[object]) -> None:
    lines = [json.dumps(value) for value in values]
    found, problems = read(written(tmp_path_factory.getbasetemp(), *lines, {**ROW, "id": "the last one"}))
    assert len(found) == 1 and len({problem.message.split(": ", 1)[0] for problem in problems}) == len(values)
