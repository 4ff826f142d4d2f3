"""How sure a decision is: gates passed by the mean alone, what is not tolerated for every arm, intervals on what it takes, definitions."""

from __future__ import annotations

from dataclasses import replace

from made_estimates import RUBRIC, decided, estimate, pairs, passing

from groundtune.decisions.markdown import markdown
from groundtune.decisions.rubric import Gate
from groundtune.decisions.sure import close_gates, thousand
from groundtune.decisions.weigh import Measured

ROWS = [*passing("rag", 0.5), *passing("hybrid", 0.7), *pairs({"rag": 0.5, "hybrid": 0.7}, 0.001)]


def test_a_gate_that_holds_by_the_mean_alone_is_said_and_one_that_holds_for_sure_is_not() -> None:
    rows = [estimate("valid_json", "hybrid", 0.92, half=0.04), estimate("refusal_right", "hybrid", 0.9, half=0.04)]
    [said] = close_gates(Measured(rows), RUBRIC, "hybrid")
    assert "passes valid_json at least 0.9 by its mean alone: 0.92 (0.88 to 0.96, n = 100)" in said
    on_the_bound = replace(RUBRIC, gates=(Gate(metric="valid_json", min=0.9, on="bound"),))
    assert close_gates(Measured(rows), on_the_bound, "hybrid") == [] == close_gates(Measured(rows), RUBRIC, None)
    upper = replace(RUBRIC, gates=(Gate(metric="false_answer", max=0.2),))
    assert close_gates(Measured([estimate("false_answer", "hybrid", 0.19)]), upper, "hybrid")
    assert not close_gates(Measured([estimate("false_answer", "hybrid", 0.1)]), upper, "hybrid")


def test_every_arm_is_held_against_what_is_not_tolerated_and_none_seen_is_not_none() -> None:
    rows = [replace(item, low=0.0, high=0.03) if item.metric == "leak" else item for item in ROWS]
    reasons = " ".join(decided(rows).reasons)
    assert "The failure that is not tolerated is leak (a mean of at most 0): rag 0.00 (0.00 to 0.03, n = 100); hybrid 0.00" in reasons
    assert "a true rate of up to 0.03 is not ruled out" in reasons


def test_what_an_arm_takes_has_its_interval_and_n() -> None:
    rows = [replace(item, low=0.0009, high=0.0012) if item.metric == "cost" else item for item in ROWS]
    [line] = [line for line in decided(rows).reasons if line.startswith("What it takes")]
    assert "hybrid 1.00 (0.90 to 1.20, n = 100) EUR a thousand questions" in line and "(0.06 to 0.14, n = 100) s of the machine" in line
    missing = thousand(estimate("cost", "rag", None))
    assert (missing.value, missing.low, missing.high) == (None, None, None)


def test_every_metric_of_the_page_is_defined_and_costs_are_of_a_thousand() -> None:
    text = markdown(decided(ROWS))
    head = next(line for line in text.splitlines() if line.startswith("| arm |"))
    for name in (cell.strip().removesuffix(" × 1,000") for cell in head.strip("|").split("|")[1:]):
        assert f"\n- {name}: " in text and "is better." in text
    assert "cost × 1,000" in head
