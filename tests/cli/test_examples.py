"""``groundtune examples`` as it is typed: options of other actions are refused, exit codes tell, a killed review loses nothing."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundtune.cli.examples import ACTIONS, OF, command
from groundtune.cli.main import main

QUESTIONS = ["how long may it be returned", "who pays the postage then", "what of a broken device"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "access.toml").write_text('[principals]\nana = ["everyone"]\n')
    (tmp_path / "groundtune.toml").write_text(
        '[project]\nname = "p"\nowner = "o"\n[answers]\ninstructions = "Reply."\n[embed]\nuse = "hashed"\n'
        f'[chat]\nuse = "scripted"\nmodel = "{tmp_path}/script.json"\n[[arms]]\nname = "prompt"\n'
    )
    (tmp_path / "script.json").write_text('{"": "{}"}')
    (tmp_path / "documents/a.md").write_text("---\nreaders: [everyone]\n---\nA device can be returned within 30 days of delivery.\n")
    rows = [
        {
            "id": f"r{number}",
            "question": question,
            "asker": "ana",
            "split": "train",
            "split_group": "a",
            "status": "draft",
            "evidence": [{"document": "a.md", "quote": "within 30 days"}],
            "reply": {"answer": f"Within 30 days ({number})."},
        }
        for number, question in enumerate(QUESTIONS)
    ]
    (tmp_path / "examples/all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@dataclass(frozen=True)
class Typed:
    exit_code: int
    stdout: str


def typed(folder: Path, *arguments: str) -> Typed:
    """Run the verb in this process, as the command line does."""
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(["examples", *arguments, "-p", str(folder), "--progress", "silent"])
    return Typed(int(ended.value.code or 0), printed.getvalue())


def statuses(folder: Path) -> list[str]:
    return [json.loads(line)["status"] for line in (folder / "examples/all.jsonl").read_text().splitlines()]


def test_import_audit_export_in_a_row(folder: Path) -> None:
    other = folder / "old.csv"
    other.write_text("Frage;Antwort;document;quote\nhow many days are there;30 days.;a.md;within 30 days\n;x;;\n")
    done = typed(
        folder, "import", str(other), "--as", "ana", "--column", "question=Frage", "--column", "answer=Antwort", "--status", "approved"
    )
    assert done.exit_code == 1 and "csv: 1 new row written" in done.stdout and "old.csv:3: no question" in done.stdout
    audited = typed(folder, "audit", "--json")
    assert audited.exit_code == 0, audited.stdout
    assert json.loads(audited.stdout)["report"]["counts"] == {"train": {"draft": 3, "approved": 1}}
    assert (folder / ".groundtune/examples/audit.html").is_file()
    out = typed(folder, "export", str(folder / "out.csv"))
    assert (
        out.exit_code == 0
        and "1 rows as csv" in out.stdout
        and "may be read by: everyone" in out.stdout
        and "left out: 3 draft" in out.stdout
    )


def test_an_audit_with_errors_is_a_finding_and_fix_says_what_it_did(folder: Path) -> None:
    path = folder / "examples/all.jsonl"
    path.write_text(path.read_text().replace("within 30 days", "within 31 days", 1))
    found = typed(folder, "audit")
    assert found.exit_code == 1 and "error: stale rows" in found.stdout and "--fix: 1 rows become quarantined" in found.stdout
    fixed = typed(folder, "audit", "--fix", "--by", "ana")
    assert "fixed: r0 is quarantined" in fixed.stdout and statuses(folder) == ["quarantined", "draft", "draft"]


def test_a_plan_is_shown_before_anything_is_asked(folder: Path) -> None:
    shown = typed(folder, "synthesize", "--as", "ana", "--count", "3")
    assert shown.exit_code == 0 and "plan: 1 requests to scripted" in shown.stdout and "add --yes" in shown.stdout
    assert not (folder / ".groundtune/examples/asked.jsonl").exists()
    done = typed(folder, "synthesize", "--as", "ana", "--count", "3", "--yes")
    assert done.exit_code == 0 and "1 asked, 0 new drafts" in done.stdout and "1 dropped: it has no question" in done.stdout


def test_a_curve_that_cannot_say_is_a_finding(folder: Path) -> None:
    points = folder / "points.jsonl"
    points.write_text('{"rows": 75, "value": 0.5, "low": 0.4, "high": 0.6}\n')
    done = typed(folder, "curve", "--points", str(points))
    assert done.exit_code == 1 and "can't say what 500 more examples buy: 1 sizes were measured" in done.stdout
    points.write_text(
        "".join(
            json.dumps({"rows": n, "value": v, "low": v - 0.02, "high": v + 0.02}) + "\n" for n, v in ((100, 0.6), (200, 0.68), (400, 0.73))
        )
    )
    done = typed(folder, "curve", "--points", str(points), "--more", "200", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["more"] == 200


def test_every_option_knows_the_actions_that_it_is_for() -> None:
    common = {"folder", "as_json", "shown", "action", "names"}
    assert {item.name for item in command.params} - common == set(OF)
    assert {action for actions in OF.values() for action in actions} == set(ACTIONS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import"], "examples import takes a file, 0 given"),
        (["audit", "x"], "examples audit takes no file, 1 given"),
        (["audit", "--as", "ana"], "--as: only with examples import or synthesize"),
        (["export", "x", "--dry-run"], "--dry-run: only with examples import"),
        (["import", "x", "--split", "dev", "--split", "test"], "takes one --split"),
        (["import", "x", "--column", "question"], "expected FIELD=COLUMN"),
        (["synthesize"], "needs --as NAME"),
        (["curve"], "needs --adapter NAME"),
        (["curve", "--points", "x", "--adapter", "y"], "needs --adapter NAME"),
        (["curve", "--points", "x", "--metric", "exact"], "--metric: only with examples curve --adapter"),
        (["curve", "--points", "nowhere"], "nowhere: no such file"),
        (["audit", "--by", "ana"], "--by: only with examples review or audit --fix"),
        (["review"], "needs a terminal"),
        (["review", "--row", "none"], "needs a terminal"),
    ],
)
def test_errors_are_two_lines_and_exit_code_two(folder: Path, arguments: list[str], words: str) -> None:
    base = [sys.executable, "-m", "groundtune", "examples", *arguments, "-p", str(folder)]
    done = subprocess.run(base, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("error: ") and words in lines[0], done.stderr


class Watched:
    """A review in a terminal of its own; what was read is used up to the words that were waited for."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self.process = process
        self.handle = handle
        self._seen = b""

    def until(self, words: str) -> None:
        while words.encode() not in self._seen:
            try:
                part = os.read(self.handle, 4096)
            except OSError:  # the other end was closed
                part = b""
            assert part, f"{words!r} was not shown, but: {self._seen.decode(errors='replace')}"
            self._seen += part
        self._seen = self._seen.partition(words.encode())[2]

    def press(self, key: str) -> None:
        # What is typed before the terminal gives single keys is thrown away.
        while termios.tcgetattr(self.handle)[3] & termios.ICANON:
            assert self.process.poll() is None
            time.sleep(0.01)
        os.write(self.handle, key.encode())


