"""Preference pairs: JSON lines → ``Preference``s, with every problem named by file and line.

{"id": "p-1", "question": "…", "as": "ana", "chosen": "…", "rejected": "…", "source": "review", "status": "approved"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from groundtune.errors import ExampleError, GroundtuneError, Problems

FIELDS = ("id", "question", "as", "chosen", "rejected", "source", "status")
STATUSES = ("approved", "draft", "rejected", "quarantined")
HINT = "mend that line, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A question, who asks it, and two replies of which the first is better. ``source`` is where the pair is from."""

    id: str
    question: str
    asker: str
    chosen: str
    rejected: str
    source: str
    status: str


def load(path: Path) -> tuple[Preference, ...]:
    """Read a file of preference pairs, in its order. Raises ``ExampleError``, or ``Problems`` with all that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ExampleError(f"{path}: no such file of preferences", "correct preferences in the [tuning.*] table") from None
    except UnicodeDecodeError as error:
        raise ExampleError(f"{path}: not UTF-8 at byte {error.start:,}", "save it as UTF-8, then type: groundtune check") from None
    found: list[Preference] = []
    wrong: list[GroundtuneError] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            wrong.append(ExampleError(f"{path}:{number}: not JSON ({error})", HINT))
            continue
        complaint = _complaint(row, seen)
        if complaint:
            wrong.append(ExampleError(f"{path}:{number}: {complaint}", HINT))
            continue
        seen[row["id"]] = number
        found.append(Preference(asker=row["as"], **{name: row[name] for name in FIELDS if name != "as"}))
    if wrong:
        raise wrong[0] if len(wrong) == 1 else Problems(wrong)
    return tuple(found)


def _complaint(row: object, seen: dict[str, int]) -> str | None:
    if not isinstance(row, dict):
        return f"expected a JSON object, found {type(row).__name__}"
    if set(row) != set(FIELDS):
        unknown, missing = sorted(set(row) - set(FIELDS)), [name for name in FIELDS if name not in row]
        return f"unknown key {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
    empty = [name for name in FIELDS if not isinstance(row[name], str) or not row[name].strip()]
    if empty:
        return f"{empty[0]!r} must be a text that is not empty"
    if row["status"] not in STATUSES:
        return f"status is {row['status']!r}; known: {', '.join(STATUSES)}"
    if row["id"] in seen:
        return f"id {row['id']!r} was used before, on line {seen[row['id']]}"
    return None
