"""From metrics on demand and a judge to a decision that can be verified, compared and worked out again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_project import CONFIG, make_project

import groundtune as gt
from groundtune.cli.main import main
from groundtune.errors import JudgeError, NotComparable, Problems, UnknownMetric, UnknownName
from groundtune.project import judge as judging
from groundtune.project import reproduce as again
from groundtune.project.check import plan

MORE = """
[scores]
metrics = ["meteor", "numeric", "grounded", "refusal_f1", "bleu", "refusal:forbidden"]
detector = "words"

[judge]
use = "scripted"
model = "{judge}"
criteria = ["correct"]
repeats = 3
"""


def write(folder: Path, *, judge: Any = None, more: str = MORE) -> Path:
    """A project of two arms whose models say what they are told to."""
    head = CONFIG[: CONFIG.index("[tuning.closed]")]
    arms = '[[arms]]\nname = "prompt"\n\n[[arms]]\nname = "rag"\nretrieves = true\n\n' + CONFIG[CONFIG.index("[rubric]") :]
    (folder / "chat.json").write_text(json.dumps({"": json.dumps({"quote": "", "answer": "It pays 30 coins."})}))
    verdict = json.dumps({"reason": "so it is", "verdict": "no"})
    (folder / "judge.json").write_text(json.dumps(judge if judge is not None else {"": verdict}))
    config = (head + arms).replace('model = "{model}"', f'use = "scripted"\nmodel = "{folder / "chat.json"}"')
    (folder / "groundtune.toml").write_text(config + more.replace("{judge}", str(folder / "judge.json")))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was locked, ingested and decided."""
    place = tmp_path_factory.mktemp("evidence")
    (place / "tiny-model").mkdir()  # no model is needed here, so that none is made
    folder = write(make_project(place / "project"))
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


