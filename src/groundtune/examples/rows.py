"""The rows of the examples as they stand in their files, each with a status, and how one is changed without touching its neighbours.

    {"id": "a-1", "question": …, "status": "draft", "reason": "", "origin": {"form": "chat", "file": "old.jsonl", "line": 7}}
    → change(row, status="approved", reviewed={"by": "ana", "at": "2026-03-01T10:00:00+00:00"})

A file is written as a whole or not at all, under a lock on its folder; lines that did not change keep their bytes. A row that somebody else
changed since it was read is not overwritten.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import ExampleError, StateError
from groundtune.examples.load import KEPT, PREFERENCES, STATUSES, Checked, files, rows
from groundtune.files import fingerprint, write_atomic
from groundtune.types import Document, Example, Principal, Split, Status

BOM = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row, where it stands, what it says, what is wrong with it as an example, and the example if nothing is."""

    path: Path
    line: int
    row: Mapping[str, Any]
    wrong: tuple[str, ...] = ()
    example: Example | None = None
    split_of_file: Split | None = None

    @property
    def where(self) -> str:
        """The file and the line."""
        return f"{self.path}:{self.line}"

    @property
    def id(self) -> str:
        """The row's id, or its place where it has none."""
        name = self.row.get("id")
        return name if isinstance(name, str) and name else self.where

    @property
    def status(self) -> Status:
        """Approved, unless the row says otherwise; a status that nobody knows counts as quarantined."""
        said = self.row.get("status", "approved")
        return said if said in STATUSES else "quarantined"

    @property
    def split(self) -> str:
        """The split that the row is of, or empty."""
        return str(self.row.get("split") or self.split_of_file or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All rows in the order of files and lines, whatever their status, and the lines that are no rows."""

    rows: tuple[Stored, ...]
    problems: tuple[ExampleError, ...]
    counts: Mapping[str, int] = field(default_factory=dict)


def read(place: Path, documents: Sequence[Document], principals: Mapping[str, Principal]) -> Reading:
    """Read every row below ``place`` with what is wrong with it. An id that was used before is wrong in the later row."""
    problems: list[ExampleError] = []
    found: list[Stored] = []
    by_id = {document.id: document for document in documents}
    seen: dict[str, str] = {}
    for path in files(place, problems) if place.exists() else ():
        for where, row in rows(path, problems):
            checked = Checked(row, None, by_id, principals)
            name = row.get("id")
            if isinstance(name, str) and name in seen:
                checked.wrong.append(f"id {name!r} was used before, at {seen[name]}")
            elif isinstance(name, str):
                seen[name] = where
            found.append(
                Stored(
                    path=path,
                    line=int(where.rpartition(":")[2]),
                    row=row,
                    wrong=tuple(checked.wrong),
                    example=None if checked.wrong else checked.example(),
                )
            )
    counts: dict[str, int] = {status: count for status in STATUSES if (count := sum(item.status == status for item in found))}
    return Reading(rows=tuple(found), problems=tuple(problems), counts=counts)


def content(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an example says, without what is said about it: what an approval is for."""
    return {key: value for key, value in row.items() if key not in KEPT}


def change(stored: Stored, fields: Mapping[str, Any]) -> Stored:
    """Write new values of some fields; ``None`` takes a field away. Raises ``StateError`` where the row is no longer as it was read."""
    return changed([(stored, fields)])[0]


def changed(changes: Iterable[tuple[Stored, Mapping[str, Any]]]) -> list[Stored]:
    """Change several rows, all those of one file in one write. Each file is changed as a whole or not at all."""
    by_path: dict[Path, list[tuple[Stored, Mapping[str, Any]]]] = {}
    for stored, fields in changes:
        by_path.setdefault(stored.path, []).append((stored, fields))
    done: list[Stored] = []
    for path, wanted in by_path.items():
        with _locked(path.parent):
            lines = _lines(path)
            for stored, fields in wanted:
                at = _place(stored, lines)
                row = {**stored.row, **fields}
                row = {key: value for key, value in row.items() if value is not None or key not in fields}
                lines[at] = written(row) + ("\r" if lines[at].endswith("\r") else "")
                done.append(Stored(path=path, line=at + 1, row=row))
            write_atomic(path, "\n".join(lines))
    return done


def append(path: Path, new: Sequence[Mapping[str, Any]]) -> None:
    """Add rows at the end of a file, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        old = "\n".join(_lines(path)) if path.exists() else ""
        gap = "\n" if old and not old.endswith("\n") else ""
        write_atomic(path, old + gap + "".join(written(row) + "\n" for row in new))


def written(row: Mapping[str, Any]) -> str:
    """Return a row as one line, without the line end."""
    return json.dumps(dict(row), ensure_ascii=False)


def _lines(path: Path) -> list[str]:
    # A byte order mark stays in the first line, and so in the file.
    return path.read_bytes().decode("utf-8").split("\n")


def _place(stored: Stored, lines: Sequence[str]) -> int:
    """Return the index of the line that still holds the row: where it was, or where it moved to."""
    places: list[int] = [stored.line - 1, *range(len(lines))]
    for at in places:
        if at < len(lines) and _same(lines[at], stored.row):
            return at
    raise StateError(
        f"{stored.where}: row {stored.id} was changed or removed by another hand meanwhile", "type the same command again to read it anew"
    )


def _same(line: str, row: Mapping[str, Any]) -> bool:
    try:
        held: object = json.loads(line.lstrip(BOM))
        return held == row
    except (ValueError, RecursionError):
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes that change rows in it; the system lets go when a process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def hash_of(document: Document) -> str:
    """Return what a document says, as rows keep it to know later whether it changed: its text, not its marks or its title."""
    return fingerprint(document.text)


def sources_of(row: Mapping[str, Any], documents: Mapping[str, Document]) -> dict[str, str]:
    """Return document → hash for all that is there of what a row's evidence names, a pair's source, and what it was made from before.

    A row that must be refused has no evidence, and is old all the same when the document changes beside which it was written.
    """
    given, made = row.get("evidence"), row.get("made_from")
    rows = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    names = [str(name).removeprefix("document:") for name in (*(item.get("document", "") for item in rows), row.get("source", ""))]
    names += [name for name in made if name not in names] if isinstance(made, Mapping) and not rows else []
    return {name: hash_of(documents[f"document:{name}"]) for name in dict.fromkeys(names) if f"document:{name}" in documents}


def free_id(wanted: str, taken: Callable[[str], bool]) -> str:
    """Return ``wanted``, or it with the first number behind it that is free."""
    name, number = wanted, 2
    while taken(name):
        name, number = f"{wanted}-{number}", number + 1
    return name


def preferences_of(place: Path) -> Path:
    """Return where the preference pairs of these examples are: ``preferences.jsonl`` in their folder, or beside their file."""
    return (place if place.is_dir() or not place.suffix else place.parent) / PREFERENCES
