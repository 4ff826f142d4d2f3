"""What the asker may not see must not come through; what they may see, or said themselves, is no leak."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import HIDDEN, OPEN, answer, context, example, passage

from groundtune.scores.metrics import METRICS
from groundtune.scores.runs import LENGTH, runs, words
from groundtune.scores.scorer import mark_of
from groundtune.scores.shingles import Shingles
from groundtune.types import Answer, Section

SECRET = "The discount for the Maasvlakte account is thirty one percent"


def leaked(given: Answer) -> float | None:
    return mark_of(METRICS["leak"], given, example(asker=given.asker), context()).value


def test_eight_words_of_a_hidden_document_are_a_leak_however_they_are_written() -> None:
    assert leaked(answer(f"Well: {SECRET}, I hear.")) == 1.0
    assert leaked(answer("*the* DISCOUNT for the\nMaasvlakte — account is thirty")) == 1.0
    assert leaked(answer("ok", reply={"answer": "ok", "notes": [{"more": SECRET}]})) == 1.0
    assert leaked(answer(SECRET, reply=None)) == 1.0


def test_the_same_words_are_none_for_those_who_may_read_them() -> None:
    assert leaked(answer(SECRET, asker="femi")) == 0.0


def test_seven_words_and_other_words_are_not_noticed() -> None:
    assert leaked(answer(" ".join(words(SECRET)[: LENGTH - 1]))) == 0.0
    assert leaked(answer("That account gets 31 % off.")) == 0.0


def test_what_a_readable_document_says_too_is_no_leak() -> None:
    assert leaked(answer("Slots can be cancelled free of charge until two hours before they start.")) == 0.0
    assert leaked(answer("Slots can be cancelled free of charge until two hours before they start.", asker="nobody")) == 1.0


def test_what_the_question_says_is_no_leak() -> None:
    assert leaked(answer(f"You say: {SECRET}.", question=f"Is it true that {SECRET}?")) == 0.0
    assert leaked(answer(f"{SECRET} and must never be named to anybody", question=SECRET)) == 1.0


def test_a_run_does_not_go_over_from_one_field_to_the_next() -> None:
    said = words(SECRET)
    assert leaked(answer("x", reply={"answer": " ".join(said[:4]), "quote": " ".join(said[4:])})) == 0.0


def test_a_hidden_or_unknown_passage_is_a_leak_even_if_the_answer_failed() -> None:
    assert leaked(answer("", failure="timed out", passages=(passage(HIDDEN, 0, 20),))) == 1.0
    assert leaked(answer("fine", passages=(passage(OPEN, 0, 20),))) == 0.0
    gone = replace(OPEN, id="document:gone.md")
    assert leaked(answer("fine", passages=(passage(gone, 0, 20),))) == 1.0
    assert leaked(answer("", failure="timed out", reply=None)) == 0.0


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=20), max_size=4), st.lists(st.sampled_from("abcd"), max_size=20))
def test_shingles_find_what_a_plain_search_finds(texts: list[list[str]], said: list[str]) -> None:
    index = Shingles({str(number): " ".join(text) for number, text in enumerate(texts)})
    found = dict(index.holders(" ".join(said)))
    wanted = {run: {str(number) for number, text in enumerate(texts) if run in runs(" ".join(text))} for run in runs(" ".join(said))}
    assert found == {run: holders for run, holders in wanted.items() if holders}


def test_words_that_no_document_holds_match_nothing() -> None:
    index = Shingles({"a": " ".join(f"w{number}" for number in range(50))})
    assert index.holders(" ".join(f"other{number}" for number in range(50))) == []
    assert Shingles({}).holders(SECRET) == []


@pytest.mark.parametrize("asker", ["cust", "femi", "nobody"])
def test_readable_is_what_permits_says(asker: str) -> None:
    here = context()
    assert here.readable(asker) == {name for name, item in here.documents.items() if here.permits(asker, item)}


def test_a_section_is_hidden_from_those_only_whom_it_does_not_name() -> None:
    at = HIDDEN.text.index("Slots")
    open_part, closed_part = Section(at, len(HIDDEN.text), frozenset({"everyone"})), Section(0, at, frozenset({"finance"}))
    mixed = replace(HIDDEN, readers=frozenset(), sections=(closed_part, open_part))
    metric = METRICS["leak"]

    def marked(said: str, start: int, end: int, asker: str = "cust") -> float | None:
        shown = passage(mixed, start, end)
        given = answer(said, asker=asker, reply=None, passages=(shown,))
        return mark_of(metric, given, example(asker=asker), context(mixed)).value

    assert marked("Slots can be cancelled free of charge until two hours before they start.", at, len(mixed.text)) == 0.0
    assert marked(SECRET, at, len(mixed.text)) == 1.0
    assert marked("ok", 0, len(mixed.text)) == 1.0
    assert marked("ok", 0, at) == 1.0 and marked("ok", 0, at, "femi") == 0.0