def test_metrics_on_demand_are_in_the_decision_with_their_signatures(project: gt.Project) -> None:
    decision = project.decide()
    means = {item.metric: item for item in decision.estimates if item.versus is None and item.arm == "rag"}
    for name in ("meteor", "numeric", "grounded", "refusal_f1", "bleu", "refusal:forbidden", "judged:correct", "token_f1"):
        assert f"{name}|v1|" in means[name].signature or means[name].state == "not run", name
    assert means["judged:correct"].value == 0.0 and "judge:scripted" in means["judged:correct"].signature
    [run] = (project.state / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["metrics"]["grounded"].startswith("grounded|v1|ensemble:words")
    assert "each of 3 times on 30 of 30 answers" in " ".join(decision.assumptions)
    assert {"metrics", "judge"} <= decision.inputs.keys()
    assert any(line.startswith("True differences in token_f1 below") for line in decision.not_covered) or not [
        item for item in decision.estimates if item.versus and item.metric == "token_f1" and item.low != item.high
    ]


def test_a_decision_says_first_what_speaks_against_it_and_what_it_costs_and_which_questions_it_lacks(project: gt.Project) -> None:
    path = project.folder / "groundtune.toml"
    path.write_text(path.read_text() + '\n[needs]\ncitations = "required"\nknowledge = "most"\nvolume = 5000\n')
    decision = gt.open(project.folder).decide()
    assert decision.choice == "prompt" and decision.sure
    against, costs = (next(n for n, line in enumerate(decision.reasons) if line.startswith(start)) for start in ("The stated", "All in"))
    intolerable = next(n for n, line in enumerate(decision.reasons) if line.startswith("The failure that is not tolerated"))
    assert intolerable < against < costs < next(n for n, line in enumerate(decision.reasons) if line.startswith("What the answers alone"))
    assert "speak against prompt: knowledge = most (" in decision.reasons[against]
    assert (
        "By the needs alone it would be RAG." in decision.reasons[against] and "No gate of the rubric asks for" in decision.reasons[against]
    )
    assert "EUR a month for 5,000 answers: prompt " in decision.reasons[costs]
    owners = next(grid for item in decision.sections for grid in item.grids if grid.title == "Who owns it after launch")
    assert [row[0] for row in owners.rows][:1] == ["examples"]  # prompt only: no documents to keep, no model to train again
    assert any("test set is incomplete: it has no question marked as out_of_scope or adversarial" in line for line in decision.not_covered)
    assert any("come in 5 groups" in line for line in decision.assumptions)
    assert any("answers given up to 4 at once, each waiting for its whole batch" in line for line in decision.assumptions)
    found = again.reproduce(gt.open(project.folder), decision.id)
    assert found.same is True and found.differs == ()


def test_decisions_that_differ_in_words_alone_are_told_as_such(project: gt.Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project.folder / "decisions"
    [path] = folder.glob("0001-*.json")
    row = json.loads(path.read_text())
    (folder / path.name.replace("0001", "0002")).write_text(json.dumps({**row, "reasons": ["put otherwise"]}))
    with pytest.raises(SystemExit):
        main(["decide", "--compare", "0001", "0002", "-p", str(project.folder)])
    assert "another build of groundtune put one of them into words" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["decide", "--compare", "0001", "0001", "-p", str(project.folder)])
    assert "another build" not in capsys.readouterr().out


def test_a_rubric_that_says_stop_is_decided_written_logged_and_worked_out_again(
    project: gt.Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.folder / "groundtune.toml"
    path.write_text(path.read_text().replace("[probes]", '[[rubric.stop]]\nmetric = "chrf"\nmin = 0.99\n\n[probes]'))
    opened = gt.open(project.folder)
    opened.lock(relock=True)
    decision = opened.decide()
    assert decision.verdict == "stop" and decision.id.endswith("-stop")
    text = (project.folder / "decisions" / f"{decision.id.removeprefix('decision:')}.md").read_text()
    assert "# Stop" in text and "misses chrf at least 0.99" in text
    with pytest.raises(SystemExit) as ended:
        main(["decide", "-p", str(project.folder)])
    assert ended.value.code == 1
    assert "stop: no arm comes near enough" in capsys.readouterr().out
    found = again.reproduce(gt.open(project.folder), decision.id)
    assert found.same is True and found.differs == () and found.missing == ()


def test_deciding_again_neither_decides_nor_looks_anew(project: gt.Project) -> None:
    looks = project.evaluate().looks
    first, second = project.decide(), project.decide()
    assert first.id == second.id == "decision:0001-" + first.id.split("-", 1)[1]
    assert project.evaluate().looks == looks == 1
    assert len((project.folder / "decisions" / "log.jsonl").read_text().splitlines()) == 1


def test_stored_verdicts_are_not_asked_for_again(project: gt.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*told: object) -> None:
        raise AssertionError("the judge was asked again")

    monkeypatch.setattr(judging.Asked, "__call__", never)
    assert project.evaluate().scores


def test_what_was_decided_is_verified_and_worked_out_again(project: gt.Project) -> None:
    assert again.verify(project) == (1, [])
    found = again.reproduce(project, "1")
    assert found.same is True and not found.differs and not found.missing and not found.changed
    assert found.rescored == 30 and not found.rescored_differs


def test_a_changed_score_is_told(project: gt.Project) -> None:
    [run] = (project.state / "runs").iterdir()
    rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    for row in rows:
        if row["metric"] == "token_f1" and row["arm"] == "rag":
            row["value"] = 1.0
    (run / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = again.reproduce(project, "0001")
    assert found.same is False and any("estimates" in line for line in found.differs)
    assert any("written anew" in line for line in found.differs) and found.rescored_differs


def test_what_is_missing_is_said_by_name(project: gt.Project) -> None:
    [run] = (project.state / "runs").iterdir()
    (run / "answers.jsonl").unlink()
    found = again.reproduce(project, "1")
    assert found.same is True and any("answers.jsonl" in line for line in found.missing) and found.rescored == 0
    next(run.glob("decided-*.json")).unlink()
    found = again.reproduce(project, "1")
    assert found.same is None and any("decided-" in line for line in found.missing)


def test_a_changed_document_is_a_changed_input(project: gt.Project) -> None:
    path = next((project.folder / "documents").iterdir())
    path.write_text(path.read_text() + "\nOne more line.\n")
    found = again.reproduce(gt.open(project.folder), "1")
    assert found.same is True and "documents" in found.changed and found.rescored == 0


def test_decisions_are_compared_on_the_command_line(project: gt.Project, capsys: pytest.CaptureFixture[str]) -> None:
    write(project.folder)
    (project.folder / "chat.json").write_text(json.dumps({"": json.dumps({"quote": "", "answer": "I don't know."})}))
    gt.open(project.folder).decide()
    assert run("--compare", "1", "2", "-p", str(project.folder)) == 0
    said = capsys.readouterr().out
    assert "chat (the chat model)" in said and "Numbers beyond their old interval" in said
    assert run("--verify", "-p", str(project.folder)) == 0
    assert "2 decisions in the log; all as they were written and signed" in capsys.readouterr().out
    assert run("--reproduce", "2", "-p", str(project.folder), "--json") == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    record = next((project.folder / "decisions").glob("0001-*.json"))
    record.write_text(record.read_text().replace('"the tests"', '"somebody"'))
    assert run("--verify", "-p", str(project.folder)) == 1
    assert "was changed after it was decided" in capsys.readouterr().out


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["decide", *words])
    return int(ended.value.code or 0)


def test_decisions_on_other_questions_are_not_compared(project: gt.Project) -> None:
    from groundtune.decisions import log
    from groundtune.decisions.compare import compare

    first = log.read(project.folder / "decisions", "1")
    path = project.folder / "examples" / "all.jsonl"
    path.write_text(path.read_text().replace("coins", "crowns"))
    for document in (project.folder / "documents").iterdir():
        document.write_text(document.read_text().replace("coins", "crowns"))
    changed = gt.open(project.folder)
    changed.lock(relock=True)
    changed.ingest()
    with pytest.raises(NotComparable):
        compare(first, changed.decide())


def test_a_judge_that_answers_in_prose_ends_the_evaluation(project: gt.Project) -> None:
    write(project.folder, judge={"": "The answer looks right to me."})
    with pytest.raises(JudgeError, match="gave no verdict on any of 15 answers|gave no verdict on any of 30 answers"):
        gt.open(project.folder).evaluate()


def test_a_judge_that_fails_once_is_counted_and_the_metric_is_not_measured(project: gt.Project) -> None:
    verdict = json.dumps({"reason": "so it is", "verdict": "yes"})
    write(project.folder, judge={"crane snaps": "prose", "": verdict})
    found = gt.open(project.folder).evaluate()
    judged = [score for score in found.scores if score.metric == "judged:correct"]
    assert 0 < sum(score.failed for score in judged) < len(judged)
    assert "without a verdict" in found.notes[0]


def test_people_correct_the_judge_only_with_enough_labels(project: gt.Project) -> None:
    found = project.evaluate()
    path = project.folder / "labels.jsonl"
    assert judging.sample(project, found, 5, path) == 10
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["value"] for row in rows} == {None} and judging.read_labels(path) == {}
    with pytest.raises(JudgeError, match="is there already"):
        judging.sample(project, found, 5, path)
    path.write_text("".join(json.dumps({**row, "value": 1, "by": "ana"}) + "\n" for row in rows))
    write(project.folder, more=MORE + 'labels = "labels.jsonl"\n')
    decision = gt.open(project.folder).decide()
    judged = next(item for item in decision.estimates if item.metric == "judged:correct" and item.arm == "rag")
    assert judged.value == 0.0 and "not corrected: 5 answers have people's labels, 50 are needed" in judged.reason
    assert "labels" in decision.inputs


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("prose", "labels.jsonl:1"),
        ("[]", "not an object"),
        ('{"answer": "a", "criterion": "correct", "value": 2, "by": "ana"}', "value is 2"),
        ('{"answer": "a", "criterion": "correct", "value": "yes", "by": "ana"}', "value is 'yes'"),
        ('{"answer": "a", "criterion": "correct", "value": 1, "by": ""}', "have to be texts"),
        ('{"criterion": "correct", "value": 1, "by": "ana"}', "have to be texts"),
        (
            '{"answer": "a", "criterion": "correct", "value": 1, "by": "ana"}\n'
            '{"answer": "a", "criterion": "correct", "value": 0, "by": "ana"}',
            "both yes and no",
        ),
    ],
)
def test_labels_that_are_none_are_refused_by_line(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "labels.jsonl").write_text(line + "\n")
    with pytest.raises(JudgeError, match=says):
        judging.read_labels(tmp_path / "labels.jsonl")


