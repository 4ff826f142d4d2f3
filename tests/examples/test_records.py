"""Files of others: every bad line is named, and the good ones around it are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.errors import ExampleError
from groundtune.examples import records


def read(path: Path) -> tuple[list[tuple[int, dict[str, object]]], list[str]]:
    problems: list[ExampleError] = []
    found = [(item.line, item.value) for item in records.read(path, problems)]
    return found, [item.message for item in problems]


def put(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_json_lines_with_bad_ones_between(tmp_path: Path) -> None:
    text = '\ufeff{"a": 1}\n\n{"a": NaN}\n[1]\n{"a": 1, "a": 2}\n{"a": "\\ud800"}\n{"a":\n{"a": 2}\n' + "[" * 5000 + "\n"
    found, problems = read(put(tmp_path, "x.jsonl", text))
    assert found == [(1, {"a": 1}), (8, {"a": 2})]
    assert [problem.split("x.jsonl:")[1].split(":")[0] for problem in problems] == ["3", "4", "5", "6", "7", "9"]
    for words in ("NaN is not JSON", "expected a JSON object, found list", "'a' stands twice", "surrogate", "column 6", "nested too deep"):
        assert any(words in problem for problem in problems), words


def test_a_json_array_over_several_lines_names_the_line_of_each_record(tmp_path: Path) -> None:
    text = '[\n  {"a":\n 1},\n\n  {"a": 2}, 7,\n {"a": 3}\n]\n'
    found, problems = read(put(tmp_path, "x.json", text))
    assert found == [(2, {"a": 1}), (5, {"a": 2}), (6, {"a": 3})]
    assert problems == [f"{tmp_path}/x.json:5: expected a JSON object, found int"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[{"a": 1},\n{"a": }]', 2, "not JSON at line 2"),
        ('[{"a": 1}', 1, "expected , or ]"),
        ('[{"a": 1},\n', 2, "ends too early"),
        ('[{"a": 1}]\n{"b": 1}', 1, "more behind the end"),
        ('[{"a": 1} {"b": 2}]', 1, "expected , or ]"),
        ('[{"a": ' + "[" * 20000, 1, "nested too deep"),
    ],
)
def test_a_broken_array_says_where_and_keeps_what_came_before(tmp_path: Path, text: str, line: int, words: str) -> None:
    found, problems = read(put(tmp_path, "x.json", text))
    assert len(problems) == 1 and f"x.json:{line}: " in problems[0] and words in problems[0]
    assert len(found) == (0 if "nested" in words else 1)


def test_a_table_with_quotes_line_ends_and_short_rows(tmp_path: Path) -> None:
    text = 'q;a\n"one\ntwo";yes\nthree\n;\nfour;"say ""no"""\n'
    found, problems = read(put(tmp_path, "x.csv", text))
    assert found == [(2, {"q": "one\ntwo", "a": "yes"}), (6, {"q": "four", "a": 'say "no"'})]
    assert problems == [f"{tmp_path}/x.csv:4: 1 cells, expected 2: q, a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,a\n1,2\n", "column 'a' twice"),
        ("a,\n1,2\n", "a column without a name"),
        ("", "nothing"),
        ('a,b\n1,"open\n', "not CSV"),
        ('a,b\n1,"x"y\n', "not CSV"),
        ("a,b\n1," + "x" * 4_000_001 + "\n", "not CSV"),
    ],
)
def test_a_table_that_is_none_is_told(tmp_path: Path, text: str, words: str) -> None:
    found, problems = read(put(tmp_path, "x.csv", text))
    assert not found and len(problems) == 1 and words in problems[0]


def test_files_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not UTF-8 at byte 1" in read(put(tmp_path, "x.jsonl", b"{\xff}"))[1][0]
    assert "is a folder" in read(tmp_path)[1][0]
    assert "no such file" in read(tmp_path / "none.jsonl")[1][0]
    monkeypatch.setattr(records, "MOST_BYTES", 3)
    assert "at most 3 are read" in read(put(tmp_path, "y.jsonl", "{}  \n"))[1][0]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from(["x.jsonl", "x.json", "x.csv", "x.tsv"]))
def test_no_bytes_raise_anything(tmp_path_factory: pytest.TempPathFactory, raw: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(raw)
    found, problems = read(path)
    assert all(isinstance(value, dict) for _, value in found) and all(name in problem for problem in problems)


plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(plain, plain | st.integers(), max_size=4), max_size=6))
def test_an_array_and_its_lines_hold_the_same_records(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]) -> None:
    folder = tmp_path_factory.mktemp("same")
    array, lines = folder / "x.json", folder / "x.jsonl"
    array.write_text(json.dumps(rows, indent=1))
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [value for _, value in read(array)[0]] == rows == [value for _, value in read(lines)[0]]
    assert read(array)[1] == read(lines)[1] == []
