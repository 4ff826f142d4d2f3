"""What the statistics promise, on simulated test sets: order is nothing, a double differs by nothing, intervals hold the truth."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import scores_of

from groundtune.scores.estimate import compare, mean
from groundtune.scores.power import detectable, minimum_detectable, questions_for
from groundtune.scores.resample import interval, sign_flip

VALUES = st.lists(st.floats(0, 1, width=32), min_size=10, max_size=30)


@settings(max_examples=25, deadline=None)
@given(VALUES, st.randoms())
def test_permuting_questions_changes_nothing(values: list[float], chance: random.Random) -> None:
    other = [1 - value for value in values]
    clusters = {f"q{number:03d}": f"g{number % 5}" for number in range(len(values))}
    scores = [*scores_of(values, "a"), *scores_of(other, "b")]
    mixed = list(scores)
    chance.shuffle(mixed)
    for given_clusters in (None, clusters):
        assert mean(scores, "token_f1", "a", given_clusters, resamples=200) == mean(mixed, "token_f1", "a", given_clusters, resamples=200)
        one, two = (compare(rows, "token_f1", "a", "b", given_clusters, resamples=200) for rows in (scores, mixed))
        assert one == two


@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_an_arm_against_its_double_differs_by_nothing(values: list[float]) -> None:
    found = compare([*scores_of(values, "a"), *scores_of(values, "b")], "token_f1", "a", "b", resamples=200)
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low is not None and found.high is not None and found.low <= 0.0 <= found.high


@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_turning_the_arms_round_turns_the_difference_round(values: list[float]) -> None:
    scores = [*scores_of(values, "a"), *scores_of([value**2 for value in values], "b")]
    one, two = (compare(scores, "token_f1", *pair, resamples=200) for pair in (("a", "b"), ("b", "a")))
    assert one.value == pytest.approx(-(two.value or 0.0)) and one.p_value == pytest.approx(two.p_value)


def test_p_values_of_equal_arms_are_spread_evenly() -> None:
    """Differences about 0 in 30 clusters of 3: the share of p below 0.05, 0.2 and 0.5 is that, within three standard errors."""
    chance = np.random.default_rng(2)
    runs = 1_000
    found = []
    for _ in range(runs):
        sums = (chance.normal(0, 0.3, 30)[:, None] + chance.normal(0, 0.3, (30, 3))).sum(axis=1)
        found.append(sign_flip(sums, resamples=399, seed=1)[0])
    for level in (0.05, 0.2, 0.5):
        assert abs(float(np.mean(np.array(found) <= level)) - level) < 3 * math.sqrt(level * (1 - level) / runs), level


@pytest.mark.parametrize(("clusters", "each"), [(60, 1), (40, 4)])
def test_intervals_hold_the_truth_as_often_as_they_say(clusters: int, each: int) -> None:
    """A skewed 0-to-1 metric with likeness inside clusters; its mean is that of Beta(2, 1), 2/3."""
    chance = np.random.default_rng(7)
    runs, held = 500, 0
    for _ in range(runs):
        shared = chance.random((clusters, 1)) < 0.5
        own, common = chance.beta(2, 1, (clusters, each)), chance.beta(2, 1, (clusters, 1))
        values = np.where(shared, common, own)
        low, high = interval(values.sum(axis=1), np.full(clusters, float(each)), resamples=500, seed=3, level=0.95, low=0.0, high=1.0)
        held += low <= 2 / 3 <= high
    # One point for the bootstrap's own approximation, three standard errors for the simulation's.
    assert abs(held / runs - 0.95) < 0.01 + 3 * math.sqrt(0.95 * 0.05 / runs)


def test_the_number_planned_shows_the_gain_as_often_as_planned() -> None:
    """A gain of 0.1 with a spread of 0.4: four tests in five with the planned number find it."""
    planned = questions_for(0.1, 0.4)
    chance = np.random.default_rng(9)
    runs = 600
    found = sum(sign_flip(chance.normal(0.1, 0.4, planned), resamples=399, seed=1)[0] <= 0.05 for _ in range(runs))
    assert abs(found / runs - 0.8) < 0.01 + 3 * math.sqrt(0.8 * 0.2 / runs)


def test_a_plan_and_what_it_can_show_are_each_others_inverse() -> None:
    planned = questions_for(0.03, 0.4)
    assert minimum_detectable(planned, 0.4) <= 0.03 < minimum_detectable(planned - 1, 0.4)
    assert questions_for(0.03, 0.4, arms=4) > questions_for(0.03, 0.4, arms=2)
    assert questions_for(0.03, 0.4, share=0.5, each=3) == pytest.approx(2 * planned, abs=2)


@pytest.mark.parametrize("wrong", [{"effect": 0.0}, {"sd": -1.0}, {"arms": 1}, {"each": 0.5}, {"share": 1.5}])
def test_a_plan_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    given_values = {"effect": 0.05, "sd": 0.4, **wrong}
    with pytest.raises(ValueError, match="out of range"):
        questions_for(given_values.pop("effect"), given_values.pop("sd"), **given_values)


def test_what_a_test_set_can_show_is_that_of_its_widest_pair() -> None:
    narrow = compare([*scores_of([0.5, 0.6] * 50, "a"), *scores_of([0.5] * 100, "b")], "token_f1", "a", "b", resamples=500)
    wide = compare([*scores_of([0.0, 1.0] * 50, "a"), *scores_of([0.5] * 100, "c")], "token_f1", "a", "c", resamples=500)
    both, one = detectable([narrow, wide], "token_f1"), detectable([wide], "token_f1")
    assert both is not None and one is not None and both[0] > one[0] > 0.1 and both[1] == 100
    assert detectable([narrow], "leak") is None
