"""Means, paired differences and corrections: states, refusals, and what must not change a number."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import scores_of

from groundtune.errors import StateError
from groundtune.scores.estimate import compare, holm, mean
from groundtune.scores.resample import mcnemar
from groundtune.types import Estimate

FAST: dict[str, Any] = {"resamples": 1000}
VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=10, max_size=25)
CLUSTERS = {f"q{number:03d}": f"g{number // 3}" for number in range(400)}


def test_a_mean_with_its_interval() -> None:
    estimate = mean(scores_of([1.0] * 60 + [0.0] * 40), "token_f1", "a")
    assert (estimate.state, estimate.value, estimate.n, estimate.n_failed, estimate.versus) == ("measured", 0.6, 100, 0, None)
    assert estimate.low is not None and estimate.high is not None
    assert estimate.low == pytest.approx(0.50, abs=0.02) and estimate.high == pytest.approx(0.69, abs=0.02)
    assert {"seed:7", "resamples:10000", "clusters:100", "of:s|v1|-"} <= {
        part for cut in estimate.signature.split("|of:") for part in (cut.split("|") if "bca" in cut else [f"of:{cut}"])
    }


def test_clusters_widen_the_interval() -> None:
    values = [float(number // 6 % 2) for number in range(120)]
    alone = mean(scores_of(values), "token_f1", "a", **FAST)
    together = mean(scores_of(values), "token_f1", "a", {f"q{number:03d}": str(number // 6) for number in range(120)}, **FAST)
    assert alone.value == together.value
    assert None not in (alone.low, alone.high, together.low, together.high)
    assert together.high - together.low > 1.8 * (alone.high - alone.low)  # type: ignore[operator]
    assert "clusters:20" in together.signature


def test_what_is_missing_is_a_state_and_never_a_number() -> None:
    few = mean(scores_of([1.0] * 9), "token_f1", "a")
    nothing = mean(scores_of([1.0] * 20), "token_f1", "b")
    elsewhere = mean(scores_of([None] * 20), "token_f1", "a")
    broken = scores_of([1.0] * 20)
    broken[3] = replace(broken[3], value=None, failed=True, reason="the scorer failed: KeyError")
    failed = mean(broken, "token_f1", "a")
    assert [item.state for item in (few, nothing, elsewhere, failed)] == ["too few", "not run", "not run", "failed"]
    for item in (few, nothing, elsewhere, failed):
        assert (item.value, item.low, item.high, item.p_value) == (None, None, None, None)
        assert item.reason
    assert "1 of 20" in failed.reason and "KeyError" in failed.reason
    assert few.n == 9 and "9 questions" in few.reason


def test_ten_questions_are_enough_and_few_sources_are_warned_of() -> None:
    assert mean(scores_of([0.0, 1.0] * 5), "token_f1", "a").state == "measured"
    warned = mean(scores_of([0.0, 1.0] * 15), "token_f1", "a", {f"q{n:03d}": str(n % 4) for n in range(30)})
    assert warned.state == "measured" and "only 4 sources" in warned.reason


def test_failed_answers_count_and_are_counted() -> None:
    rows = scores_of([1.0] * 18 + [0.0] * 2)
    rows[-2:] = [replace(row, failed=True) for row in rows[-2:]]
    estimate = mean(rows, "token_f1", "a", **FAST)
    assert (estimate.value, estimate.n, estimate.n_failed) == (0.9, 20, 2)
    against = compare([*rows, *scores_of([1.0] * 20, arm="b")], "token_f1", "a", "b", **FAST)
    assert (against.value, against.n_failed) == (-0.1, 2)
    assert compare([*rows, *scores_of([1.0] * 20, arm="b")], "token_f1", "b", "a", **FAST).n_failed == 2


def test_a_question_the_metric_does_not_apply_to_is_no_zero() -> None:
    estimate = mean(scores_of([1.0] * 12 + [None] * 12), "token_f1", "a", **FAST)
    assert (estimate.value, estimate.n) == (1.0, 12)


@settings(max_examples=25, deadline=None)
@given(VALUES, st.randoms(), st.booleans())
def test_the_order_of_the_questions_changes_nothing(values: list[float], random: Any, clustered: bool) -> None:
    rows = [*scores_of(values), *scores_of([1 - value**2 for value in values], arm="b")]
    shuffled = rows[:]
    random.shuffle(shuffled)
    clusters = CLUSTERS if clustered else None
    assert mean(rows, "token_f1", "a", clusters, **FAST) == mean(shuffled, "token_f1", "a", clusters, **FAST)
    assert compare(rows, "token_f1", "a", "b", clusters, **FAST) == compare(shuffled, "token_f1", "a", "b", clusters, **FAST)


@settings(max_examples=25, deadline=None)
@given(VALUES, st.booleans())
def test_an_arm_against_itself_differs_by_nothing(values: list[float], clustered: bool) -> None:
    rows = [*scores_of(values), *scores_of(values, arm="b")]
    estimate = compare(rows, "token_f1", "a", "b", CLUSTERS if clustered else None, **FAST)
    assert (estimate.value, estimate.p_value) == (0.0, 1.0)
    assert estimate.low is not None and estimate.high is not None
    assert estimate.low <= 0 <= estimate.high


@settings(max_examples=25, deadline=None)
@given(VALUES, st.booleans(), st.data())
def test_turning_a_comparison_round_turns_its_sign(values: list[float], clustered: bool, data: st.DataObject) -> None:
    others = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(values), max_size=len(values)))
    rows = [*scores_of(values), *scores_of(others, arm="b")]
    clusters = CLUSTERS if clustered else None
    there, back = compare(rows, "token_f1", "a", "b", clusters, **FAST), compare(rows, "token_f1", "b", "a", clusters, **FAST)
    assert None not in (there.value, there.low, there.high, back.value, back.low, back.high)
    assert there.value == pytest.approx(-back.value)  # type: ignore[operator]
    assert there.p_value == pytest.approx(back.p_value)
    assert there.low == pytest.approx(-back.high, abs=0.1)  # type: ignore[operator]
    assert -1 <= there.low <= there.value + 1e-9 and there.value <= there.high + 1e-9 <= 1 + 1e-6  # type: ignore[operator]


def test_zero_or_one_without_clusters_is_mcnemar_and_with_clusters_is_not() -> None:
    left, right = [1.0] * 12 + [0.0] * 3 + [1.0] * 20, [0.0] * 12 + [1.0] * 3 + [1.0] * 20
    rows = [*scores_of(left), *scores_of(right, arm="b")]
    alone = compare(rows, "token_f1", "a", "b", **FAST)
    assert alone.p_value == pytest.approx(mcnemar(12, 3)) and "test:mcnemar-exact" in alone.signature
    together = compare(rows, "token_f1", "a", "b", CLUSTERS, **FAST)
    assert "test:sign-flip-exact" in together.signature
    assert together.p_value == pytest.approx(12 / 2**5)  # of five clusters four say a: 2 · (5 + 1) patterns are as far out
    parts = compare([*scores_of([0.5] * 20), *scores_of([0.25] * 20, arm="b")], "token_f1", "a", "b", **FAST)
    assert "test:sign-flip|" in parts.signature and parts.p_value == pytest.approx(1 / 1001)


def test_different_questions_are_not_paired() -> None:
    rows = [*scores_of([1.0] * 20), *scores_of([1.0] * 19, arm="b")]
    with pytest.raises(StateError, match="q019"):
        compare(rows, "token_f1", "a", "b")
    with pytest.raises(StateError, match="two token_f1 scores"):
        mean([*rows, rows[0]], "token_f1", "a")


def test_scores_of_other_signatures_are_not_compared() -> None:
    rows = [*scores_of([1.0] * 20), *scores_of([1.0] * 20, arm="b", signature="s|v2|-")]
    with pytest.raises(StateError, match="s|v2"):
        compare(rows, "token_f1", "a", "b")


def test_where_a_metric_applies_to_one_arm_only_the_question_is_left_out_and_said() -> None:
    rows = [*scores_of([1.0] * 15 + [None] * 5), *scores_of([0.0] * 18 + [None] * 2, arm="b")]
    estimate = compare(rows, "token_f1", "a", "b", **FAST)
    assert (estimate.n, estimate.value) == (15, 1.0)
    assert "3 questions apply to only one" in estimate.reason


def test_a_missing_arm_makes_the_comparison_missing() -> None:
    assert compare(scores_of([1.0] * 20), "token_f1", "a", "b").state == "not run"
    few = [*scores_of([1.0] * 5), *scores_of([0.0] * 5, arm="b")]
    assert compare(few, "token_f1", "a", "b").state == "too few"


def with_p(*values: float | None) -> list[Estimate]:
    one = mean(scores_of([1.0] * 10), "token_f1", "a", **FAST)
    return [replace(one, p_value=value) for value in values]


def test_holm_by_hand() -> None:
    corrected = [item.p_holm for item in holm(with_p(0.01, None, 0.04, 0.03, 0.005))]
    assert corrected == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06), pytest.approx(0.02)]
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_holm_is_the_closed_test_of_bonferroni(values: list[float]) -> None:
    corrected = holm(with_p(*values))
    for position, estimate in enumerate(corrected):
        families = [
            chosen
            for size in range(1, len(values) + 1)
            for chosen in itertools.combinations(range(len(values)), size)
            if position in chosen
        ]
        worst = max(min(1.0, len(chosen) * min(values[index] for index in chosen)) for chosen in families)
        assert estimate.p_holm == pytest.approx(worst)


def test_numbers_are_the_same_twice_and_move_with_the_seed() -> None:
    rows = scores_of(list(np.round(np.random.default_rng(1).random(40), 2)))
    assert mean(rows, "token_f1", "a", **FAST) == mean(rows, "token_f1", "a", **FAST)
    other = mean(rows, "token_f1", "a", seed=8, **FAST)
    assert other.value == mean(rows, "token_f1", "a", **FAST).value and other.low != mean(rows, "token_f1", "a", **FAST).low


def test_a_metric_without_upper_bound_is_averaged_too() -> None:
    rows = [*scores_of([2.0, 3.0] * 10, metric="seconds_total"), *scores_of([1.0, 4.5] * 10, arm="b", metric="seconds_total")]
    estimate = compare(rows, "seconds_total", "a", "b", **FAST)
    assert estimate.value == pytest.approx(-0.25) and estimate.state == "measured"
