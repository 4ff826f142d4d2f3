"""The file of labels: one JSON object a line, only ever added to, each with who and when; and the sample that they are of.

{"sample": {"source": "responses.jsonl", "rows": 5120, "seed": 7, "responses": ["response:3f…", …]}, "at": "…", "schema": 1}
{"response": "response:3f…", "label": "wrong fact", "labeller": "ana", "at": "…", "proposed": ["wrong fact"], "seconds": 4.2, "schema": 1}

A later label of the same person takes the place of the earlier one, and ``null`` takes it back; nothing is ever removed. Every line is on
the disk before the next answer is shown, so a kill loses at most the answer on the screen. No words of any answer are in the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune.decisions.audit.propose import LABELS, Label
from groundtune.errors import InputError, StateError
from groundtune.files import storing

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which responses are looked at: drawn by ``seed`` from the ``rows`` of a log."""

    source: str
    rows: int
    seed: int
    responses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a file of labels says. ``by`` maps each labeller to their labels by response, in the order of their first label."""

    sample: Sample | None
    by: Mapping[str, Mapping[str, Label]]
    proposed: Mapping[str, tuple[str, ...]]
    seconds: tuple[float, ...]

    def todo(self, labeller: str) -> tuple[str, ...]:
        """Return what a labeller has not labelled yet, in the sample's order."""
        done = self.by.get(labeller, {})
        return tuple(item for item in (self.sample.responses if self.sample else ()) if item not in done)

    def settled(self) -> dict[str, Label]:
        """Return the label of each response of the sample on which all who labelled it agree."""
        return {item: given[0] for item, given in self.given().items() if len(set(given)) == 1}

    def disputed(self) -> tuple[str, ...]:
        """Return the responses of the sample that two people labelled differently."""
        return tuple(item for item, given in self.given().items() if len(set(given)) > 1)

    def given(self) -> dict[str, list[Label]]:
        """Return all labels of each response of the sample that has any, one a labeller."""
        wanted = self.sample.responses if self.sample else ()
        given = {item: [labels[item] for labels in self.by.values() if item in labels] for item in wanted}
        return {item: labels for item, labels in given.items() if labels}


def read(path: Path) -> Labels:
    """Read the labels; none where there is no file. A last line without its end was cut off by a kill and does not count.

    Raises ``StateError`` with the line for anything else that is no label: such a file was changed by hand.
    """
    try:
        return _read(path, path.read_bytes())
    except FileNotFoundError:
        return _read(path, b"")


def _read(path: Path, data: bytes) -> Labels:
    sample: Sample | None = None
    by: dict[str, dict[str, Label]] = {}
    proposed: dict[str, tuple[str, ...]] = {}
    seconds: list[float] = []
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        row = _row(path, number, line)
        if "sample" in row:
            sample = _sample(path, number, row["sample"])
            continue
        name, label, who = row.get("response"), row.get("label"), row.get("labeller")
        if not isinstance(name, str) or not isinstance(who, str) or (label is not None and label not in LABELS):
            raise _broken(path, number, "not a label")
        mine = by.setdefault(who, {})
        if label is None:
            mine.pop(name, None)
        else:
            mine[name] = label
            proposed[name] = tuple(item for item in row.get("proposed", ()) if isinstance(item, str))
            if isinstance(row.get("seconds"), int | float):
                seconds.append(float(row["seconds"]))
    return Labels(sample=sample, by={who: labels for who, labels in by.items() if labels}, proposed=proposed, seconds=tuple(seconds))


def start(path: Path, sample: Sample) -> None:
    """Write which responses are looked at, unless the file says so already."""
    if read(path).sample != sample:
        what = {"source": sample.source, "rows": sample.rows, "seed": sample.seed, "responses": list(sample.responses)}
        _append(path, {"sample": what, "at": _now()})


def add(
    path: Path,
    response: str,
    label: Label | None,
    labeller: str,
    *,
    proposed: Sequence[str] = (),
    seconds: float | None = None,
    check: Callable[[Labels], None] = lambda there: None,
) -> None:
    """Add one label, or with ``None`` take the labeller's own back. It is on the disk when this returns.

    ``check`` is given what the file says while nobody else can write to it, and raises where the label is not to be added.
    """
    row: dict[str, Any] = {"response": response, "label": label, "labeller": labeller, "at": _now(), "proposed": list(proposed)}
    if seconds is not None:
        row["seconds"] = round(seconds, 1)
    _append(path, row, check)


def labeller_named(name: str) -> str:
    """Return a labeller's name as it is written. Raises ``InputError`` for one that says nothing."""
    said = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if not said or len(said) > 80:
        raise InputError("the labeller's name is empty or longer than 80 characters", "type: groundtune audit FILE --labeller NAME")
    return said


def _append(path: Path, row: Mapping[str, Any], check: Callable[[Labels], None] = lambda there: None) -> None:
    """Add a whole line, first cutting off what a kill left of the last one. Two people may write into one file."""
    line = (json.dumps({**row, "schema": SCHEMA}, ensure_ascii=False, sort_keys=True) + "\n").encode()
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            check(_read(path, path.read_bytes()))
            size = os.fstat(handle).st_size
            kept = _whole(handle, size)
            if kept < size:
                os.ftruncate(handle, kept)
            done = 0
            while done < len(line):
                done += os.write(handle, line[done:])
            os.fsync(handle)
        finally:
            os.close(handle)


def _whole(handle: int, size: int) -> int:
    """Return up to where the file holds whole lines."""
    end = size
    while end > 0:
        begin = max(0, end - 4096)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _broken(path, number, "not JSON") from None
    if not isinstance(row, dict):
        raise _broken(path, number, "not an object")
    if row.get("schema") != SCHEMA:
        message = f"{path}:{number}: has schema {row.get('schema')!r}; this version reads {SCHEMA}"
        raise StateError(message, "type: pip install --upgrade groundtune")
    return row


def _sample(path: Path, number: int, given: Any) -> Sample:
    try:
        names = given["responses"]
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            raise TypeError
        return Sample(source=str(given["source"]), rows=int(given["rows"]), seed=int(given["seed"]), responses=tuple(names))
    except (KeyError, TypeError, ValueError):
        raise _broken(path, number, "not a sample") from None


def _broken(path: Path, number: int, what: str) -> StateError:
    return StateError(f"{path}:{number}: {what}", f"restore the file from version control; see: sed -n {number}p {path}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
