"""How early evidence is shown, and how well it is cited."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import HIDDEN, OPEN, answer, cited, context, example, passage

from groundtune.scores.found import ranking
from groundtune.scores.metrics import metric_named
from groundtune.scores.scorer import Mark, Metric, mark_of
from groundtune.types import Answer, Evidence, Example

FIRST, SECOND = (0, 73), (74, 110)


def two() -> Example:
    return example(
        evidence=tuple(Evidence(document_id=OPEN.id, quote=OPEN.text[start:end], start=start, end=end) for start, end in (FIRST, SECOND))
    )


def mark(name: str, given: Answer, wanted: Example) -> Mark:
    metric = metric_named(name)
    assert isinstance(metric, Metric)
    return mark_of(metric, given, wanted, context())


def values(given: Answer, wanted: Example) -> list[float | None]:
    return [mark(name, given, wanted).value for name in ("reciprocal_rank", "average_precision", "passage_ndcg")]


def test_evidence_at_the_first_place_is_worth_all() -> None:
    assert values(answer(passages=(passage(OPEN, *FIRST),)), example()) == [1.0, 1.0, 1.0]


def test_a_passage_of_another_document_is_no_hit() -> None:
    assert values(answer(passages=(passage(HIDDEN, 0, 73),)), example()) == [0.0, 0.0, 0.0]


def test_later_evidence_is_worth_less_and_evidence_not_shown_counts() -> None:
    shown = answer(passages=(passage(HIDDEN, 0, 73, 1), passage(OPEN, *FIRST, 2)))
    assert values(shown, two()) == [0.5, pytest.approx(0.25), pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))]


def test_two_pieces_in_one_passage_are_one_find() -> None:
    assert values(answer(passages=(passage(OPEN, 0, 110),)), two()) == [1.0, 1.0, 1.0]


def test_half_of_a_piece_has_to_be_shown() -> None:
    assert values(answer(passages=(passage(OPEN, 37, 73),)), example())[0] == 0.0
    assert values(answer(passages=(passage(OPEN, 36, 73),)), example())[0] == 1.0


def test_the_rank_counts_and_not_the_order_in_the_answer() -> None:
    rows = (passage(HIDDEN, 0, 73, 1), passage(OPEN, *FIRST, 2))
    assert values(answer(passages=rows[::-1]), example()) == values(answer(passages=rows), example())


def test_an_arm_that_shows_nothing_has_no_ranking() -> None:
    assert values(answer(), example()) == [None, None, None]


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 110)), max_size=6))
def test_a_ranking_names_every_piece_once(spans: list[tuple[int, int]]) -> None:
    shown = tuple(passage(OPEN, start, max(start + 1, end), rank) for rank, (start, end) in enumerate(spans, start=1))
    ranked, grades = ranking(two(), shown)
    assert len(ranked) == len(set(ranked)) == len(shown)
    assert 1 <= len(grades) <= 2


def test_citations_are_counted_both_ways() -> None:
    both = answer(cited=(cited(OPEN, *FIRST), cited(OPEN, *SECOND), cited(HIDDEN, 0, 20)))
    one = answer(cited=(cited(OPEN, 0, 10),))
    assert mark("citation_precision", both, two()).value == pytest.approx(2 / 3)
    assert mark("citation_recall", both, two()).value == 1.0
    assert mark("evidence_cited", both, two()).value == 1.0
    assert mark("citation_precision", one, two()).value == 1.0
    assert mark("citation_recall", one, two()).value == 0.5
    assert mark("evidence_cited", one, two()).value == pytest.approx(10 / 109)
    for name in ("citation_precision", "citation_recall", "evidence_cited"):
        assert mark(name, answer(), two()).value == 0.0
