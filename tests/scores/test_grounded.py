"""Quotes, citations and how much of the evidence was shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import HIDDEN, OPEN, answer, cited, context, example, passage, refusable

from groundtune.scores.grounded import union
from groundtune.scores.metrics import METRICS, metric_named
from groundtune.scores.scorer import Mark, mark_of
from groundtune.types import Answer, Evidence, Example


def marked(name: str, given: Answer, wanted: Example) -> Mark:
    return mark_of(METRICS[name], given, wanted, context())


REAL = "cancelled free of charge until two hours"


@pytest.mark.parametrize(
    ("quoted", "value"),
    [(REAL, 1.0), ("cancelled for a fee", 0.0), ("", 0.0), ("  ", 0.0), ("The discount for the Maasvlakte account", 0.0)],
)
def test_without_passages_a_quote_must_stand_in_a_readable_document(quoted: str, value: float) -> None:
    assert marked("quote_found", answer(quoted=quoted), example()).value == value


def test_a_quote_from_a_hidden_document_counts_for_those_who_may_read_it() -> None:
    quoted = "The discount for the Maasvlakte account"
    assert marked("quote_found", answer(quoted=quoted, asker="femi"), example(asker="femi")).value == 1.0
    assert marked("quote_found", answer(quoted=quoted, asker="nobody"), example(asker="nobody")).value == 0.0


def test_with_passages_a_quote_must_stand_in_one_of_them_that_the_asker_may_see() -> None:
    shown = passage(OPEN, 0, 72)
    assert marked("quote_found", answer(quoted=REAL, passages=(shown,)), example()).value == 1.0
    assert marked("quote_found", answer(quoted="Kiosks cache six hours", passages=(shown,)), example()).value == 0.0
    hidden = passage(HIDDEN, 0, 60)
    assert marked("quote_found", answer(quoted="The discount for", passages=(hidden,)), example()).value == 0.0


def test_nothing_has_to_be_quoted_where_refusing_was_right() -> None:
    assert marked("quote_found", answer(refused=True), refusable()).value is None
    assert marked("quote_found", answer(), refusable()).value == 0.0
    assert marked("quote_found", answer(refused=True), example()).value == 0.0


def test_a_citation_must_overlap_the_evidence() -> None:
    assert marked("citation", answer(cited=(cited(OPEN, 60, 90),)), example()).value == 1.0
    assert marked("citation", answer(cited=(cited(OPEN, 72, 90),)), example()).value == 0.0  # touches its end only
    assert marked("citation", answer(cited=(cited(HIDDEN, 0, 90),)), example()).value == 0.0
    assert marked("citation", answer(), example()).value == 0.0
    assert marked("citation", answer(cited=(cited(OPEN, 0, 9),)), refusable()).value is None
    assert marked("citation", answer(), example(evidence=())).value is None


def spans(*pairs: tuple[int, int]) -> tuple[Evidence, ...]:
    return tuple(Evidence(document_id=OPEN.id, quote=OPEN.text[a:b], start=a, end=b) for a, b in pairs)


def test_evidence_recall_counts_each_character_once() -> None:
    wanted = example(evidence=spans((0, 40), (20, 60)))
    shown = (passage(OPEN, 30, 50), passage(OPEN, 40, 70, rank=2), passage(HIDDEN, 0, 60, rank=3))
    assert marked("evidence_recall", answer(passages=shown), wanted).value == pytest.approx(30 / 60)
    assert marked("evidence_recall", answer(passages=(passage(OPEN, 0, 100),)), wanted).value == 1.0


def test_evidence_recall_is_only_for_arms_that_retrieve_and_questions_with_evidence() -> None:
    assert marked("evidence_recall", answer(), example()).value is None
    assert marked("evidence_recall", answer(fallback=True, refused=True), example()).value == 0.0
    assert marked("evidence_recall", answer(passages=(passage(OPEN, 0, 9),)), refusable()).value is None


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


@given(SPANS)
def test_union_holds_the_same_characters_disjoint_and_sorted(pairs: list[tuple[int, int]]) -> None:
    merged = union(pairs)
    assert {i for a, b in merged for i in range(a, b)} == {i for a, b in pairs for i in range(a, b)}
    assert all(left[1] < right[0] for left, right in zip(merged, merged[1:], strict=False))


@given(SPANS, SPANS)
def test_evidence_recall_is_the_share_of_a_set(gold: list[tuple[int, int]], shown: list[tuple[int, int]]) -> None:
    gold, shown = ([(a, b) for a, b in pairs if a < b] for pairs in (gold, shown))
    wanted = {i for a, b in gold for i in range(a, b)}
    seen = {i for a, b in shown for i in range(a, b)}
    given = answer(passages=tuple(passage(OPEN, a, b) for a, b in shown), fallback=not shown)
    value = marked("evidence_recall", given, example(evidence=spans(*gold))).value
    assert value == (pytest.approx(len(wanted & seen) / len(wanted)) if wanted else None)


@pytest.mark.parametrize("name", ["quote_found", "citation", "citation_precision", "citation_recall", "evidence_cited"])
def test_a_project_whose_replies_have_no_place_for_a_quote_misses_none(name: str) -> None:
    plain = example(reply={"answer": "Until two hours before."})
    unmeasured = mark_of(metric_named(name), answer(), plain, context(schema=None))
    assert unmeasured.value is None and "a field 'quote' to quote in" in unmeasured.reason
    # The schema has the field, or the wanted reply has it: a quote was due.
    assert mark_of(metric_named(name), answer(), plain, context()).value == 0.0
    assert mark_of(metric_named(name), answer(), example(), context(schema=None)).value == 0.0
