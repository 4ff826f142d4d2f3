"""Facts of an answer: numbers as numbers, words by their beginnings, and the sentence that says the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_examples import DOCUMENTS

from groundtune.examples.support import Finder, facts, missing_numbers, shared


@pytest.mark.parametrize(
    ("answer", "document", "lost"),
    [
        ("It costs EUR 1,500.", "a price of 1500 euros", ()),
        ("It costs 390.", "EUR 390.00 a month", ()),
        ("Within two hours.", "until 2 hours before", ()),
        ("Within 3 hours.", "until 2 hours before", ("3",)),
        ("Version 4.9 or newer.", "since 4.9", ()),
        ("Version 4.8.", "since 4.9", ("4.8",)),
        ("At 15:30 for one person.", "from 15:30", ()),
        ("2", "12", ("2",)),
    ],
)
def test_numbers_are_compared_as_people_write_them(answer: str, document: str, lost: tuple[str, ...]) -> None:
    assert missing_numbers(answer, [document]) == lost


def test_what_the_question_says_is_no_fact_of_the_answer() -> None:
    claimed = facts("The warranty lasts 24 months.", "How long does the warranty last?")
    assert claimed.numbers == {"24"} and claimed.words == {"lasts", "months"}
    assert shared(claimed, facts("The warranty is 24 months")) == pytest.approx(2 / 3)
    assert shared(facts(""), facts("x")) == 1.0


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80), st.text(max_size=80))
def test_a_share_is_a_share_and_a_text_supports_itself(one: str, other: str) -> None:
    assert 0.0 <= shared(facts(one), facts(other)) <= 1.0
    assert shared(facts(one), facts(one)) == 1.0 and missing_numbers(one, [one]) == ()


def test_a_sentence_is_found_only_in_what_may_be_read_and_with_all_numbers() -> None:
    finder = Finder(DOCUMENTS)
    everything = frozenset({"slots.md", "pay.md"})
    found = finder.find("pay?", "Salaries rise by 3 % in April", everything)
    assert found is not None and found.document == "pay.md" and found.quote in DOCUMENTS[1].text
    assert finder.find("pay?", "Salaries rise by 3 % in April", frozenset({"slots.md"})) is None
    assert finder.find("pay?", "Salaries rise by 4 % in April", everything) is None
    assert finder.find("?", "", everything) is None and finder.find("?", "Bananas grow abroad", everything) is None
