"""Decisions that the docs keep are as they were signed, name no place of a machine, and are only kept when they can be worked out again."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "project"))


def load_tool() -> Any:
    spec = importlib.util.spec_from_file_location("keep_decision", ROOT / "tools" / "keep_decision.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A copy of what is kept that a test may change."""
    shutil.copytree(ROOT / "docs" / "kept", tmp_path / "kept")
    return tmp_path / "kept"


def test_what_is_kept_is_as_it_was_written() -> None:
    assert list(tool.check()) == []
    assert [folder.name for folder in (ROOT / "docs" / "kept").iterdir() if folder.is_dir()]


@pytest.mark.parametrize("suffix", [".json", ".md", "log.jsonl", "README.md", "run.json"])
def test_a_change_of_what_is_kept_is_found(kept: Path, suffix: str) -> None:
    [path] = sorted(
        path for path in (kept / "harbour").iterdir() if path.name.endswith(suffix) and path.name[0].isdigit() == (len(suffix) < 6)
    )
    text = path.read_text()
    path.write_text(text.replace("0001", "0007").replace('"ship"', '"none passes"').replace("sha256 `", "sha256 `0"))
    assert path.read_text() != text and list(tool.check(kept))


def test_a_stale_list_and_a_place_of_a_machine_are_found(kept: Path) -> None:
    (kept / "README.md").write_text("# Kept\n")
    assert any("stale" in line for line in tool.check(kept))
    path = kept / "harbour" / "note.md"
    path.write_text("made in /home/somebody/project, see C:\\Users\\x; https://example.org/home/x is an address and a/tmp/b a path below\n")
    assert [line for line in tool.check(kept) if "note.md" in line] == [
        "harbour/note.md: names /home/somebody",
        "harbour/note.md: names C:\\Users",
    ]


def test_a_decision_is_kept_when_it_can_be_worked_out_again_and_not_otherwise(tmp_path: Path) -> None:
    from made_project import make_project
    from test_evidence import write

    import groundtune as gt

    (tmp_path / "tiny-model").mkdir()
    project = gt.open(write(make_project(tmp_path / "project"), more=""))
    project.lock()
    project.ingest()
    decision = project.decide()
    place = tmp_path / "kept"
    told = {"commands": ["groundtune pilot"], "machine": "a machine", "number": None, "kept": place}
    assert tool.keep(project.folder, "small", **told) == decision
    assert list(tool.check(place)) == []
    row = json.loads((place / "small" / "run.json").read_text())
    assert row["decision"] == decision.id and row["rescored"] == 30 and row["changed"] == []
    assert "groundtune pilot" in (place / "small" / "README.md").read_text() and "[small]" in (place / "README.md").read_text()
    [run] = (project.state / "runs").iterdir()
    scores = run / "scores.jsonl"
    scores.write_text(scores.read_text().replace('"value": 0.0', '"value": 1.0', 1).replace('"value":0.0', '"value":1.0', 1))
    with pytest.raises(SystemExit, match="written anew"):
        tool.keep(project.folder, "small", **told)
    assert list(tool.check(place)) == []
