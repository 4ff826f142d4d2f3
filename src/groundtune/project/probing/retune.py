"""Adapters, tuned again on the changed facts: what it really takes to bring weights up to date, and whether it does.

The training rows say what the documents say now: quotes and replies that state a changed fact state the new value. A row whose reply has
the old value in other words is left out, for it would teach the old one again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.probes.facts import Fact, places, said
from groundtune.project.content import Content
from groundtune.project.probing.plan import Changed
from groundtune.types import Arm, Document, Evidence, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project


def retuned(copy: Project, content: Content, facts: Sequence[Changed], arms: Sequence[Arm], store: Path) -> dict[str, str]:
    """Tune the adapters of the arms on the copy's documents; return their folders by name. A run that was broken off goes on."""
    from groundtune.project.tune import job_for
    from groundtune.tuning import adapter

    examples = tuple(row for example in content.examples if (row := changed(example, facts, content.documents)) is not None)
    copy.__dict__["content"] = replace(content, examples=examples)
    copy.__dict__.pop("house", None)
    found = {}
    for name in dict.fromkeys(arm.adapter for arm in arms if arm.adapter):
        version = adapter.make(job_for(copy, name), store=store, progress=copy.progress)
        found[name] = str(version.adapter_path)
    return found


def changed(example: Example, facts: Sequence[Changed], documents: Mapping[str, Document]) -> Example | None:
    """Return a row as it is after the facts changed; ``None`` where it cannot be said what it would be."""
    evidence: list[Evidence] = []
    mine: list[tuple[Fact, str]] = []
    for item in example.evidence:
        quote = item.quote
        for other in facts:
            if places(quote, other.fact, other.evidence.quote):
                quote = _replaced(quote, other.fact, other.evidence.quote)
                mine.append((other.fact, other.evidence.quote))
        document = documents.get(item.document_id)
        start = document.text.find(quote) if document else -1
        if start < 0:
            return None
        evidence.append(Evidence(document_id=item.document_id, quote=quote, start=start, end=start + len(quote)))
    reply: dict[str, Any] = {}
    for key, value in example.reply.items():
        text = value
        for fact, _ in mine:
            if isinstance(text, str):
                text = text.replace(fact.old, fact.new)
                if said(text, fact.kind, fact.old):
                    return None
        reply[key] = text
    return replace(example, evidence=tuple(evidence), reply=reply)


def _replaced(text: str, fact: Fact, quote: str) -> str:
    for start, end in reversed(places(text, fact, quote)):
        text = text[:start] + fact.new + text[end:]
    return text
