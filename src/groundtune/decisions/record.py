"""A decision ↔ its record: ``decisions/0001-rag.json`` (the record) and ``0001-rag.md`` (the same for people).

{"schema": 1, "id": "decision:0001-rag", "verdict": "ship", "choice": "rag", …}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

from groundtune.decisions import sections
from groundtune.decisions.markdown import markdown
from groundtune.errors import StateError
from groundtune.files import plain, write_atomic, write_json
from groundtune.types import Decision, Estimate, Evidenced, Verdict

SCHEMA = 1
NAME = re.compile(r"^(\d{4,})-[a-z0-9-]+\.(?:json|md|html)$")
# From the schema number n to n + 1, for records written by earlier versions.
_LIFTS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def to_row(decision: Decision) -> dict[str, Any]:
    """Return the decision as JSON knows it, with the schema number first. Raises ``ValueError`` for a number that JSON does not know."""
    row: dict[str, Any] = {"schema": SCHEMA, **plain(decision)}
    json.dumps(row, allow_nan=False)
    return row


def from_row(row: Mapping[str, Any], where: str = "the record") -> Decision:
    """Return the decision that a row holds. Raises ``StateError`` naming ``where`` for another schema, a missing or a wrong value."""
    hint = "restore it from version control, or type: groundtune decide"
    lifted = dict(row)
    version = lifted.pop("schema", None)
    while isinstance(version, int) and version in _LIFTS:
        lifted, version = _LIFTS[version](lifted), version + 1
    if version != SCHEMA:
        raise StateError(f"{where}: has schema {version!r}; this version reads up to {SCHEMA}", "type: pip install --upgrade groundtune")
    lifted.setdefault("sections", [])  # records of schema 1 that were written before there were any
    lifted.setdefault("sure", "")  # and before they said how sure they are
    try:
        _same_keys(lifted, Decision)
        estimates = tuple(_estimate(item) for item in lifted["estimates"])
        dates = {name: date.fromisoformat(lifted[name]) for name in ("made_on", "revisit_on")}
        lists = {name: _texts(lifted[name], name) for name in ("reasons", "not_covered", "assumptions", "flips")}
        if lifted["verdict"] not in get_args(Verdict):
            raise ValueError(f"verdict is {lifted['verdict']!r}")
        if not isinstance(lifted["inputs"], Mapping):
            raise ValueError("inputs is not a table")
        beside = tuple(sections.from_row(item) for item in lifted["sections"])
        return Decision(**{**lifted, **dates, **lists, "estimates": estimates, "inputs": dict(lifted["inputs"]), "sections": beside})
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{where}: not a decision record: {error}", hint) from error


def read(path: Path) -> Decision:
    """Return the decision in a JSON file. Raises ``StateError`` when there is none or it is not one."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StateError(f"{path}: no such decision", "type: groundtune decide") from None
    except ValueError as error:
        raise StateError(f"{path}: not JSON: {error}", "restore it from version control, or type: groundtune decide") from None
    if not isinstance(row, dict):
        raise StateError(f"{path}: not a decision record", "restore it from version control, or type: groundtune decide")
    return from_row(row, str(path))


def latest(folder: Path) -> Decision | None:
    """Return the decision of the highest number in a folder, or ``None``."""
    records = sorted((int(match[1]), path) for path, match in _numbered(folder) if path.suffix == ".json")
    return read(records[-1][1]) if records else None


def write(decision: Decision, folder: Path, render: Callable[[Decision], str] = markdown) -> Decision:
    """Give a decision its number, write its Markdown and, last, its JSON; return it as it was written.

    It supersedes the latest one in the folder. When that one says the same, dates aside, nothing is written and it is returned:
    deciding again about the same evaluation is not another decision.
    """
    before = latest(folder)
    if before is not None and _same(before, decision):
        return before
    number = max((int(match[1]) for _, match in _numbered(folder)), default=0) + 1
    name = f"{number:04d}-{_slug(decision)}"
    numbered = replace(decision, id=f"decision:{name}", supersedes=before.id if before is not None else decision.supersedes)
    row = to_row(numbered)
    write_atomic(folder / f"{name}.md", render(numbered))
    write_json(folder / f"{name}.json", row)
    return numbered


def _numbered(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    if not folder.is_dir():
        return []
    return [(path, match) for path in folder.iterdir() if (match := NAME.match(path.name))]


def _slug(decision: Decision) -> str:
    told = {"ship": decision.choice or "ship", "can't tell": "cannot-tell", "none passes": "none-passes", "stop": "stop"}[decision.verdict]
    return re.sub(r"[^a-z0-9]+", "-", told.casefold()).strip("-") or "arm"


def _same(left: Decision, right: Decision) -> bool:
    """Return whether two decisions say the same; compared as stored, so that 1 and 1.0 or a tuple and a list do not differ."""
    rows = [to_row(item) for item in (left, right)]
    for row in rows:
        for name in ("id", "supersedes", "made_on", "revisit_on"):
            row.pop(name)
    return rows[0] == rows[1]


def _same_keys(row: Mapping[str, Any], kind: type) -> None:
    wanted = {item.name for item in fields(kind)}
    if row.keys() != wanted:
        missing, odd = sorted(wanted - row.keys()), sorted(row.keys() - wanted)
        raise ValueError(f"missing {missing}, unknown {odd}")


def _estimate(row: Mapping[str, Any]) -> Estimate:
    _same_keys(row, Estimate)
    if row["state"] not in get_args(Evidenced):
        raise ValueError(f"state is {row['state']!r}")
    return Estimate(**row)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(value)
