"""``groundtune ingest`` on a project of several sources: plans, findings, moves, versions, and a kill at any moment."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import groundtune as gt
from groundtune.cli.main import main
from groundtune.errors import ConfigError, GroundtuneError
from groundtune.files import fingerprint

CONFIG = """
[project]
name = "small"
owner = "the tests"

[answers]
instructions = "Answer."

[chat]
use = "scripted"

[embed]
use = "hashed"

[chunks]
max_tokens = 40
min_tokens = 5

[[arms]]
name = "rag"
retrieves = true
"""


def make(folder: Path, extra: str = "", **texts: str) -> Path:
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "examples" / "all.jsonl").write_text("")
    (folder / "groundtune.toml").write_text(CONFIG + extra)
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n')
    for name, text in texts.items():
        write(folder, f"{name}.md", text)
    return folder


def write(folder: Path, name: str, text: str, readers: str = "everyone", **fields: str) -> None:
    path = folder / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f'{key}: "{value}"\n' for key, value in fields.items())
    path.write_text(f"---\nreaders: [{readers}]\n{head}---\n{text}\n")


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verb in this process, as the command line does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(["ingest", "-p", str(folder), "--progress", "silent", *arguments])
    return subprocess.CompletedProcess(arguments, int(left.value.code or 0), out.getvalue(), err.getvalue())


def found(folder: Path, question: str, asker: str = "ana", **filter: str) -> list[str]:
    project = gt.open(folder)
    return sorted({p.chunk.document_id for p in project.retriever(20)(question, project.principal(asker), filter)})


def test_a_bad_file_is_named_hidden_and_stops_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    assert ran(folder).returncode == 0
    (folder / "documents" / "a.md").write_bytes(b"---\nreaders: [everyone\n---\nbroken")
    write(folder, "c.md", "# Buoy\n\nThe buoy is red.")
    done = ran(folder)
    assert done.returncode == 1 and "a.md" in done.stdout and "1 new" in done.stdout and "1 problem (1 unreadable)" in done.stdout
    assert found(folder, "crane quay buoy") == ["document:b.md", "document:c.md"]
    assert ran(folder).returncode == 1
    assert ran(folder, "--drop", "b.md").returncode == 2
    dropped = ran(folder, "--drop", "a.md")
    assert dropped.returncode == 0 and "1 dropped" in dropped.stdout
    write(folder, "a.md", "# Crane\n\nThe crane is green.")
    assert ran(folder).returncode == 0 and len(found(folder, "crane quay buoy")) == 3


def test_the_last_document_that_is_gone_or_broken_is_served_no_more(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    assert ran(folder).returncode == 0 and found(folder, "crane") == ["document:a.md"]
    (folder / "documents" / "a.md").write_bytes(b"---\nreaders: [finance\n---\nbroken")
    broken = ran(folder)
    assert broken.returncode == 1 and "0 documents, 0 chunks" in broken.stdout and found(folder, "crane", "femi") == []
    write(folder, "a.md", "# Crane\n\nThe crane is green.")
    assert ran(folder).returncode == 0 and found(folder, "crane") == ["document:a.md"]
    (folder / "documents" / "a.md").unlink()
    kept = ran(folder)
    assert kept.returncode == 1 and "[documents]: lists nothing any more" in kept.stdout and found(folder, "crane") == ["document:a.md"]
    assert ran(folder, "--emptied", "[documents]").returncode == 0 and found(folder, "crane") == []
    assert gt.open(folder).index.live() == gt.open(folder).index_versions()[-1].id


def test_a_problem_has_a_state_that_is_remembered(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    (folder / "documents" / "empty.pdf").write_bytes(b"")
    (folder / "documents" / "page.pdf").write_bytes(b"<html>")
    (folder / "documents" / "notes.xyz").write_text("x")
    os.utime(folder / "documents" / "page.pdf", (1, 1))
    for _ in range(2):
        done = json.loads(ran(folder, "--json").stdout)
        assert [
            (Path(message.split(":")[0]).name, state) for (message, _), state in zip(done["problems"], done["states"], strict=True)
        ] == [
            ("empty.pdf", "unreadable"),
            ("notes.xyz", "unsupported"),
            ("page.pdf", "wrong type"),
        ]
    shown = ran(folder).stdout
    assert "problem (wrong type): " in shown and "3 problems (1 unreadable, 1 unsupported, 1 wrong type)" in shown


def test_of_many_problems_of_one_kind_the_first_are_printed_and_the_rest_counted(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    for number in range(14):
        (folder / "documents" / f"n{number:02d}.txt").write_text("No readers are named here.")
    (folder / "documents" / "z.xyz").write_text("x")
    done = ran(folder)
    assert done.stdout.count("problem (no readers): ") == 11 and "and 4 more" in done.stdout and "problem (unsupported): " in done.stdout
    assert "n00.txt.meta.toml beside it" in done.stdout and "15 problems (14 no readers, 1 unsupported)" in done.stdout
    assert len(json.loads(ran(folder, "--json").stdout)["problems"]) == 15


def test_a_dry_run_reckons_with_the_embedders_price_and_with_lines_that_a_model_writes(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    config = (folder / "groundtune.toml").read_text()

    def cost(extra: str, **replaced: str) -> dict[str, Any]:
        text = config
        for before, after in replaced.items():
            text = text.replace(f"[{before}]", f"[{before}]\n{after}")
        (folder / "groundtune.toml").write_text(text + extra)
        planned: dict[str, Any] = json.loads(ran(folder, "--dry-run", "--json").stdout)["cost"]
        return planned

    free = cost("[costs]\nembedding_million = 100.0\n")
    assert free["money"] == 0 and free["calls"] == 0 and free["seconds"] is not None, "what is embedded here costs no tokens"
    priced = cost("", embed="million = 100.0")
    assert priced["money"] == pytest.approx(free["tokens"] * 100 / 1e6)
    written = cost("[costs]\nprompt_million = 10.0\ncompletion_million = 10.0\n", chunks='context = "model"')
    assert written["calls"] == written["chunks"] == 2 and written["seconds"] is None
    assert written["money"] > (written["tokens"] + 2 * 40) * 10 / 1e6


def test_ingest_from_python_is_strict_and_changes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    version = gt.open(folder).ingest().version
    write(folder, "b.md", "# Quay\n\nThe quay is blue.")
    (folder / "documents" / "bad.md").write_bytes(b"\xff\xff\xff")
    with pytest.raises(GroundtuneError, match="bad.md"):
        gt.open(folder).ingest()
    assert gt.open(folder).index_versions()[-1].id == version.id  # type: ignore[union-attr]
    assert gt.open(folder).ingest(strict=False).version.documents == 2  # type: ignore[union-attr]


def test_a_dry_run_tells_the_plan_and_the_cost_and_writes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    planned = json.loads(ran(folder, "--dry-run", "--json").stdout)
    assert (
        planned["counts"] == {"new": 2} and planned["cost"]["documents"] == planned["cost"]["chunks"] == 2 and planned["cost"]["tokens"] > 5
    )
    assert planned["names"] == {"new": ["a.md", "b.md"]} and not (folder / ".groundtune").exists()
    assert ran(folder).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (folder / ".groundtune").rglob("*") if path.suffix in (".json", ".lance", ".txn")}
    write(folder, "a.md", "# Crane\n\nThe crane is yellow.")
    (folder / "documents" / "b.md").rename(folder / "documents" / "moved.md")
    shown = ran(folder, "--dry-run").stdout
    assert "plan: 1 changed, 1 moved" in shown and "moved: b.md → moved.md" in shown and "cost: " in shown
    assert before == {
        path: path.stat().st_mtime_ns for path in (folder / ".groundtune").rglob("*") if path.suffix in (".json", ".lance", ".txn")
    }


def test_a_moved_document_keeps_its_vectors(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    gt.open(folder).ingest()
    (folder / "documents" / "a.md").rename(folder / "documents" / "z.md")
    project = gt.open(folder)
    asked: list[Any] = []
    real = project.embed.documents
    object.__setattr__(project.embed, "documents", lambda texts: asked.append(texts) or real(texts))
    done = project.ingest(strict=False)
    assert done.counts == {"moved": 1, "unchanged": 1} and done.names["moved"] == ["a.md → z.md"] and asked == []
    assert found(folder, "crane") == ["document:b.md", "document:z.md"]


def test_gone_documents_are_hidden_before_new_ones_are_embedded(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    gt.open(folder).ingest()
    (folder / "documents" / "a.md").unlink()
    write(folder, "c.md", "# Buoy\n\nThe buoy is red.")
    project = gt.open(folder)
    seen: list[list[str]] = []

    def slow(texts: Any) -> Any:
        seen.append(found(folder, "crane quay buoy"))
        raise RuntimeError("killed while embedding")

    object.__setattr__(project.embed, "documents", slow)
    with pytest.raises(RuntimeError, match="killed"):
        project.ingest(strict=False)
    assert seen == [["document:b.md"]] and found(folder, "crane quay buoy") == ["document:b.md"]
    gt.open(folder).ingest()
    assert found(folder, "crane quay buoy") == ["document:b.md", "document:c.md"]


SOURCES = """
[[sources]]
name = "kb"
use = "folder"
path = "../kb"
metadata = { product = "harbour" }

