"""Two decisions: what changed, what it can come from; and other questions are not compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_estimates import decided, pairs, passing

from groundtune.decisions.compare import compare
from groundtune.errors import NotComparable, StateError

INPUTS = {"test": "t1", "documents": "d1", "chat": "m1", "groundtune": "0.1.0"}
FIRST = replace(
    decided([*passing("rag", 0.5), *passing("hybrid", 0.7), *pairs({"rag": 0.5, "hybrid": 0.7}, 0.001)], inputs=INPUTS), id="decision:0001"
)
SECOND = replace(
    decided(
        [*passing("rag", 0.72), *passing("hybrid", 0.71), *pairs({"rag": 0.72, "hybrid": 0.71}, 0.9)], inputs={**INPUTS, "documents": "d2"}
    ),
    id="decision:0002",
)


def test_what_changed_and_why() -> None:
    found = compare(FIRST, SECOND)
    outcome = {change.what: (change.before, change.after) for change in found.outcome}
    assert outcome["choice"] == ("hybrid", "rag")
    assert [(change.what.split()[0], change.before, change.after) for change in found.causes] == [("documents", "d1", "d2")]
    beyond = [change.what for change in found.numbers if change.beyond]
    assert "token_f1 of rag" in beyond and "token_f1 of hybrid" not in beyond
    assert any(change.what == "reasons" and change.after for change in found.said)
    assert not found.unexplained


def test_a_decision_and_itself_differ_in_nothing() -> None:
    found = compare(FIRST, FIRST)
    assert not (found.outcome or found.causes or found.numbers or found.said or found.unexplained)


def test_numbers_that_change_with_no_input_are_unexplained() -> None:
    found = compare(FIRST, replace(SECOND, inputs=FIRST.inputs))
    assert found.unexplained and found.numbers and not found.causes


def test_an_arm_that_came_or_went_is_told() -> None:
    found = compare(FIRST, replace(FIRST, estimates=FIRST.estimates[:6]))
    assert {"not there"} <= {change.after for change in found.numbers}


@pytest.mark.parametrize("inputs", [{**INPUTS, "test": "t2"}, {"documents": "d1"}])
def test_other_test_sets_are_their_own_error(inputs: dict[str, str]) -> None:
    for first, second in ((FIRST, replace(SECOND, inputs=inputs)), (replace(SECOND, inputs=inputs), FIRST)):
        with pytest.raises(NotComparable, match="of different questions") as caught:
            compare(first, second)
        assert isinstance(caught.value, StateError) and "groundtune evaluate" in caught.value.hint


def test_two_records_without_a_test_set_are_not_compared() -> None:
    with pytest.raises(NotComparable):
        compare(replace(FIRST, inputs={}), replace(SECOND, inputs={}))
