"""What a decision rests on → the data behind its page's question-by-question part, packed.

    {"primary": "token_f1", "arms": […], "texts": ["[system]", …], "questions": [{…, "answers": {"rag": {…, "prompt": [0, 4, 7]}}}]}
    → JSON → gzip → base64

Six arms on a thousand questions say the same lines thousands of times: prompts, passages and reasons are numbers of texts that are
stored once.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.types import Answer, Arm, Document, Example, Score, Statement

_DATA = re.compile(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]*)</script>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a decision rests on, as the page shows it. ``answers`` by arm, in the order of ``examples``.

    ``curves`` are drawings by the title of the section that they are shown in.
    """

    project: str
    currency: str
    arms: Sequence[Arm]
    examples: Sequence[Example]
    answers: Mapping[str, Sequence[Answer]]
    scores: Sequence[Score]
    not_run: Mapping[str, str]
    documents: Mapping[str, Document]
    gates: Mapping[str, str]
    smallest_gain: float
    looks: int
    asked: str
    relocked: int
    run_id: str
    curves: Mapping[str, str] = field(default_factory=dict)


def packed(data: Mapping[str, Any]) -> str:
    """Return data as the page's script unpacks it; the same for the same data. No character of it can end a script."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0)).decode("ascii")


def mentions(page: str, document: str) -> bool:
    """Return whether a page shows a document's name, in its text or in the data behind its questions, which no search in the file finds.

    Data that cannot be read counts as a page that does: what nobody can look into is not known to be free of it.
    """
    if document in page:
        return True
    held = _DATA.search(page)
    if held is None:
        return False
    try:
        return document in json.dumps(unpacked(held[1]), ensure_ascii=False)
    except (ValueError, OSError, EOFError, zlib.error):
        return True


def unpacked(text: str) -> Any:
    """Return the data that a page holds."""
    return json.loads(gzip.decompress(base64.b64decode(text)).decode("utf-8"))


def drill_down(primary_metric: str, evidence: Evidence) -> dict[str, Any]:
    """Return what the drill-down shows; lines that occur often (of prompts, passages, reasons) are stored once."""
    texts: dict[str, int] = {}

    def kept(text: str) -> int:
        return texts.setdefault(text, len(texts))

    def lines(text: str) -> list[int]:
        return [kept(line) for line in text.split("\n")]

    by_answer: dict[str, list[Score]] = {}
    for score in evidence.scores:
        by_answer.setdefault(f"{score.arm} {score.example_id}", []).append(score)
    questions = []
    for number, example in enumerate(evidence.examples):
        answers = {}
        for arm, rows in evidence.answers.items():
            answer = rows[number]
            scores = by_answer.get(f"{arm} {example.id}", [])
            primary = next((score.value for score in scores if score.metric == primary_metric), None)
            answers[arm] = {
                "said": answer.said,
                "failure": answer.failure,
                "primary": primary,
                "cited": [{"quote": c.quote, "document": c.document_id.removeprefix("document:")} for c in answer.cited],
                "note": f"{'refused · ' if answer.refused else ''}{answer.seconds.total:.2f} s in a batch of {answer.seconds.batch} · "
                f"{answer.prompt_tokens} + {answer.completion_tokens} tokens · {answer.model}",
                "scores": [[kept(s.metric), None if s.value is None else round(s.value, 4), kept(s.reason)] for s in scores],
                "passages": [
                    {
                        "head": f"{p.rank}. {p.chunk.id} · score {p.score:.4f} · allowed by {', '.join(p.allowed_by)}",
                        "text": lines(p.chunk.text),
                    }
                    for p in answer.passages
                ],
                "prompt": lines("\n\n".join(f"[{message['role']}]\n{message['content']}" for message in answer.messages)),
                "raw": lines(answer.text),
                "conflicts": [
                    f"{'the newer: ' if item.newer else ''}{_statement(item.first)} · {_statement(item.second)}"
                    for item in answer.conflicts
                ],
            }
        narrowed = "".join(f", {key} {value}" for key, value in example.filter.items())
        questions.append(
            {
                "question": example.question,
                "kind": example.kind,
                "asked": f"{example.id} · asked by {example.asker}{narrowed} · {'answerable' if example.answerable else 'must be refused'}",
                "wanted": json.dumps(dict(example.reply), ensure_ascii=False),
                "evidence": [f"{item.document_id.removeprefix('document:')}: “{item.quote}”" for item in example.evidence],
                "answers": answers,
            }
        )
    return {"primary": primary_metric, "arms": list(evidence.answers), "texts": list(texts), "questions": questions}


def _statement(item: Statement) -> str:
    about = ", ".join(part for part in (f"version {item.version}" if item.version else "", item.date, item.place) if part)
    return f"“{' '.join(item.text.split())}” ({item.document_id.removeprefix('document:')}{', ' if about else ''}{about})"