def test_several_wrong_labels_are_told_at_once_and_several_people_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("x\ny\n")
    with pytest.raises(Problems):
        judging.read_labels(path)
    rows = [{"answer": "a", "criterion": "correct", "value": value, "by": name} for name, value in (("ana", 1), ("ben", 0))]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert judging.read_labels(path) == {("judged:correct", "a"): 0.5}


@pytest.mark.parametrize(
    ("more", "kind", "says"),
    [
        ('[scores]\nmetrics = ["bleurt"]', UnknownMetric, "bleurt"),
        ('[scores]\ndetector = "oracle"', UnknownName, "oracle"),
        ('[scores]\nmetrics = ["judged:correct"]', JudgeError, "names no judge"),
        ('[scores]\nmetrics = ["grounded"]\ndetector = "judge"', JudgeError, "names no judge"),
        ('[judge]\nuse = "scripted"\nmodel = "x"\ncriteria = ["charming"]', UnknownName, "charming"),
        ('[judge]\nuse = "oracle"\nmodel = "x"', UnknownName, "oracle"),
        ('[judge]\nuse = "scripted"\nmodel = "x"\n[judge.rubric]\nkind = "?"', JudgeError, "judge.rubric.kind"),
        ('[scores]\nmetrics = ["judged:complete"]\n[judge]\nuse = "scripted"\nmodel = "x"', JudgeError, "judge.criteria lists correct"),
        ('[judge]\nuse = "scripted"\nmodel = "CHAT"', JudgeError, "no judge of itself"),
    ],
)
def test_what_is_wrong_with_scores_and_judge_is_known_before_anything_is_spent(
    project: gt.Project, more: str, kind: type[Exception], says: str
) -> None:
    write(project.folder, more=more.replace("CHAT", str(project.folder / "chat.json")))
    problems = gt.open(project.folder).check().problems
    assert [type(problem) for problem in problems] == [kind] and says in problems[0].message


def test_the_model_that_answers_is_refused_as_judge_when_asked_too(project: gt.Project) -> None:
    write(project.folder)
    shutil.copy(project.folder / "chat.json", project.folder / "judge.json")
    with pytest.raises(JudgeError, match="no judge of itself"):
        judging.open_judge(gt.open(project.folder))


def test_a_plan_takes_the_spread_that_was_measured(project: gt.Project) -> None:
    found = plan(project, 0.03)
    assert found.there == 15 and found.questions >= 2 and found.source.startswith(("measured, decision:0001", "assumed"))
    assert plan(project, 0.3).questions <= found.questions
