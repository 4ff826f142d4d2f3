"""From scores to a decision, with the statistics in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_estimates import ARMS, RUBRIC, decided, pair, scores

from groundtune.decisions.weigh import Measured, format_pairs, order, weigh

FAST = replace(RUBRIC, resamples=1000)
N = 60


def evaluation(gap: float, leaking: int = 0) -> list:  # type: ignore[type-arg]
    generator = np.random.default_rng(2)
    base = np.clip(generator.normal(0.45, 0.2, N), 0, 1)
    better = np.clip(base + gap + generator.normal(0, 0.1, N), 0, 1)

    def arm(values: np.ndarray, leaks: int = 0) -> dict[str, list[float]]:  # type: ignore[type-arg]
        return {
            "token_f1": [float(value) for value in values],
            "leak": [1.0] * leaks + [0.0] * (N - leaks),
            "refusal_right": [1.0] * (N - 4) + [0.0] * 4,
            "valid_json": [1.0] * (N - 1) + [0.0],
            "cost": [0.001] * N,
            "seconds_total": [2.0] * N,
        }

    return scores({"rag": arm(base), "rag-json": arm(base), "hybrid": arm(better, leaking)})


CLUSTERS = {f"q{number:03d}": f"g{number // 2}" for number in range(N)}


def test_every_arm_and_metric_and_the_pairs_that_are_needed() -> None:
    estimates = weigh(evaluation(0.2), FAST, ARMS, CLUSTERS)
    means = [item for item in estimates if item.versus is None]
    assert len(means) == 3 * 6 and all(item.state == "measured" for item in means)
    compared = {(item.metric, item.arm, item.versus) for item in estimates if item.versus is not None}
    assert compared == {
        ("token_f1", "rag-json", "rag"),
        ("token_f1", "hybrid", "rag"),
        ("token_f1", "hybrid", "rag-json"),
        ("valid_json", "hybrid", "rag-json"),
    }
    assert all(item.p_holm is not None and item.p_value is not None and item.p_holm >= item.p_value for item in estimates if item.versus)


@pytest.mark.parametrize(("gap", "leaking", "choice"), [(0.2, 0, "hybrid"), (0.0, 0, "rag"), (0.2, 1, "rag")])
def test_the_decision_follows_the_scores(gap: float, leaking: int, choice: str) -> None:
    decision = decided(weigh(evaluation(gap, leaking), FAST, ARMS, CLUSTERS), rubric=FAST)
    assert (decision.verdict, decision.choice) == ("ship", choice)
    assert any("not needed for the format" in reason for reason in decision.reasons)


def test_a_gate_on_a_metric_that_nobody_scored_is_there_as_not_run() -> None:
    rows = [score for score in evaluation(0.2) if score.metric != "refusal_right"]
    found = [item.state for item in weigh(rows, FAST, ARMS) if item.metric == "refusal_right"]
    assert found == ["not run"] * 3
    assert decided(weigh(rows, FAST, ARMS), rubric=FAST).verdict == "none passes"


def test_order_is_the_rubrics_then_the_arms() -> None:
    assert order(replace(RUBRIC, prefer=("hybrid", "gone", "rag")), ARMS) == ["hybrid", "rag", "prompt", "rag-json", "tuned"]


def test_format_pairs_have_all_else_alike() -> None:
    assert [(tuned.name, plain.name) for tuned, plain in format_pairs(ARMS)] == [("hybrid", "rag-json")]


def test_leads_are_turned_by_direction_and_by_what_is_better() -> None:
    measured = Measured([pair("hybrid", "rag", 0.1, 0.01), pair("hybrid", "rag", 2.0, 0.01, metric="seconds_total", half=0.5)])
    ahead, behind = measured.lead("token_f1", "hybrid", "rag"), measured.lead("token_f1", "rag", "hybrid")
    assert (ahead.value, ahead.low, ahead.high) == pytest.approx((0.1, 0.06, 0.14))
    assert (behind.value, behind.low, behind.high) == pytest.approx((-0.1, -0.14, -0.06))
    assert measured.lead("seconds_total", "rag", "hybrid").value == 2.0
    assert measured.lead("seconds_total", "hybrid", "rag").value == -2.0
    assert measured.lead("chrf", "hybrid", "rag").state == "not run"
    assert (measured.mean("leak", "rag").state, measured.mean("leak", "rag").value) == ("not run", None)
