"""Killed at any moment, the same command goes on, ends the same, and does nothing twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from made_project import Zygote, all_found, make_project

# The step whose lines are counted, and at which of them the kill comes; "end" is said when a step is over.
MOMENTS = (
    ('"step": "embed"', 1),
    ('"step": "tune closed"', 5),
    ('"step": "tune reader"', 6),
    ('"step": "answer prompt"', 4),
    ('"step": "answer rag-json"', 3),
    ('"step": "answer hybrid"', 3),
    ('"event": "end", "step": "score"', 1),
)


def begun(folder: Path, zygote: Zygote, text: str, count: int) -> bool:
    """Run the pilot and kill it at the line that is the ``count``-th with ``text``; return whether that came before the end."""
    child, stream = zygote.begin("pilot", "-p", str(folder), "--progress", "jsonl")
    seen = 0
    with stream:
        for line in stream:
            seen += text in line
            if seen == count:
                os.kill(child, signal.SIGKILL)
                break
        stream.read()
    ended = zygote.end()
    assert ended == (-signal.SIGKILL if seen == count else 0), ended
    return seen == count


def finished(folder: Path) -> dict[str, Any]:
    """Return what is finished, with what would differ if it were made again: answers hold their own seconds, files their times."""
    found: dict[str, Any] = {}
    ledger = folder / ".groundtune/records.sqlite"
    if ledger.exists():
        # A reader of its own, as a person might look; a killed writer must not be in its way.
        with sqlite3.connect(ledger) as database:
            found |= {f"batch {key} {number}": rest for key, number, *rest in database.execute("SELECT * FROM batches")}
            found |= {f"look {row}": row for row in database.execute("SELECT * FROM looks")}
        database.close()
    for path in (folder / ".groundtune/models").glob("*/version.json"):
        found |= {str(file): file.stat().st_mtime_ns for file in path.parent.iterdir()}
    for path in (folder / ".groundtune/index").glob("versions/*.json"):
        found[str(path)] = path.stat().st_mtime_ns
    return found


def test_killed_in_every_step_it_ends_as_if_unbroken_and_does_nothing_twice(whole: Path, zygote: Zygote, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "killed", model=whole.parent / "tiny-model")
    before: dict[str, Any] = {}
    sizes = []
    for text, count in MOMENTS:
        assert begun(folder, zygote, text, count), f"{text} never came"
        after = finished(folder)
        assert {name: after.get(name) for name in before} == before, f"done again after the kill before {text}"
        before = after
        sizes.append(len(before))
    assert sizes == sorted(sizes) and sizes[0] == 0 and len(set(sizes)) >= 5
    last = zygote.run("pilot", "-p", str(folder), "--progress", "jsonl")
    assert not any(step in line for line in last for step in ('"step": "embed"', '"step": "tune', '"step": "answer'))
    assert finished(folder).items() >= before.items()
    assert sum(name.startswith("look") for name in finished(folder)) == 1
    assert all_found(folder) == all_found(whole)
    assert not any((folder / ".groundtune/models/.work").iterdir())


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_it_ends_as_if_unbroken(seed: int, whole: Path, zygote: Zygote, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "killed", model=whole.parent / "tiny-model")
    chance = random.Random(seed)
    kills = 0
    while begun(folder, zygote, "", chance.randint(15, 50)):
        kills += 1
        assert kills < 30, "it does not get on"
    assert kills >= 2
    assert all_found(folder) == all_found(whole)
