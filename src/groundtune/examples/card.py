"""A row → what a person has to see of it to decide in a few seconds, whatever shows it: a terminal or a page.

    {"question": …, "reply": {"answer": "45 days."}, "evidence": [{"document": "a.md", "quote": "within 30 days"}], "status": "draft"}
    → Card(question=…, answer="45 days.", evidence=(Seen("a.md", before="… returned ", quote="within 30 days", after=" of …"),),
           doubts=("numbers that its documents do not hold: 45",))

A row was written by others: any field may be missing or of a wrong kind, and is then shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.examples.quotes import locate
from groundtune.examples.support import answer_text, missing_numbers
from groundtune.types import Document

AROUND = 240  # characters of the document that are shown on each side of a quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A piece of evidence where it stands in its document; ``found`` is false where it stands nowhere, or there is no such document.

    ``cut_before`` and ``cut_after`` say whether the document goes on beyond what is shown around the quote.
    """

    document: str
    quote: str
    before: str = ""
    after: str = ""
    cut_before: bool = False
    cut_after: bool = False
    found: bool = False
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A row as it is shown. ``facts`` are its status, asker, split and kind; ``others`` the fields of the reply beside its answer."""

    facts: tuple[str, ...]
    question: str
    filter: str
    answer: str
    others: tuple[tuple[str, str], ...]
    evidence: tuple[Seen, ...]
    readers: str | None
    doubts: tuple[str, ...]


def card_of(row: Mapping[str, Any], documents: Mapping[str, Document], answer_field: str) -> Card:
    """Return what is shown of a row. ``doubts`` are what a program can tell without knowing what is true."""
    given = row.get("reply")
    reply: Mapping[str, Any] = given if isinstance(given, dict) else {}
    answer = answer_text(reply, answer_field)
    rows = row.get("evidence")
    evidence = [item for item in rows if isinstance(item, dict)] if isinstance(rows, list) else []
    return Card(
        facts=tuple(str(row.get(name)) for name in ("status", "asker", "split", "kind") if row.get(name)),
        question=str(row.get("question")),
        filter=str(row["filter"]) if row.get("filter") else "",
        answer=answer,
        others=tuple((str(name), str(value)) for name, value in reply.items() if name != answer_field),
        evidence=tuple(seen(item, documents) for item in evidence),
        readers=str(row["readers"]) if row.get("readers") else None,
        doubts=tuple(_doubts(row, answer, [documents[name].text for item in evidence if (name := _name(item)) in documents])),
    )


def seen(item: Mapping[str, Any], documents: Mapping[str, Document]) -> Seen:
    """Return a quote with what stands around it in its document."""
    quote = str(item.get("quote", ""))
    document = documents.get(_name(item))
    span = locate(quote, document.text) if document is not None else None
    if document is None or span is None:
        return Seen(document=str(item.get("document")), quote=quote)
    start, end = span
    text = document.text
    return Seen(
        document=str(item.get("document")),
        quote=text[start:end],
        before=text[max(0, start - AROUND) : start],
        after=text[end : end + AROUND],
        cut_before=start > AROUND,
        cut_after=end + AROUND < len(text),
        found=True,
        readers=tuple(sorted(document.readers_of(start, end))),
    )


def _name(item: Mapping[str, Any]) -> str:
    return f"document:{str(item.get('document', '')).removeprefix('document:')}"


def _doubts(row: Mapping[str, Any], answer: str, texts: list[str]) -> list[str]:
    doubts = []
    origin = row.get("origin")
    if isinstance(origin, dict) and origin.get("form") == "synthetic":
        doubts.append(f"written by a model: {origin.get('model')}")
    if row.get("reason"):
        doubts.append(str(row["reason"]))
    if texts and (lost := missing_numbers(answer, [str(row.get("question")), *texts])):
        doubts.append(f"numbers that its documents do not hold: {', '.join(lost)}")
    return doubts
