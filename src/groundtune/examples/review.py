"""Rows, pairs and ratings → a person's decision, one key each: approve, reject, quarantine, skip, edit, undo, stop.

Each decision is on disk before the next row is shown, with who made it and when, so a killed review goes on at the row where it was. The
text of a row is shown without control characters: it was written by others, and a terminal obeys them.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from groundtune.errors import StateError
from groundtune.examples.card import card_of
from groundtune.examples.load import Checked
from groundtune.examples.rows import Stored, change, content, sources_of
from groundtune.examples.schema import check as check_reply
from groundtune.files import strict_json
from groundtune.types import Document, Principal

DECISIONS = {"a": "approved", "r": "rejected", "q": "quarantined"}
REASONS = ("wrong", "not in the document", "tone or form", "personal data", "asked before", "unclear question")
OTHER_KEYS = "r reject  q quarantine  s skip  e edit  u undo  x stop"


class Terminal(Protocol):
    """Where a review happens: shows a card, reads a key, asks for a line, opens an editor."""

    def show(self, lines: Sequence[str]) -> None:
        """Show one row, or a message."""
        ...

    def key(self) -> str:
        """Wait for one key."""
        ...

    def line(self, prompt: str) -> str:
        """Ask for a line of text."""
        ...

    def edit(self, text: str) -> str | None:
        """Return the text as a person left it, or ``None`` when it was not saved."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a key does: the status that comes of it, what stands against it, and how it is written, with a reason where one is asked for."""

    status: str
    do: Callable[[str], Stored]
    wrong: Sequence[str] = ()
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a review needs to know: the documents, the people, the reply schema, who reviews, and where decisions are reported to."""

    keys: ClassVar[str] = f"a approve  {OTHER_KEYS}"
    reasons: ClassVar[Sequence[str]] = REASONS
    documents: Mapping[str, Document]
    principals: Mapping[str, Principal]
    schema: Mapping[str, Any] | None
    answer_field: str
    by: str
    now: Callable[[], str]
    record: Callable[[Stored], None]

    def wrong(self, row: Mapping[str, Any]) -> list[str]:
        """Return what stands against approving a row."""
        found = Checked(content(row), None, self.documents, self.principals).wrong
        reply = row.get("reply")
        if isinstance(reply, dict) and self.schema is not None:
            found += [f"reply: {text}" for text in check_reply(reply, self.schema)]
        elif isinstance(reply, dict) and self.answer_field not in reply:
            found.append(f"reply has no {self.answer_field!r}")
        return found

    def lines(self, stored: Stored) -> tuple[Sequence[str], list[str]]:
        """Return the facts of a row's first line, and the lines below it: what is asked and answered, where a document says so, doubts."""
        made = card_of(stored.row, self.documents, self.answer_field)
        lines = [f"Q  {made.question}" + (f"  {made.filter}" if made.filter else ""), f"A  {made.answer}"]
        if made.others:
            lines.append("   " + "  ".join(f"{name}: {value}" for name, value in made.others))
        for item in made.evidence:
            shown = f"…{item.before}»{item.quote}«{item.after}…" if item.found else f"NOT FOUND: {item.quote}"
            lines.append(f"E  {item.document}: {shown}")
        if made.readers is not None:
            lines.append(f"E  no document; readers: {made.readers}")
        return made.facts, lines + [f"!  {text}" for text in made.doubts]

    def deed(self, key: str, stored: Stored) -> Deed | None:
        """Return what a key decides on a row, or ``None`` where it decides nothing."""
        if key == "a":
            return Deed(status="approved", do=lambda _: self.decide(stored, "approved"), wrong=self.wrong(stored.row))
        return self.refusal(key, stored)

    def refusal(self, key: str, stored: Stored) -> Deed | None:
        """Return what ``r`` and ``q`` do, whatever it is done to."""
        if key not in ("r", "q"):
            return None
        status = DECISIONS[key]
        return Deed(status=status, do=lambda reason: self.decide(stored, status, reason), asks=True)

    def decide(self, stored: Stored, status: str, reason: str = "") -> Stored:
        """Write a decision into the row's file, and report it. An approval notes what the documents were like."""
        fields: dict[str, Any] = {
            "status": status,
            "reason": reason or None,
            "reviewed": {"by": self.by, "at": self.now(), "did": status},
        }
        if status == "approved":
            fields["made_from"] = sources_of(stored.row, self.documents) or None
        done = change(stored, fields)
        self.record(done)
        return done

    def edited(self, stored: Stored, text: str) -> Stored:
        """Write a row as a person changed it; it is a draft again. Raises ``StateError`` with what is wrong with the text."""
        try:
            row = strict_json(text)
        except ValueError as error:
            raise StateError(f"it was not saved: {error}", "press e to edit again") from None
        if not isinstance(row, dict):
            raise StateError("expected one JSON object", "press e to edit again")
        if row.get("id") != stored.row.get("id"):
            raise StateError("the id of a row does not change", "press e to edit again")
        if wrong := self.wrong(row):
            raise StateError("; ".join(wrong), "press e to edit again")
        said = content(row)
        fields = {key: said.get(key) for key in {*content(stored.row), *said}}
        fields |= {"status": "draft", "reason": None, "reviewed": {"by": self.by, "at": self.now(), "did": "edited"}}
        done = change(stored, fields)
        self.record(done)
        return done

    def undone(self, before: Stored, after: Stored) -> Stored:
        """Write a row as it was before a decision. Raises ``StateError`` where it is no longer as that decision left it."""
        restored = change(after, {**dict.fromkeys(after.row), **before.row})
        self.record(replace(restored, row={**restored.row, "reviewed": {"by": self.by, "at": self.now(), "did": "undone"}}))
        return restored


