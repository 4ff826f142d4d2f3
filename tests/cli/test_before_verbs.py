"""audit, costs, decide --interview and decide --what-if, as typed."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import groundtune as gt
from groundtune.cli.audit import visible
from groundtune.cli.main import group
from groundtune.decisions import record
from groundtune.errors import ConfigError, GroundtuneError, InputError, UnknownName
from groundtune.types import Decision, Estimate

NEEDS = """
[needs]
knowledge = "most"
churn = "weekly"
citations = "required"
access = "groups"
task = "stable"
output = "schema"
latency = "seconds"
volume = 20_000
examples = 400
documents = "mostly"
sensitivity = "personal"
questions = "clear"
live = "none"
after_launch = "named"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    typed("init", str(tmp_path / "bot"))
    return tmp_path / "bot"


def typed(*words: str, keys: str = "") -> Result:
    return CliRunner().invoke(group, list(words), input=keys, catch_exceptions=False)


def add(folder: Path, text: str) -> None:
    path = folder / "groundtune.toml"
    path.write_text(path.read_text() + text)


def log(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "responses.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measured(metric: str, arm: str, value: float, half: float, versus: str | None = None, p: float | None = None) -> Estimate:
    return Estimate(
        metric=metric, arm=arm, versus=versus, state="measured", value=value, low=value - half, high=value + half, n=84, n_failed=0,
        signature="made", p_value=p, p_holm=p,
    )  # fmt: skip


def decided(folder: Path) -> None:
    """Write a decision as a pilot would have: rag ahead of prompt by 0.08, surely."""
    estimates = [
        measured(metric, arm, value, value * 0.05)
        for arm, tokens, f1 in (("prompt", 300.0, 0.30), ("rag", 900.0, 0.38))
        for metric, value in (("prompt_tokens", tokens), ("completion_tokens", 40.0), ("machine_seconds", tokens / 300), ("token_f1", f1))
    ]
    estimates += [measured("leak", arm, 0.0, 0.0) for arm in ("prompt", "rag")]
    estimates.append(measured("token_f1", "rag", 0.08, 0.03, versus="prompt", p=0.001))
    record.write(
        Decision(
            id="decision:draft", verdict="ship", choice="rag", fallback="prompt", primary="token_f1", reasons=("made",),
            estimates=tuple(estimates), not_covered=(), assumptions=(), flips=(), questions_needed=None, owner="Ana",
            made_on=date(2026, 11, 21), revisit_on=date(2027, 2, 19), inputs={},
        ),
        folder / "decisions",
    )  # fmt: skip


# ── costs ──


def test_costs_before_a_pilot_are_assumptions_and_after_it_measured_where_they_can_be(folder: Path) -> None:
    before = json.loads(typed("costs", "-p", str(folder), "--json").stdout)
    assert {known["state"] for known in before["inputs"].values()} == {"assumed", "project"}
    printed = typed("costs", "-p", str(folder)).stdout
    assert "Nothing was measured yet" in printed and "per 1,000 answers" in printed and "assumption" in printed
    decided(folder)
    after = json.loads(typed("costs", "-p", str(folder), "--json").stdout)
    assert after["inputs"]["rag: prompt_tokens"] == {
        "value": 900.0, "low": 855.0, "high": 945.0, "unit": "tokens read for an answer", "source": "the pilot, 95 % interval",
        "state": "measured", "n": 84,
    }  # fmt: skip
    assert after["reference"] == "rag" and after["measured"]["rag"]["low"] <= after["bills"]["rag"]["running"]["people"] + 10_000
    assert "rag: prompt_tokens" in typed("costs", "-p", str(folder)).stdout


def test_the_sheet_is_written_once_edited_by_hand_and_its_errors_name_the_line(folder: Path) -> None:
    assert "written; edit it" in typed("costs", "--write", "-p", str(folder)).stdout
    path = folder / "costs.toml"
    with pytest.raises(ConfigError, match="is there already"):
        typed("costs", "--write", "-p", str(folder))
    text = path.read_text()
    path.write_text(text.replace("engineer_hour = { value = 80", "engineer_hour = { value = 100"))
    found = json.loads(typed("costs", "-p", str(folder), "--json").stdout)
    assert found["inputs"]["engineer_hour"]["value"] == 100 and found["inputs"]["engineer_hour"]["state"] == "written"
    path.write_text(text.replace("engineer_hour = { value = 80", "engineer_hour = { value = -80"))
    line = next(number for number, row in enumerate(path.read_text().splitlines(), start=1) if row.startswith("engineer_hour"))
    with pytest.raises(ConfigError) as caught:
        typed("costs", "-p", str(folder))
    assert f"{path}:{line}: people.engineer_hour: value is -80, expected 0 or more" in caught.value.message


# ── what if ──


def test_what_if_changes_recommendation_verdict_and_costs_and_writes_nothing(folder: Path) -> None:
    add(folder, NEEDS)
    decided(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name}
    at = ("-p", str(folder))
    printed = typed("decide", "--what-if", "churn=daily", "volume=2e6", *at).stdout
    assert "If churn = daily, volume = 2e6:" in printed and "first recommendation: RAG, unchanged" in printed
    found = json.loads(typed("decide", "--what-if", "churn=daily", "volume=2e6", *at, "--json").stdout)
    now, then = found["costs"]
    assert (now["inputs"]["questions_a_month"]["value"], then["inputs"]["questions_a_month"]["value"]) == (20_000, 2e6)
    assert then["inputs"]["updates_a_month"]["state"] == "what if" and then["bills"]["rag"]["answers"] == 2e6
    other = typed("decide", "--what-if", "knowledge=none", "citations=none", "access=everyone", "smallest_gain=0.1", *at).stdout
    assert "(now RAG)" in other and "verdict on what was measured: ship prompt (now ship rag)" in other
    assert {path: path.read_bytes() for path in before} == before
    assert set(before) == {path for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name}


def test_what_if_says_what_a_changed_need_says_against_the_arm_that_was_decided_on(folder: Path) -> None:
    decided(folder)
    at = ("-p", str(folder))
    told = typed("decide", "--what-if", "documents=none", "knowledge=none", *at).stdout
    assert "note: The verdict of decision:0001-rag was measured on the documents and questions as they were; its" in told
    assert "a change of documents, knowledge." in told
    assert "note: The stated needs speak against rag: knowledge = none (" in told and "documents = none (there is nothing to search" in told
    fine = typed("decide", "--what-if", "churn=daily", *at).stdout
    assert "a change of churn." in fine and "speak against" not in fine
    assert "as they were" not in typed("decide", "--what-if", "label_hour=50", *at).stdout


def test_what_if_says_so_where_nothing_hangs_on_it(folder: Path) -> None:
    assert "changes no arm's costs" in typed("decide", "--what-if", "tuning_hours=9", "-p", str(folder)).stdout
    assert "Nothing was decided yet" in typed("decide", "--what-if", "alpha=0.01", "-p", str(folder)).stdout


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["--what-if"], InputError, "takes at least one KEY=VALUE"),
        (["--what-if", "churn"], InputError, "expected KEY=VALUE"),
        (["--what-if", "churn="], InputError, "expected KEY=VALUE"),
        (["--what-if", "churn=daily", "churn=weekly"], InputError, "given twice"),
        (["--what-if", "churm=daily"], UnknownName, "unknown what-if 'churm'; did you mean 'churn'?; known: "),
        (["--what-if", "churn=hourly"], ConfigError, "--what-if churn=hourly: input should be 'yearly'"),
        (["--what-if", "volume=-1"], ConfigError, "--what-if volume=-1: input should be greater than or equal to 0"),
        (["--what-if", "label_hour=-1"], ConfigError, "expected 0 or more"),
        (["--what-if", "volume=nan"], ConfigError, "--what-if volume=nan"),
        (["churn=daily"], InputError, "only for --what-if"),
        (["--what-if", "--interview", "churn=daily"], InputError, "two things"),
    ],
)
def test_wrong_what_ifs_are_told_what_is_known(folder: Path, words: list[str], kind: type[GroundtuneError], says: str) -> None:
    with pytest.raises(kind) as caught:
        typed("decide", *words, "-p", str(folder))
    assert says in caught.value.message and "groundtune" in caught.value.hint


