import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundtune.cli.main import VERBS

BASE = [sys.executable, "-m", "groundtune"]


def ran(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BASE, *arguments], capture_output=True, text=True, env={**os.environ, **extra})


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project as ``init`` makes it, with the embedder that needs no weights."""
    folder = tmp_path_factory.mktemp("started") / "bot"
    assert ran("init", str(folder)).returncode == 0
    with (folder / "groundtune.toml").open("a") as stream:
        stream.write('\n[embed]\nuse = "hashed"\n')
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_takes_the_common_options(verb: str) -> None:
    printed = ran(verb, "--help")
    assert printed.returncode == 0
    for option in ("--json", "--progress [rich|plain|jsonl|silent]", "--project"):
        assert option in printed.stdout


def test_init_check_ingest_verify_work_in_a_row(started: Path) -> None:
    checked = ran("check", "-p", str(started))
    assert checked.returncode == 0, checked.stderr
    assert "2 documents, 2 principals, 0 train, 0 dev, 3 test" in checked.stdout
    ingested = ran("ingest", "-p", str(started), "--json", "--progress", "silent")
    assert ingested.returncode == 0 and json.loads(ingested.stdout)["id"].startswith("index:")
    assert ingested.stderr == ""
    assert ran("index", "verify", "-p", str(started)).returncode == 0
    assert json.loads(ran("index", "list", "-p", str(started), "--json").stdout)[0]["added"] == 2


def test_index_versions_are_compared_switched_and_collected(started: Path) -> None:
    at = ("-p", str(started))
    first = json.loads(ran("ingest", *at, "--json", "--progress", "silent").stdout)["id"]
    path = started / "documents/other.md"
    path.write_text("---\nreaders: [everyone]\n---\nother text\n")
    try:
        second = json.loads(ran("ingest", "--no-promote", *at, "--json", "--progress", "silent").stdout)["id"]
        assert [row["live"] for row in json.loads(ran("index", "list", *at, "--json").stdout) if row["id"] == first] == [True]
        assert json.loads(ran("index", "diff", first, second, *at, "--json").stdout)["added"] == {"document:other.md": 1}
        assert "+ document:other.md  added, 1 chunks" in ran("index", "diff", "live", second, *at).stdout
        assert json.loads(ran("index", "promote", second, *at, "--json").stdout)["done"] is True
        assert f"{first} is live; it was {second}" in ran("index", "rollback", *at).stdout
        planned = ran("index", "gc", "--keep", "0", *at)
        assert planned.returncode == 0 and f"remove   {second}" in planned.stdout and "nothing was removed" in planned.stdout
        assert json.loads(ran("index", "gc", "--keep", "0", "--yes", *at, "--json").stdout)["gone"] == [second]
        assert second not in ran("index", *at).stdout
    finally:
        path.unlink()


def test_check_prints_settings_with_their_source(started: Path) -> None:
    shown = ran("check", "--settings", "-p", str(started), GROUNDTUNE__PASSAGES__LIMIT="2").stdout
    assert any(line.split() == ["passages.limit", "2", "environment"] for line in shown.splitlines())
    settings = json.loads(ran("check", "--json", "-p", str(started)).stdout)["settings"]
    assert settings["embed.use"] == {"value": "hashed", "from": "project"}


def test_a_finding_is_exit_code_one(started: Path) -> None:
    ran("ingest", "-p", str(started))
    path = started / "documents/extra.md"
    path.write_text("---\nreaders: [everyone]\n---\nmore text\n")
    try:
        found = ran("index", "verify", "-p", str(started))
        assert found.returncode == 1 and "the documents changed" in found.stdout
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "unknown verb 'frobnicate'; known: init, check"),
        (["check", "-p", "/nowhere"], "no such folder"),
        (["check", "-p", "/"], "holds no groundtune.toml"),
        (["ask", "x", "--as", "customer", "--arm", "nope"], "unknown arm 'nope'; known: prompt, rag"),
        (["ask", "x", "--as", "nobody"], "unknown principal 'nobody'; known: agent, customer"),
        (["ask", "x"], "say who asks: either --as NAME or --token-file FILE"),
        (["ask", "  ", "--as", "customer"], "the question is empty"),
        (["ask", "x", "--as", "customer", "--filter", "version"], "expected KEY=VALUE"),
        (["evaluate"], "not locked yet"),
        (["decide"], "not locked yet"),
        (["tune", "nope"], "unknown adapter 'nope'"),
        (["init", "."], "there is a project already"),
        (["index", "promote"], "index promote takes one version, 0 given"),
        (["index", "promote", "nope"], "unknown index version 'nope'; known: index:"),
        (["index", "list", "--yes"], "--keep and --yes: only with index gc"),
        (["index", "verify", "--other-settings"], "--other-settings: only with index promote or rollback"),
        (["index", "gc", "--keep", "-1"], "Invalid value for '--keep'"),
        (["pilot", "--progress", "loud"], "Invalid value"),
    ],
)
def test_errors_are_two_lines_with_the_next_command_and_exit_code_two(started: Path, arguments: list[str], words: str) -> None:
    done = subprocess.run([*BASE, *arguments], capture_output=True, text=True, cwd=started, env={**os.environ})
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ") and words in lines[0], done.stderr
    assert len(lines) == 2 and lines[1].startswith("  ")
    assert "Traceback" not in done.stderr


def test_all_problems_are_printed_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    ran("init", str(folder))
    (folder / "documents/empty.md").write_text("---\nreaders: [everyone]\n---\n")
    (folder / "documents/open.md").write_text("no front matter\n")
    done = ran("check", "-p", str(folder))
    assert done.returncode == 2
    assert "2 problems found" in done.stderr and "empty.md" in done.stderr and "open.md" in done.stderr
    assert done.stderr.splitlines()[-1].strip().endswith("groundtune check")


def test_an_interrupt_is_exit_code_130(started: Path) -> None:
    code = (
        "import signal, time\nfrom groundtune.cli import main\n"
        # A run in the background of a shell ignores interrupts, and hands that down.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "main.group.main = lambda **_: (print('on', flush=True), time.sleep(60))\nmain.main([])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "on\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, printed = child.communicate()
    assert child.returncode == 130 and "goes on where this one stopped" in printed
