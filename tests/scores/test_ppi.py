"""Prediction-powered inference: the authors' own values, coverage, and what is said of a corrected metric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scores import scores_of

from groundtune.errors import StateError
from groundtune.scores.estimate import compare, holm, mean
from groundtune.scores.ppi import FEWEST_LABELS, corrected, powered

# Written by reference/make_ppi.py with ppi-python; the version is in the file.
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "reference" / "ppi.json").read_text(encoding="utf-8"))["cases"]
METRIC = "judged:correct"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_values_are_those_of_the_authors_package(case: dict[str, Any]) -> None:
    found = powered(case["people"], case["judge"], case["alone"])
    for name in ("value", "low", "high", "p_value"):
        assert getattr(found, name) == pytest.approx(case[name], abs=1e-9), name


def test_each_in_a_cluster_of_its_own_is_the_same_as_no_clusters() -> None:
    case = CASES[0]
    names = ([f"l{n}" for n in range(len(case["people"]))], [f"u{n}" for n in range(len(case["alone"]))])
    plain, clustered = (powered(case["people"], case["judge"], case["alone"], clusters=given) for given in (None, names))
    assert (clustered.low, clustered.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    pairs = ([name[:-1] for name in names[0]], [name[:-1] for name in names[1]])
    alike = powered(case["people"], case["judge"], case["alone"], clusters=pairs)
    assert alike.value == plain.value and alike.high - alike.low != pytest.approx(plain.high - plain.low)


def test_a_judge_that_says_nothing_leaves_the_labels_alone() -> None:
    people = [1.0, 0.0] * 30
    found = powered(people, [1.0] * 60, [1.0] * 200)
    assert (found.weight, found.value) == (0.0, 0.5)
    without = powered(people, people, [])
    assert (without.weight, without.value, without.judged) == (0.0, 0.5, 0)


def test_a_good_judge_narrows_the_interval() -> None:
    case = CASES[0]
    with_it, alone = powered(case["people"], case["judge"], case["alone"]), powered(case["people"], case["judge"], [])
    assert with_it.high - with_it.low < 0.8 * (alone.high - alone.low)


@pytest.mark.parametrize("lists", [([], [], [1.0]), ([1.0], [1.0], [1.0]), ([1.0, 0.0], [1.0], [])])
def test_too_little_is_refused(lists: tuple[list[float], list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="labels"):
        powered(*lists)


def test_intervals_hold_the_truth_although_the_judge_is_wrong_half_of_the_time() -> None:
    """A judge who says yes far too often; people would say yes to 0.6."""
    chance = np.random.default_rng(3)
    held, runs = 0, 600
    for _ in range(runs):
        people = (chance.random(300) < 0.6).astype(float)
        judge = np.where(chance.random(300) < 0.6, people, 1.0)
        found = powered(people[:70].tolist(), judge[:70].tolist(), judge[70:].tolist())
        held += found.low <= 0.6 <= found.high
    # 95 %, one point off for the normal approximation at n = 70, three standard errors.
    assert abs(held / runs - 0.95) < 0.01 + 3 * (0.95 * 0.05 / runs) ** 0.5


def judged(size: int = 120) -> tuple[list[Any], dict[str, float]]:
    """Scores of two arms by a judge who likes everything, and what people say: arm a is right in 3 of 4, arm b in 1 of 4."""
    chance = np.random.default_rng(1)
    truth = {f"answer:{arm}-q{n:03d}": float(chance.random() < share) for arm, share in (("a", 0.75), ("b", 0.25)) for n in range(size)}
    scores = []
    for arm in ("a", "b"):
        values = [1.0 if chance.random() < 0.5 else truth[f"answer:{arm}-q{n:03d}"] for n in range(size)]
        scores += scores_of(values, arm, METRIC)
    return scores, truth


def test_an_estimate_is_corrected_and_says_so() -> None:
    scores, truth = judged()
    labels = {(METRIC, name): value for name, value in truth.items() if int(name[-3:]) < 60}
    rows = [mean(scores, METRIC, "a"), *holm([compare(scores, METRIC, "a", "b")])]
    one, pair = corrected(rows, scores, labels)
    assert rows[0].value is not None and one.value is not None and pair.value is not None
    assert abs(one.value - 0.75) < abs(rows[0].value - 0.75) and one.n == 120
    assert "60 labels of people" in one.reason and "the judge alone says" in one.reason and one.signature.startswith("ppi++|")
    assert one.p_value is None and pair.p_value is not None and pair.p_holm == pair.p_value
    assert pair.low is not None and pair.low > 0 and abs(pair.value - 0.5) < 0.25


def test_too_few_labels_leave_the_judges_own_value_and_say_how_many_are_missing() -> None:
    scores, truth = judged()
    labels = {(METRIC, name): value for name, value in truth.items() if int(name[-3:]) < FEWEST_LABELS - 1}
    before = mean(scores, METRIC, "a")
    [after] = corrected([before], scores, labels)
    assert (after.value, after.signature) == (before.value, before.signature)
    assert "not corrected: 49 answers have people's labels, 50 are needed" in after.reason


def test_labels_of_one_arm_only_do_not_correct_a_difference() -> None:
    scores, truth = judged()
    labels = {(METRIC, name): value for name, value in truth.items() if "-q" in name and name.startswith("answer:a")}
    pair = compare(scores, METRIC, "a", "b")
    [after] = corrected([pair], scores, labels)
    assert after.value == pair.value and "not corrected" in after.reason


def test_labels_of_answers_that_were_not_scored_count_for_nothing() -> None:
    scores, _ = judged()
    labels = {(METRIC, f"answer:old-{n}"): 1.0 for n in range(100)}
    [after] = corrected([mean(scores, METRIC, "a")], scores, labels)
    assert "0 answers have people's labels" in after.reason


def test_other_metrics_are_left_as_they_are() -> None:
    scores = scores_of([1.0, 0.0] * 20, "a")
    before = [mean(scores, "token_f1", "a")]
    assert corrected(before, scores, {(METRIC, "answer:a-q000"): 1.0}) == tuple(before)


def test_an_estimate_of_other_scores_is_refused() -> None:
    scores, truth = judged()
    labels = {(METRIC, name): value for name, value in truth.items()}
    with pytest.raises(StateError, match="120 verdicts, but 119 scores"):
        corrected([mean(scores, METRIC, "a")], scores[1:], labels)
