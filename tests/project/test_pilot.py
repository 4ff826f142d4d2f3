import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_project import make_project

import groundtune as gt
from groundtune.errors import GroundtuneError, LockedError, Problems, StaleIndex, StateError, UnknownName
from groundtune.records.ledger import Ledger

VOLATILE = ("seconds", "cost")
TIMED = ("seconds_total", "machine_seconds", "cost")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pilot ran unbroken."""
    folder = make_project(tmp_path_factory.mktemp("pilot") / "whole")
    run_pilot(folder)
    return folder


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "groundtune", "pilot", "-p", str(folder), "--progress", "jsonl"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run_pilot(folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(folder), capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def result(folder: Path) -> dict[str, Any]:
    """Return all that a pilot found out, less times, money and dates."""
    [run] = [path for path in (folder / ".groundtune/runs").iterdir() if (path / "manifest.json").is_file()]
    answers = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    for answer in answers:
        for name in VOLATILE:
            del answer[name]
    scores = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    [path] = (folder / "decisions").glob("*.json")
    decision = json.loads(path.read_text())
    return {
        "answers": answers,
        "scores": [s for s in scores if s["metric"] not in TIMED],
        "verdict": (decision["verdict"], decision["choice"], decision["fallback"]),
        "estimates": [e for e in decision["estimates"] if e["metric"] not in TIMED],
        "inputs": decision["inputs"],
    }


def test_every_arm_answers_every_question_and_a_decision_is_written(whole: Path) -> None:
    found = result(whole)
    by_arm: dict[str, int] = {}
    for answer in found["answers"]:
        by_arm[answer["arm"]] = by_arm.get(answer["arm"], 0) + 1
    assert by_arm == dict.fromkeys(["prompt", "few-shot", "rag", "rag-json", "tuned", "hybrid"], 15)
    names = {path.suffix for path in (whole / "decisions").iterdir() if path.name != "log.jsonl"}
    assert names == {".md", ".json", ".html"}
    assert len((whole / "decisions" / "log.jsonl").read_text().splitlines()) == 1
    page = next((whole / "decisions").glob("*.html")).read_text()
    assert "whole-corpus" in page and "has room for" in page
    assert found["inputs"]["index"].startswith("index:")


def test_the_decision_says_what_each_arm_would_cost_from_what_was_measured(whole: Path) -> None:
    [path] = (whole / "decisions").glob("*.json")
    decision = json.loads(path.read_text())
    costs, probes = decision["sections"][-2:]
    assert probes["title"] == "Probes" and "[probes] questions is 0" in probes["lines"][0]
    assert costs["title"] == "Costs" and "tuned" in [row[0].removesuffix(" ←") for row in costs["grids"][0]["rows"]]
    states = {row[0]: (row[1], row[4]) for row in costs["grids"][4]["rows"]}
    for arm in ("prompt", "few-shot", "rag", "rag-json", "tuned", "hybrid"):
        for what in ("prompt_tokens", "answer_tokens", "machine_seconds"):
            assert states[f"{arm}: {what}"][1] == "measured"
    assert states["hybrid: tuning_hours"][1] == "measured" and states["machine_hour"] == ("1", "written")
    assert "## Costs" in path.with_suffix(".md").read_text() and "<h2>Costs</h2>" in path.with_suffix(".html").read_text()
    changed = gt.open(whole).what_if({"volume": "2e6", "churn": "daily", "smallest_gain": "0.9"})
    assert changed.verdicts is not None and changed.verdicts[0] and changed.costs[1].inputs["questions_a_month"].value == 2e6
    assert changed.costs[1].bills["tuned"].month > changed.costs[0].bills["tuned"].month


def test_nobody_is_shown_what_they_may_not_read(whole: Path) -> None:
    found = result(whole)
    shown = [(a["asker"], p["chunk"]["document_id"]) for a in found["answers"] for p in a["passages"]]
    assert ("ana", "document:keel.md") not in shown
    assert ("femi", "document:keel.md") in shown


def test_adapters_are_for_everyone_and_were_not_shown_finance(whole: Path) -> None:
    for name in ("closed", "reader"):
        [path] = (whole / ".groundtune/models").glob(f"{name}-*/version.json")
        version = json.loads(path.read_text())["version"]
        assert version["readers"] == ["everyone"]
        assert "document:keel.md" not in version["document_ids"]
        assert "keel" not in (path.parent / "rows.jsonl").read_text()


def test_asking_again_does_nothing_twice(whole: Path) -> None:
    before = result(whole)
    weights = {path: path.stat().st_mtime_ns for path in (whole / ".groundtune/models").rglob("*.safetensors")}
    again = run_pilot(whole)
    assert not any('"step": "tune' in line or '"step": "answer' in line for line in again.stderr.splitlines())
    assert result(whole) == before
    assert {path: path.stat().st_mtime_ns for path in (whole / ".groundtune/models").rglob("*.safetensors")} == weights
    ledger = Ledger(whole / ".groundtune/records.sqlite")
    assert ledger.looks("lock:" + json.loads((whole / "groundtune.lock").read_text())["test"]) == 1


MOMENTS = {
    "embedding": ('"step": "embed"', 1),
    "early in tuning": ('"step": "tune closed"', 4),
    "late in tuning": ('"step": "tune reader"', 7),
    "between arms": ('"step": "answer few-shot"', 2),
    "in the last arm": ('"step": "answer hybrid"', 3),
    "scoring": ('"step": "score"', 2),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_at_any_moment_then_the_same_command_ends_the_same(moment: str, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.parent / "tiny-model", tmp_path / "tiny-model")
    folder = make_project(tmp_path / "killed")
    # The model's place is part of the settings; the same place for both keeps every fingerprint the same.
    (folder / "groundtune.toml").write_text((whole / "groundtune.toml").read_text())
    text, count = MOMENTS[moment]
    child = subprocess.Popen(command(folder), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment())
    assert child.stderr is not None
    seen = 0
    for line in child.stderr:
        seen += text in line
        if seen == count:
            child.send_signal(signal.SIGKILL)
            break
    assert seen == count, "the moment never came"
    child.wait()
    assert child.returncode == -signal.SIGKILL
    kept = (
        {path.name: path.stat().st_mtime_ns for path in (folder / ".groundtune/models").glob("*/version.json")} if "arm" in moment else {}
    )
    run_pilot(folder)
    assert result(folder) == result(whole)
    assert all(
        (folder / ".groundtune/models").joinpath(p.parent.name, "version.json").exists()
        for p in (whole / ".groundtune/models").glob("*/version.json")
    )
    assert kept == {path.name: path.stat().st_mtime_ns for path in (folder / ".groundtune/models").glob("*/version.json")} if kept else True


def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def test_a_changed_rubric_is_refused_and_a_relock_is_mentioned(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    path = folder / "groundtune.toml"
    path.write_text(path.read_text().replace('primary = "token_f1"', 'primary = "exact"'))
    with pytest.raises(LockedError, match="the rubric changed since it was locked"):
        gt.open(folder).lock()
    with pytest.raises(LockedError):
        gt.open(folder).evaluate()
    gt.open(folder).lock(relock=True)
    decision = gt.open(folder).decide()
    assert any("locked again 1 time" in said for said in decision.assumptions)
    assert decision.primary == "exact" and decision.id.startswith("decision:0002-")


def test_a_changed_test_question_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    path = folder / "examples/all.jsonl"
    path.write_text(path.read_text().replace("look after our crane", "take care of our crane"))
    with pytest.raises(LockedError, match="the test set changed"):
        gt.open(folder).evaluate()


def test_ask_answers_like_the_pilot_and_says_why(whole: Path) -> None:
    project = gt.open(whole)
    answer = project.ask("how often does somebody look after our keel", arm="rag", asker="femi")
    assert any(p.chunk.document_id == "document:keel.md" and p.allowed_by == ("finance",) for p in answer.passages)
    assert answer.messages[0]["content"] == "Reply as JSON."


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (lambda p: p.ask("x", arm="nope", asker="ana"), UnknownName, "known: few-shot, hybrid"),
        (lambda p: p.ask("x", arm="rag", asker="nobody"), UnknownName, "known: ana, femi"),
        (lambda p: p.ask("  ", arm="rag", asker="ana"), GroundtuneError, "the question is empty"),
        (lambda p: p.ask("x", arm="whole-corpus", asker="ana"), StateError, "cannot run"),
        (lambda p: p.tune(["nope"]), UnknownName, "known: closed, reader"),
    ],
)
def test_wrong_asks_are_told_what_is_known(whole: Path, act: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        act(gt.open(whole))
    assert "groundtune" in caught.value.hint  # type: ignore[attr-defined]


def test_what_is_missing_is_named_with_the_next_command(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    shutil.rmtree(folder / ".groundtune/models")
    with pytest.raises(StateError, match="not tuned yet") as caught:
        gt.open(folder).ask("x", arm="tuned", asker="ana")
    assert caught.value.hint == "type: groundtune tune"
    shutil.rmtree(folder / ".groundtune/index")
    with pytest.raises(StaleIndex, match="there is no index yet"):
        gt.open(folder).ask("x", arm="rag", asker="ana")
    (folder / "groundtune.lock").unlink()
    with pytest.raises(StateError, match="not locked yet"):
        gt.open(folder).evaluate()


def test_another_embedder_is_refused(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(whole, tmp_path)
    monkeypatch.setenv("GROUNDTUNE__EMBED__USE", "minilm")
    with pytest.raises(StaleIndex, match="was built by the embedder"):
        gt.open(folder).ask("x", arm="rag", asker="ana")


def test_an_adapter_whose_weights_were_changed_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    [path] = (folder / ".groundtune/models").glob("closed-*/adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(GroundtuneError, match="sha256"):
        gt.open(folder).ask("x", arm="tuned", asker="ana")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "documents/crane.md").write_text("---\nreaders: [everyone]\n---\n"), "crane.md"),
        (lambda f: (f / "documents/crane.md").write_bytes(b"---\nreaders: [everyone]\n---\ncaf\xe9 \xff\xfe"), "crane.md"),
        (lambda f: (f / "examples/all.jsonl").open("a").write("{not json\n"), r"all\.jsonl:37: "),
        (lambda f: (f / "access.toml").write_text('[principals]\nfemi = ["finance"]\n'), "ana"),
        (lambda f: (f / "documents/quay.md").unlink(), r"quay\.md"),
    ],
    ids=["empty document", "unreadable encoding", "not JSON", "unknown principal", "evidence without document"],
)
def test_bad_input_is_reported_by_check_and_changes_nothing(change: Any, words: str, tmp_path: Path, whole: Path) -> None:
    folder = copied(whole, tmp_path)
    change(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "records" not in path.name}
    report = gt.open(folder).check()
    assert any(__import__("re").search(words, problem.message) for problem in report.problems), [p.message for p in report.problems]
    with pytest.raises((GroundtuneError, Problems)):
        gt.open(folder).ingest()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "records" not in path.name} == before


@pytest.mark.browser
def test_the_page_opens_alone_without_errors_and_shows_every_arm_of_a_question(whole: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=quiet)
        page = browser.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(next((whole / "decisions").glob("*.html")).as_uri())
        assert page.locator("#count").inner_text() == "15 of 15 questions"
        page.locator("#kind").select_option("forbidden")
        assert page.locator("#count").inner_text() == "1 of 15 questions"
        page.locator(".question > button").first.click()
        assert page.locator(".card").count() == 6
        assert "wanted:" in page.locator(".detail .gold").first.inner_text()
        wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wide


def test_the_page_never_turns_text_into_markup(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    path = folder / "groundtune.toml"
    path.write_text(path.read_text().replace('name = "small"', 'name = "<script>alert(1)</script>"'))
    gt.open(folder).decide()
    text = max((folder / "decisions").glob("*.html")).read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert text.count("</script>") == 2
