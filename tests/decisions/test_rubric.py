"""What is wrong with a rubric is said before it decides anything."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from made_estimates import RUBRIC, decided, passing

from groundtune.decisions.rubric import Gate, Rubric
from groundtune.errors import ConfigError, UnknownName
from groundtune.tables import GateTable, RubricTable
from groundtune.tables.evidence import StopTable


def test_a_good_rubric_has_no_problems() -> None:
    assert RUBRIC.problems() == []
    assert replace(RUBRIC, primary="field:label").problems() == []


@pytest.mark.parametrize(
    ("rubric", "kind", "says"),
    [
        (replace(RUBRIC, primary="f1"), UnknownName, "unknown metric 'f1'"),
        (replace(RUBRIC, primary="quote_found"), ConfigError, "applies to other questions"),
        (replace(RUBRIC, gates=(Gate(metric="leak"),)), ConfigError, "either min or max"),
        (replace(RUBRIC, gates=(Gate(metric="leak", min=0, max=1),)), ConfigError, "either min or max"),
        (replace(RUBRIC, smallest_gain=0.0), ConfigError, "smallest_gain"),
        (replace(RUBRIC, stop=(Gate(metric="leak"),)), ConfigError, "rubric.stop.0 (leak): give either min or max"),
        (replace(RUBRIC, stop=(Gate(metric="f1", min=0.1),)), UnknownName, "unknown metric 'f1'"),
    ],
    ids=["unknown", "unpaired", "neither", "both", "gain", "stop without a limit", "stop on what is unknown"],
)
def test_problems_are_named_and_stop_the_decision(rubric: Rubric, kind: type[Exception], says: str) -> None:
    assert any(isinstance(problem, kind) and says in problem.message for problem in rubric.problems())
    assert all(problem.hint.endswith("groundtune check") for problem in rubric.problems())
    with pytest.raises(kind, match=re.escape(says)):
        decided(passing("rag", 0.5), rubric=rubric)


def test_the_hash_is_of_every_part() -> None:
    others = [
        replace(RUBRIC, primary="chrf"),
        replace(RUBRIC, smallest_gain=0.06),
        replace(RUBRIC, alpha=0.01),
        replace(RUBRIC, gates=RUBRIC.gates[:1]),
        replace(RUBRIC, intolerable_max=0.1),
        replace(RUBRIC, prefer=RUBRIC.prefer[::-1]),
        replace(RUBRIC, stop=(Gate(metric="token_f1", min=0.1),)),
    ]
    assert len({RUBRIC.hash, *(rubric.hash for rubric in others)}) == len(others) + 1
    assert replace(RUBRIC).hash == RUBRIC.hash


def test_it_is_read_from_the_settings() -> None:
    stop = [StopTable(metric="chrf", min=0.2)]
    table = RubricTable(primary="chrf", gates=[GateTable(metric="leak", max=0.0, on="bound")], assumptions=["prices stay"], stop=stop)
    rubric = Rubric.of(table, ["prompt", "rag"])
    assert (rubric.primary, rubric.prefer, rubric.assumptions) == ("chrf", ("prompt", "rag"), ("prices stay",))
    assert rubric.gates == (Gate(metric="leak", max=0.0, on="bound"),)
    assert rubric.stop == (Gate(metric="chrf", min=0.2),) and rubric.stop[0] in rubric.all_gates
    assert rubric.all_gates[0] == Gate(metric="leak", max=0.0)
