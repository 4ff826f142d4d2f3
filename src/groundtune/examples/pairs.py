"""Preference pairs and ratings → a person's decision: which of two replies is better, whether one is wanted, whatever the file said before.

{"chosen": "so", "rejected": "no", "status": "draft"}  →  better(pair, "rejected")
                                                      →  {"chosen": "no", "rejected": "so", "status": "approved"}
{"reply": "so", "desirable": true, "status": "draft"}  →  rated(rating, False)
                                                      →  {"reply": "so", "desirable": false, "status": "approved"}

The same care as with rows: a decision is on disk when the call returns, and a line that changed meanwhile is not overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from groundtune.access.filter import allowed
from groundtune.errors import ExampleError
from groundtune.examples import preferences, ratings
from groundtune.examples.load import RATINGS, rows
from groundtune.examples.review import OTHER_KEYS, Deed, Desk
from groundtune.examples.rows import Stored, change, preferences_of, sources_of, written
from groundtune.examples.schema import check as check_reply
from groundtune.examples.support import answer_text
from groundtune.files import fingerprint
from groundtune.types import Document, Principal

Side = Literal["chosen", "rejected"]
REASONS = ("both are wrong", "both are as good", "personal data", "asked before", "unclear question")


def files_of(place: Path, named: Mapping[Path, bool]) -> dict[Path, bool]:
    """Return file → whether it holds ratings: the two beside the examples, and those that are ``named`` by [tuning.*] tables."""
    beside = preferences_of(place)
    return {beside: False, beside.with_name(RATINGS): True} | dict(named)


def sides(mark: str) -> tuple[Side, Side]:
    """Return the order in which a pair's replies are shown, by 16 hex digits that stay the pair's own.

    Whoever sees the better one always first soon stops to read.
    """
    return ("chosen", "rejected") if int(mark, 16) % 2 else ("rejected", "chosen")


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideDesk(Desk):
    """What pairs and ratings have in common: who asks, which document the line draws on, and how a decision is written."""

    def beside(self, row: Mapping[str, Any], wanted: Sequence[Any]) -> list[str]:
        """Return what is wrong with asker and source, and with the replies that are ``wanted``."""
        return unfit(row, wanted, self.documents, self.principals, self.schema)

    def facts(self, kind: str, row: Mapping[str, Any]) -> list[str]:
        """Return what is said about a line: what it is, its status, who asks, what it draws on."""
        return [kind, *(str(row[name]) for name in ("status", "as", "source", "reason") if row.get(name))]

    def kept(self, stored: Stored, fields: Mapping[str, Any], did: str) -> Stored:
        """Write a decision and report it. An approval notes what the document was like."""
        if did == "approved":
            fields = {"status": "approved", "reason": None, "made_from": sources_of(stored.row, self.documents) or None} | dict(fields)
        done = change(stored, {**fields, "reviewed": {"by": self.by, "at": self.now(), "did": did}})
        self.record(done)
        return done


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDesk(BesideDesk):
    """What deciding on pairs needs: as for rows, but another thing is wrong with a pair."""

    keys: ClassVar[str] = f"1, 2 the better one  {OTHER_KEYS}"
    reasons: ClassVar[Sequence[str]] = REASONS

    def wrong(self, row: Mapping[str, Any]) -> list[str]:
        """Return what stands against approving a pair. The worse reply may break the schema: that can be why it is worse."""
        return preferences.wrong_with(row) + self.beside(row, [row.get("chosen")])

    def lines(self, stored: Stored) -> tuple[Sequence[str], list[str]]:
        """Return the facts of a pair, and its two replies in an order of its own."""
        shown = [
            f"{number}  {said(stored.row.get(side), self.answer_field)}" + ("    (marked as the better one)" if side == "chosen" else "")
            for number, side in enumerate(sides(fingerprint(stored.id)), start=1)
        ]
        return self.facts("pair", stored.row), [f"Q  {stored.row.get('question')}", *shown]

    def deed(self, key: str, stored: Stored) -> Deed | None:
        """Return what a key decides on a pair: ``1`` or ``2`` approves it with that reply as the better one."""
        if key not in ("1", "2"):
            return self.refusal(key, stored)
        side = sides(fingerprint(stored.id))[int(key) - 1]
        row = stored.row if side == "chosen" else turned(stored.row)
        return Deed(status="approved", do=lambda _: self.better(stored, side), wrong=self.wrong(row))

    def better(self, stored: Stored, side: Side) -> Stored:
        """Approve a pair with the reply that stands under ``side`` now as the better one."""
        return self.kept(stored, _turned(stored) if side == "rejected" else {}, "approved")

    def swapped(self, stored: Stored) -> Stored:
        """Let the other reply be the better one, and leave the pair a draft."""
        return self.kept(stored, {"status": "draft", "reason": None} | _turned(stored), "swapped")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingDesk(BesideDesk):
    """What deciding on replies that were rated one by one needs: whether each is what is wanted, whatever the file said before."""

    keys: ClassVar[str] = f"1 wanted  2 not wanted  {OTHER_KEYS}"
    reasons: ClassVar[Sequence[str]] = ("neither right nor wrong", *REASONS[2:])

    def wrong(self, row: Mapping[str, Any]) -> list[str]:
        """Return what stands against approving a rating. A reply that is not wanted may break the schema."""
        return ratings.wrong_with(row) + self.beside(row, [row.get("reply")] if row.get("desirable") is True else [])

    def lines(self, stored: Stored) -> tuple[Sequence[str], list[str]]:
        """Return the facts of a rating, and its reply."""
        reply = said(stored.row.get("reply"), self.answer_field)
        return self.facts("rating", stored.row), [f"Q  {stored.row.get('question')}", f"A  {reply}", f"   {marked(stored.row)}"]

    def deed(self, key: str, stored: Stored) -> Deed | None:
        """Return what a key decides on a rating: ``1`` approves it as wanted, ``2`` as not wanted."""
        if key not in ("1", "2"):
            return self.refusal(key, stored)
        desirable = key == "1"
        wrong = self.wrong({**stored.row, "desirable": desirable})
        return Deed(status="approved", do=lambda _: self.rated(stored, desirable), wrong=wrong)

    def rated(self, stored: Stored, desirable: bool) -> Stored:
        """Approve a rating: the reply is what is wanted, or is not."""
        return self.kept(stored, {"desirable": desirable}, "approved")


def unfit(
    row: Mapping[str, Any],
    wanted: Sequence[Any],
    documents: Mapping[str, Document],
    principals: Mapping[str, Principal],
    schema: Mapping[str, Any] | None,
) -> list[str]:
    """Return why a pair or a rating does not fit the project: who asks, what it draws on, and whether the ``wanted`` replies are valid.

    A reply that is not wanted may break the schema.
    """
    name = "reply" if "reply" in row else "the better reply"
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
        found += [f"{name}: {text}" for reply in wanted if isinstance(reply, dict) for text in check_reply(reply, schema)]
    return found


def marked(row: Mapping[str, Any]) -> str:
    """Return in words how a reply is rated now."""
    desirable = row.get("desirable")
    return "marked as wanted now" if desirable is True else "marked as not wanted now" if desirable is False else "not marked yet"


def turned(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair with its replies the other way round."""
    return {**row, "chosen": row.get("rejected"), "rejected": row.get("chosen")}


def _turned(stored: Stored) -> dict[str, Any]:
    return {name: value for name, value in turned(stored.row).items() if name in ("chosen", "rejected")}


def read(path: Path, problems: list[ExampleError]) -> list[Stored]:
    """Read every line, whatever its status; none where there is no file. Lines that are no objects are problems."""
    found = rows(path, problems) if path.is_file() else ()
    return [Stored(path=path, line=int(where.rpartition(":")[2]), row=row) for where, row in found]


def said(value: Any, answer_field: str) -> str:
    """Return a reply of a pair as a person reads it: its answer, or all of it as JSON where it has none or more than one field."""
    if isinstance(value, dict):
        return answer_text(value, answer_field) if set(value) == {answer_field} else written(value)
    return str(value)
