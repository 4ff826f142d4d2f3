"""Preference pairs: one object a line, only the approved ones are given out, every bad line is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_examples import write

from groundtune.errors import ExampleError, Problems
from groundtune.examples.preferences import load, read


def pair(**changed: Any) -> dict[str, Any]:
    whole = {"id": "p", "question": "how?", "as": "cust", "chosen": {"answer": "so"}, "rejected": "no", "status": "approved"} | changed
    return {key: value for key, value in whole.items() if value is not ...}


def test_approved_pairs_are_loaded_and_others_only_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "preferences.jsonl", [pair(), pair(id="q", status="draft"), pair(id="r", status=..., source="a.md")])
    first, last = load(path)
    assert (first.id, first.asker, first.chosen, first.rejected, first.source) == ("p", "cust", {"answer": "so"}, "no", "")
    assert (last.id, last.status, last.source) == ("r", "approved", "a.md")
    assert [item.id for item in load(path, ("draft",))] == ["q"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"question": ""}, "question is missing"),
        ({"as": ...}, "as is missing"),
        ({"chosen": ...}, "chosen is missing"),
        ({"rejected": 7}, "rejected is 7"),
        ({"rejected": {}}, "rejected is {}"),
        ({"chosen": "no"}, "chosen and rejected are the same"),
        ({"status": "fine"}, "status is 'fine'"),
        ({"source": 3}, "source is 3"),
        ({"mood": 1}, "unknown field mood"),
    ],
)
def test_a_bad_pair_is_named_by_its_line(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "preferences.jsonl", [pair(id="first"), pair(**changed)])
    with pytest.raises(ExampleError) as error:
        load(path)
    assert f"preferences.jsonl:2: {words}" in error.value.message


def test_several_bad_lines_are_told_together_and_a_missing_file_with_the_way_to_one(tmp_path: Path) -> None:
    path = write(tmp_path / "preferences.jsonl", [pair(), pair(), pair(id="x", chosen=None)])
    with pytest.raises(Problems, match="was used before"):
        load(path)
    assert len(read(path)[0]) == 1 and len(read(path)[1]) == 2
    with pytest.raises(ExampleError, match="no such file"):
        load(tmp_path / "none.jsonl")
