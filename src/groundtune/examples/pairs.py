"""Preference pairs → a person's decision: which of the two replies is better, whatever the file said before.

{"chosen": "so", "rejected": "no", "status": "draft"}  →  better(pair, "rejected")
                                                      →  {"chosen": "no", "rejected": "so", "status": "approved"}

The same care as with rows: a decision is on disk when the call returns, and a line that changed meanwhile is not overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groundtune.access.filter import allowed
from groundtune.errors import ExampleError
from groundtune.examples import preferences
from groundtune.examples.load import rows
from groundtune.examples.review import Desk
from groundtune.examples.rows import Stored, change, sources_of, written
from groundtune.examples.schema import check as check_reply
from groundtune.examples.support import answer_text
from groundtune.types import Document, Principal

Side = Literal["chosen", "rejected"]
REASONS = ("both are wrong", "both are as good", "personal data", "asked before", "unclear question")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDesk(Desk):
    """What deciding on pairs needs: as for rows, but another thing is wrong with a pair."""

    def wrong(self, row: Mapping[str, Any]) -> list[str]:
        """Return what stands against approving a pair. The worse reply may break the schema: that can be why it is worse."""
        return preferences.wrong_with(row) + unfit(row, [row.get("chosen")], self.documents, self.principals, self.schema)

    def better(self, stored: Stored, side: Side) -> Stored:
        """Approve a pair with the reply that stands under ``side`` now as the better one."""
        fields = {"status": "approved", "reason": None, "made_from": sources_of(stored.row, self.documents) or None}
        return self._kept(stored, fields | (_turned(stored) if side == "rejected" else {}), "approved")

    def swapped(self, stored: Stored) -> Stored:
        """Let the other reply be the better one, and leave the pair a draft."""
        return self._kept(stored, {"status": "draft", "reason": None} | _turned(stored), "swapped")

    def _kept(self, stored: Stored, fields: Mapping[str, Any], did: str) -> Stored:
        done = change(stored, {**fields, "reviewed": {"by": self.by, "at": self.now(), "did": did}})
        self.record(done)
        return done


def unfit(
    row: Mapping[str, Any],
    wanted: Sequence[Any],
    documents: Mapping[str, Document],
    principals: Mapping[str, Principal],
    schema: Mapping[str, Any] | None,
) -> list[str]:
    """Return why a pair or a rating does not fit the project: who asks, what it draws on, and whether the ``wanted`` replies are valid."""
    found = []
    asker, source = row.get("as"), str(row.get("source") or "").removeprefix("document:")
    person = principals.get(asker) if isinstance(asker, str) else None
    document = documents.get(f"document:{source}") if source else None
    if isinstance(asker, str) and asker and person is None:
        found.append(f"asker {asker!r} is no principal; known: {', '.join(sorted(principals)) or 'none'}")
    if source and document is None:
        found.append(f"source {source!r} is no document")
    elif person is not None and document is not None and not allowed(person).permits(document.readers):
        found.append(f"asker {asker!r} may not read {source}")
    if schema is not None:
        found += [f"the better reply: {text}" for reply in wanted if isinstance(reply, dict) for text in check_reply(reply, schema)]
    return found


def turned(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair with its replies the other way round."""
    return {**row, "chosen": row.get("rejected"), "rejected": row.get("chosen")}


def _turned(stored: Stored) -> dict[str, Any]:
    return {name: value for name, value in turned(stored.row).items() if name in ("chosen", "rejected")}


def read(path: Path, problems: list[ExampleError]) -> list[Stored]:
    """Read every pair, whatever its status; none where there is no file. Lines that are no objects are problems."""
    found = rows(path, problems) if path.is_file() else ()
    return [Stored(path=path, line=int(where.rpartition(":")[2]), row=row) for where, row in found]


def said(value: Any, answer_field: str) -> str:
    """Return a reply of a pair as a person reads it: its answer, or all of it as JSON where it has none or more than one field."""
    if isinstance(value, dict):
        return answer_text(value, answer_field) if set(value) == {answer_field} else written(value)
    return str(value)
