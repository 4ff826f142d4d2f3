"""Replies that were rated one by one: ``preferences.jsonl`` beside the examples, or a file of its own, one object a line.

{"id": "r-1", "question": "…", "as": "cust", "reply": {"answer": "…"}, "desirable": false, "status": "approved"}

A line may be a preference pair instead; then its chosen reply is desirable and its rejected one is not. ``source`` may name the document
that a reply draws on; whoever trains on it must respect its readers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import ExampleError, GroundtuneError, Problems
from groundtune.examples import preferences
from groundtune.examples.load import KEPT, STATUSES, rows
from groundtune.types import Status

FIELDS = ("id", "question", "as", "reply", "desirable", "source", *KEPT)
HINT = "mend that line, then type: groundtune tune"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A reply to a question, and whether it was what is wanted; there is no second reply to hold it against.

    ``asker`` and ``source`` are those of ``Preference``. Both halves of a pair have its ``id``.
    """

    id: str
    question: str
    asker: str
    reply: Mapping[str, Any] | str
    desirable: bool
    source: str = ""
    status: Status = "approved"


def load(path: Path, statuses: Collection[Status] = preferences.APPROVED) -> tuple[Rating, ...]:
    """Read the ratings that have one of ``statuses``, in their order; a line without a status is approved.

    Raises ``ExampleError`` for a missing file or one bad line, ``Problems`` for several, each naming its line.
    """
    if not path.is_file():
        raise ExampleError(f"{path}: no such file", 'write it, or name it as preferences in its [tuning.*] table: preferences = "FILE"')
    found, problems = read(path)
    if problems:
        several: list[GroundtuneError] = list(problems)
        raise problems[0] if len(problems) == 1 else Problems(several)
    return tuple(rating for rating in found if rating.status in statuses)


def read(path: Path) -> tuple[tuple[Rating, ...], tuple[ExampleError, ...]]:
    """Return every rating, whatever its status, and what is wrong with the other lines."""
    problems: list[ExampleError] = []
    found: list[Rating] = []
    seen: dict[str, str] = {}
    for where, row in rows(path, problems):
        pair = "chosen" in row or "rejected" in row
        wrong = preferences.wrong_with(row) if pair else wrong_with(row)
        name = row.get("id")
        if isinstance(name, str) and name in seen:
            wrong.append(f"id {name!r} was used before, at {seen[name]}")
        elif isinstance(name, str):
            seen[name] = where
        problems += [ExampleError(f"{where}: {text}", HINT) for text in wrong]
        if wrong:
            continue
        replies = [(row["chosen"], True), (row["rejected"], False)] if pair else [(row["reply"], row["desirable"])]
        for reply, desirable in replies:
            found.append(
                Rating(
                    id=row["id"],
                    question=row["question"],
                    asker=row["as"],
                    reply=reply,
                    desirable=desirable,
                    source=row.get("source", ""),
                    status=row.get("status", "approved"),
                )
            )
    return tuple(found), tuple(problems)


def wrong_with(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a rated reply, in words."""
    wrong = [f"{name} is missing or no text" for name in ("id", "question", "as") if not _text(row.get(name))]
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        wrong.append(f"unknown field {', '.join(unknown)}; known: {', '.join(FIELDS)}, or those of a preference pair")
    reply = row.get("reply")
    if not (_text(reply) or isinstance(reply, dict) and reply):
        wrong.append(f"reply is {'missing' if reply is None else repr(reply)}; expected a text or an object")
    # 1 and 0 are no answers here: a column of numbers may mean stars, or places.
    if not isinstance(row.get("desirable"), bool):
        wrong.append(f"desirable is {'missing' if 'desirable' not in row else repr(row['desirable'])}; expected true or false")
    if not isinstance(row.get("source", ""), str):
        wrong.append(f"source is {row['source']!r}; expected the name of a document")
    if row.get("status", "approved") not in STATUSES:
        wrong.append(f"status is {row['status']!r}; known: {', '.join(STATUSES)}")
    return wrong


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
