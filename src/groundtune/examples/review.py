"""Rows → a person's decision, one key each: approve, reject, quarantine, skip, edit, undo, stop.

Each decision is on disk before the next row is shown, with who made it and when, so a killed review goes on at the row where it was. The
text of a row is shown without control characters: it was written by others, and a terminal obeys them.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from groundtune.errors import StateError
from groundtune.examples.load import Checked, no_constant, once
from groundtune.examples.rows import Stored, change, content, sources_of
from groundtune.examples.schema import check as check_reply
from groundtune.examples.support import answer_text, missing_numbers
from groundtune.types import Document, Principal

DECISIONS = {"a": "approved", "r": "rejected", "q": "quarantined"}
REASONS = ("wrong", "not in the document", "tone or form", "personal data", "asked before", "unclear question")
KEYS = "a approve  r reject  q quarantine  s skip  e edit  u undo  x stop"
AROUND = 240


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
class Desk:
    """What a review needs to know: the documents, the people, the reply schema, who reviews, and where decisions are reported to."""

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
            row = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
            json.dumps(row, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise StateError(f"not JSON: {error}", "press e to edit again") from None
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


def review(rows: Sequence[Stored], desk: Desk, terminal: Terminal) -> dict[str, int]:
    """Go through the rows until the last one or the key to stop; return how many got which decision."""
    done: Counter[str] = Counter()
    queue = list(rows)
    past: list[tuple[int, Stored, Stored, str]] = []
    at = 0
    while at < len(queue):
        stored = queue[at]
        terminal.show(card(stored, desk, at + 1, len(queue), done))
        key = terminal.key().casefold()
        try:
            if key in ("x", "\x03", "\x04", "\x1b"):
                break
            if key == "s":
                at += 1
            elif key == "u" and past:
                at, before, after, name = past.pop()
                fields = {**dict.fromkeys(after.row), **before.row}
                queue[at] = restored = change(after, fields)
                desk.record(replace(restored, row={**restored.row, "reviewed": {"by": desk.by, "at": desk.now(), "did": "undone"}}))
                done[name] -= 1
            elif key == "e":
                text = terminal.edit(json.dumps(content(stored.row), indent=2, ensure_ascii=False) + "\n")
                if text is not None:
                    queue[at] = desk.edited(stored, text)
            elif key in DECISIONS:
                wrong = desk.wrong(stored.row) if key == "a" else []
                if wrong:
                    terminal.show([f"it cannot be approved: {clean('; '.join(wrong))}", "press e to edit it, or r to reject it"])
                    continue
                status = DECISIONS[key]
                reason = "" if key == "a" else _reason(terminal)
                past.append((at, stored, desk.decide(stored, status, reason), status))
                done[status] += 1
                at += 1
        except StateError as error:
            terminal.show([clean(error.message), error.hint])
            if "another hand" in error.message:
                at += 1
    return {name: count for name, count in done.items() if count}


def _reason(terminal: Terminal) -> str:
    terminal.show(["why: " + "  ".join(f"{number} {text}" for number, text in enumerate(REASONS, start=1)) + "  0 in your own words"])
    key = terminal.key()
    if key == "0":
        return terminal.line("reason: ").strip()
    return REASONS[int(key) - 1] if key.isascii() and key.isdigit() and 1 <= int(key) <= len(REASONS) else ""


def card(stored: Stored, desk: Desk, number: int, of: int, done: Mapping[str, int]) -> list[str]:
    """Return a row as lines to read in a few seconds: what is asked, what is answered, where the document says so, what is doubtful."""
    row = stored.row
    given = row.get("reply")
    reply: Mapping[str, Any] = given if isinstance(given, dict) else {}
    tally = ", ".join(f"{count} {name}" for name, count in done.items() if count)
    facts = [str(row.get(name)) for name in ("status", "asker", "split", "kind") if row.get(name)]
    lines = ["", f"[{number}/{of}] {stored.id} · {' · '.join(facts)}" + (f"    ({tally})" if tally else "")]
    narrowed = row.get("filter")
    lines.append(f"Q  {row.get('question')}" + (f"  {narrowed}" if narrowed else ""))
    answer = answer_text(reply, desk.answer_field)
    lines.append(f"A  {answer}")
    others = {name: value for name, value in reply.items() if name != desk.answer_field}
    if others:
        lines.append("   " + "  ".join(f"{name}: {value}" for name, value in others.items()))
    evidence = row.get("evidence")
    for item in evidence if isinstance(evidence, list) else ():
        if isinstance(item, dict):
            lines.append(f"E  {item.get('document')}: {_shown(item, desk.documents)}")
    if row.get("readers"):
        lines.append(f"E  no document; readers: {row['readers']}")
    if isinstance(row.get("origin"), dict) and row["origin"].get("form") == "synthetic":
        lines.append(f"!  written by a model: {row['origin'].get('model')}")
    if row.get("reason"):
        lines.append(f"!  {row['reason']}")
    texts = [document.text for name, document in desk.documents.items() if name in _named(row)]
    if texts and (lost := missing_numbers(answer, [str(row.get("question")), *texts])):
        lines.append(f"!  numbers that its documents do not hold: {', '.join(lost)}")
    lines += [f"!  {text}" for text in desk.wrong(row)]
    return [*(clean(line) for line in lines), KEYS]


def _named(row: Mapping[str, Any]) -> set[str]:
    rows = row.get("evidence")
    return {
        f"document:{str(item.get('document', '')).removeprefix('document:')}"
        for item in (rows if isinstance(rows, list) else ())
        if isinstance(item, dict)
    }


def _shown(item: Mapping[str, Any], documents: Mapping[str, Document]) -> str:
    """Return the quote between marks, with what stands around it in the document."""
    from groundtune.examples.quotes import locate

    quote = str(item.get("quote", ""))
    document = documents.get(f"document:{str(item.get('document', '')).removeprefix('document:')}")
    span = locate(quote, document.text) if document is not None else None
    if document is None or span is None:
        return f"NOT FOUND: {quote}"
    start, end = span
    text = document.text
    return f"…{text[max(0, start - AROUND) : start]}»{text[start:end]}«{text[end : end + AROUND]}…"


def clean(text: str) -> str:
    """Return text on one line without control characters, which could move the cursor or hide a word."""
    flat = "".join(" " if letter in "\t\r\n" else letter for letter in text)
    return " ".join("".join(letter for letter in flat if unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs")).split(" "))
