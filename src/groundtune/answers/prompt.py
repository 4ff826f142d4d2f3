"""The one prompt builder. Training, evaluation, ``ask`` and serving all render here, so they cannot drift apart.

system     the project's instructions
user       (a shown example's question)          } ``shots`` times
assistant  (the reply that the company wants)    }
user, …    (the conversation before the question, where there is one)
user       Passages: [1] product/v5/slots.md · Cancelling › Fees …
           (These passages disagree: [1] (version 5) says 2 hours; [2] (version 4) says 4 hours. …)   } where the project wants it
           Question: …
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.access.conditions import Filter, described
from groundtune.files import fingerprint
from groundtune.types import Conflict, Document, Passage, Statement

PASSAGES = "Passages:\n{passages}\n\n"
PASSAGE = "[{number}] {source} · {heading}\n{text}"
CONFLICTS = "These passages disagree:\n{conflicts}\n\n"
CONFLICT = "- {first} says {one}; {second} says {other}.{newer}"
NEWER = " {first} is the newer."
CORPUS = "Documents:\n{documents}\n\n"
DOCUMENT = "=== {source} · {heading}\n{text}"
FILTER = " ({filter})"
QUESTION = "Question{filter}: {question}"

MOST_SAID = 80  # characters of a figure, a version or a date in a line about a conflict

Message = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A text that is shown with the question: where it is from, its headings (and its place in the source), and what it says."""

    source: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """An example shown in the prompt."""

    question: str
    reply: str
    filter: Mapping[str, str]
    blocks: tuple[Block, ...] = ()


def prompt_hash(instructions: str, *, tell_conflicts: bool = False) -> str:
    """Return the fingerprint of everything that shapes a prompt but the question; stored in every adapter and answer."""
    told = (CONFLICTS, CONFLICT, NEWER, MOST_SAID) if tell_conflicts else ()
    return fingerprint(PASSAGES, PASSAGE, CORPUS, DOCUMENT, FILTER, QUESTION, instructions, *told)


def blocks_of(passages: Sequence[Passage]) -> tuple[Block, ...]:
    """Return passages as blocks, in their order."""
    return tuple(
        Block(
            source=passage.chunk.document_id.removeprefix("document:"),
            heading=_heading(passage),
            text=passage.chunk.text.strip(),
        )
        for passage in passages
    )


def _heading(passage: Passage) -> str:
    headings = " › ".join(dict.fromkeys((passage.chunk.title, *passage.chunk.heading_path)))
    return f"{headings} · {passage.chunk.place}" if passage.chunk.place else headings


def notes_of(found: Sequence[Conflict], passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return a line for each conflict of two passages that are shown, by their numbers, with their versions and dates."""
    number = {passage.chunk.id: place for place, passage in enumerate(passages, start=1)}

    def named(item: Statement) -> str:
        about = ", ".join(part for part in (item.version and f"version {_short(item.version)}", _short(item.date)) if part)
        return f"[{number[item.chunk_id]}]" + (f" ({about})" if about else "")

    return tuple(
        CONFLICT.format(
            first=named(item.first),
            one=_short(item.first.says),
            second=named(item.second),
            other=_short(item.second.says),
            newer=NEWER.format(first=f"[{number[item.first.chunk_id]}]") if item.newer else "",
        )
        for item in found
        if item.first.chunk_id in number and item.second.chunk_id in number
    )


def _short(text: str) -> str:
    """Keep what a document says of itself on its line, and short: a version that goes on for a page is no version."""
    text = " ".join(text.split())
    return text if len(text) <= MOST_SAID else text[: MOST_SAID - 1] + "…"


def corpus_of(documents: Sequence[Document]) -> tuple[Block, ...]:
    """Return whole documents as blocks, in their order."""
    return tuple(Block(source=d.id.removeprefix("document:"), heading=d.title, text=d.text.strip()) for d in documents)


def reply_text(reply: Mapping[str, Any], answer_field: str, *, structured: bool) -> str:
    """Write a wanted reply as the model should: one line of JSON in the reply's own key order, or its answer alone."""
    return json.dumps(dict(reply), ensure_ascii=False) if structured else str(reply[answer_field])


def render(
    question: str,
    *,
    instructions: str,
    filter: Filter | None = None,
    passages: Sequence[Block] = (),
    notes: Sequence[str] = (),
    corpus: Sequence[Block] = (),
    shots: Sequence[Shot] = (),
    history: Sequence[Message] = (),
) -> tuple[Message, ...]:
    """Return the chat messages for one question: system, the shots as user/assistant pairs, the conversation before it, user.

    ``notes`` say which passages disagree (``notes_of``).
    """
    messages: list[Message] = [{"role": "system", "content": instructions}]
    for shot in shots:
        messages.append({"role": "user", "content": _user(shot.question, shot.filter, shot.blocks, ())})
        messages.append({"role": "assistant", "content": shot.reply})
    messages += [{"role": message["role"], "content": message["content"]} for message in history]
    messages.append({"role": "user", "content": _user(question, filter or {}, passages, corpus, notes)})
    return tuple(messages)


def layout(instructions: str, *, passages: bool) -> tuple[Message, ...]:
    """Return the messages of a prompt with the names of what changes in braces, for whoever has to write it elsewhere."""
    shown = (Block(source="{file}", heading="{title} › {heading}", text="{text}"),) if passages else ()
    return render("{question}", instructions=instructions, passages=shown)


def _user(question: str, filter: Filter, passages: Sequence[Block], corpus: Sequence[Block], notes: Sequence[str] = ()) -> str:
    parts = []
    if corpus:
        shown = "\n\n".join(DOCUMENT.format(source=b.source, heading=b.heading, text=b.text) for b in corpus)
        parts.append(CORPUS.format(documents=shown))
    if passages:
        shown = "\n\n".join(
            PASSAGE.format(number=number, source=b.source, heading=b.heading, text=b.text) for number, b in enumerate(passages, start=1)
        )
        parts.append(PASSAGES.format(passages=shown))
    if notes:
        parts.append(CONFLICTS.format(conflicts="\n".join(notes)))
    narrowed = FILTER.format(filter=", ".join(f"{key} {described(value)}" for key, value in sorted(filter.items()))) if filter else ""
    parts.append(QUESTION.format(filter=narrowed, question=question.strip()))
    return "".join(parts)
