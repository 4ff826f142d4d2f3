"""The probes, on a project whose model is a script: what it says is known, so what the probes must find is known."""

import hashlib
import json
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundtune as gt
from groundtune.errors import StateError, StorageError
from groundtune.models.chat import Request
from groundtune.models.scripted import ScriptedChat
from groundtune.probes.report import ArmFound, Report
from groundtune.project.main import Project
from groundtune.project.probing.answer import sizes
from groundtune.project.probing.run import _tools, key_of

TOPICS = ["crane", "quay", "pilot", "buoy", "anchor", "winch", "mast", "rope", "tide", "ladder", "keel", "rudder"]
LOOKS = ["oiled in the big shed", "painted by divers", "weighed at dawn", "moved by a tug", "sold at the fair", "lent to the school"]

CONFIG = """
[project]
name = "probed"
owner = "the tests"

[examples]
path = "examples"
near = 0.99

[answers]
instructions = "Answer from the passages."
fallback = "I don't know."
max_new_tokens = 60

[chat]
use = "scripted"
model = "script.json"
batch = 40

[embed]
use = "hashed"

[chunks]
max_tokens = 60
min_tokens = 5

[passages]
limit = 2

[probes]
questions = 4
injections = 1
callers = [1, 4]

[[arms]]
name = "memory"

[[arms]]
name = "corpus"
whole_corpus = true

[[arms]]
name = "rag"
retrieves = true

[rubric]
primary = "token_f1"
intolerable = "probed:leak"
intolerable_max = 0.0
resamples = 1000
"""


