"""Questions won and lost: counted as they are, whatever by how much, and drawn to the number."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_estimates import scores

from groundtune.decisions.wins import Won, drawing, wins

VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=30)


def test_questions_are_counted_and_those_that_one_arm_has_no_score_on_are_not() -> None:
    rows = scores({"rag": {"token_f1": [1.0, 0.5, 0.0, None]}, "tuned": {"token_f1": [0.0, 0.5, 0.5, 1.0]}, "none": {"chrf": [1.0]}})
    assert wins(rows, "token_f1", "tuned", ["rag", "tuned", "none"]) == (Won(versus="rag", better=1, level=1, worse=1),)
    assert wins(rows, "token_f1", "none", ["rag"]) == ()


def test_less_is_better_where_the_metric_says_so() -> None:
    rows = scores({"rag": {"seconds_total": [9.0, 9.0]}, "tuned": {"seconds_total": [1.0, 20.0]}})
    [won] = wins(rows, "seconds_total", "tuned", ["rag"])
    assert (won.better, won.worse, won.n) == (1, 1, 2)


@given(VALUES, VALUES)
def test_turned_round_what_was_won_was_lost_and_an_arm_is_level_with_its_double(one: list[float], other: list[float]) -> None:
    size = min(len(one), len(other))
    rows = scores({"a": {"exact": one[:size]}, "b": {"exact": other[:size]}, "c": {"exact": one[:size]}})
    [there] = wins(rows, "exact", "a", ["b"])
    [back] = wins(rows, "exact", "b", ["a"])
    assert (there.better, there.level, there.worse) == (back.worse, back.level, back.better) and there.n == size
    [double] = wins(rows, "exact", "a", ["c"])
    assert double.level == size


def test_bars_are_as_long_as_their_counts_and_names_are_no_markup() -> None:
    made = drawing([Won(versus="<b>", better=3, level=1, worse=0)], "tuned & more", "token_f1")
    tree = ElementTree.fromstring(made)  # noqa: S314
    widths = [float(bar.attrib["width"]) for bar in tree.iter("rect")]
    assert widths[0] == pytest.approx(3 * widths[1], abs=0.2) and widths[2] == 0.0
    assert "better 3 · as good 1 · worse 0 (n = 4)" in made and "<b>" not in made
    assert drawing([], "tuned", "token_f1") == ""
