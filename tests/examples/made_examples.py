"""Small documents, principals and rows that the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from groundtune.types import Document, Example, Kind, Principal, Split

PEOPLE = {
    "cust": Principal(id="cust", groups=frozenset({"everyone"})),
    "hana": Principal(id="hana", groups=frozenset({"everyone", "hr"})),
}


def document(name: str, text: str, *readers: str) -> Document:
    return Document(id=f"document:{name}", source=name, title=name, text=text, content_hash="0" * 16, readers=frozenset(readers))


DOCUMENTS = (
    document("slots.md", "# Slots\n\nCancel a slot **without fee** until 2 hours\nbefore it begins.\n", "everyone"),
    document("pay.md", "# Pay\n\nSalaries rise by 3 % in April.\n", "hr"),
)


def row(**changed: Any) -> dict[str, Any]:
    """Return a row with nothing wrong; a value of ``...`` takes its field away."""
    whole = {
        "id": "slots-1",
        "question": "How late can I cancel?",
        "asker": "cust",
        "split": "train",
        "split_group": "slots",
        "evidence": [{"document": "slots.md", "quote": "without fee until 2 hours before"}],
        "reply": {"answer": "Two hours before."},
    } | changed
    return {key: value for key, value in whole.items() if value is not ...}


def write(path: Path, rows: Iterable[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rows), encoding="utf-8")
    return path


def example(
    name: str,
    question: str,
    split: Split = "train",
    *,
    group: str | None = None,
    kind: Kind = "answerable",
    reply: dict[str, Any] | None = None,
) -> Example:
    return Example(
        id=name,
        question=question,
        asker="cust",
        reply=reply or {},
        evidence=(),
        answerable=kind in ("answerable", "version"),
        split=split,
        split_group=group or name,
        kind=kind,
    )
