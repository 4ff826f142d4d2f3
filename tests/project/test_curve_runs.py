"""A learning curve by one command: nested parts of the rows, versions like any others, resumed, and shown on the decision."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_project import make_project
from test_models import DEV, TRAIN, settings, write

import groundtune as gt
from groundtune.cli.examples import command
from groundtune.decisions.sections import html
from groundtune.errors import NothingToLearn, StateError, UnknownName
from groundtune.project import compare, curve
from groundtune.project.tune import job_for
from groundtune.tuning.rows import Row, TrainSet

WIDER = (*DEV, "buoy", "crane", "keel")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.set_num_threads(1)
    place = make_project(tmp_path_factory.mktemp("curve") / "small")
    path = place / "examples/all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["split"] = "dev" if row["split_group"] in WIDER else "train" if row["split_group"] in TRAIN else "test"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(place, settings())
    return place


def rows_of(count: int, others: int) -> TrainSet:
    names = [f"e{number}" for number in range(count)] + [f"general:{number}" for number in range(others)]
    random.Random(3).shuffle(names)
    made = tuple(Row(example_id=name, messages=(), completion=name, document_ids=(f"document:{name}",)) for name in names)
    return TrainSet(
        rows=made, left_out={"x": 1}, readers=frozenset(["everyone"]), document_ids=tuple(sorted(f"document:{n}" for n in names))
    )


def test_a_smaller_part_is_inside_every_larger_one_and_keeps_the_order_and_the_readers() -> None:
    whole = rows_of(40, 8)
    parts = [curve.part_of(whole, size, 7) for size in (10, 20, 40)]
    ids = [[row.example_id for row in part.rows] for part in parts]
    assert set(ids[0]) < set(ids[1]) < set(ids[2]) and ids[2] == [row.example_id for row in whole.rows]
    assert [sum(name.startswith("general:") for name in found) for found in ids] == [2, 4, 8]
    assert [name for name in ids[2] if name in ids[0]] == ids[0]
    for part, found in zip(parts, ids, strict=True):
        assert part.readers == whole.readers and set(part.document_ids) == {f"document:{name}" for name in found}
        assert part.left_out["left out for the learning curve"] == 48 - len(found) and part.left_out["x"] == 1
    assert ids[0] != [row.example_id for row in curve.part_of(whole, 10, 8).rows]


def test_the_curve_is_planned_made_resumed_and_stands_on_the_decision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = gt.open(folder)
    planned = curve.plan(project, "closed")
    assert [step.rows for step in planned.steps] == [4, 8, 15] and planned.metric == "token_f1"
    assert all(step.version is None for step in planned.steps) and planned.steps[-1].job.key == job_for(project, "closed").key
    shown = CliRunner().invoke(command, ["curve", "--adapter", "closed", "-p", str(folder)], standalone_mode=False)
    assert shown.return_value == 1 and "to do it, add --yes" in shown.output and project.models.listed()[0] == []

    # Broken off while the second version answers: what was tuned and answered is not made again.
    real = compare.answered_by
    calls = iter([True, False])

    def breaks(*given: object) -> object:
        if next(calls):
            return real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "answered_by", breaks)
    with pytest.raises(KeyboardInterrupt):
        curve.measure(project, planned)
    monkeypatch.setattr(compare, "answered_by", real)
    project = gt.open(folder)
    again = curve.plan(project, "closed")
    assert all(step.version is not None for step in again.steps)
    monkeypatch.setattr(curve.tune, "made", lambda *given: pytest.fail("tuned again"))
    found = curve.measure(project, again, more=15)
    assert len(found.points) == 3 and all(point.scores and len(point.scores) >= 20 for point in found.points)
    assert all(item.state == "measured" and item.n == len(found.points[0].scores or {}) for item in found.estimates)
    assert found.advice.questions == len(found.points[0].scores or {})

    project.__dict__["chat"] = None  # no model is asked for what is in the ledger
    assert curve.measured_for(project, {"adapter closed": found.versions[-1]})[0].versions == found.versions
    assert curve.measured_for(project, {"adapter closed": "model:closed-other"}) == []
    page = html(curve.section(found))
    assert page.count("<circle") >= 3 and "Learning curve of closed" in page
    listed = gt.open(folder).models.listed()[0]
    assert {item.version.id for item in listed} == set(found.versions)
    assert sorted(item.version.metrics["rows"] for item in listed) == [4, 8, 15]

    told = CliRunner().invoke(
        command, ["curve", "--adapter", "closed", "--more", "15", "--json", "-p", str(folder), "--progress", "silent"]
    )
    assert json.loads(told.stdout)["versions"] == list(found.versions)


def test_a_metric_of_no_curve_an_unknown_table_and_too_few_rows_are_told(folder: Path) -> None:
    project = gt.open(folder)
    with pytest.raises(StateError, match="leak is not from 0 to 1 with the higher the better"):
        curve.plan(project, "closed", metric="leak")
    with pytest.raises(UnknownName, match="known: closed"):
        curve.plan(project, "nobody")
    write(folder, settings(**{"epochs = 1\nrank = 2": "epochs = 1\nmax_rows = 1\nrank = 2"}))
    with pytest.raises(NothingToLearn, match="1 training rows cannot be cut"):
        curve.plan(gt.open(folder), "closed")
