"""Somebody else's file → rows of this project, each with a status and a reason; what cannot be a row is told by file and line.

    support.jsonl:12  {"messages": …}  →  {"id": "support-00012", "question": …, "evidence": […], "status": "draft", "origin": {…}}

Evidence comes with the record, or from the reply's quote, or it is the sentence that says what the answer says; the last is told, and
looked at by a person. A row that cannot be used as it is goes into quarantine with the reason. The same record is taken once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.access.filter import allowed
from groundtune.errors import ExampleError, UnknownName
from groundtune.examples import leaks, preferences, ratings
from groundtune.examples.forms import FORMS, Taken, Unfit, form_of, take
from groundtune.examples.load import Checked
from groundtune.examples.quotes import locate
from groundtune.examples.records import HINT, Record, read
from groundtune.examples.rows import content, free_id, sources_of
from groundtune.examples.schema import check as check_reply
from groundtune.examples.support import Finder, Found, answer_text
from groundtune.files import fingerprint
from groundtune.types import HELD, Document, Principal, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What of the project a new row must fit: its documents, people, reply schema and phrases of refusal."""

    documents: Mapping[str, Document]
    principals: Mapping[str, Principal]
    schema: Mapping[str, Any] | None
    answer_field: str
    quote_field: str
    refuses: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user said about a file: its form, whose questions these are, which split and status they get, where no document helps."""

    form: str = "auto"
    asker: str | None = None
    split: str = "train"
    status: Status = "draft"
    turns: str = "refuse"
    columns: Mapping[str, str] = field(default_factory=dict)
    readers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """New rows, pairs and ratings, how many have which status, how many were there already, and what could not be taken."""

    form: str
    rows: tuple[Mapping[str, Any], ...]
    pairs: tuple[Mapping[str, Any], ...]
    ratings: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    present: int
    problems: tuple[ExampleError, ...]
    notes: tuple[str, ...]


def taken(path: Path, wish: Wish, house: House, present: Sequence[Mapping[str, Any]]) -> Taking:
    """Read a file into rows. ``present`` are the rows, pairs and ratings that there are.

    Raises ``UnknownName`` for a form or asker nobody knows, and ``ExampleError`` when the file holds no record at all, or none in a form
    that is known.
    """
    if wish.form != "auto" and wish.form not in FORMS:
        raise UnknownName.of("form", wish.form, FORMS, f"type: groundtune examples import {path} --form {FORMS[0]}")
    if wish.asker is not None and wish.asker not in house.principals:
        raise UnknownName.of("principal", wish.asker, list(house.principals), "name a known one with --as")
    problems: list[ExampleError] = []
    records = list(read(path, problems))
    form = wish.form if wish.form != "auto" else _form(path, records)
    if problems and not records and not path.is_file():
        raise problems[0]
    if not records and not problems:
        raise ExampleError(f"{path}: holds no records", "name another file: groundtune examples import FILE")
    if form is None:
        if problems:
            raise problems[0]
        keys = ", ".join(sorted(records[0].value)[:8])
        raise ExampleError(f"{path}:{records[0].line}: in no known form; its fields: {keys}", f"name it: --form {'|'.join(FORMS)}")
    work = _Intake(path, form, wish, house, present)
    for record in records:
        try:
            for part in take(form, record.value, turns=wish.turns, columns=wish.columns):
                work.add(record, part)
        except (Unfit, KeyError) as error:
            text = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(ExampleError(f"{path}:{record.line}: {text}", HINT))
    problems.sort(key=lambda error: _line(error.message))
    return Taking(
        form=form,
        rows=tuple(work.rows),
        pairs=tuple(work.pairs),
        ratings=tuple(work.ratings),
        counts=dict(Counter(str(row["status"]) for row in (*work.rows, *work.pairs, *work.ratings))),
        present=work.present,
        problems=tuple(problems),
        notes=tuple(work.notes()),
    )


def _line(message: str) -> int:
    found = re.search(r":(\d+): ", message)
    return int(found[1]) if found else 0


def _form(path: Path, records: Sequence[Record]) -> str | None:
    if path.suffix.casefold() in (".csv", ".tsv"):
        return "csv"
    return next((form for record in records if (form := form_of(record.value))), None)


class _Intake:
    def __init__(self, path: Path, form: str, wish: Wish, house: House, present: Sequence[Mapping[str, Any]]) -> None:
        self.path, self.form, self.wish, self.house = path, form, wish, house
        self.rows: list[dict[str, Any]] = []
        self.pairs: list[dict[str, Any]] = []
        self.ratings: list[dict[str, Any]] = []
        self.present = 0
        self._ids = {str(row.get("id")) for row in present}
        self._known = {_identity(row) for row in present}
        held = [row for row in present if row.get("split") in HELD]
        self._held = {tuple(leaks.words(str(row.get("question")))): str(row["split"]) for row in held}
        self._systems: Counter[str] = Counter()
        self._finder: Finder | None = None
        self._readable: dict[str, frozenset[str]] = {}
        self._stem = re.sub(r"[^a-z0-9]+", "-", path.stem.casefold()).strip("-") or "row"

    def add(self, record: Record, part: Taken) -> None:
        """Add what a record says as a row, a pair or a rating, unless it is there."""
        if part.system:
            self._systems[part.system] += 1
        asker = part.own.get("asker") or self.wish.asker
        if part.rejected is not None:
            self._pair(record, part, asker)
            return
        if part.desirable is not None:
            self._rating(record, part, asker)
            return
        doubts = [part.doubt] if part.doubt else []
        reply = self._reply(part)
        answer = answer_text(reply, self.house.answer_field)
        kind = part.own.get("kind") or ("refuse" if self.house.refuses(answer) else "answerable")
        row: dict[str, Any] = {
            "id": str(part.own.get("id") or f"{self._stem}-{record.line:05d}"),
            "question": part.question.strip(),
            "asker": asker,
            "kind": kind,
            "split": part.own.get("split") or self.wish.split,
            "evidence": part.own.get("evidence", []),
            "reply": reply,
        }
        if part.own.get("filter"):
            row["filter"] = part.own["filter"]
        if part.own.get("also"):
            row["also"] = part.own["also"]
        readers = part.own.get("readers") or (list(self.wish.readers) if self.wish.readers is not None else None)
        if not row["evidence"] and kind in ("answerable", "version"):
            found = self._evidence(row, answer, doubts)
            if found:
                row["evidence"] = [found]
            elif readers is not None:
                row["readers"] = sorted(readers)
        row["split_group"] = part.own.get("split_group") or (row["evidence"][0]["document"] if row["evidence"] else row["id"])
        wrong = Checked(row, None, self.house.documents, self.house.principals).wrong
        if self.house.schema is not None:
            wrong += [f"reply: {text}" for text in check_reply(reply, self.house.schema)]
        elif self.house.answer_field not in reply:
            wrong.append(f"reply has no {self.house.answer_field!r}")
        held = self._held.get(tuple(leaks.words(row["question"])))
        if row["split"] == "train" and held:
            wrong.append(f"leak: its question is asked in {held}")
        self._keep(self.rows, row, record, wrong, doubts)

    def _pair(self, record: Record, part: Taken, asker: Any) -> None:
        row = self._begun(record, part, asker) | {
            "chosen": part.reply if part.reply is not None else self._side(part.answer),
            "rejected": self._side(part.rejected) if isinstance(part.rejected, str) else part.rejected,
        }
        # The rejected one may break the schema: that can be why it was rejected.
        self._judged(self.pairs, row, record, part, preferences.wrong_with(row), ("chosen", row["chosen"]))

    def _rating(self, record: Record, part: Taken, asker: Any) -> None:
        reply = part.reply if part.reply is not None else self._side(part.answer)
        row = self._begun(record, part, asker) | {"reply": reply, "desirable": part.desirable}
        self._judged(self.ratings, row, record, part, ratings.wrong_with(row), ("reply", reply) if part.desirable else None)

    def _begun(self, record: Record, part: Taken, asker: Any) -> dict[str, Any]:
        return {"id": str(part.own.get("id") or f"{self._stem}-{record.line:05d}"), "question": part.question.strip(), "as": asker}

    def _judged(
        self, kept: list[dict[str, Any]], row: dict[str, Any], record: Record, part: Taken, wrong: list[str], wanted: tuple[str, Any] | None
    ) -> None:
        """Keep a pair or a rating with all that is wrong with it; ``wanted`` is the reply that has to fit the schema."""
        if part.own.get("source"):
            row["source"] = part.own["source"]
        asker, source = row["as"], str(row.get("source", "")).removeprefix("document:")
        if isinstance(asker, str) and asker and asker not in self.house.principals:
            wrong.append(f"asker {asker!r} is no principal; known: {', '.join(sorted(self.house.principals))}")
        if source and f"document:{source}" not in self.house.documents:
            wrong.append(f"source {source!r} is no document")
        if wanted is not None and self.house.schema is not None:
            wrong += [f"{wanted[0]}: {text}" for text in check_reply(wanted[1], self.house.schema)]
        held = self._held.get(tuple(leaks.words(row["question"])))
        if held:
            wrong.append(f"leak: its question is asked in {held}")
        self._keep(kept, row, record, wrong, [])

    def _keep(self, kept: list[dict[str, Any]], row: dict[str, Any], record: Record, wrong: Sequence[str], doubts: Sequence[str]) -> None:
        identity = _identity(row)
        if identity in self._known:
            self.present += 1
            return
        self._known.add(identity)
        row["id"] = free_id(row["id"], self._ids.__contains__)
        self._ids.add(row["id"])
        status: Status = "quarantined" if wrong else "draft" if doubts else self.wish.status
        row["status"] = status
        if wrong or doubts:
            row["reason"] = "; ".join(wrong or doubts)
        row["origin"] = {"form": self.form, "file": self.path.name, "line": record.line}
        if made_from := sources_of(row, self.house.documents):
            row["made_from"] = made_from
        kept.append(row)

    def _side(self, text: str) -> Any:
        return self._object(text) or text.strip() if self.house.schema is not None else text.strip()

    @staticmethod
    def _object(text: str) -> dict[str, Any] | None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def _reply(self, part: Taken) -> dict[str, Any]:
        if part.reply is not None:
            return dict(part.reply)
        if self.house.schema is not None and (found := self._object(part.answer)) is not None:
            return found
        return {self.house.answer_field: part.answer.strip()}

    def _may_read(self, asker: Any) -> frozenset[str]:
        if not isinstance(asker, str) or asker not in self.house.principals:
            return frozenset()
        if asker not in self._readable:
            may = allowed(self.house.principals[asker])
            self._readable[asker] = frozenset(
                name.removeprefix("document:") for name, document in self.house.documents.items() if may.permits(document.readers)
            )
        return self._readable[asker]

    def _evidence(self, row: Mapping[str, Any], answer: str, doubts: list[str]) -> dict[str, str] | None:
        """Return evidence from the reply's own quote, or the sentence that says the same; the latter with a doubt."""
        readable = self._may_read(row["asker"])
        quote = row["reply"].get(self.house.quote_field)
        if isinstance(quote, str) and quote.strip():
            named = str(row["reply"].get("document", "")).removeprefix("document:")
            for name in sorted(readable, key=lambda name: (name != named, name)):
                if locate(quote, self.house.documents[f"document:{name}"].text):
                    return {"document": name, "quote": quote}
        if not readable or self.wish.readers is not None:
            return None
        if self._finder is None:
            self._finder = Finder(list(self.house.documents.values()))
        found: Found | None = self._finder.find(str(row["question"]), answer, readable)
        if found is None or locate(found.quote, self.house.documents[f"document:{found.document}"].text) is None:
            return None
        doubts.append(f"its evidence was found by words ({found.share:.0%} of the answer's), nobody named it")
        return {"document": found.document, "quote": found.quote}

    def notes(self) -> list[str]:
        """Return what was left behind on purpose."""
        if not self._systems:
            return []
        count = sum(self._systems.values())
        return [
            f"{count:,} records came with a system message ({len(self._systems):,} different ones); the project's own instructions are used"
        ]


def _identity(row: Mapping[str, Any]) -> str:
    """Return what makes two records the same: what they say, whatever their id, place and status."""
    telling = ("question", "asker", "as", "reply", "chosen", "rejected", "desirable", "filter")
    # A reply that one rating wants and another does not is said twice, and for the audit to find.
    said = {key: value for key, value in content(row).items() if key in telling and (value or key == "desirable")}
    return fingerprint(said)
