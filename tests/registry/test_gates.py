import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.registry.gates import Gate, gates_for, judge, task_gate
from groundtune.tables import ModelsTable, PromotionGateTable
from groundtune.types import Estimate


def estimate(metric: str = "token_f1", value: float | None = 0.6, half: float = 0.1, versus: str | None = None, **changed: Any) -> Estimate:
    low, high = (None, None) if value is None else (value - half, value + half)
    row: dict[str, Any] = {
        "metric": metric, "arm": "candidate", "versus": versus, "state": "measured", "value": value, "low": low, "high": high, "n": 40,
        "n_failed": 0, "signature": "s",
    }  # fmt: skip
    return Estimate(**(row | changed))


def passes(gate: Gate, *estimates: Estimate, live: bool = False) -> bool:
    [outcome] = judge([gate], estimates, live=live)
    return outcome.passed


def test_a_gate_looks_at_the_mean_or_at_the_unfavourable_end() -> None:
    assert passes(Gate(metric="token_f1", at_least=0.6, on="value"), estimate())
    assert not passes(Gate(metric="token_f1", at_least=0.6), estimate())
    assert passes(Gate(metric="token_f1", at_least=0.5), estimate())
    assert not passes(Gate(metric="token_f1", at_most=0.6), estimate())
    assert passes(Gate(metric="token_f1", at_most=0.7), estimate())


@pytest.mark.parametrize("state", ["not run", "failed", "too few"])
def test_what_was_not_measured_fails(state: str) -> None:
    for gate in (Gate(metric="token_f1", at_least=-9), Gate(metric="token_f1", at_most=9, on="value")):
        assert not passes(gate)
        assert not passes(gate, estimate("exact"))
        assert not passes(gate, estimate(value=None, state=state))
        assert not passes(gate, estimate(state=state))
        assert not passes(gate, estimate(low=None, high=None))
        assert not passes(gate, estimate(), estimate())
        assert not passes(gate, estimate(arm="base"))
        assert passes(gate, estimate())


@given(st.sampled_from(["value", "bound"]), st.booleans())
def test_a_number_that_is_none_never_passes(on: Any, least: bool) -> None:
    gate = Gate(metric="token_f1", at_least=-1, on=on) if least else Gate(metric="token_f1", at_most=1, on=on)
    assert not passes(gate, estimate(value=math.nan))
    assert not passes(Gate(metric="token_f1", on=on), estimate())


def test_against_picks_the_paired_difference_and_the_base_stands_in_for_a_live_version() -> None:
    found = [estimate(value=0.9), estimate(value=0.2, versus="base"), estimate(value=-0.2, versus="live")]
    gate = Gate(metric="token_f1", at_least=0.0, against="live", on="value")
    assert not passes(gate, *found, live=True)
    assert passes(gate, *found, live=False)
    assert not passes(gate, *found[:2], live=True)
    assert passes(Gate(metric="token_f1", at_least=0.1, against="base"), *found, live=True)


def test_some_gates_always_stand_and_can_only_be_replaced_by_name() -> None:
    standing = gates_for("closed", ModelsTable.model_validate({"tasks": ["gsm8k"]}), [])
    assert [str(gate) for gate in standing] == [
        "parity at least 1",
        "extracted at most 0",
        "probe against base at least -0.05",
        "lm-eval:gsm8k against base at least -0.05",
    ]
    assert all(not outcome.passed for outcome in judge(standing, [], live=False))
    tables = [
        PromotionGateTable(metric="extracted", at_most=0.1),
        PromotionGateTable(metric="exact", at_least=0.5, adapter="other"),
        PromotionGateTable(metric="exact", at_least=0.4, adapter="closed"),
    ]
    assert [str(gate) for gate in gates_for("closed", ModelsTable.model_validate({}), tables)] == [
        "parity at least 1",
        "probe against base at least -0.05",
        "extracted at most 0.1, interval included",
        "exact at least 0.4, interval included",
    ]


def test_a_gate_on_the_other_side_replaces_none_that_stands() -> None:
    """``probe … at_most`` says nothing of what may be lost, and ``parity … at_most`` nothing of what must agree."""
    tables = [
        PromotionGateTable(metric="parity", at_most=1.0),
        PromotionGateTable(metric="extracted", at_least=0.0),
        PromotionGateTable(metric="probe", at_most=0.5, against="base"),
        PromotionGateTable(metric="token_f1", at_most=1.0, against="live"),
    ]
    found = gates_for("closed", ModelsTable.model_validate({}), tables, task_gate("token_f1", "higher"))
    assert [str(gate) for gate in found[:4]] == [
        "parity at least 1", "extracted at most 0", "probe against base at least -0.05", "token_f1 against live at least 0",
    ]  # fmt: skip
    assert len(found) == 8


def test_what_is_worse_at_the_task_than_what_is_live_does_not_pass_by_itself() -> None:
    task = task_gate("token_f1", "higher")
    [*_, gate] = gates_for("closed", ModelsTable.model_validate({}), [], task)
    assert gate == task and not passes(task)
    for versus, live in (("live", True), ("base", False)):
        assert passes(task, estimate(value=0.0, versus=versus), live=live)
        assert not passes(task, estimate(value=-0.01, versus=versus), live=live)
    lower = task_gate("ter", "lower")
    assert passes(lower, estimate("ter", value=-0.1, versus="live"), live=True)
    assert not passes(lower, estimate("ter", value=0.1, versus="live"), live=True)
    own = PromotionGateTable(metric="token_f1", at_least=-0.5, against="live", on="value")
    assert [str(g) for g in gates_for("closed", ModelsTable.model_validate({}), [own], task)][-1] == "token_f1 against live at least -0.5"