def review(rows: Sequence[tuple[Stored, Desk]], terminal: Terminal) -> dict[str, int]:
    """Go through the rows, each with its desk, until the last one or the key to stop; return how many got which decision."""
    done: Counter[str] = Counter()
    queue = [stored for stored, _ in rows]
    past: list[tuple[int, Stored, Stored, str]] = []
    at = 0
    while at < len(queue):
        stored, desk = queue[at], rows[at][1]
        terminal.show(card(stored, desk, at + 1, len(queue), done))
        key = terminal.key().casefold()
        try:
            if key in ("x", "\x03", "\x04", "\x1b"):
                break
            if key == "s":
                at += 1
            elif key == "u" and past:
                at, before, after, name = past.pop()
                queue[at] = rows[at][1].undone(before, after)
                done[name] -= 1
            elif key == "e":
                text = terminal.edit(json.dumps(content(stored.row), indent=2, ensure_ascii=False) + "\n")
                if text is not None:
                    queue[at] = desk.edited(stored, text)
            elif (deed := desk.deed(key, stored)) is not None:
                if deed.wrong:
                    terminal.show([f"it cannot be approved: {clean('; '.join(deed.wrong))}", "press e to edit it, or r to reject it"])
                    continue
                past.append((at, stored, deed.do(_reason(terminal, desk.reasons) if deed.asks else ""), deed.status))
                done[deed.status] += 1
                at += 1
        except StateError as error:
            terminal.show([clean(error.message), error.hint])
            if "another hand" in error.message:
                at += 1
    return {name: count for name, count in done.items() if count}


def _reason(terminal: Terminal, reasons: Sequence[str]) -> str:
    terminal.show(["why: " + "  ".join(f"{number} {text}" for number, text in enumerate(reasons, start=1)) + "  0 in your own words"])
    key = terminal.key()
    if key == "0":
        return terminal.line("reason: ").strip()
    return reasons[int(key) - 1] if key.isascii() and key.isdigit() and 1 <= int(key) <= len(reasons) else ""


def card(stored: Stored, desk: Desk, number: int, of: int, done: Mapping[str, int]) -> list[str]:
    """Return a row as lines to read in a few seconds, and the keys that decide."""
    facts, lines = desk.lines(stored)
    tally = ", ".join(f"{count} {name}" for name, count in done.items() if count)
    head = f"[{number}/{of}] {stored.id} · {' · '.join(facts)}" + (f"    ({tally})" if tally else "")
    return [*(clean(line) for line in ["", head, *lines, *(f"!  {text}" for text in desk.wrong(stored.row))]), desk.keys]


def clean(text: str) -> str:
    """Return text on one line without control characters, which could move the cursor or hide a word."""
    flat = "".join(" " if letter in "\t\r\n" else letter for letter in text)
    return " ".join("".join(letter for letter in flat if unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs")).split(" "))
