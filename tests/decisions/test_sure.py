"""How sure a decision is: gates passed by the mean alone, what is not tolerated for every arm, intervals on what it takes, definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_estimates import RUBRIC, decided, estimate, pair, pairs, passing

from groundtune.decisions.markdown import markdown
from groundtune.decisions.rubric import Gate
from groundtune.decisions.rule import choose
from groundtune.decisions.sure import close_gates, how_sure, intolerable, thousand
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import Told

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
    assert "The failure that is not tolerated is leak (a mean of at most 0): rag, hybrid each 0.00 (0.00 to 0.03, n = 100)." in reasons
    apart = [replace(item, high=0.05) if (item.metric, item.arm) == ("leak", "rag") else item for item in rows]
    assert "rag 0.00 (0.00 to 0.05, n = 100); hybrid 0.00 (0.00 to 0.03, n = 100)." in " ".join(decided(apart).reasons)
    assert "a true rate of up to 0.03 is not ruled out" in reasons


def test_what_an_arm_takes_has_its_interval_and_n() -> None:
    rows = [replace(item, low=0.0009, high=0.0012) if item.metric == "cost" else item for item in ROWS]
    [line] = [line for line in decided(rows).reasons if line.startswith("What the answers alone take")]
    assert "hybrid 1.00 (0.90 to 1.20, n = 100) EUR a thousand questions" in line and "(0.06 to 0.14, n = 100) s of the machine" in line
    missing = thousand(estimate("cost", "rag", None))
    assert (missing.value, missing.low, missing.high) == (None, None, None)


def test_every_metric_of_the_page_is_defined_and_costs_are_of_a_thousand() -> None:
    text = markdown(decided(ROWS))
    head = next(line for line in text.splitlines() if line.startswith("| arm |"))
    for name in (cell.strip().removesuffix(" × 1,000") for cell in head.strip("|").split("|")[1:]):
        assert f"\n- {name}: " in text and "is better." in text
    assert "cost × 1,000" in head


@pytest.mark.parametrize(
    ("lead", "half", "p", "says"),
    [
        (0.20, 0.04, 0.001, "Sure that it is ahead of rag in token_f1 by enough to matter (0.05): 0.20 (0.16 to 0.24, n = 100)"),
        (0.06, 0.04, 0.01, "Sure that it is ahead of rag in token_f1, not that it is by 0.05: 0.06 (0.02 to 0.10, n = 100)"),
    ],
)
def test_a_lead_is_as_sure_as_its_interval(lead: float, half: float, p: float, says: str) -> None:
    rows = [*passing("rag", 0.5), *passing("hybrid", 0.5 + lead), pair("hybrid", "rag", lead, p, half=half)]
    decision = decided(rows)
    assert decision.choice == "hybrid" and decision.sure.startswith(says)


@pytest.mark.parametrize(
    ("lead", "half", "p", "says"),
    [
        (0.01, 0.02, 0.6, "Sure that it and hybrid differ in token_f1 by less than matters (0.05)"),
        (0.01, 0.09, 0.6, "Not sure which of it and hybrid is ahead in token_f1"),
        (0.04, 0.03, 0.02, "Sure that hybrid is ahead of it in token_f1, not that it is by 0.05: 0.04 (0.01 to 0.07, n = 100)"),
    ],
)
def test_an_arm_that_is_taken_as_the_simpler_one_says_so(lead: float, half: float, p: float, says: str) -> None:
    rows = [*passing("rag", 0.5), *passing("hybrid", 0.5 + lead), pair("hybrid", "rag", lead, p, half=half)]
    decision = decided(rows)
    assert decision.choice == "rag" and decision.sure.startswith(says)
    assert ("taken as the simpler one" in decision.sure) == ("differ" not in says)


def test_gates_that_hold_by_the_mean_alone_are_not_sure_and_no_other_arm_is_no_lead() -> None:
    firm = [replace(item, low=0.0, high=0.0) if item.metric == "leak" else item for item in passing("rag", 0.5)]
    assert decided(firm).sure == "No lead was needed: it is the only arm that passes. Every gate holds with its whole interval."
    weak = [estimate("valid_json", "rag", 0.92) if item.metric == "valid_json" else item for item in firm]
    assert "Not sure of valid_json at least 0.9: the mean holds, the interval reaches beyond." in decided(weak).sure


def test_where_nothing_is_shipped_it_says_which_arms_are_surely_out() -> None:
    out = passing("rag", 0.5, valid_json=0.2)
    assert decided(out).sure == "Sure: each of the 1 arms misses a gate with its whole interval."
    near = passing("hybrid", 0.5, valid_json=0.88)
    both = decided([*out, *near, *pairs({"rag": 0.5, "hybrid": 0.5}, 0.9)]).sure
    assert both.startswith("Sure of 1 of 2 arms") and "Not sure of hybrid" in both
    rows = [*passing("rag", 0.5), *passing("hybrid", 0.56), pair("hybrid", "rag", 0.06, 0.2)]
    assert decided(rows).verdict == "can't tell" and decided(rows).sure.startswith("Not sure: that hybrid leads rag by 0.06 (0.02 to 0.10")
    measured = Measured(rows)
    assert how_sure(choose(measured, RUBRIC, ["rag", "hybrid"]), measured, RUBRIC) == decided(rows).sure


def test_a_rate_of_nothing_says_how_far_it_goes_where_questions_of_a_source_fail_together() -> None:
    none_seen = estimate("leak", "rag", 0.0, half=0.0, signature="mean|bca-clustered|level:0.95|clusters:13|v1|of:leak")
    none_seen = replace(none_seen, high=0.036)
    [_, said] = intolerable(Measured([none_seen]), RUBRIC, ["rag"], "rag")
    # 1 - 0.025 ** (1 / 13) = 0.247
    assert (
        "up to 0.04 is not ruled out by them if they fail one by one, up to 0.25 if those of one source fail together (13 groups)" in said
    )
    alone = replace(none_seen, signature="mean|bca-clustered|level:0.95|clusters:100|v1|of:leak")
    assert "together" not in intolerable(Measured([alone]), RUBRIC, ["rag"], "rag")[1]


def test_groups_and_warnings_of_estimates_are_said_where_the_decision_rests_on_them() -> None:
    rows = [
        replace(item, signature="mean|bca-clustered|level:0.95|clusters:4|v1|of:x", reason="the 100 questions come from only 4 sources")
        if item.metric in ("token_f1", "chrf")
        else item
        for item in [*passing("rag", 0.5), estimate("chrf", "rag", 0.4)]
    ]
    rests = decided(rows).assumptions
    assert any("The 100 questions come in 4 groups that share a source" in line for line in rests)
    assert "The 100 questions come from only 4 sources (token_f1 of rag)." in rests
    assert not any("chrf" in line for line in rests)
    twice = [replace(item, reason="few sources") if item.metric in ("token_f1", "valid_json") else item for item in passing("rag", 0.5)]
    assert "Few sources (token_f1 of rag and 1 more)." in decided(twice).assumptions


def test_what_else_to_mind_stands_in_the_headline_and_its_sentence_right_after_what_is_not_tolerated() -> None:
    told = (
        Told(text="It leads by refusing.", caution="its lead is on refusals"),
        Told(text="It costs 3."),
        Told(text="So.", caution="so it is"),
    )
    decision = decided(ROWS, told=told)
    assert decision.sure.endswith(" Mind that its lead is on refusals; and that so it is.")
    place = decision.reasons.index("It leads by refusing.")
    assert decision.reasons[place : place + 3] == ("It leads by refusing.", "It costs 3.", "So.")
    assert any(line.startswith("The failure that is not tolerated") for line in decision.reasons[:place])
    assert "Mind" not in decided(ROWS).sure
