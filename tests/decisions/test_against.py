"""What stated needs say against the arm that won: told with what was measured of it, and with the gate that nobody asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_estimates import ARMS, RUBRIC, estimate, passing

from groundtune.decisions.needs.advise import advise
from groundtune.decisions.needs.against import against
from groundtune.decisions.rubric import Gate
from groundtune.decisions.weigh import Measured
from groundtune.tables import NeedsTable
from groundtune.types import Arm

BY_NAME = {arm.name: arm for arm in ARMS}
MEASURED = Measured([*passing("tuned", 0.6), estimate("citation", "tuned", 0.0, half=0.0)])


def told(arm: Arm, rubric: Any = RUBRIC, **needs: Any) -> str:
    found = against(advise(NeedsTable(**needs)), arm, MEASURED, rubric)
    assert found is None or found.caution.startswith("it goes against what was stated as needed (")
    return found.text if found else ""


def test_a_need_that_the_arm_that_won_cannot_meet_is_told_with_what_was_measured_and_the_gate_that_is_missing() -> None:
    said = told(BY_NAME["tuned"], knowledge="most", citations="required", churn="daily")
    assert said.startswith(
        "The stated needs speak against tuned: churn = daily (weights would always be out of date); citations = required"
    )
    assert "measured: citation 0.00 (0.00 to 0.00, n = 100)" in said
    assert "By the needs alone it would be RAG. No gate of the rubric asks for churn (probed:stale), citations (citation): add one" in said


def test_with_a_gate_on_it_nothing_is_asked_for() -> None:
    gated = replace(RUBRIC, gates=(*RUBRIC.gates, Gate(metric="citation", min=0.0)))
    said = told(BY_NAME["tuned"], rubric=gated, citations="required")
    assert "citations = required" in said and "No gate" not in said


@pytest.mark.parametrize("name", ["rag", "hybrid"])
def test_an_arm_that_meets_them_has_nothing_against_it(name: str) -> None:
    assert told(BY_NAME[name], citations="required", churn="daily") == ""


def test_a_weak_point_is_none_and_a_whole_corpus_is_shown_too() -> None:
    assert told(BY_NAME["tuned"], churn="monthly") == ""
    assert told(Arm(name="whole", whole_corpus=True), citations="audited") == ""
    assert told(Arm(name="prompt"), citations="audited").startswith("The stated needs speak against prompt")