# ── the interview ──


def test_the_interview_keeps_each_answer_and_goes_on_where_it_stopped(folder: Path) -> None:
    at = ("-p", str(folder))
    first = typed("decide", "--interview", *at, keys="most\n4\nrequ\nnonsense\ngroups\nq\n")
    assert first.exit_code == 0 and "expected one of everyone, groups, person" in first.stderr
    needs = tomllib.loads((folder / "groundtune.toml").read_text())["needs"]
    assert needs == {"knowledge": "most", "churn": "weekly", "citations": "required", "access": "groups"}
    assert "First recommendation: RAG." in first.stdout and "stopped" in first.stderr
    rest = "\n" * 4 + "1\n3\n2\n20,000\nmany\n400\n3\n3\n\n1\n1\n1\n" + "3\n2\n\n1\nnone\n2\n" + "Ana\n\n\n\n-\n\n"
    typed("decide", "--interview", *at, keys=rest)
    needs = tomllib.loads((folder / "groundtune.toml").read_text())["needs"]
    assert needs["volume"] == 20_000 and needs["examples"] == 400 and needs["output"] == "schema" and needs["knowledge"] == "most"
    assert needs["skills"] == {"retrieval": "strong", "evaluation": "some", "training": "none", "serving": "none", "security": "some"}
    assert needs["owners"] == {"documents": "Ana"} and "failures" not in needs
    assert gt.open(folder).advise().verdict == "RAG"
    assert "5 of 5" not in typed("decide", "--interview", *at).stdout


