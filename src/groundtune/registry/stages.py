"""The audit lines of model switches → what is live, what was live before, and what is retired.

    promote A, promote B        live B, before [A]
    … then rollback             live A, before []
    … then retire A             live nothing

The lines are the state: there is no second file that could disagree with them, and one transaction of the ledger is the whole switch.
A stage is not stored with a version, so that nothing in a version's folder changes after it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from groundtune.errors import StateError
from groundtune.records.ledger import Ledger

Stage = Literal["candidate", "live", "retired"]
SWITCHES = ("models promote", "models rollback", "models retire")
EXPORT = "models export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the history. ``was`` is what was live for the name before; ``details`` is all that was recorded with it."""

    number: int
    at: str
    verb: str
    version: str
    name: str
    was: str | None
    by: str
    why: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What a history amounts to. ``live`` and ``before`` are by the name of the [tuning.*] table, the latest of ``before`` last."""

    live: Mapping[str, str]
    before: Mapping[str, tuple[str, ...]]
    retired: frozenset[str]

    def of(self, version_id: str) -> Stage:
        """Return the stage of a version."""
        if version_id in self.retired:
            return "retired"
        return "live" if version_id in self.live.values() else "candidate"


def history(ledger: Ledger) -> list[Line]:
    """Return the switches and exports, oldest first. Raises ``StateError`` when the audit lines are not as they were written."""
    broken = ledger.audit_broken()
    if broken is not None:
        raise StateError(
            f"{ledger.path}: audit line {broken} was changed or removed, so what is live cannot be told",
            f"restore the ledger from a backup; see: ls -l {ledger.path.parent}",
        )
    return [
        Line(
            number=row["number"],
            at=row["at"],
            verb=row["verb"].removeprefix("models "),
            version=row["subject"],
            name=row["details"]["name"],
            was=row["details"].get("was"),
            by=row["details"]["by"],
            why=row["details"]["why"],
            details=row["details"],
        )
        for row in ledger.audited()
        if row["verb"] in (*SWITCHES, EXPORT)
    ]


def stages(lines: Sequence[Line]) -> Stages:
    """Fold a history into what it amounts to."""
    live: dict[str, str] = {}
    before: dict[str, tuple[str, ...]] = {}
    retired: set[str] = set()
    for line in lines:
        stack = before.get(line.name, ())
        if line.verb == "promote":
            if line.name in live:
                before[line.name] = (*stack, live[line.name])
            live[line.name] = line.version
        elif line.verb == "rollback":
            at = max((place for place, item in enumerate(stack) if item == line.version), default=0)
            before[line.name] = stack[:at]
            live[line.name] = line.version
        elif line.verb == "retire":
            retired.add(line.version)
            before[line.name] = tuple(item for item in stack if item != line.version)
            if live.get(line.name) == line.version:
                del live[line.name]
    return Stages(live=live, before=before, retired=frozenset(retired))


def write(
    ledger: Ledger, verb: str, version: str, *, name: str, seen: Sequence[Line], by: str, why: str, details: Mapping[str, Any]
) -> None:
    """Add a line after those in ``seen``. Raises ``StateError`` when another process added one in the meantime, and changes nothing."""
    count = sum(line.name == name for line in seen)
    was = stages(seen).live.get(name)
    recorded = {**details, "name": name, "was": was, "by": by, "why": why}
    if not ledger.audit(f"models {name} {count + 1}", f"models {verb}", version, recorded):
        raise StateError(
            f"another process switched {name} at the same moment; nothing was changed by this one",
            "look at what is live now, then decide again: groundtune models list",
        )