[[sources]]
name = "repository"
use = "git"
path = "../repository"
readers = ["finance"]
"""


@pytest.fixture
def sourced(tmp_path: Path) -> Path:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "x.md").write_text("---\nreaders: [everyone]\n---\n# Mast\n\nThe mast is tall.")
    (tmp_path / "repository").mkdir()
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        (tmp_path / "repository" / "money.md").write_text("# Money\n\nThe money is in the bank.")
        subprocess.run(["git", "-C", str(tmp_path / "repository"), *command], check=True)
    return make(tmp_path / "p", SOURCES, a="# Crane\n\nThe crane is green.")


def test_several_sources_are_one_index_and_other_verbs_use_what_was_read(sourced: Path) -> None:
    with pytest.raises(GroundtuneError, match="never read"):
        gt.open(sourced).content  # noqa: B018
    done = ran(sourced, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["counts"] == {"new": 3}
    assert found(sourced, "crane mast money") == ["document:a.md", "document:kb/x.md"]
    assert "document:repository/money.md" in found(sourced, "crane mast money", "femi")
    assert found(sourced, "mast", product="harbour") == ["document:kb/x.md"]
    shutil.rmtree(sourced.parent / "kb")
    content = gt.open(sourced).content
    assert set(content.documents) == {"document:a.md", "document:kb/x.md", "document:repository/money.md"}
    assert gt.open(sourced).verify_index() == []


def test_a_source_out_of_reach_is_told_loudly_and_loses_nothing(sourced: Path) -> None:
    assert ran(sourced).returncode == 0
    shutil.rmtree(sourced.parent / "kb")
    write(sourced, "b.md", "# Quay\n\nThe quay is blue.")
    done = ran(sourced)
    assert done.returncode == 1 and "no such folder" in done.stdout and "1 kept" in done.stdout
    assert found(sourced, "crane mast quay") == ["document:a.md", "document:b.md", "document:kb/x.md"]
    (sourced.parent / "kb").mkdir()
    assert "--emptied kb" in ran(sourced).stdout
    done = ran(sourced, "--emptied", "kb")
    assert done.returncode == 0 and found(sourced, "crane mast quay") == ["document:a.md", "document:b.md"]
    assert ran(sourced, "--emptied", "nothing").returncode == 2


def test_a_secret_is_named_by_its_environment_variable_alone(sourced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = '[[sources]]\nname = "base"\nuse = "sql"\nurl_env = "KB_URL"\n'
    more += 'query = "SELECT 1 AS id, 2 AS body"\ncolumns = { name = "id", text = "body" }\n'
    (sourced / "groundtune.toml").write_text(CONFIG + more)
    told = gt.open(sourced).ingest(strict=False).problems
    assert len(told) == 1 and "KB_URL" in told[0][0]
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("KB_URL", "sqlite://")
    (sourced / "groundtune.toml").write_text(CONFIG + more + 'readers = ["everyone"]\n')
    assert "document:base/1.txt" in gt.open(sourced).ingest(strict=False).version.contents  # type: ignore[union-attr]
    assert b"sqlite://" not in (sourced / ".groundtune" / "documents.sqlite").read_bytes()


def test_the_newest_version_is_found_unless_the_filter_names_another(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    text = (folder / "groundtune.toml").read_text()
    (folder / "groundtune.toml").write_text(text + '\n[documents]\nnewest_wins = "version"\n')
    for version in ("4", "5"):
        write(folder, f"v{version}/slots.md", f"# Slots\n\nA slot takes {version}0 minutes.", title="Slots", version=version)
    write(folder, "draft/slots.md", "# Slots\n\nA slot takes 60 minutes.", readers="finance", title="Slots", version="6")
    write(folder, "other.md", "# Cranes\n\nNothing of slots and minutes.")
    done = gt.open(folder).ingest()
    assert done.superseded == (("v4/slots.md", "v5/slots.md"),)
    assert found(folder, "how many minutes is a slot") == ["document:other.md", "document:v5/slots.md"]
    assert found(folder, "how many minutes is a slot", version="4") == ["document:v4/slots.md"]
    assert "document:draft/slots.md" in found(folder, "how many minutes is a slot", "femi")
    assert gt.open(folder).verify_index() == []
    (folder / "documents" / "v5" / "slots.md").unlink()
    gt.open(folder).ingest(strict=False)
    assert found(folder, "how many minutes is a slot") == ["document:other.md", "document:v4/slots.md"]


def test_near_duplicates_are_told_and_marked(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    folder = make(tmp_path / "p", a=f"# One\n\n{text}", b=f"# One\n\n{text.upper()}", c="# Other\n\nnothing alike at all")
    done = ran(folder)
    assert "near-duplicates: a.md = b.md" in done.stdout
    documents = gt.open(folder).content.documents
    assert documents["document:a.md"].metadata["near_duplicate"] == documents["document:b.md"].metadata["near_duplicate"]
    assert "near_duplicate" not in documents["document:c.md"].metadata


def test_rules_by_folder_give_readers(tmp_path: Path) -> None:
    rules = '\n[[documents.rules]]\nmatch = "hr/**"\nreaders = ["finance"]\noverrides = true\n'
    folder = make(tmp_path / "p", rules, a="# Crane\n\nThe crane is green.")
    write(folder, "hr/pay.md", "# Pay\n\nThe pay is high.")
    gt.open(folder).ingest()
    assert found(folder, "pay crane") == ["document:a.md"] and "document:hr/pay.md" in found(folder, "pay crane", "femi")


def test_two_sources_of_one_name_and_an_unknown_plug_in_are_told(tmp_path: Path) -> None:
    twice = '\n[[sources]]\nname = "kb"\nuse = "folder"\npath = "."\n' * 2
    with pytest.raises(ConfigError, match="two sources of one name"):
        gt.open(make(tmp_path / "p", twice))
    folder = make(tmp_path / "q", '\n[[sources]]\nname = "kb"\nuse = "carrier-pigeon"\n', a="# A\n\ntext")
    done = ran(folder)
    assert done.returncode == 1 and "carrier-pigeon" in done.stdout


def state(folder: Path) -> str:
    """Return what is served, whatever way it came about: documents, readers and chunks of the live version."""
    return fingerprint(
        [version.contents for version in gt.open(folder).index_versions()[-1:]], found(folder, "crane quay buoy mast", "femi")
    )


@pytest.mark.parametrize("after", [0.8, 1.6])
def test_kill_at_any_moment_then_the_same_command_ends_the_same(after: float, tmp_path: Path) -> None:
    folder = make(tmp_path / "p", **{f"d{n}": f"# Title {n}\n\nThe crane number {n} is green." for n in range(60)})
    assert ran(folder).returncode == 0
    for number in range(0, 60, 3):
        (folder / "documents" / f"d{number}.md").unlink()
    for number in range(100, 260):
        write(folder, f"d{number}.md", f"# Title {number}\n\nThe quay number {number} is blue.")
    command = [sys.executable, "-m", "groundtune", "ingest", "-p", str(folder), "--progress", "silent"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    os.kill(running.pid, signal.SIGKILL) if running.poll() is None else None
    running.wait()
    contents = gt.open(folder).index_versions()[-1].contents
    assert contents and all(item["chunks"] >= 1 for item in contents.values())
    assert ran(folder).returncode == 0
    shutil.copytree(folder, tmp_path / "fresh", ignore=shutil.ignore_patterns(".groundtune"))
    assert ran(tmp_path / "fresh").returncode == 0
    assert state(folder) == state(tmp_path / "fresh") and gt.open(folder).verify_index() == []
