"""Small answers, examples and documents for these tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.scores.scorer import Context
from groundtune.types import Answer, Chunk, Citation, Document, Evidence, Example, Passage, Score, Seconds

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "quote": {"type": "string"},
        "label": {"type": "string", "enum": ["billing", "product"]},
        "urgent": {"type": "boolean"},
    },
    "required": ["answer", "quote", "label"],
}
OPEN = Document(
    id="document:open.md",
    source="open.md",
    title="Open",
    text="Slots can be cancelled free of charge until two hours before they start. Kiosks cache six hours of bookings.",
    content_hash="1",
    readers=frozenset({"everyone"}),
)
HIDDEN = Document(
    id="document:hidden.md",
    source="hidden.md",
    title="Hidden",
    text="The discount for the Maasvlakte account is thirty one percent and must never be named to anybody outside finance.\n"
    "Slots can be cancelled free of charge until two hours before they start.",
    content_hash="2",
    readers=frozenset({"finance"}),
)
GROUPS = {"cust": {"everyone"}, "femi": {"everyone", "finance"}, "nobody": set()}


def context(*documents: Document, schema: Mapping[str, Any] | None = SCHEMA) -> Context:
    """A project of the two documents, or of those given."""
    chosen = documents or (OPEN, HIDDEN)
    return Context(
        documents={item.id: item for item in chosen},
        reply_schema=schema,
        permits=lambda asker, item: bool(GROUPS[asker] & item.readers),
    )


def example(**changed: Any) -> Example:
    """An answerable question about cancelling, with evidence at the start of the open document."""
    quote = "Slots can be cancelled free of charge until two hours before they start."
    given: dict[str, Any] = {
        "id": "e1",
        "question": "How late may I cancel?",
        "asker": "cust",
        "reply": {"answer": "Until two hours before.", "quote": quote, "label": "product"},
        "evidence": (Evidence(document_id=OPEN.id, quote=quote, start=0, end=len(quote)),),
        "answerable": True,
        "split": "test",
        "split_group": "slots",
    }
    return Example(**{**given, **changed})


def refusable(**changed: Any) -> Example:
    """A question that has to be refused."""
    reply = {"answer": "I can't answer that.", "quote": "", "label": "billing"}
    return example(**{"answerable": False, "evidence": (), "reply": reply, "kind": "refuse", **changed})


def passage(source: Document, start: int, end: int, rank: int = 1) -> Passage:
    """A passage that is ``source.text[start:end]``."""
    chunk = Chunk(
        id=f"chunk:{source.source}#{start}",
        document_id=source.id,
        document_hash=source.content_hash,
        ordinal=0,
        text=source.text[start:end],
        start=start,
        end=end,
        heading_path=(),
        title=source.title,
        readers=source.readers,
        tokens=10,
    )
    return Passage(chunk=chunk, rank=rank, score=1.0, similarity=0.5, found_by={}, allowed_by=("everyone",))


def cited(source: Document, start: int, end: int) -> Citation:
    """A citation of ``source.text[start:end]``."""
    return Citation(document_id=source.id, chunk_id=f"chunk:{source.source}#0", quote=source.text[start:end], start=start, end=end)


def answer(said: str = "Until two hours before.", **changed: Any) -> Answer:
    """An answer to ``e1`` whose reply object says ``said``; ``reply`` and ``quoted`` may be changed."""
    reply = changed.pop("reply", {"answer": said, "quote": changed.get("quoted", ""), "label": "product"})
    given: dict[str, Any] = {
        "id": f"answer:{changed.get('arm', 'rag')}-{changed.get('example_id', 'e1')}",
        "question": "How late may I cancel?",
        "asker": "cust",
        "arm": "rag",
        "text": said if reply is None else json.dumps(reply),
        "said": said,
        "reply": reply,
        "quoted": "",
        "cited": (),
        "refused": False,
        "fallback": False,
        "passages": (),
        "model": "model:scripted",
        "prompt_hash": "p",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "seconds": Seconds(total=1.5),
        "cost": 0.002,
        "example_id": "e1",
    }
    return Answer(**{**given, **changed})


def scores_of(
    values: Sequence[float | None] | Mapping[str, float | None], arm: str = "a", metric: str = "token_f1", signature: str = "s|v1|-"
) -> list[Score]:
    """One score a value; the questions are ``q000``, ``q001``, … unless named."""
    named = values if isinstance(values, Mapping) else {f"q{number:03d}": value for number, value in enumerate(values)}
    return [
        Score(
            answer_id=f"answer:{arm}-{name}",
            example_id=name,
            arm=arm,
            metric=metric,
            value=value,
            reason="does not apply" if value is None else "",
            signature=signature,
        )
        for name, value in named.items()
    ]