@contextmanager
def terminal(folder: Path) -> Iterator[Watched]:
    ours, theirs = pty.openpty()
    base = [sys.executable, "-m", "groundtune", "examples", "review", "-p", str(folder), "--by", "ana"]
    with subprocess.Popen(base, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            yield Watched(process, ours)
        finally:
            process.kill()
            os.close(ours)


def test_a_killed_review_goes_on_with_the_row_where_it_was(folder: Path) -> None:
    with terminal(folder) as screen:
        screen.until("[1/3] r0")
        screen.until("x stop")
        screen.press("a")
        screen.until("[2/3] r1")
        screen.process.send_signal(signal.SIGKILL)
        screen.process.wait()
    assert statuses(folder) == ["approved", "draft", "draft"]
    with terminal(folder) as screen:
        screen.until("[1/2] r1")
        screen.until("x stop")
        screen.press("r")
        screen.until("in your own words")
        screen.press("1")
        screen.until("[2/2] r2")
        screen.until("x stop")
        screen.press("x")
        screen.until("decided by ana: 1 rejected; 1 drafts are left")
        assert screen.process.wait() == 0
    assert statuses(folder) == ["approved", "rejected", "draft"]
    import groundtune

    lines = groundtune.open(folder).ledger.audited("review")
    assert [(line["subject"], line["details"]["status"]) for line in lines] == [("example:r0", "approved"), ("example:r1", "rejected")]
