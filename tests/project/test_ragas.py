"""RAGAS' metrics: the real package with a scripted judge, where it is installed; and what is said where it is not."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from made_project import CONFIG, make_project

import groundtune as gt
from groundtune.errors import JudgeError, MissingExtra, Problems
from groundtune.project import ragas as adapter
from groundtune.scores import ragas as metrics
from groundtune.scores.metrics import metric_named

THERE = importlib.util.find_spec("ragas") is not None
needs_ragas = pytest.mark.skipif(not THERE, reason="ragas is not installed: pip install 'groundtune[ragas]'")
WANTED = ["faithfulness", "context_recall", "factual_correctness"]
VERDICT = json.dumps({"reason": "so it is", "verdict": "yes"})


def checked(*verdicts: int) -> str:
    return json.dumps({"statements": [{"statement": f"s{n}", "reason": "r", "verdict": v} for n, v in enumerate(verdicts)]})


# Parts of RAGAS' own prompts → what a good judge would reply in its form.
SCRIPT = {
    "analyze the complexity of each sentence": json.dumps({"statements": ["It pays 30 coins.", "It is Tuesday."]}),
    "judge the faithfulness": checked(1, 0),
    "classify if the statement can be attributed": json.dumps(
        {"classifications": [{"statement": "a", "reason": "r", "attributed": 1}, {"statement": "b", "reason": "r", "attributed": 1}]}
    ),
    "Decompose and break down": json.dumps({"claims": ["It pays 30 coins.", "It is Tuesday."]}),
    "": VERDICT,
}


def project_of(place: Path, judge: dict[str, str], more: str = "") -> gt.Project:
    """A project of two arms, answering and judging by rote, whose decision has RAGAS' metrics."""
    (place / "tiny-model").mkdir()
    folder = make_project(place / "project")
    head = CONFIG[: CONFIG.index("[tuning.closed]")]
    arms = '[[arms]]\nname = "prompt"\n\n[[arms]]\nname = "rag"\nretrieves = true\n\n' + CONFIG[CONFIG.index("[rubric]") :]
    (folder / "chat.json").write_text(json.dumps({"": json.dumps({"quote": "", "answer": "It pays 30 coins. It is Tuesday."})}))
    (folder / "judge.json").write_text(json.dumps(judge))
    listed = json.dumps([f"ragas:{name}" for name in WANTED])
    told = more or f'[judge]\nuse = "scripted"\nmodel = "{folder / "judge.json"}"\nmax_new_tokens = 400\n'
    config = (head + arms).replace('model = "{model}"', f'use = "scripted"\nmodel = "{folder / "chat.json"}"')
    (folder / "groundtune.toml").write_text(f"{config}\n[scores]\nmetrics = {listed}\n\n{told}")
    return gt.open(folder)


def test_a_kind_without_an_adapter_is_unknown_and_the_others_say_what_they_are() -> None:
    with pytest.raises(gt.GroundtuneError, match="those with an adapter are faithfulness"):
        metric_named("ragas:answer_relevancy")
    assert adapter.CLASSES.keys() == metrics.KINDS.keys()
    for kind in metrics.KINDS:
        metric: Any = metric_named(f"ragas:{kind}")
        assert "RAGAS" in metric.definition and not metric.paired


def test_without_a_judge_or_the_package_check_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, SCRIPT, more="# no judge\n")
    monkeypatch.setattr("groundtune.project.measure.installed", lambda: None)
    problems = project.check().problems
    assert any(isinstance(item, JudgeError) and "ragas:faithfulness is measured" in item.message for item in problems)
    [missing] = [item for item in problems if isinstance(item, MissingExtra)]
    assert missing.hint == "type: pip install 'groundtune[ragas]'"


@pytest.mark.skipif(THERE, reason="ragas is installed")
def test_a_metric_is_not_opened_without_the_package() -> None:
    with pytest.raises(MissingExtra, match="ragas"):
        adapter.open_metric("faithfulness", lambda *_: [], 1)  # type: ignore[arg-type]


@needs_ragas
def test_its_values_come_from_the_judge_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, SCRIPT)
    project.lock()
    project.ingest()
    evaluation = project.evaluate()
    values = {(score.metric, score.arm): set() for score in evaluation.scores}
    for score in evaluation.scores:
        values[score.metric, score.arm].add(score.value)
        assert not score.failed, score
    assert values["ragas:faithfulness", "rag"] == {0.5} and values["ragas:faithfulness", "prompt"] == {None}
    assert values["ragas:context_recall", "rag"] == {1.0, None} and values["ragas:factual_correctness", "prompt"] == {0.5, None}
    [signature] = {score.signature for score in evaluation.scores if score.metric == "ragas:faithfulness"}
    assert f"ragas:{metrics.installed()}" in signature and "judge:scripted" in signature
    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"
    monkeypatch.setattr(adapter, "open_metric", lambda *_: pytest.fail("RAGAS was asked again"))
    assert [score.value for score in project.evaluate().scores] == [score.value for score in evaluation.scores]


@needs_ragas
def test_a_judge_that_answers_prose_values_nothing_and_ends_the_evaluation(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"Reply with": VERDICT, "verdict": VERDICT, "": "Well, it depends."})
    project.lock()
    project.ingest()
    with pytest.raises((JudgeError, Problems), match="RAGAS valued none of"):
        project.evaluate()


@needs_ragas
def test_nothing_to_check_is_a_failed_mark_and_no_number() -> None:
    def ask(prompts: Any, schema: Any, seed: int) -> list[tuple[str, str | None]]:
        return [(json.dumps({"statements": []}), None)]

    metric = adapter.open_metric("faithfulness", ask, 1)  # type: ignore[arg-type]
    mark = adapter.value(metric, {"user_input": "q", "response": "a", "retrieved_contexts": ["p"]})
    assert mark.failed and mark.value is None and "nothing to check" in mark.reason
    broken = adapter.value(metric, {"user_input": "q", "response": "", "retrieved_contexts": ["p"]})
    assert broken.failed and "response is missing" in broken.reason
