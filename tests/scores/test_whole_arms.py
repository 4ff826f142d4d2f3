"""Metrics of whole arms against scipy, and that they and plain means are worked out by the same draws and exchanges."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import scores_of

from groundtune.scores.corpus import Tally, whole_compare, whole_mean
from groundtune.scores.estimate import compare, mean
from groundtune.scores.metrics import metric_named
from groundtune.scores.resample import EXACT_UP_TO, bca_of, left_open, sign_flip, swapped
from groundtune.scores.scorer import CorpusMetric

# Written by reference/make_whole.py with scipy; the version is in the file.
REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "whole.json").read_text(encoding="utf-8"))
F1 = metric_named("refusal_f1")
assert isinstance(F1, CorpusMetric)
# A mean over questions, told as a metric of the whole arm: the sum of values over their number.
AVERAGE = replace(F1, name="average", value=lambda sums: sums[..., 0] / sums[..., 1])
VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=12, max_size=40)


def tallies(values: list[float], arm: str = "a") -> list[Tally]:
    return [
        Tally(example_id=f"q{number:03d}", arm=arm, metric="average", counts=(value, 1.0), signature="s")
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("row", REFERENCE["intervals"], ids=lambda row: str(len(row["counts"])))
def test_an_interval_of_f1_is_scipys_bca_over_clusters(row: dict[str, Any]) -> None:
    assert isinstance(F1, CorpusMetric)
    found = bca_of(np.array(row["counts"]), F1.value, resamples=40_000, seed=2, level=0.95)
    assert found is not None
    # The quantiles of 40,000 and of 100,000 draws near 2 %: together about 0.02 of a standard error each.
    assert found[0] == pytest.approx(row["low"], abs=0.08 * row["error"])
    assert found[1] == pytest.approx(row["high"], abs=0.08 * row["error"])


@pytest.mark.parametrize("row", REFERENCE["swaps"], ids=lambda row: str(len(row["mine"])))
def test_an_exchange_of_few_clusters_is_scipys_permutation_test(row: dict[str, Any]) -> None:
    assert isinstance(F1, CorpusMetric)
    mine, theirs = np.array(row["mine"]), np.array(row["theirs"])
    p_value, exact = swapped(mine, theirs, F1.value, resamples=100, seed=1)
    assert exact and p_value == pytest.approx(row["p"], rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(VALUES, st.data())
def test_a_mean_told_as_a_whole_arms_metric_has_the_same_numbers(values: list[float], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(values), max_size=len(values)))
    clusters = {f"q{number:03d}": f"g{number // 2}" for number in range(len(values))}
    scores = [*scores_of(values), *scores_of(others, arm="b")]
    rows = [*tallies(values), *tallies(others, "b")]
    plain, whole = mean(scores, "token_f1", "a", clusters, resamples=300), whole_mean(rows, AVERAGE, "a", clusters, resamples=300)
    pair = compare(scores, "token_f1", "a", "b", clusters, resamples=300)
    apart = whole_compare(rows, AVERAGE, "a", "b", clusters, resamples=300)
    for one, other in ((plain, whole), (pair, apart)):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-9)
    assert pair.p_value == pytest.approx(apart.p_value, abs=1e-9)


def test_random_exchanges_are_near_the_exact_value() -> None:
    assert isinstance(F1, CorpusMetric)
    chance = np.random.default_rng(9)
    wanted = (chance.random((60, 4)) < 0.5).astype(float)
    arms = []
    for share in (0.85, 0.6):
        told = np.where(chance.random(wanted.shape) < share, wanted, 1 - wanted)
        arms.append(np.column_stack([(told * wanted).sum(axis=1), told.sum(axis=1), wanted.sum(axis=1)]))
    # As few clusters in which the arms differ as are not all tried.
    differing = np.flatnonzero((arms[0] != arms[1]).any(axis=1))[: EXACT_UP_TO + 1]
    arms = [arm[differing] for arm in arms]
    signs = np.array(list(itertools.product((0.0, 1.0), repeat=len(differing))))
    change = signs @ (arms[1] - arms[0])
    first, second = (part.sum(axis=0) for part in arms)
    observed = abs(F1.value(first) - F1.value(second))
    exact = float(np.mean(np.abs(F1.value(first + change) - F1.value(second - change)) >= observed - 1e-9))
    p_value, all_tried = swapped(arms[0], arms[1], F1.value, resamples=20_000, seed=3)
    assert not all_tried and p_value == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 20_000))


def test_arms_that_never_differ_have_p_1_and_large_sums_do_not_blur_the_tie() -> None:
    assert isinstance(F1, CorpusMetric)
    counts = np.array([[1.0, 2.0, 2.0]] * 30)
    assert swapped(counts, counts, F1.value, resamples=100, seed=1) == (1.0, True)
    # A tie that rounding tells apart by parts in 1e16 of the sums has to count as one.
    large = np.array([1e9 + 0.1, -1e9 - 0.1] * 20)
    assert sign_flip(large, resamples=500, seed=1)[0] == 1.0


def test_where_nothing_varies_the_bootstrap_says_so_and_a_binomial_bound_stands_in() -> None:
    assert isinstance(F1, CorpusMetric)
    assert bca_of(np.array([[2.0, 2.0, 2.0]] * 12), F1.value, resamples=100, seed=1, level=0.95) is None
    low, high = left_open(1.0, 12, level=0.95, low=0.0, high=1.0)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 12)), 1.0)
    assert left_open(3.0, 12, level=0.95, low=0.0, high=None) == (3.0, 3.0)
