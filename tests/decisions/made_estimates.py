"""Estimates as ``weigh`` makes them, without the statistics; and scores for tests that want those too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from groundtune.decisions.decide import decide
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.types import Arm, Decision, Estimate, Score

ARMS = (
    Arm(name="prompt"),
    Arm(name="rag", retrieves=True),
    Arm(name="rag-json", retrieves=True, constrained=True),
    Arm(name="tuned", adapter="plain"),
    Arm(name="hybrid", retrieves=True, adapter="passages"),
)
RUBRIC = Rubric(
    primary="token_f1",
    smallest_gain=0.05,
    gates=(Gate(metric="refusal_right", min=0.8), Gate(metric="valid_json", min=0.9)),
    prefer=tuple(arm.name for arm in ARMS),
)


def estimate(metric: str, arm: str, value: float | None, versus: str | None = None, half: float = 0.04, **changed: Any) -> Estimate:
    """A measured estimate with an interval of ``value`` ± ``half``, or, without a value, one that was not run."""
    given: dict[str, Any] = {
        "metric": metric,
        "arm": arm,
        "versus": versus,
        "state": "not run" if value is None else "measured",
        "value": value,
        "low": None if value is None else value - half,
        "high": None if value is None else value + half,
        "n": 0 if value is None else 100,
        "n_failed": 0,
        "signature": "made",
        "reason": "nobody ran it" if value is None else "",
    }
    return Estimate(**{**given, **changed})


def passing(arm: str, primary: float | None, **values: float | None) -> list[Estimate]:
    """The means of an arm that passes every gate, but for what is given otherwise."""
    means = {"leak": 0.0, "refusal_right": 0.9, "valid_json": 0.97, "cost": 0.001, "seconds_total": 2.0, "machine_seconds": 0.1, **values}
    return [estimate("token_f1", arm, primary), *(estimate(metric, arm, value) for metric, value in means.items())]


def pair(arm: str, versus: str, value: float, p: float, metric: str = "token_f1", half: float = 0.04) -> Estimate:
    """A paired difference with its corrected p-value."""
    return estimate(metric, arm, value, versus, half, p_value=p / 2, p_holm=p)


def pairs(values: Mapping[str, float], p: float) -> list[Estimate]:
    """All paired differences of arms with these means, less simple minus simpler, all with the same corrected p-value."""
    names = [arm.name for arm in ARMS if arm.name in values]
    return [
        pair(later, earlier, values[later] - values[earlier], p) for number, earlier in enumerate(names) for later in names[number + 1 :]
    ]


def decided(estimates: Sequence[Estimate], arms: Sequence[Arm] = ARMS, rubric: Rubric = RUBRIC, **changed: Any) -> Decision:
    """Decide about the arms that have estimates; the others were not run."""
    ran = {item.arm for item in estimates}
    given: dict[str, Any] = {
        "owner": "Ana",
        "made_on": date(2026, 11, 21),
        "revisit_on": date(2027, 2, 19),
        "inputs": {"test": "abc"},
        "not_run": {arm.name: "too long for the context" for arm in arms if arm.name not in ran},
    }
    return decide(estimates, rubric, arms, **{**given, **changed})


def scores(values: Mapping[str, Mapping[str, Sequence[float | None]]]) -> list[Score]:
    """``{arm: {metric: values}}`` as scores of the questions ``q000``, ``q001``, …"""
    return [
        Score(
            answer_id=f"answer:{arm}-{number}",
            example_id=f"q{number:03d}",
            arm=arm,
            metric=metric,
            value=value,
            reason="",
            signature=f"{metric}|v1|-",
        )
        for arm, metrics in values.items()
        for metric, row in metrics.items()
        for number, value in enumerate(row)
    ]
