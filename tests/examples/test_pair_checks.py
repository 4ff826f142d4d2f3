"""Preference pairs and ratings are looked at as rows are: leaks, duplicates, contradictions, personal data, documents."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_examples import DOCUMENTS, PEOPLE, example

from groundtune.errors import ExampleError
from groundtune.examples.findings import Finding
from groundtune.examples.pair_checks import Place, check, judged
from groundtune.examples.rows import hash_of

SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}
HELD = [example("t1", "How late may a haulier cancel a slot without paying the fee?", "test")]
PLACE = Place(
    documents={item.id: item for item in DOCUMENTS},
    principals=PEOPLE,
    schema=SCHEMA,
    answer_field="answer",
    held=HELD,
    near=0.8,
    open_texts="Call +49 30 1234567.",
)


def pair(name: str = "p1", **changed: Any) -> dict[str, Any]:
    return {"id": name, "question": "what is a slot", "as": "cust", "chosen": {"answer": "A time."}, "rejected": "who knows"} | changed


def rating(name: str = "r1", desirable: bool = True, **changed: Any) -> dict[str, Any]:
    return {"id": name, "question": "what is a slot", "as": "cust", "reply": {"answer": "A time."}, "desirable": desirable} | changed


def found(*rows: Mapping[str, Any], what: str = "preference pairs") -> dict[str, Finding]:
    return {item.kind.removeprefix(f"{what}: "): item for item in check(what, "file.jsonl", rows, [], PLACE)}


def test_pairs_and_ratings_with_nothing_wrong_are_no_finding() -> None:
    assert found(pair(), pair("p2", question="what is a gate", source="slots.md")) == {}
    assert found(rating(), rating("r2", False, reply="who knows"), what="ratings") == {}


@pytest.mark.parametrize("row", [pair(), rating(), rating(desirable=False)])
def test_what_asks_a_held_question_is_a_leak_whatever_its_words_are_wrapped_in(row: dict[str, Any]) -> None:
    asked = "hello, HOW late may a haulier cancel a slot without paying the fee"
    leak = found(row | {"question": asked})["leaks"]
    assert leak.severity == "error" and leak.rows == (row["id"],) and "as t1 of test" in leak.samples[0][1]
    assert "leaks" not in found(row | {"question": asked, "status": "rejected"})
    assert "leaks" in found(row | {"question": asked, "status": "draft"})


def test_a_line_that_nobody_may_ask_or_that_names_no_document_is_wrong() -> None:
    wrong = found(
        pair("a", **{"as": "eve"}), pair("b", source="gone.md"), pair("c", source="document:pay.md"), pair("d", chosen={"text": "x"}),
        pair("e", **{"as": "hana"}, source="pay.md", rejected={"text": "x"}),
    )["preference pairs"]  # fmt: skip
    said = dict(wrong.samples)
    assert wrong.severity == "error" and set(wrong.rows) == {"a", "b", "c", "d"}
    assert "no principal" in said["a"] and "no document" in said["b"] and "may not read pay.md" in said["c"] and "better reply" in said["d"]
    [unread] = check("ratings", "r.jsonl", [], [ExampleError("r.jsonl:3: desirable is 1", "x")], PLACE)
    assert (unread.kind, unread.severity) == ("ratings", "error") and "r.jsonl:3" in unread.samples[0][1]


def test_the_same_line_twice_and_a_reply_that_is_wanted_and_not_wanted_are_told() -> None:
    twice = found(pair(), pair("p2", question="What is a SLOT?", chosen={"answer": "a time"}))
    assert twice["duplicates"].rows == ("p2",) and "conflicts" not in twice
    odds = found(pair(), pair("p2", chosen="who knows", rejected={"answer": "A time!"}))
    assert odds["conflicts"].severity == "error" and set(odds["conflicts"].rows) == {"p1", "p2"}
    both = found(rating(), rating("r2", False), what="ratings")
    assert both["conflicts"].rows == ("r2",)
    assert "conflicts" not in found(rating(), rating("r2", False, **{"as": "hana"}), what="ratings")


def test_personal_data_and_keys_are_shown_masked_also_in_the_reply_that_is_not_wanted() -> None:
    secret = "AKIA" + "ABCDEFGH12345678"
    made = found(
        pair(rejected=f"use {secret}"),
        pair("p2", question="I am jane.roe@example.org, what is a slot"),
        pair("p3", chosen={"answer": "Call +49 30 1234567."}),
    )
    assert (made["secrets"].severity, made["secrets"].rows) == ("error", ("p1",)) and secret not in str(made["secrets"])
    assert (made["personal data"].severity, made["personal data"].rows) == ("warning", ("p2",))
    assert "jane.roe" not in str(made["personal data"].samples)


def test_a_document_that_changed_since_is_told() -> None:
    now = hash_of(DOCUMENTS[0])
    rows = [
        pair("p1", source="slots.md", made_from={"slots.md": now}),
        pair("p2", question="q", source="slots.md", made_from={"slots.md": "0"}),
    ]
    assert found(*rows)["stale"].rows == ("p2",)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner, min_size=1)))
def test_no_reply_raises(reply: Any) -> None:
    list(check("preference pairs", "f", [pair(chosen=reply), rating("r", reply=reply), rating("s", False, reply=reply)], [], PLACE))
    assert judged(rating(reply=reply)).good == (reply,)
