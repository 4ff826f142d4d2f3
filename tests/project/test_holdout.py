"""A second set that nothing looks at before somebody says so: locked, its looks counted apart, and decided on by itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_project import make_project
from test_evidence import write

import groundtune as gt
from groundtune.cli.main import main
from groundtune.decisions import compare, log
from groundtune.errors import LockedError, NotComparable, StateError
from groundtune.project import lock as locks
from groundtune.project import reproduce as again
from groundtune.project.check import missing

KEPT = ("winch", "rope", "tide", "harbour")


def set_aside(folder: Path, topics: tuple[str, ...] = KEPT) -> Path:
    """Make the training questions on these topics the holdout."""
    path = folder / "examples" / "all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["split_group"] in topics and row["split"] == "train":
            row["split"] = "holdout"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a holdout that was locked, ingested and decided on its test set."""
    place = tmp_path_factory.mktemp("holdout")
    (place / "tiny-model").mkdir()
    folder = set_aside(write(make_project(place / "project"), more=""), (*KEPT, "buoy", "anchor"))
    project = gt.open(folder)
    project.lock()
    project.ingest()
    project.decide()
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> gt.Project:
    """A copy that a test may change."""
    shutil.copytree(built, tmp_path / "project")
    return gt.open(tmp_path / "project")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def looks(project: gt.Project) -> tuple[int, int]:
    lock = project.require_lock()
    return project.ledger.looks(lock.id("test")), project.ledger.looks(lock.id("holdout"))


def test_no_arm_sees_the_holdout_before_it_is_asked_for(project: gt.Project) -> None:
    held = {example.id for example in project.content.split("holdout")}
    assert len(held) >= 10 and looks(project) == (1, 0)
    kept = [path.read_text() for path in (project.state / "runs").rglob("answers.jsonl")]
    assert kept and not any(f'"{name}"' in text for name in held for text in kept)
    assert not {"holdout", "asked"} & project.decide().inputs.keys()


def test_a_decision_on_the_holdout_says_so_and_is_worked_out_again(project: gt.Project) -> None:
    decision = project.decide(asked="holdout")
    assert decision.inputs["asked"] == "holdout" and decision.inputs["holdout"] == project.require_lock().holdout
    assert looks(project) == (1, 1)
    asked = {example.id for example in project.content.split("holdout")}
    evaluation = project.evaluate(asked="holdout")
    assert {answer.example_id for rows in evaluation.answers.values() for answer in rows} == asked
    assert looks(project) == (1, 1)
    assert any("those of the holdout, look 1 at it" in line and "looked at 1 time" in line for line in decision.assumptions)
    page = max((project.folder / "decisions").glob("*.html")).read_text()
    assert f"{len(asked)} (holdout)" in page
    found = again.reproduce(project, decision.id.removeprefix("decision:")[:4])
    assert found.same is True and not found.differs and not found.missing and not found.changed
    assert found.rescored == 2 * len(asked) and not found.rescored_differs


def test_decisions_on_the_test_set_and_on_the_holdout_are_not_compared(project: gt.Project) -> None:
    project.decide(asked="holdout")
    first, second = (log.read(project.folder / "decisions", number) for number in ("1", "2"))
    with pytest.raises(NotComparable, match="different questions"):
        compare.compare(first, second)


def test_a_changed_or_missing_holdout_breaks_the_lock_and_a_new_one_is_taken_in(project: gt.Project) -> None:
    before = project.require_lock()
    path = project.folder / "examples" / "all.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"how often does somebody look after our tide"', '"how often is our tide looked after at all"'))
    with pytest.raises(LockedError, match="the holdout changed"):
        gt.open(project.folder).evaluate()
    path.write_text("".join(line + "\n" for line in text.splitlines() if '"holdout"' not in line))
    with pytest.raises(LockedError, match="the holdout changed"):
        gt.open(project.folder).evaluate()
    bare = gt.open(project.folder).lock(relock=True)
    assert bare.holdout == locks.NONE and bare.relocked[0]["holdout"] == before.holdout
    assert "holdout" not in json.loads((project.folder / locks.FILE).read_text())
    path.write_text(text)
    taken = gt.open(project.folder).lock()
    assert (taken.holdout, taken.locked_at, len(taken.relocked)) == (before.holdout, bare.locked_at, 1)


def test_a_lock_from_before_there_were_holdouts_is_read(project: gt.Project) -> None:
    path = project.folder / locks.FILE
    row = json.loads(path.read_text())
    del row["holdout"]
    path.write_text(json.dumps(row))
    read = locks.read(project.folder)
    assert read is not None and read.holdout == locks.NONE
    assert project.lock().holdout == project.content.split_fingerprint("holdout")


def test_training_rows_of_a_holdout_document_are_a_leak(project: gt.Project) -> None:
    path = project.folder / "examples" / "all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    next(row for row in rows if row["split"] == "holdout")["split"] = "train"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = gt.open(project.folder).check()
    assert any("leak" in problem.message and "holdout" in problem.message for problem in report.problems)


def test_without_a_holdout_asking_for_it_is_an_error(project: gt.Project) -> None:
    path = project.folder / "examples" / "all.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if '"holdout"' not in line))
    bare = gt.open(project.folder)
    bare.lock(relock=True)
    with pytest.raises(StateError, match="no example has split = holdout") as caught:
        bare.evaluate(asked="holdout")
    assert "groundtune lock" in caught.value.hint


def test_the_verbs_say_what_was_asked_and_how_often(project: gt.Project, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, code: int = 0) -> str:
        assert run(*words, "-p", str(project.folder), "--progress", "silent") == code
        return capsys.readouterr().out

    assert "evaluations that have seen it: 0" in said("lock")
    assert "look 1 at the holdout" in said("evaluate", "--holdout")
    assert json.loads(said("evaluate", "--holdout", "--json"))["asked"] == "holdout"
    assert "decision:0002" in said("decide", "--holdout")
    assert json.loads(said("lock", "--json"))["holdout_looks"] == 1
    assert json.loads(said("check", "--json"))["counts"]["holdout"] >= 10
    said("decide", "--holdout", "--verify", code=2)


def test_a_set_without_questions_to_be_refused_is_called_incomplete(project: gt.Project) -> None:
    content = project.content
    test = content.split("test")
    assert missing(content, test) == [
        "no question marked as out_of_scope or adversarial (kind): how arms take these is not told apart, if they are there"
    ]
    [only] = missing(content, [example for example in test if example.answerable])
    assert only.startswith("no question that must be refused")
    told = missing(content, [replace(example, kind="adversarial") if example.kind != "answerable" else example for example in test])
    assert [line.split(" (")[0] for line in told] == ["no question on what its asker may not read", "no question marked as out_of_scope"]
    marked = [*test, *(replace(test[0], kind=kind, answerable=False) for kind in ("out_of_scope", "adversarial"))]
    assert missing(content, marked) == []
    assert any("the test set is incomplete: it has no question marked" in line for line in project.check().warnings)