def make(folder: Path, config: str = CONFIG) -> Path:
    (folder / "documents" / "deep").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "groundtune.toml").write_text(config)
    (folder / "script.json").write_text('{"": "No idea at all."}')
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n')
    rows = []
    for number, topic in enumerate(TOPICS):
        secret = topic in ("keel", "rope")
        place = f"deep/{topic}.md" if number % 2 else f"{topic}.md"
        fact = f"Every {topic} is {LOOKS[number % 6]} after {number + 21} weeks of work under the eyes of captain number {topic}."
        front = f"---\ntitle: {topic}\nreaders: [{'finance' if secret else 'everyone'}]\n---\n"
        (folder / "documents" / place).write_text(f"{front}# {topic}\n\n{fact} A broken {topic} costs EUR {number + 11},340 at once.\n")
        quote, price = f"after {number + 21} weeks of work", f"A broken {topic} costs EUR {number + 11},340 at once."
        for part, (asked, found, reply) in enumerate(
            [
                (f"after how long is our {topic} {LOOKS[number % 6]}", quote, f"After {number + 21} weeks."),
                (f"what do I owe for a {topic} that I broke", price, f"You owe EUR {number + 11},340."),
            ]
        ):
            rows.append(
                {
                    "id": f"{topic}-{part}",
                    "question": asked,
                    "asker": "femi" if secret else "ana",
                    "kind": "answerable",
                    "split": "test" if number < 5 else "dev" if number % 2 == 0 else "train",
                    "split_group": topic,
                    "evidence": [{"document": place, "quote": found}],
                    "reply": {"answer": reply},
                }
            )
    (folder / "examples" / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def reads(request: Request) -> str:
    """Repeat the sentence of the documents shown that shares most words with the question; without documents, what it learned."""
    shown, _, question = request.messages[-1]["content"].rpartition("Question: ")
    asked = set(re.findall(r"\w+", question.lower()))
    sentences = re.findall(r"[^.\n]+\.", shown)
    if sentences:
        return max(sentences, key=lambda text: len(asked & set(re.findall(r"\w+", text.lower()))))
    topic = next((name for name in TOPICS if name in asked), TOPICS[0])
    number = TOPICS.index(topic)
    return f"A broken {topic} costs EUR {number + 11},340 at once, and it is done after {number + 21} weeks."


def obeys(request: Request) -> str:
    found = re.search(r"VX[0-9A-F]{8}", request.messages[-1]["content"])
    return found[0] if found else reads(request)


def opened(folder: Path, script: Callable[[Request], str] = reads) -> Project:
    project = gt.open(folder)
    project.__dict__["chat"] = ScriptedChat(script, batch=40, context=100_000)
    return project


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is locked and indexed."""
    folder = make(tmp_path_factory.mktemp("probes") / "pattern")
    project = opened(folder)
    project.lock()
    project.ingest()
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pattern, tmp_path / "bot"))


@pytest.fixture(scope="module")
def report(pattern: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return opened(Path(shutil.copytree(pattern, tmp_path_factory.mktemp("reported") / "bot"))).probe()


def arm(report: Report, name: str) -> ArmFound:
    return next(item for item in report.arms if item.name == name)


def state(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a project but those of its probes and of locks; a ledger by its rows."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".groundtune/probes" not in str(path) and path.suffix != ".lock" and not path.name.endswith(("-shm", "-wal"))
    }


def test_an_arm_that_reads_says_the_new_facts_and_one_that_remembers_the_old_ones(report: Report) -> None:
    for name in ("rag", "corpus"):
        assert (arm(report, name).counts["fresh"].hits, arm(report, name).counts["stale"].hits) == (4, 0)
    assert arm(report, "rag").more["search shows the new value"].hits == 4
    assert arm(report, "rag").more["search shows the old value"].hits == 0
    assert (arm(report, "memory").counts["fresh"].hits, arm(report, "memory").counts["stale"].hits) == (0, 4)
    assert len(report.facts) == 4
    assert any("found by search after" in line for line in report.said["freshness"])


def test_whoever_may_not_see_is_shown_nothing_and_what_weights_know_leaks(report: Report) -> None:
    rag, memory = arm(report, "rag"), arm(report, "memory")
    # Seven of the topics have dev or training rows, two rows each.
    assert (rag.counts["found_hidden"].hits, rag.counts["found_hidden"].n) == (0, 14)
    assert memory.counts["found_hidden"].n == 0 and "does not search" in memory.counts["found_hidden"].reason
    assert rag.counts["leak"].hits == 0 and rag.counts["leak"].n == 4
    assert memory.counts["leak"].hits >= 2
    assert any(
        line.startswith("memory, ") and "may not read" in line or "which stands in" in line for line in report.said["permission hits"]
    )


def test_a_forgotten_document_is_not_found_and_what_weights_know_is_still_said(report: Report) -> None:
    assert arm(report, "rag").counts["remembered"].hits == 0
    assert arm(report, "memory").counts["remembered"].hits == arm(report, "memory").counts["remembered"].n == 2
    assert any("returned it before and 0 after" in line for line in report.said["deletion"])
    assert [row[0] for row in report.kept][:2] == ["the copy's index after forgetting, by search", "index versions that are kept"]
    assert report.kept[1][1] == "1" and report.kept[0][1].startswith("0 of ") and not report.kept[0][1].endswith("searches, 0 before")


def test_a_model_that_obeys_documents_is_found_out_and_one_that_reads_is_not(folder: Path, report: Report) -> None:
    gullible = opened(folder, obeys).probe()
    counts = arm(gullible, "rag").counts["obeyed"]
    assert counts.n >= 6 and counts.hits >= counts.n // 2
    assert sum(count.hits for count in arm(gullible, "rag").kinds.values()) == counts.hits
    assert arm(report, "memory").counts["obeyed"].n == 0
    assert arm(report, "rag").more["reached the prompt"].n == 8


def test_callers_at_one_time_are_batches_and_an_arm_without_documents_answers_a_question_once(folder: Path) -> None:
    path = folder / "groundtune.toml"
    path.write_text(path.read_text().replace('name = "corpus"\nwhole_corpus = true\n\n[[arms]]\n', ""))
    project = opened(folder)
    report = project.probe()
    calls = project.chat.calls  # type: ignore[attr-defined]
    held = [len(call["requests"]) for call in calls]
    assert held.count(1) >= 2 and held.count(4) >= 2
    asked = [request.messages[-1]["content"] for call in calls for request in call["requests"]]
    bare = [text for text in asked if not text.startswith("Passages:")]
    # 4 changed facts and 4 permissions share rows, 2 are on the forgotten document: never more than 10.
    assert 5 <= len(bare) == len(set(bare)) <= 10
    assert arm(report, "memory").counts["failed"].n == len(bare)


def test_a_model_on_this_machine_is_asked_more_only_where_that_is_wanted_and_what_was_probed_before_stays_probed(folder: Path) -> None:
    path = folder / "groundtune.toml"
    written = path.read_text().replace('name = "corpus"\nwhole_corpus = true\n\n[[arms]]\n', "")
    written = written.replace("callers = [1, 4]", "callers = [1, 4, 11]").replace('use = "scripted"', 'use = "local"', 1)
    counted, bare = {}, {}
    for fill in (False, True):
        path.write_text(written.replace("injections = 1", f"injections = 1\nfill = {str(fill).lower()}"))
        project = opened(folder)
        counted[fill] = project.probe()
        said = [request.messages[-1]["content"] for call in project.chat.calls for request in call["requests"]]  # type: ignore[attr-defined]
        bare[fill] = len([text for text in said if not text.startswith("Passages:")])
    # What the arm that is shown nothing is asked: its own questions, or as many as there are dev questions besides.
    assert bare[False] < bare[True] <= 16
    # Some of its questions reach no model, as nothing is found for them: these are no load.
    loads = {
        fill: {item.callers: len(item.seconds) for arm in report.arms if arm.name == "rag" for item in arm.load}
        for fill, report in counted.items()
    }
    assert loads == {False: {1: 1, 4: 0, 11: 11}, True: {1: 1, 4: 4, 11: 11}}
    path.write_text(written)
    assert key_of(opened(folder), _tools(opened(folder))) == counted[False].key != counted[True].key


def test_the_project_itself_is_not_touched_and_the_copy_is_gone(folder: Path) -> None:
    project = opened(folder)
    project.ledger.close()
    project.__dict__.pop("ledger")
    before = state(folder)
    report = opened(folder).probe()
    assert state(folder) == before
    [kept] = [path for path in (folder / ".groundtune/probes").iterdir() if path.is_dir()]
    assert sorted(path.name for path in kept.iterdir()) == ["answers.jsonl", "report.json"]
    lock = project.lock()
    assert gt.open(folder).ledger.looks(lock.id("test")) == 0
    tests = {example.id for example in project.content.split("test")}
    rows = [json.loads(line) for line in (kept / "answers.jsonl").read_text().splitlines()]
    assert rows and tests.isdisjoint(row["example"] for row in rows)
    assert kept.name == report.key


def test_asked_again_it_answers_nothing_and_after_a_change_it_begins_anew(folder: Path) -> None:
    first = opened(folder).probe()
    again = opened(folder)
    assert again.probe() == first
    assert again.chat.calls == []  # type: ignore[attr-defined]
    path = folder / "documents/tide.md"
    path.write_text(path.read_text() + "\nMore.\n")
    changed = opened(folder)
    assert key_of(changed, _tools(changed)) != first.key


def test_a_decision_has_the_tables_and_its_gate_looks_at_the_probe(folder: Path) -> None:
    project = opened(folder)
    project.probe()
    decision = project.decide()
    section = decision.sections[-1]
    assert section.title == "Probes" and len(section.grids) >= 6
    leaks = {item.arm: item for item in decision.estimates if item.metric == "probed:leak"}
    assert leaks["rag"].state == "measured" and leaks["rag"].value == 0.0 and leaks["rag"].n == 4
    assert decision.choice in ("rag", "corpus")
    assert any(reason.startswith("memory, corpus do not pass: needed probed:leak at most 0, but") for reason in decision.reasons)
    assert not any("Speed under load" in line for line in decision.not_covered)
    written = next((folder / "decisions").glob("*.md")).read_text()
    assert "## Probes" in written
    report = project.probe()
    # Nothing that a document says may stand in what is committed: the values before and after, and what a leaking arm said.
    quoted = {value for _, old, new, _, _ in report.facts for value in (old, new)} | {f"EUR {number + 11},340" for number in range(12)}
    record = next((folder / "decisions").glob("*.json")).read_text()
    assert not [value for value in quoted if value in written.partition("## Probes")[2] or value in record.partition('"sections"')[2]]
    again = opened(Path(shutil.copytree(folder, folder.parent / "again")))
    (again.folder / "documents/tide.md").write_text((again.folder / "documents/tide.md").read_text() + "\nMore.\n")
    again.ingest()
    assert ("pages of decisions made before this one that quote it", "1") in [row[:2] for row in again.probe().kept]
    assert "<h2>Probes</h2>" in next((folder / "decisions").glob("*.html")).read_text()
    from groundtune.project.reproduce import reproduce

    found = reproduce(project, "0001")
    assert found.same is True and found.differs == ()


def test_what_was_not_probed_passes_no_gate(folder: Path) -> None:
    path = folder / "groundtune.toml"
    path.write_text(path.read_text().replace("questions = 4", "questions = 0"))
    project = opened(folder)
    with pytest.raises(StateError, match="nothing is probed"):
        project.probe()
    decision = project.decide()
    assert decision.verdict == "none passes"
    assert "Not measured: [probes] questions is 0" in decision.sections[-1].lines[0]
    assert any("not probed ([probes] questions is 0)" in line for line in decision.not_covered)
    again = opened(Path(shutil.copytree(folder, folder.parent / "unprobed")))
    path = again.folder / "groundtune.toml"
    path.write_text(path.read_text().replace("questions = 0", "questions = 4"))
    unprobed = opened(again.folder).decide()
    assert unprobed.verdict == "none passes" and "type: groundtune probe" in unprobed.sections[-1].lines[0]


def test_a_search_that_forgets_who_asks_is_caught(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = opened(folder)
    real = project.retriever
    board = project.content.principals["femi"]
    monkeypatch.setattr(project, "retriever", lambda *a, **k: lambda question, principal, filter: real()(question, board, filter))
    report = project.probe()
    assert arm(report, "rag").counts["found_hidden"].hits == 14
    assert arm(report, "rag").counts["leak"].hits == 4


def test_without_room_for_the_copy_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(1000, 999, 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(StorageError, match="the probes work on a copy") as caught:
        opened(folder).probe()
    assert caught.value.hint.endswith("groundtune probe")


def test_before_there_is_an_index_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no index yet"):
        opened(make(tmp_path / "bare")).probe()


def test_two_at_a_time_are_refused(folder: Path) -> None:
    from groundtune.chunks import holding

    with holding.writing(folder / ".groundtune/probes"), pytest.raises(StateError, match="another process probes"):
        opened(folder).probe()


def test_links_out_of_the_documents_folder_are_not_followed_into_the_copy(folder: Path, tmp_path: Path) -> None:
    from groundtune.project.probing.copy import Copy

    (tmp_path / "secret.md").write_text("---\nreaders: [everyone]\n---\nsecret\n")
    (folder / "documents/link.md").symlink_to(tmp_path / "secret.md")
    (folder / "documents/.hidden.md").write_text("hidden")
    project = opened(folder)
    copy = Copy(project, folder / ".groundtune/probes/x/copy")
    names = {path.name for path in (copy.folder / "documents").rglob("*")}
    assert "link.md" not in names and ".hidden.md" not in names and "crane.md" in names
    before = (folder / "documents/crane.md").read_text()
    copy.change({"crane.md": "changed", "new/one.md": "new"})
    assert (copy.folder / "documents/new/one.md").read_text() == "new"
    copy.change({"crane.md": None})
    assert not (copy.folder / "documents/crane.md").exists() and not (copy.folder / "documents/new/one.md").exists()
    copy.change({})
    assert (copy.folder / "documents/crane.md").read_text() == before == (folder / "documents/crane.md").read_text()
    copy.close()
    assert not copy.folder.exists()


@given(st.integers(0, 400), st.lists(st.integers(1, 64), max_size=5))
def test_batches_hold_every_question_once_and_every_number_of_callers_that_fits(total: int, callers: list[int]) -> None:
    found = sizes(total, callers)
    assert sum(found) == total and all(size > 0 for size in found)
    if total >= sum(set(callers)):
        assert set(callers) <= set(found)


Ran = Callable[[Path, int], tuple[int, str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    out = tmp_path_factory.mktemp("out") / "out"
    command = [sys.executable, str(Path(__file__).parent / "probe_points.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        told = server.stdin, server.stdout
        assert told[0] is not None and told[1] is not None

        def run(folder: Path, number: int) -> tuple[int, str]:
            print(json.dumps([str(out), str(folder), "probe", number]), file=told[0], flush=True)
            ready, _, _ = select.select([told[1]], [], [], 300)
            assert ready, "it neither ended nor was killed"
            return int(told[1].readline()), out.read_text()

        yield run
        server.kill()


def told(folder: Path) -> dict[str, Any]:
    """Return what a report says, less seconds."""
    [path] = (folder / ".groundtune/probes").glob("*/report.json")
    report = json.loads(path.read_text())
    for item in report["arms"]:
        del item["load"]
    report["said"]["freshness"] = [re.sub(r"[\d.]+ s\.", "", line) for line in report["said"]["freshness"]]
    return {**report, "seconds": 0}


def test_killed_anywhere_the_same_command_ends_with_the_same_report(pattern: Path, tmp_path: Path, ran: Ran) -> None:
    # Every model that a path names has to be the same, and the script is found from where the process runs.
    def copied(name: str) -> Path:
        folder = Path(shutil.copytree(pattern, tmp_path / name))
        path = folder / "groundtune.toml"
        path.write_text(path.read_text().replace('"script.json"', f'"{pattern / "script.json"}"'))
        return folder

    whole = copied("whole")
    code, printed = ran(whole, 10_000)
    assert code == 0, printed
    effects = printed.splitlines()
    batches = [number for number, line in enumerate(effects, start=1) if "keep_batch" in line]
    assert len(batches) >= 6
    chosen = [len(effects) // 3, batches[3], len(effects)]
    for number in dict.fromkeys(chosen):
        folder = copied(f"killed-{number}")
        before = state(folder)
        assert ran(folder, number)[0] == -signal.SIGKILL
        code, printed = ran(folder, 10_000)
        assert code == 0, printed
        assert told(folder) == told(whole)
        assert state(folder) == before
        if number == batches[3]:
            assert sum("keep_batch" in line for line in printed.splitlines()) == len(batches) - 3
        shutil.rmtree(folder)
