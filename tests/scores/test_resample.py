"""The arithmetic against scipy, and the coverage of its intervals on simulated questions."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.scores.resample import EXACT_UP_TO, gather, interval, mcnemar, sign_flip, student

REFERENCE = Path(__file__).parent / "reference"


def reference(name: str, key: str = "rows") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))[key]
    return rows


@pytest.mark.parametrize("row", reference("mcnemar"), ids=str)
def test_mcnemar_is_scipys_binomial_test(row: dict[str, Any]) -> None:
    assert mcnemar(row["gained"], row["lost"]) == pytest.approx(row["p"], rel=1e-9)


def test_mcnemar_without_discordant_pairs_is_one() -> None:
    assert mcnemar(0, 0) == 1.0


@pytest.mark.parametrize("row", reference("flips"), ids=lambda row: str(len(row["sums"])))
def test_sign_flips_of_few_are_scipys_permutation_test(row: dict[str, Any]) -> None:
    p_value, exact = sign_flip(np.array(row["sums"]), resamples=1000, seed=1)
    assert exact
    assert p_value == pytest.approx(row["p"], rel=1e-9)


def test_random_flips_are_near_the_exact_value() -> None:
    sums = np.array([0.3, -0.1, 0.8, 0.2, -0.4, 0.5, 0.1, 0.6, -0.2, 0.3, 0.7, -0.5, 0.2, 0.4, 0.1, -0.3])
    assert len(sums) > EXACT_UP_TO
    total = abs(sums.sum()) - 1e-9
    signs = np.array(list(itertools.product((-1, 1), repeat=len(sums))))
    exact_p = float(np.mean(np.abs(signs @ sums) >= total))
    p_value, exact = sign_flip(sums, resamples=20_000, seed=4)
    assert not exact
    assert p_value == pytest.approx(exact_p, abs=5 * math.sqrt(exact_p * (1 - exact_p) / 20_000))


def test_random_flips_never_give_zero() -> None:
    assert sign_flip(np.ones(200), resamples=1000, seed=0) == (1 / 1001, False)


@pytest.mark.parametrize("row", reference("intervals"), ids=lambda row: row["kind"])
def test_intervals_are_scipys_bca_over_clusters(row: dict[str, Any]) -> None:
    low, high = interval(np.array(row["sums"]), np.array(row["counts"]), resamples=100_000, seed=2, level=0.95, low=None, high=None)
    # A quantile near 2 % of 100,000 normal draws has a standard error of about 0.01 of theirs.
    assert low == pytest.approx(row["low"], abs=0.05 * row["error"])
    assert high == pytest.approx(row["high"], abs=0.05 * row["error"])


@pytest.mark.parametrize("row", reference("quantiles", "student"), ids=str)
def test_student_is_scipys(row: dict[str, Any]) -> None:
    assert student(row["probability"], row["freedom"]) == pytest.approx(row["t"], abs=0.005)


@pytest.mark.parametrize("row", reference("quantiles", "none_of"), ids=str)
def test_none_of_k_leaves_open_what_the_exact_binomial_bound_does(row: dict[str, Any]) -> None:
    zeros, ones = np.zeros(row["k"]), np.ones(row["k"])
    assert interval(zeros, ones, resamples=1000, seed=1, level=0.95, low=0.0, high=1.0) == (0.0, pytest.approx(row["high"]))
    assert interval(ones, ones, resamples=1000, seed=1, level=0.95, low=0.0, high=1.0) == (pytest.approx(1 - row["high"]), 1.0)


def test_a_perfect_arm_is_not_trusted_less_than_one_with_a_miss() -> None:
    counts = np.full(28, 3.0)
    missed = counts.copy()
    missed[5] -= 1
    perfect, nearly = (interval(s, counts, resamples=4000, seed=1, level=0.95, low=0.0, high=1.0) for s in (counts, missed))
    assert nearly[0] <= perfect[0] < 1.0 and nearly[1] <= perfect[1] == 1.0


def test_equal_values_without_bounds_and_one_cluster_have_an_interval() -> None:
    assert interval(np.full(12, 3.0), np.ones(12), resamples=1000, seed=1, level=0.95, low=0.0, high=None) == (3.0, 3.0)
    low, high = interval(np.array([6.0]), np.array([12.0]), resamples=1000, seed=1, level=0.95, low=0.0, high=1.0)
    assert low == pytest.approx(0.5 - 0.5 * (1 - 0.025 ** (1 / 12))) and high == pytest.approx(1 - low)


@pytest.mark.parametrize(
    ("clusters", "most", "truth", "spread"), [(60, 1, 0.6, 0.0), (30, 4, 0.6, 0.2), (15, 4, 0.6, 0.2)], ids=["alone", "30", "15"]
)
def test_intervals_cover_the_truth_as_often_as_they_say(clusters: int, most: int, truth: float, spread: float) -> None:
    generator = np.random.default_rng(17)
    rounds = 400
    covered = 0
    for number in range(rounds):
        counts = generator.integers(1, most + 1, clusters)
        shares = (
            generator.beta(truth * (1 - spread) / spread, (1 - truth) * (1 - spread) / spread, clusters)
            if spread
            else np.full(clusters, truth)
        )
        sums = generator.binomial(counts, shares).astype(float)
        low, high = interval(sums, counts.astype(float), resamples=1000, seed=number, level=0.95, low=0.0, high=1.0)
        covered += low <= truth <= high
    error = math.sqrt(0.95 * 0.05 / rounds)
    assert 0.95 - 3 * error <= covered / rounds


def test_ignoring_clusters_would_cover_too_little() -> None:
    """The simulation above can fail: the same intervals over single questions do."""
    generator = np.random.default_rng(18)
    covered = 0
    for number in range(200):
        shares = generator.beta(2.4 / 2, 1.6 / 2, 30)
        values = (generator.random((30, 6)) < shares[:, None]).astype(float).ravel()
        low, high = interval(values, np.ones(len(values)), resamples=1000, seed=number, level=0.95, low=0.0, high=1.0)
        covered += low <= 0.6 <= high
    assert covered / 200 < 0.85


def test_sign_flips_reject_a_true_hypothesis_as_often_as_they_say() -> None:
    generator = np.random.default_rng(19)
    p_values = [sign_flip(generator.normal(0, 1, 12), resamples=1000, seed=1)[0] for _ in range(600)]
    for alpha in (0.05, 0.2):
        error = math.sqrt(alpha * (1 - alpha) / 600)
        assert abs(float(np.mean(np.array(p_values) <= alpha)) - alpha) < 4 * error


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("xyz")), min_size=1, max_size=20), st.randoms())
def test_gathering_does_not_depend_on_the_order(rows: list[tuple[float, str]], random: Any) -> None:
    shuffled = rows[:]
    random.shuffle(shuffled)
    one, other = (gather([value for value, _ in some], [name for _, name in some]) for some in (rows, shuffled))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert one[1].sum() == len(rows)
