"""The small example of tuning: it checks, its rows can be learned, and its gates are read."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

import groundtune as gt
from groundtune.project.tune import rows_for

TICKETS = Path(__file__).parents[2] / "examples" / "tickets"
TEAMS = {"billing", "delivery", "accounts", "hardware", "returns", "privacy"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> gt.Project:
    folder = tmp_path_factory.mktemp("tickets") / "tickets"
    shutil.copytree(TICKETS, folder, ignore=shutil.ignore_patterns(".groundtune", "decisions", "exports"))
    return gt.open(folder)


def test_the_example_checks_and_every_split_has_every_team(project: gt.Project) -> None:
    report = project.check()
    assert report.problems == () and (report.counts["train"], report.counts["dev"], report.counts["test"]) == (42, 18, 12)
    seen = Counter((example.split, example.reply["answer"]) for example in project.content.examples)
    assert set(seen) == {(split, team) for split in ("train", "dev", "test") for team in TEAMS}
    assert {count for (split, _), count in seen.items() if split == "train"} == {7}


def test_its_rows_are_learned_and_general_ones_are_mixed_in(project: gt.Project) -> None:
    found = rows_for(project, "router")
    assert found.readers == {"everyone"} and found.document_ids == ()
    assert len(found.rows) == 47 and sum(row.example_id.startswith("general:") for row in found.rows) == 5


def test_a_gate_asks_for_a_gain_over_the_base(project: gt.Project) -> None:
    [gate] = project.settings.gates
    assert (gate.metric, gate.against, gate.at_least, gate.on) == ("exact", "base", 0.1, "bound")
