"""The example project passes its own checker, and the checker sees each kind of damage."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HARBOUR = Path(__file__).parents[2] / "examples" / "harbour"


def problems_of(folder: Path, least: dict[str, int]) -> list[str]:
    spec = importlib.util.spec_from_file_location("harbour_check", HARBOUR / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[str] = module.problems_of(folder, least)
    return found


def test_the_example_project_is_sound() -> None:
    done = subprocess.run([sys.executable, str(HARBOUR / "check.py")], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert (done.returncode, done.stderr) == (0, "sound\n")


Rows = list[dict[str, Any]]


def first(rows: Rows, kind: str) -> dict[str, Any]:
    return next(item for item in rows if item["kind"] == kind)


def misquote(rows: Rows) -> None:
    first(rows, "answerable")["evidence"][0]["quote"] = "words that stand in no document at all"


def tear(rows: Rows) -> None:
    first(rows, "answerable")["split"] = next(split for split in ("dev", "test") if split != first(rows, "answerable")["split"])


def tell(rows: Rows) -> None:
    item = first(rows, "forbidden")
    item["reply"]["answer"] = "I can't answer that from the documents you can read. " + item["evidence"][0]["quote"]


def say_yes(rows: Rows) -> None:
    first(rows, "refuse")["reply"]["answer"] = "Yes, of course, that is quite all right with us as long as you ask the desk first."


def mislabel(rows: Rows) -> None:
    first(rows, "answerable")["reply"]["label"] = "misc"


def requote(rows: Rows) -> None:
    first(rows, "answerable")["reply"]["quote"] = "not in the evidence"


def shorten(rows: Rows) -> None:
    first(rows, "answerable")["question"] = "And then?"


def only_answerable(rows: Rows) -> None:
    rows[:] = [item for item in rows if item["kind"] == "answerable"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (misquote, "evidence is not in"),
        (tear, "leak: the split group"),
        (tell, "tells what its asker may not read"),
        (say_yes, "its answer does not begin with"),
        (mislabel, "label is 'misc', expected one of"),
        (requote, "which is in no evidence of that document"),
        (shorten, "words of the question: 2, expected"),
        (only_answerable, "expected 50% to 75%"),
    ],
)
def test_the_checker_sees_damage(tmp_path: Path, damage: Callable[[Rows], None], said: str) -> None:
    shutil.copytree(HARBOUR, tmp_path / "harbour", ignore=shutil.ignore_patterns(".groundtune"))
    folder = tmp_path / "harbour"
    before = problems_of(folder, {})
    parts = sorted((folder / "examples" / "parts").glob("*.jsonl"))
    rows = [json.loads(line) for path in parts for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    damage(rows)
    for path in parts:
        path.unlink()
    (folder / "examples" / "parts" / "all.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
    new = [problem for problem in problems_of(folder, {}) if problem not in before]
    assert any(said in problem for problem in new), new


def test_the_checker_counts_and_says_what_is_missing(tmp_path: Path) -> None:
    shutil.copytree(HARBOUR, tmp_path / "harbour", ignore=shutil.ignore_patterns(".groundtune"))
    assert "examples, expected at least 99999" in "\n".join(problems_of(tmp_path / "harbour", {"examples": 99999}))
    (tmp_path / "harbour" / "access.toml").write_text("[principals]\nana = 1\nbob = 2\n", encoding="utf-8")
    assert len(problems_of(tmp_path / "harbour", {})) == 2
