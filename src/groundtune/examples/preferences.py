"""Pairs of replies of which one is better: ``preferences.jsonl`` beside the examples, one object a line.

{"id": "p-1", "question": "…", "as": "cust", "chosen": {"answer": "…"}, "rejected": {"answer": "…"}, "status": "approved"}

``source`` may name the document that the pair draws on; whoever trains on the pair must respect its readers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import ExampleError, GroundtuneError, Problems
from groundtune.examples.load import KEPT, STATUSES, rows
from groundtune.types import Preference, Status

FIELDS = ("id", "question", "as", "chosen", "rejected", "source", *KEPT)
APPROVED: tuple[Status, ...] = ("approved",)
HINT = "mend that line, then type: groundtune examples audit"


def load(path: Path, statuses: Collection[Status] = APPROVED) -> tuple[Preference, ...]:
    """Read the pairs that have one of ``statuses``, in their order; a pair without a status is approved.

    Raises ``ExampleError`` for a missing file or one bad line, ``Problems`` for several, each naming its line.
    """
    if not path.is_file():
        raise ExampleError(f"{path}: no such file", "type: groundtune examples import FILE --form preference")
    found, problems = read(path)
    raise_any(problems)
    return tuple(pair for pair in found if pair.status in statuses)


def read(path: Path) -> tuple[tuple[Preference, ...], tuple[ExampleError, ...]]:
    """Return every pair, whatever its status, and what is wrong with the other lines."""
    good, problems = lines(path)
    return tuple(Preference(chosen=row["chosen"], rejected=row["rejected"], **common(row)) for row in good), problems


def lines(path: Path) -> tuple[tuple[Mapping[str, Any], ...], tuple[ExampleError, ...]]:
    """Return the sound lines as they stand, and what is wrong with the others."""
    return sound(path, wrong_with, HINT)


def sound(
    path: Path, wrong_of: Callable[[Mapping[str, Any]], list[str]], hint: str
) -> tuple[tuple[Mapping[str, Any], ...], tuple[ExampleError, ...]]:
    """Return the lines of a file that ``wrong_of`` finds nothing wrong with, and what is wrong with the others: an id used twice, too."""
    problems: list[ExampleError] = []
    good: list[Mapping[str, Any]] = []
    seen: dict[str, str] = {}
    for where, row in rows(path, problems):
        wrong = wrong_of(row)
        name = row.get("id")
        if isinstance(name, str) and name in seen:
            wrong.append(f"id {name!r} was used before, at {seen[name]}")
        elif isinstance(name, str):
            seen[name] = where
        problems += [ExampleError(f"{where}: {text}", hint) for text in wrong]
        if not wrong:
            good.append(row)
    return tuple(good), tuple(problems)


def raise_any(problems: Sequence[ExampleError]) -> None:
    """Raise the one problem there is, or all of them as ``Problems``."""
    if problems:
        several: list[GroundtuneError] = list(problems)
        raise problems[0] if len(problems) == 1 else Problems(several)


def common(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a sound line says beside its replies."""
    return {
        "id": row["id"],
        "question": row["question"],
        "asker": row["as"],
        "source": row.get("source", ""),
        "status": row.get("status", "approved"),
    }


def wrong_with(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a pair, in words."""
    wrong = [f"{name} is missing or no text" for name in ("id", "question", "as") if not is_text(row.get(name))]
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        wrong.append(f"unknown field {', '.join(unknown)}; known: {', '.join(FIELDS)}")
    for name in ("chosen", "rejected"):
        value = row.get(name)
        if not (is_text(value) or isinstance(value, dict) and value):
            wrong.append(f"{name} is {'missing' if value is None else repr(value)}; expected a text or an object")
    if not wrong and row["chosen"] == row["rejected"]:
        wrong.append("chosen and rejected are the same")
    if not isinstance(row.get("source", ""), str):
        wrong.append(f"source is {row['source']!r}; expected the name of a document")
    if row.get("status", "approved") not in STATUSES:
        wrong.append(f"status is {row['status']!r}; known: {', '.join(STATUSES)}")
    return wrong


def is_text(value: Any) -> bool:
    """Return whether a value is a text that says something."""
    return isinstance(value, str) and bool(value.strip())
