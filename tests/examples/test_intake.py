"""Taking rows in: evidence is found or doubted, what is unfit is quarantined with a reason, and nothing comes in twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_examples import DOCUMENTS, PEOPLE, row

from groundtune.errors import ExampleError, UnknownName
from groundtune.examples.intake import House, Taking, Wish, taken

SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def house(schema: dict[str, Any] | None = None) -> House:
    return House(
        documents={item.id: item for item in DOCUMENTS},
        principals=PEOPLE,
        schema=schema,
        answer_field="answer",
        quote_field="quote",
        refuses=lambda said: "don't know" in said,
    )


def put(tmp_path: Path, *values: Any, name: str = "old.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return path


def take(path: Path, schema: dict[str, Any] | None = None, present: tuple[dict[str, Any], ...] = (), **wish: Any) -> Taking:
    return taken(path, Wish(**{"asker": "cust", **wish}), house(schema), present)


def asked(question: str, answer: str) -> dict[str, Any]:
    return {"prompt": question, "completion": answer}


def test_evidence_is_found_by_words_and_the_row_is_a_draft_that_says_so(tmp_path: Path) -> None:
    path = put(tmp_path, asked("How late may I cancel?", "You can cancel a slot without fee until 2 hours before."))
    [found] = take(path, status="approved").rows
    assert found["evidence"][0]["document"] == "slots.md" and "without fee" in found["evidence"][0]["quote"]
    assert found["status"] == "draft" and "found by words" in found["reason"]
    assert found["origin"] == {"form": "prompt-completion", "file": "old.jsonl", "line": 1}
    assert set(found["made_from"]) == {"slots.md"} and found["split_group"] == "slots.md" and found["kind"] == "answerable"


def test_evidence_is_never_taken_from_a_document_that_the_asker_may_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, asked("What about salaries?", "Salaries rise by 3 % in April."))
    [hidden] = take(path).rows
    assert hidden["evidence"] == [] and hidden["status"] == "quarantined" and "needs evidence" in hidden["reason"]
    [seen] = take(path, asker="hana").rows
    assert seen["evidence"][0]["document"] == "pay.md" and seen["status"] == "draft"


def test_a_quote_in_the_reply_is_evidence_without_doubt(tmp_path: Path) -> None:
    reply = {"quote": "without fee until 2 hours before", "answer": "Two hours."}
    [found] = take(put(tmp_path, asked("How late?", json.dumps(reply))), SCHEMA, status="approved").rows
    assert found["status"] == "approved" and found["reply"] == reply and "reason" not in found


def test_a_reply_that_does_not_fit_the_schema_is_quarantined(tmp_path: Path) -> None:
    reply = {"quote": "without fee until 2 hours before", "answer": "Two hours.", "mood": "good"}
    [found] = take(put(tmp_path, asked("How late?", json.dumps(reply))), SCHEMA).rows
    assert found["status"] == "quarantined" and "reply: mood is not a known field" in found["reason"]


def test_a_refusal_needs_no_evidence(tmp_path: Path) -> None:
    [found] = take(put(tmp_path, asked("Who wins?", "I don't know."))).rows
    assert found["kind"] == "refuse" and found["status"] == "draft" and found["evidence"] == []


def test_readers_stand_for_documents_only_when_they_are_given(tmp_path: Path) -> None:
    path = put(tmp_path, asked("Route this", "billing"))
    assert take(path).rows[0]["status"] == "quarantined"
    [found] = take(path, readers=("everyone",), status="approved").rows
    assert found["readers"] == ["everyone"] and found["status"] == "approved"
    [closed] = take(path, readers=()).rows
    assert closed["status"] == "quarantined" and "is not among its readers" in closed["reason"]


def test_an_unknown_asker_stops_it_and_one_in_a_row_quarantines_it(tmp_path: Path) -> None:
    path = put(tmp_path, asked("a", "b"))
    with pytest.raises(UnknownName, match="unknown principal 'nobody'; known: cust, hana"):
        take(path, asker="nobody")
    assert "asker is missing" in take(path, asker=None).rows[0]["reason"]
    [found] = take(put(tmp_path, row(asker="nobody"), name="own.jsonl")).rows
    assert "'nobody' is no principal" in found["reason"] and found["status"] == "quarantined"


def test_the_same_record_is_taken_once_however_often_it_comes(tmp_path: Path) -> None:
    value = asked("Who wins?", "I don't know.")
    first = take(put(tmp_path, value, value))
    assert len(first.rows) == 1 and first.present == 1
    again = take(put(tmp_path, value), present=tuple(dict(item) for item in first.rows))
    assert again.rows == () and again.present == 1


def test_ids_do_not_collide_with_those_there_are(tmp_path: Path) -> None:
    [found] = take(put(tmp_path, asked("Who wins?", "I don't know.")), present=({"id": "old-00001", "question": "x"},)).rows
    assert found["id"] == "old-00001-2"


def test_a_training_row_whose_question_is_asked_in_test_is_a_leak_at_the_door(tmp_path: Path) -> None:
    present = (row(split="test", question="Who wins?", evidence=[]),)
    [found] = take(put(tmp_path, asked("who  wins", "I don't know.")), present=present).rows
    assert found["status"] == "quarantined" and "leak: its question is asked in test" in found["reason"]


def test_bad_records_are_named_by_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    turns = [{"role": "assistant", "content": "so"}, {"role": "user", "content": "how?"}]
    good = {"messages": turns[::-1]}
    result = take(put(tmp_path, {"messages": turns}, "{", good, {"messages": [{"role": "x", "content": "y"}]}))
    assert [item.message.split("old.jsonl")[1].split(" ")[0] for item in result.problems] == [":1:", ":2:", ":4:"]
    assert "wrong roles" in result.problems[0].message and len(result.rows) == 1


def test_a_file_without_records_or_in_no_known_form_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="holds no records"):
        take(put(tmp_path, name="empty.jsonl"))
    with pytest.raises(ExampleError, match=r"old.jsonl:1: in no known form; its fields: b, c"):
        take(put(tmp_path, {"c": 1, "b": 2}))
    with pytest.raises(UnknownName, match="unknown form 'parquet'"):
        take(put(tmp_path, {"a": 1}), form="parquet")


def test_pairs_become_preferences_with_the_same_care(tmp_path: Path) -> None:
    good = {"prompt": "how?", "chosen": '{"answer": "so"}', "rejected": "no"}
    result = take(put(tmp_path, good, {**good, "chosen": '{"mood": 1}'}), SCHEMA, status="approved")
    first, second = result.pairs
    assert (first["as"], first["chosen"], first["rejected"], first["status"]) == ("cust", {"answer": "so"}, "no", "approved")
    assert second["status"] == "quarantined" and "chosen: answer is missing" in second["reason"]


def test_system_messages_are_left_behind_and_told(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "pirate"},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "I don't know."},
    ]
    assert "1 records came with a system message" in take(put(tmp_path, {"messages": turns})).notes[0]
