"""Decisions are numbered, written whole, read back the same, and not written twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from made_estimates import decided, estimate, pairs, passing

from groundtune.decisions import record
from groundtune.errors import StateError
from groundtune.types import Decision

VALUES = {"rag": 0.5, "hybrid": 0.7}
ROWS = [*passing("rag", 0.5), *passing("hybrid", 0.7, citation=None), *pairs(VALUES, 0.001)]
DECISION = decided(ROWS)


def test_there_and_back() -> None:
    row = json.loads(json.dumps(record.to_row(DECISION), allow_nan=False))
    assert row["schema"] == 1
    assert record.from_row(row) == DECISION


def test_numbers_go_up_and_the_one_before_is_superseded(tmp_path: Path) -> None:
    folder = tmp_path / "decisions"
    first = record.write(DECISION, folder)
    second = record.write(replace(DECISION, verdict="can't tell", choice=None), folder)
    third = record.write(replace(DECISION, verdict="none passes", choice=None, fallback=None), folder)
    assert [item.id for item in (first, second, third)] == [
        "decision:0001-hybrid",
        "decision:0002-cannot-tell",
        "decision:0003-none-passes",
    ]
    assert [item.supersedes for item in (first, second, third)] == [None, first.id, second.id]
    assert record.latest(folder) == third
    assert record.read(folder / "0001-hybrid.json") == first
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{name}.{kind}" for name in ("0001-hybrid", "0002-cannot-tell", "0003-none-passes") for kind in ("json", "md")
    ]


def test_the_same_again_is_not_another_decision(tmp_path: Path) -> None:
    first = record.write(DECISION, tmp_path)
    later = replace(DECISION, made_on=date(2026, 12, 1), revisit_on=date(2027, 3, 1))
    assert record.write(later, tmp_path) == first
    assert len(list(tmp_path.iterdir())) == 2
    assert record.write(replace(later, inputs={"test": "other"}), tmp_path).id == "decision:0002-hybrid"


def test_a_number_is_never_given_twice_even_where_the_record_is_gone(tmp_path: Path) -> None:
    record.write(DECISION, tmp_path)
    (tmp_path / "0001-hybrid.json").unlink()
    assert record.latest(tmp_path) is None
    assert record.write(DECISION, tmp_path).id == "decision:0002-hybrid"


def test_a_failed_write_leaves_no_record(tmp_path: Path) -> None:
    def broken(decision: Decision) -> str:
        raise RuntimeError("no page")

    with pytest.raises(RuntimeError):
        record.write(DECISION, tmp_path, render=broken)
    assert record.latest(tmp_path) is None and list(tmp_path.iterdir()) == []


def test_no_folder_is_no_decision(tmp_path: Path) -> None:
    assert record.latest(tmp_path / "none") is None
    with pytest.raises(StateError, match="no such decision"):
        record.read(tmp_path / "0001-rag.json")


def changed(**values: Any) -> str:
    row = json.loads(json.dumps(record.to_row(DECISION)))
    row.update(values)
    return json.dumps({name: value for name, value in row.items() if value != "drop"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a decision record"),
        (changed(schema=2), "schema 2"),
        (changed(schema="drop"), "schema None"),
        (changed(owner="drop"), r"missing \['owner'\]"),
        (changed(more=1), r"unknown \['more'\]"),
        (changed(verdict="maybe"), "verdict is 'maybe'"),
        (changed(made_on="soon"), "soon"),
        (changed(reasons="all"), "reasons is not a list"),
        (changed(estimates=[{"metric": "leak"}]), "missing"),
        (changed(estimates=[{**record.to_row(DECISION)["estimates"][0], "state": "fine"}]), "state is 'fine'"),
        (changed(inputs=[]), "inputs is not a table"),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "0001-rag.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match=says) as caught:
        record.read(path)
    assert "0001-rag.json" in caught.value.message


def test_numbers_that_json_does_not_know_are_not_written(tmp_path: Path) -> None:
    odd = replace(DECISION, estimates=(estimate("leak", "rag", 0.0), replace(ROWS[0], value=float("nan"))))
    with pytest.raises(ValueError, match="JSON"):
        record.write(odd, tmp_path)
    assert record.latest(tmp_path) is None
