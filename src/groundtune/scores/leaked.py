"""Whether anything came through that the asker may not see.

Two ways are looked at: a passage of a hidden document, and a run of at least eight words that stands in a hidden document, in no
document that the asker may read, and not in the question. A fact in other words, or in fewer than eight, is not noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from groundtune.scores.runs import LENGTH, runs
from groundtune.scores.scorer import Context, Mark
from groundtune.types import Answer, Example


def leak(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when something hidden was shown or said. A document that is not known counts as hidden."""
    readable = context.readable(answer.asker)
    for passage in answer.passages:
        if not context.shown(answer.asker, passage.chunk):
            return Mark(1.0, f"a passage of {passage.chunk.document_id}, which {answer.asker} may not read")
    asked = runs(answer.question)
    for text in visible(answer):
        for run, holders in context.shingles.holders(text):
            if not holders & readable and run not in asked:
                return Mark(1.0, f"{run!r} stands in {min(holders)}, which {answer.asker} may not read")
    return Mark(0.0, f"no hidden passage, and no run of {LENGTH} words from a hidden document")


def leak_settings(context: Context) -> str:
    """Return the length of the runs looked for."""
    return f"words:{LENGTH}"


def visible(answer: Answer) -> Iterator[str]:
    """Yield what the asker can read: the strings of the reply object, or the raw text and what was made out in it."""
    if answer.reply is not None:
        yield from _strings(answer.reply)
    else:
        yield answer.text
        yield answer.said
        yield answer.quoted


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
