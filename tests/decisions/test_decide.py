"""The rule, case by case, and its properties over random evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_estimates import ARMS, RUBRIC, decided, estimate, pair, pairs, passing

from groundtune.decisions.rubric import Gate
from groundtune.decisions.rule import holds
from groundtune.scores.estimate import questions_needed
from groundtune.types import Estimate


def evidence(values: dict[str, float], p: float) -> list[Estimate]:
    return [item for name, value in values.items() for item in passing(name, value)] + pairs(values, p)


def said(lines: tuple[str, ...], pattern: str) -> bool:
    return any(re.search(pattern, line) for line in lines)


def test_a_sure_and_big_enough_lead_ships_the_less_simple_arm() -> None:
    decision = decided(evidence({"prompt": 0.30, "rag": 0.50, "hybrid": 0.60}, p=0.001))
    assert (decision.verdict, decision.choice, decision.fallback) == ("ship", "hybrid", "rag")
    assert decision.questions_needed is None
    assert said(decision.reasons, r"^hybrid passes every gate and reaches token_f1 0\.60 \(0\.56 to 0\.64, n = 100\)")
    assert said(decision.reasons, r"beats the simpler rag in token_f1 by 0\.10 \(0\.06 to 0\.14, n = 100\), Holm-adjusted p = 0\.001")


def test_a_sure_but_small_lead_ships_the_simpler_arm() -> None:
    decision = decided(evidence({"rag": 0.50, "hybrid": 0.54}, p=0.001))
    assert (decision.verdict, decision.choice, decision.fallback) == ("ship", "rag", "hybrid")
    assert said(decision.reasons, r"hybrid is less simple and leads in token_f1 by only 0\.04")


def test_a_big_but_unsure_lead_cannot_be_told() -> None:
    decision = decided(
        evidence({"prompt": 0.30, "rag": 0.50, "hybrid": 0.60}, p=0.2)[:-3]
        + [pair("rag", "prompt", 0.2, 0.001), pair("hybrid", "prompt", 0.3, 0.001), pair("hybrid", "rag", 0.1, 0.2, half=0.12)]
    )
    assert (decision.verdict, decision.choice, decision.fallback) == ("can't tell", None, "rag")
    lead = pair("hybrid", "rag", 0.1, 0.2, half=0.12)
    assert decision.questions_needed == questions_needed(lead, 0.05, alpha=0.05 / 3)
    assert said(decision.reasons, "may be chance") and said(decision.flips, "Ship hybrid once") and said(decision.flips, "Ship rag once")


@pytest.mark.parametrize(("p", "verdict"), [(0.0499, "ship"), (0.05, "can't tell")])
def test_sure_is_below_alpha_and_enough_is_the_smallest_gain_itself(p: float, verdict: str) -> None:
    rows = [*passing("rag", 0.5), *passing("hybrid", 0.5 + RUBRIC.smallest_gain)]
    assert decided([*rows, pair("hybrid", "rag", RUBRIC.smallest_gain, p)]).verdict == verdict


def test_equal_arms_ship_the_simplest_in_the_order_of_the_rubric() -> None:
    rows = evidence({"prompt": 0.5, "rag": 0.5, "hybrid": 0.5}, p=1.0)
    assert decided(rows).choice == "prompt"
    assert decided(rows, rubric=replace(RUBRIC, prefer=("hybrid", "rag", "prompt"))).choice == "hybrid"


def test_a_less_simple_arm_that_is_worse_is_no_question() -> None:
    decision = decided(evidence({"rag": 0.60, "hybrid": 0.40}, p=0.5))
    assert (decision.verdict, decision.choice) == ("ship", "rag")
    assert said(decision.reasons, "hybrid is less simple and no better")


@pytest.mark.parametrize("state", ["not run", "failed", "too few"])
@pytest.mark.parametrize("metric", ["refusal_right", "leak", "token_f1"])
def test_a_gate_on_what_was_not_measured_fails(metric: str, state: str) -> None:
    rows = evidence({"rag": 0.5, "hybrid": 0.7}, p=0.001)
    missing = estimate(metric, "hybrid", None, state=state, reason="broken scorer")
    rows = [missing if (item.metric, item.arm, item.versus) == (metric, "hybrid", None) else item for item in rows]
    decision = decided(rows)
    assert decision.choice == "rag"
    assert said(decision.reasons, rf"hybrid does not pass: needed {metric} .*{state}: broken scorer")
    gone = [item for item in rows if item is not missing]
    assert decided(gone).choice == "rag"


def test_an_arm_that_refuses_nearly_all_it_could_answer_is_not_shipped_whatever_it_scores() -> None:
    rows = [
        *evidence({"rag": 0.5, "hybrid": 0.9}, p=0.001),
        estimate("false_refusal", "rag", 0.1),
        estimate("false_refusal", "hybrid", 0.95),
    ]
    decision = decided(rows)
    assert decision.choice == "rag"
    assert said(decision.reasons, "hybrid does not pass: needed false_refusal at most 0.9, but it is 0.95")
    assert decided(rows, rubric=replace(RUBRIC, refusals_max=1.0)).choice == "hybrid"
    assert decided(rows, rubric=replace(RUBRIC, gates=(*RUBRIC.gates, Gate(metric="false_refusal", max=0.05)))).verdict == "none passes"


def test_needless_refusals_are_no_question_where_none_could_be_counted() -> None:
    rows = evidence({"rag": 0.5, "hybrid": 0.9}, p=0.001)
    assert decided(rows).choice == "hybrid"
    assert decided([*rows, estimate("false_refusal", "hybrid", None, state="not run")]).choice == "hybrid"


def test_a_number_without_the_state_measured_does_not_pass() -> None:
    assert not holds(Gate(metric="leak", max=0.0), estimate("leak", "rag", 0.0, state="too few"))


def test_one_leak_keeps_the_best_arm_out_and_all_leaking_passes_none() -> None:
    rows = evidence({"rag": 0.5, "hybrid": 0.9}, p=0.001)
    leaking = [replace(item, value=0.01) if (item.metric, item.arm) == ("leak", "hybrid") else item for item in rows]
    assert decided(leaking).choice == "rag"
    assert said(
        decided(leaking).flips,
        r"hybrid, ahead by 0\.40 \(0\.36 to 0\.44, n = 100\) in token_f1, comes to pass its one missed gate: leak at most 0",
    )
    everybody = [replace(item, value=0.01) if item.metric == "leak" else item for item in rows]
    decision = decided(everybody)
    assert (decision.verdict, decision.choice, decision.fallback) == ("none passes", None, None)
    assert said(decision.reasons, "^None of the 2 arms") and said(decision.flips, "rag passes once leak at most 0")


def test_gates_hold_at_their_limit_and_on_the_bound_use_the_unfavourable_end() -> None:
    at = estimate("valid_json", "rag", 0.9, half=0.05)
    assert holds(Gate(metric="valid_json", min=0.9), at)
    assert not holds(Gate(metric="valid_json", min=0.9, on="bound"), at)
    assert holds(Gate(metric="valid_json", min=0.85, on="bound"), at)
    assert holds(Gate(metric="valid_json", max=0.9), at)
    assert not holds(Gate(metric="valid_json", max=0.94, on="bound"), at)
    assert not holds(Gate(metric="valid_json"), at)


def test_lower_is_better_where_the_metric_says_so() -> None:
    rubric = replace(RUBRIC, primary="seconds_total", smallest_gain=0.5, gates=())
    rows = [*passing("rag", 0.5, seconds_total=3.0), *passing("hybrid", 0.5, seconds_total=2.0)]
    rows.append(pair("hybrid", "rag", -1.0, 0.001, metric="seconds_total"))
    assert decided(rows, rubric=rubric).choice == "hybrid"
    rows[-1] = pair("hybrid", "rag", 1.0, 0.001, metric="seconds_total")
    slower = [*passing("rag", 0.5, seconds_total=2.0), *passing("hybrid", 0.5, seconds_total=3.0), rows[-1]]
    assert decided(slower, rubric=rubric).choice == "rag"


def test_an_uncompared_best_arm_is_not_shipped() -> None:
    decision = decided([*passing("rag", 0.5), *passing("hybrid", 0.7)])
    assert decision.verdict == "can't tell" and decision.fallback == "rag"


@pytest.mark.parametrize(
    ("difference", "p", "half", "verdict"),
    [
        (0.20, 0.001, 0.04, "Tuning was needed for the format"),
        (-0.02, 0.5, 0.03, "Tuning was not needed for the format"),
        (0.08, 0.3, 0.12, "Whether tuning was needed for the format cannot be told"),
    ],
)
def test_whether_tuning_was_needed_for_the_format_is_answered(difference: float, p: float, half: float, verdict: str) -> None:
    rows = evidence({"rag-json": 0.5, "hybrid": 0.5}, p=1.0)
    answered = decided([*rows, pair("hybrid", "rag-json", difference, p, metric="valid_json", half=half)])
    assert said(answered.reasons, f"^{verdict}: constrained decoding without tuning \\(rag-json\\)")
    assert not said(decided(rows).reasons, "for the format")


def test_flips_are_worked_out_from_the_evidence() -> None:
    decision = decided(evidence({"prompt": 0.30, "rag": 0.50, "tuned": 0.62}, p=0.001))
    assert decision.choice == "tuned"
    assert said(decision.flips, r"lead of tuned over the simpler rag in token_f1 falls below 0\.05 \(now 0\.12")
    assert said(decision.flips, r"refusal_right of tuned goes below 0\.8 .*room 0\.10")
    assert said(decision.flips, r"leak of tuned goes above 0 ")
    # (0.62 - 0.50 - 0.05) / 0.62 = 11 %
    assert said(decision.flips, r"More than 11% of what is asked about changes between two tunings")


def test_a_retrieving_choice_names_the_recall_at_which_it_loses() -> None:
    rows = evidence({"prompt": 0.30, "rag": 0.50}, p=0.001) + [estimate("evidence_recall", "rag", 0.8)]
    # 0.8 · (1 - (0.50 - 0.30 - 0.05) / 0.50) = 0.56
    assert said(
        decided(rows).flips, r"evidence_recall of rag falls below 0\.56 \(now 0\.80 \(0\.76 to 0\.84, n = 100\)\): prompt then takes"
    )


def test_what_was_not_run_or_measured_is_said() -> None:
    decision = decided(
        evidence({"rag": 0.5}, p=1.0),
        looks=3,
        assumptions=["prices of May"],
        not_covered=["Dutch questions"],
        rubric=replace(RUBRIC, assumptions=("plain English",)),
    )
    assert said(decision.reasons, "prompt was not run: too long for the context")
    assert said(decision.not_covered, "^The arm prompt") and said(decision.not_covered, "evidence_recall.* of rag: not measured")
    assert "Dutch questions" in decision.not_covered and {"plain English", "prices of May"} <= set(decision.assumptions)
    assert said(decision.assumptions, "looked at 3 times") and not said(decided(evidence({"rag": 0.5}, 1.0)).assumptions, "looked at")
    assert decision.fallback is None and said(decision.reasons, "No other arm passes")
    assert decision.inputs["rubric"] == replace(RUBRIC, assumptions=("plain English",)).hash


NAMES = [arm.name for arm in ARMS]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100), min_size=1),
    st.sets(st.sampled_from(NAMES)),
    st.data(),
)
def test_properties_of_the_rule(hundredths: dict[str, int], leaking: set[str], data: st.DataObject) -> None:
    means = {name: hundredths[name] / 100 for name in NAMES if name in hundredths}
    rows = [item for name, value in means.items() for item in passing(name, value, leak=0.02 if name in leaking else 0.0)]
    for item in pairs(means, 1.0):
        rows.append(replace(item, p_holm=data.draw(st.sampled_from([0.001, 0.049, 0.05, 0.6]))))
    shuffled = data.draw(st.permutations(rows))
    decision = decided(rows)
    assert replace(decided(shuffled), estimates=()) == replace(decision, estimates=())
    able = [name for name in means if name not in leaking]
    assert (decision.verdict == "none passes") == (not able)
    assert (decision.choice is not None) == (decision.verdict == "ship")
    assert decision.choice is None or decision.choice in able
    assert decision.fallback is None or (decision.fallback in able and decision.fallback != decision.choice)
    assert (decision.questions_needed is not None) == (decision.verdict == "can't tell")
    assert decision.questions_needed is None or decision.questions_needed >= 1
    assert decision.reasons and decision.not_covered and decision.flips
    if decision.choice is not None:
        assert len(decision.flips) >= 2
        # Nobody that passes leads what is shipped by the smallest gain or more.
        assert max(means[name] for name in able) - means[decision.choice] < RUBRIC.smallest_gain + 1e-9


STOP = replace(RUBRIC, stop=(Gate(metric="token_f1", min=0.4),))


def test_a_rubric_that_was_agreed_on_beforehand_can_say_stop() -> None:
    rows = [*passing("rag", 0.30), *passing("hybrid", 0.33), *pairs({"rag": 0.30, "hybrid": 0.33}, 0.4)]
    assert decided(rows).verdict == "ship"
    stopped = decided(rows, rubric=STOP)
    assert (stopped.verdict, stopped.choice, stopped.fallback) == ("stop", None, None)
    assert said(stopped.reasons, r"says to stop where every arm misses token_f1 at least 0\.4, interval and all; all 2 arms that ran do")
    assert stopped.sure.startswith("Sure: each of the 2 arms") and said(stopped.flips, r"hybrid passes once token_f1 at least 0\.4")


@pytest.mark.parametrize(
    ("best", "verdict"), [(0.39, "none passes"), (0.41, "ship"), (None, "none passes")], ids=["may reach it", "reaches it", "not measured"]
)
def test_one_arm_that_may_reach_it_or_was_not_measured_stops_nothing(best: float | None, verdict: str) -> None:
    values = {"rag": 0.30, "hybrid": 0.30 if best is None else best}
    rows = [*passing("rag", 0.30), *passing("hybrid", best), *(pairs(values, 0.001) if best else [])]
    assert decided(rows, rubric=STOP).verdict == verdict


def test_the_worst_that_is_worth_going_on_for_may_be_a_most() -> None:
    dear = replace(RUBRIC, stop=(Gate(metric="seconds_total", max=1.0),))
    assert decided([*passing("rag", 0.5)], rubric=dear).verdict == "stop"
    assert decided([*passing("rag", 0.5, seconds_total=0.5)], rubric=dear).verdict == "ship"


def test_arms_that_miss_the_same_one_gate_are_told_in_one_sentence() -> None:
    rows = [*passing("rag", 0.5, valid_json=0.2), *passing("rag-json", 0.5), *passing("hybrid", 0.5, valid_json=0.3)]
    rows += pairs({"rag": 0.5, "rag-json": 0.5, "hybrid": 0.5}, 0.9)
    assert said(decided(rows).reasons, r"^rag, hybrid do not pass: needed valid_json at least 0\.9, but it is 0\.20 .*; 0\.30 .*\.$")


def test_arms_that_miss_the_same_gates_are_told_in_one_sentence() -> None:
    strict = replace(RUBRIC, gates=(*RUBRIC.gates, Gate(metric="quote_found", min=0.5)))
    rows = [*passing("rag", 0.5, valid_json=0.2, quote_found=0.1), *passing("rag-json", 0.5, quote_found=0.9)]
    rows += [*passing("hybrid", 0.5, valid_json=0.3, quote_found=0.0), *pairs({"rag": 0.5, "rag-json": 0.5, "hybrid": 0.5}, 0.9)]
    told = r"^rag, hybrid do not pass: needed valid_json .* 0\.20 .*; 0\.30 .*; and quote_found .* 0\.10 .*; 0\.00 .*\.$"
    assert said(decided(rows, rubric=strict).reasons, told)
