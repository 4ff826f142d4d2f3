from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_examples import DOCUMENTS, PEOPLE, row, write

from groundtune.examples.load import read


def said(path: Path) -> list[str]:
    return [problem.message.removeprefix(f"{path}") for problem in read(path, DOCUMENTS, PEOPLE).problems]


def test_a_row_becomes_an_example_with_exact_offsets(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(kind="version", filter={"version": "5"})])
    reading = read(path, DOCUMENTS, PEOPLE)
    assert reading.problems == ()
    [example] = reading.examples
    [evidence] = example.evidence
    assert DOCUMENTS[0].text[evidence.start : evidence.end] == evidence.quote == "without fee** until 2 hours\nbefore"
    assert (example.kind, example.answerable, example.filter) == ("version", True, {"version": "5"})
    assert example.reply == {"answer": "Two hours before."}


def test_a_document_may_be_named_with_or_without_its_prefix(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(evidence=[{"document": "document:slots.md", "quote": "Cancel a slot"}])])
    assert read(path, DOCUMENTS, PEOPLE).examples[0].evidence[0].document_id == "document:slots.md"


@pytest.mark.parametrize(
    ("kind", "asker", "document", "quote", "answerable"),
    [
        ("answerable", "cust", "slots.md", "Cancel a slot", True),
        ("version", "hana", "pay.md", "Salaries rise", True),
        ("forbidden", "cust", "pay.md", "Salaries rise", False),
        ("refuse", "cust", None, None, False),
        ("out_of_scope", "cust", None, None, False),
        ("adversarial", "cust", None, None, False),
    ],
)
def test_kinds(tmp_path: Path, kind: str, asker: str, document: str | None, quote: str | None, answerable: bool) -> None:
    evidence = [{"document": document, "quote": quote}] if document else []
    reading = read(write(tmp_path / "a.jsonl", [row(kind=kind, asker=asker, evidence=evidence)]), DOCUMENTS, PEOPLE)
    assert reading.problems == ()
    assert reading.examples[0].answerable is answerable


PAY = {"document": "pay.md", "quote": "Salaries rise"}
SLOT = {"document": "slots.md", "quote": "Cancel a slot"}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"evidence": [{"document": "slots.md", "quote": "until 3 hours"}]}, "evidence is not in slots.md: 'until 3 hours'"),
        ({"evidence": [{"document": "gone.md", "quote": "x"}]}, "evidence names 'gone.md', which is no document"),
        ({"evidence": [SLOT | {"page": 3}]}, "evidence: expected a list of"),
        ({"evidence": [{"document": "slots.md", "quote": 2}]}, "evidence: expected a list of"),
        ({"evidence": "slots.md"}, "evidence: expected a list of"),
        ({"evidence": ...}, "an example of kind answerable needs evidence"),
        ({"evidence": [SLOT, PAY]}, "asker 'cust' may not read pay.md"),
        ({"kind": "forbidden"}, "asker 'cust' may read all of its evidence"),
        ({"kind": "forbidden", "evidence": []}, "an example of kind forbidden needs the evidence that its asker may not read"),
        ({"kind": "refuse"}, "an example of kind refuse has no evidence"),
        ({"kind": "adversarial"}, "an example of kind adversarial has no evidence"),
        ({"kind": "maybe"}, "kind is 'maybe'; known: answerable, version, forbidden, refuse"),
        ({"asker": "bob"}, "asker 'bob' is no principal; known: cust, hana"),
        ({"asker": ...}, "asker is missing"),
        ({"split": ...}, "split is missing"),
        ({"split": "validation"}, "split is 'validation'; known: train, dev, test"),
        ({"question": "  "}, "question is '  '; expected a text"),
        ({"id": 7}, "id is 7; expected a text"),
        ({"split_group": ...}, "split_group is missing"),
        ({"reply": ...}, "reply is missing"),
        ({"reply": "text"}, "reply is no JSON object"),
        ({"filter": {"version": 5}}, "filter is {'version': 5}; expected texts by name"),
        ({"labels": 1, "extra": 2}, "unknown field extra, labels; known: id,"),
        ({"also": "Two hours ahead."}, "also is 'Two hours ahead.'; expected a list of other wordings of the answer"),
        ({"also": ["Two hours ahead.", " "]}, "also is ['Two hours ahead.', ' ']; expected a list of other wordings"),
        ({"kind": "refuse", "evidence": [], "also": ["I can't say."]}, "also is for questions with an answer; this one is of kind refuse"),
    ],
)
def test_what_is_wrong_with_a_row_is_named_by_file_and_line(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    path = write(tmp_path / "a.jsonl", [row(id="good"), row(**changed)])
    [message] = said(path)
    assert message.startswith(f":2: {problem}")
    assert [item.id for item in read(path, DOCUMENTS, PEOPLE).examples] == ["good"]


def test_other_right_wordings_are_kept_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(id="one"), row(id="two", also=["Until two hours before.", "2 hours ahead."])])
    assert [example.also for example in read(path, DOCUMENTS, PEOPLE).examples] == [(), ("Until two hours before.", "2 hours ahead.")]