def test_the_end_of_the_input_ends_the_interview_and_changes_nothing(folder: Path) -> None:
    add(folder, NEEDS)
    before = tomllib.loads((folder / "groundtune.toml").read_text())
    printed = typed("decide", "--interview", "-p", str(folder), "--json")
    assert json.loads(printed.stdout)["advice"]["verdict"] == "RAG"
    assert tomllib.loads((folder / "groundtune.toml").read_text()) == before


def test_an_unknown_need_or_answer_in_the_file_is_an_error_with_its_line(folder: Path) -> None:
    add(folder, '\n[needs]\nchurn = "hourly"\n')
    number = len((folder / "groundtune.toml").read_text().splitlines())
    with pytest.raises(ConfigError, match=rf"groundtune.toml:{number}: needs.churn is 'hourly'"):
        typed("decide", "--interview", "-p", str(folder))


# ── the audit ──

ROWS = [
    {"question": "How long can I return it?", "answer": "Within 45 days.", "passages": ["It can be returned within 30 days."]},
    {"question": "And after?", "answer": '{"answer": ', "format": "json"},
    {"question": "Thanks", "answer": "You are \x1b[2J welcome."},
]


def test_labels_are_taken_by_key_proposals_by_enter_and_the_rest_waits_for_the_next_time(folder: Path) -> None:
    path, at = log(folder, ROWS), ("-p", str(folder), "--labeller", "ana")
    first = typed("audit", str(path), *at, keys="\nx\nf\nq\n")
    shown = first.stderr
    assert "3 to label as ana" in shown and "\x1b" not in shown and "asked: " in shown
    file = folder / "audits" / "responses.labels.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 3 or len(rows) == 2  # whether Enter was enough depends on whether the first one drawn had a proposal
    again = typed("audit", str(path), *at, keys="n\nn\nn\n")
    assert "3 labelled by people of all of 3 logged answers" in again.stdout
    assert "0 to label as ana" in typed("audit", str(path), *at).stderr
    assert "45" not in file.read_text() and "return" not in file.read_text()
    found = json.loads(typed("audit", str(path), *at, "--json").stdout)
    assert found["labelled"] == 3 and found["failures"]["n"] == 3


def test_proposals_can_be_seen_alone_and_undo_takes_back(folder: Path) -> None:
    path, at = log(folder, ROWS), ("-p", str(folder), "--labeller", "ana")
    proposed = typed("audit", str(path), *at, "--propose").stdout
    assert "line 1: wrong fact (number: 45 stands in no passage shown)" in proposed
    assert "line 2: wrong format (format: not JSON" in proposed and "line 3: no checker objects" in proposed
    typed("audit", str(path), *at, keys="t\nu\nf\nk\nv\nn\n")
    found = json.loads(typed("audit", str(path), *at, "--json").stdout)
    assert found["labelled"] == 2 and found["shares"]["wrong tone"]["count"] == 0 and found["shares"]["wrong fact"]["count"] == 1


def test_two_labellers_are_compared_and_what_they_dispute_can_be_labelled_again(folder: Path) -> None:
    rows = [{"question": f"q{number}", "answer": f"a{number}"} for number in range(12)]
    path, at = log(folder, rows), ("-p", str(folder))
    typed("audit", str(path), *at, "--labeller", "ana", keys="f\n" * 6 + "n\n" * 6)
    shown = typed("audit", str(path), *at, "--labeller", "ben", keys="f\n" * 7 + "n\n" * 5).stdout
    assert "ana and ben" in shown and "0.83 (" in shown and "1 were labelled differently" in shown
    asked = typed("audit", str(path), *at, "--labeller", "ben", "--disputed", keys="n\n")
    assert "1 to label as ben" in asked.stderr and "1.00 (1.00 to 1.00, n = 12)" in asked.stdout
    assert gt.open(folder).advise() is not None


def test_an_audit_feeds_the_first_recommendation(folder: Path) -> None:
    rows = [{"question": f"q{number}", "answer": f"a{number}"} for number in range(30)]
    path = log(folder, rows)
    before = gt.open(folder).advise().totals
    typed("audit", str(path), "-p", str(folder), keys="t\n" * 25 + "n\n" * 5)
    after = gt.open(folder).advise()
    assert after.totals["tuned"] == before["tuned"] + 2 and any(point.key == "failures" for point in after.points)


@pytest.mark.parametrize(
    ("rows", "says"),
    [([{"answer": "a"}], ":1: question missing"), ([], "holds no answers")],
)
def test_a_wrong_log_is_an_error_and_no_file_of_labels_is_made(folder: Path, rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        typed("audit", str(log(folder, rows)), "-p", str(folder))
    assert not (folder / "audits").exists()


def test_the_log_itself_is_never_written_into(folder: Path) -> None:
    path = log(folder, ROWS)
    before = path.read_bytes()
    with pytest.raises(InputError, match="is the log itself"):
        typed("audit", str(path), "-p", str(folder), "--labels", str(path))
    assert path.read_bytes() == before


def test_what_could_steer_a_terminal_is_shown_as_its_code() -> None:
    assert visible("a\x1b[2Jb\u202ec\rd\ne") == "a\\u001b[2Jb\\u202ec\\u000dd\ne"
