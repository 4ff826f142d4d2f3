"""Replies that were rated one by one: ``ratings.jsonl`` beside the examples, or the file that a [tuning.*] table names; one object a line.

{"id": "r-1", "question": "…", "as": "cust", "reply": {"answer": "…"}, "desirable": false, "status": "approved"}

A line may be a preference pair instead; then its chosen reply is desirable and its rejected one is not. ``source`` may name the document
that a reply draws on; whoever trains on it must respect its readers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import ExampleError
from groundtune.examples import preferences
from groundtune.examples.load import KEPT, STATUSES
from groundtune.examples.preferences import is_text
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
        raise ExampleError(
            f"{path}: no such file",
            'write it, or name it as preferences in its [tuning.*] table: preferences = "FILE"',
        )
    found, problems = read(path)
    preferences.raise_any(problems)
    return tuple(rating for rating in found if rating.status in statuses)


def read(path: Path) -> tuple[tuple[Rating, ...], tuple[ExampleError, ...]]:
    """Return every rating, whatever its status, and what is wrong with the other lines."""
    good, problems = lines(path)
    return tuple(
        Rating(reply=reply, desirable=desirable, **preferences.common(row))
        for row in good
        for reply, desirable in ([(row["chosen"], True), (row["rejected"], False)] if is_pair(row) else [(row["reply"], row["desirable"])])
    ), problems


def lines(path: Path) -> tuple[tuple[Mapping[str, Any], ...], tuple[ExampleError, ...]]:
    """Return the sound lines as they stand, rated replies and pairs, and what is wrong with the other lines."""
    return preferences.sound(path, lambda row: (preferences.wrong_with if is_pair(row) else wrong_with)(row), HINT)


def is_pair(row: Mapping[str, Any]) -> bool:
    """Return whether a line is a preference pair, by its fields."""
    return "chosen" in row or "rejected" in row


def wrong_with(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a rated reply, in words."""
    wrong = [f"{name} is missing or no text" for name in ("id", "question", "as") if not is_text(row.get(name))]
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        wrong.append(f"unknown field {', '.join(unknown)}; known: {', '.join(FIELDS)}, or those of a preference pair")
    reply = row.get("reply")
    if not (is_text(reply) or isinstance(reply, dict) and reply):
        wrong.append(f"reply is {'missing' if reply is None else repr(reply)}; expected a text or an object")
    # 1 and 0 are no answers here: a column of numbers may mean stars, or places.
    if not isinstance(row.get("desirable"), bool):
        wrong.append(f"desirable is {'missing' if 'desirable' not in row else repr(row['desirable'])}; expected true or false")
    if not isinstance(row.get("source", ""), str):
        wrong.append(f"source is {row['source']!r}; expected the name of a document")
    if row.get("status", "approved") not in STATUSES:
        wrong.append(f"status is {row['status']!r}; known: {', '.join(STATUSES)}")
    return wrong