def test_forbidden_needs_only_one_document_that_is_hidden(tmp_path: Path) -> None:
    assert said(write(tmp_path / "a.jsonl", [row(kind="forbidden", evidence=[SLOT, PAY])])) == []


def test_all_problems_of_a_row_are_reported(tmp_path: Path) -> None:
    assert len(said(write(tmp_path / "a.jsonl", [row(asker="bob", split="x", reply=1, question=...)]))) == 4


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": 1,}', ":2: not JSON at column 10"),
        ("[1]", ":2: expected a JSON object, found list"),
        ('{"id": "a", "id": "b"}', ":2: 'id' stands twice in one object"),
        ('{"id": NaN}', ":2: NaN is not JSON"),
        (r'{"id": "\ud800"}', ":2: holds half of a surrogate pair"),
        ('{"a": ' * 100_000, ":2: nested too deep"),
        ("{'id': 1}", ":2: not JSON at column 2"),
    ],
)
def test_what_is_not_json_is_named_by_line_and_column(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row()) + "\n" + line + "\n\n", encoding="utf-8")
    [message] = said(path)
    assert message.startswith(problem)
    assert len(read(path, DOCUMENTS, PEOPLE).examples) == 1


def test_a_line_separator_inside_a_text_is_no_line_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(question="one\u2028two\x85three?")])
    assert read(path, DOCUMENTS, PEOPLE).examples[0].question == "one\u2028two\x85three?"


def test_an_id_used_twice_is_refused_across_files(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [row()])
    write(tmp_path / "b/b.jsonl", [row(id="other"), row()])
    reading = read(tmp_path, DOCUMENTS, PEOPLE)
    assert [item.id for item in reading.examples] == ["slots-1", "other"]
    [problem] = reading.problems
    assert problem.message == f"{tmp_path}/b/b.jsonl:2: id 'slots-1' was used before, at {tmp_path}/a.jsonl:1"


def test_one_file_a_split(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [row(split=...)])
    test = write(tmp_path / "test.jsonl", [row(id="b", split=...), row(id="c", split="dev")])
    reading = read({"train": train, "test": test}, DOCUMENTS, PEOPLE)
    assert [(item.id, item.split) for item in reading.examples] == [("slots-1", "train"), ("b", "test")]
    assert "test.jsonl:2: split is 'dev', but the file is that of 'test'" in reading.problems[0].message


def test_a_place_without_examples_is_a_problem(tmp_path: Path) -> None:
    assert "holds no examples" in read(tmp_path, DOCUMENTS, PEOPLE).problems[0].message
    assert "holds no examples" in read(tmp_path / "gone.jsonl", DOCUMENTS, PEOPLE).problems[0].message


def test_bytes_that_are_not_utf8_are_named_by_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "\xff"}')
    assert said(path) == [": not UTF-8 at byte 8"]
