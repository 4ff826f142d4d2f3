"""Rows keep their place and their neighbours' bytes; a status decides who is taught."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_examples import DOCUMENTS, PEOPLE, row, write

from groundtune.errors import StateError
from groundtune.examples import load, rows


def test_only_approved_rows_are_examples_and_the_others_are_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        [row(), row(id="b", status="approved"), row(id="c", status="draft", evidence=7), row(id="d", status="quarantined", reason="x")],
    )
    reading = load.read(path, DOCUMENTS, PEOPLE)
    assert [item.id for item in reading.examples] == ["slots-1", "b"]
    assert reading.left_out == {"draft": 1, "quarantined": 1} and reading.problems == ()


def test_a_status_that_nobody_knows_is_a_problem_and_no_approval(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(status="Draft")])
    reading = load.read(path, DOCUMENTS, PEOPLE)
    assert not reading.examples and "a.jsonl:1: status is 'Draft'; known: approved, draft" in reading.problems[0].message
    assert rows.read(path, DOCUMENTS, PEOPLE).rows[0].status == "quarantined"


def test_an_approved_row_with_the_id_of_a_draft_is_a_problem(tmp_path: Path) -> None:
    reading = load.read(write(tmp_path / "a.jsonl", [row(status="draft"), row()]), DOCUMENTS, PEOPLE)
    assert "was used before" in reading.problems[0].message


def test_preference_pairs_beside_the_examples_are_not_read_as_examples(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [row()])
    write(tmp_path / "preferences.jsonl", [{"id": "p"}])
    assert load.read(tmp_path, DOCUMENTS, PEOPLE).problems == ()


def test_a_row_without_evidence_needs_readers_and_its_asker_among_them(tmp_path: Path) -> None:
    bare = row(evidence=[])
    path = write(
        tmp_path / "a.jsonl",
        [bare, {**bare, "id": "b", "readers": ["everyone"]}, {**bare, "id": "c", "readers": ["hr"]}, {**bare, "id": "d", "readers": []}],
    )
    reading = load.read(path, DOCUMENTS, PEOPLE)
    assert [(item.id, item.readers) for item in reading.examples] == [("b", frozenset({"everyone"}))]
    said = " ".join(item.message for item in reading.problems)
    assert "needs evidence, or readers" in said and said.count("is not among its readers") == 2
    crossed = load.read(write(tmp_path / "b.jsonl", [row(readers=["everyone"])]), DOCUMENTS, PEOPLE)
    assert "readers is for rows without evidence" in crossed.problems[0].message


def test_a_change_keeps_every_other_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first, second = '{"id": "x",   "odd":1}', json.dumps(row(id="y"))
    path.write_bytes(f"\ufeff{first}\r\n\r\n{second}\r\n{first}\n".encode())
    stored = rows.read(path, DOCUMENTS, PEOPLE).rows[1]
    done = rows.change(stored, {"status": "rejected", "reason": "no"})
    lines = path.read_bytes().decode().split("\n")
    assert lines[0] == f"\ufeff{first}\r" and lines[1] == "\r" and lines[3] == first and lines[4] == ""
    assert json.loads(lines[2]) == {**row(id="y"), "status": "rejected", "reason": "no"} and lines[2].endswith("\r")
    assert rows.change(done, {"reason": None}).row.get("reason") is None
    assert not list(tmp_path.glob(".*"))


def test_a_row_that_another_hand_changed_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row()])
    [stored] = rows.read(path, DOCUMENTS, PEOPLE).rows
    write(path, [row(question="another?")])
    with pytest.raises(StateError, match="changed or removed by another hand"):
        rows.change(stored, {"status": "approved"})
    assert "another?" in path.read_text()


def test_a_row_that_moved_down_is_still_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row()])
    [stored] = rows.read(path, DOCUMENTS, PEOPLE).rows
    write(path, [row(id="new"), row()])
    assert rows.change(stored, {"status": "draft"}).line == 2


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.jsonl", [row()])
    before = path.read_bytes()
    [stored] = rows.read(path, DOCUMENTS, PEOPLE).rows

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="no space left"):
        rows.change(stored, {"status": "approved"})
    assert path.read_bytes() == before and [item.name for item in tmp_path.iterdir()] == ["a.jsonl"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(values, min_size=1, max_size=5), st.integers(0, 4), values)
def test_whatever_rows_hold_a_change_touches_only_its_own(
    tmp_path_factory: pytest.TempPathFactory, held: list[object], at: int, new: object
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    before = [{"id": f"r{number}", "reply": value} for number, value in enumerate(held)]
    rows.append(path, before)
    stored = rows.read(path, (), {}).rows
    assert [item.row for item in stored] == before
    at %= len(held)
    rows.change(stored[at], {"status": new})
    after = [item.row for item in rows.read(path, (), {}).rows]
    wanted = {**before[at], "status": new} if new is not None else before[at]
    assert after == [*before[:at], wanted, *before[at + 1 :]]


def test_rows_are_appended_after_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "one"}')
    rows.append(path, [{"id": "two"}])
    assert path.read_text() == '{"id": "one"}\n{"id": "two"}\n'
