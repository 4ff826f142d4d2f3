"""What a model wrote → what it said: the reply object, the sentence a person reads, the quote it offers, whether it declines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.documents.places import name_of
from groundtune.examples.quotes import locate
from groundtune.types import Citation, Passage

# Deeper than any reply schema, and shallow enough for all that walks a reply afterwards.
MOST_NESTED = 32
_TYPOGRAPHIC = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " "})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """``reply`` only when the whole text is one JSON object; ``said`` and ``quoted`` also from one inside other words."""

    reply: Mapping[str, Any] | None
    said: str
    quoted: str


def parse(text: str, *, structured: bool, answer_field: str, quote_field: str) -> Parsed:
    """Read a model's raw output. Prose around a JSON object makes ``reply`` ``None``, but is not read as the answer."""
    if not structured:
        return Parsed(reply=None, said=text.strip(), quoted="")
    reply = _object(text.strip())
    found = reply if reply is not None else _first_object(text)
    if found is None:
        return Parsed(reply=None, said=text.strip(), quoted="")
    said, quoted = found.get(answer_field), found.get(quote_field)
    return Parsed(
        reply=reply,
        said=said.strip() if isinstance(said, str) else text.strip(),
        quoted=quoted.strip() if isinstance(quoted, str) else "",
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _storable(value) else None


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and _storable(value):
            return value
    return None


def _storable(value: dict[str, Any]) -> bool:
    """Return whether a reply can be written as JSON again: no NaN or infinity, no half of a surrogate pair, not nested without end."""
    level: list[Any] = [value]
    for _ in range(MOST_NESTED):
        level = [item for held in level for item in (held.values() if isinstance(held, dict) else held) if isinstance(item, dict | list)]
        if not level:
            break
    else:
        return False
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def plain_words(text: str) -> str:
    """Return text with typographic quotes and runs of blanks made plain, in lower case."""
    return " ".join(text.translate(_TYPOGRAPHIC).casefold().split())


def refuses(said: str, phrases: Sequence[str]) -> bool:
    """Return whether an answer declines: it says nothing, or holds one of the project's phrases of refusal."""
    words = plain_words(said)
    return not words or any(plain_words(phrase) in words for phrase in phrases if phrase.strip())


def cite(quoted: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Return the citation for a quote in the first passage that holds it, or nothing: a quote is found or it is dropped."""
    if not quoted.strip():
        return ()
    for passage in passages:
        span = locate(quoted, passage.chunk.text)
        if span is None:
            continue
        start, end = span
        return (
            Citation(
                document_id=passage.chunk.document_id,
                chunk_id=passage.chunk.id,
                quote=passage.chunk.text[start:end],
                start=passage.chunk.start + start,
                end=passage.chunk.start + end,
                place=name_of(passage.chunk.places, passage.chunk.start + start, passage.chunk.start + end) or passage.chunk.place,
            ),
        )
    return ()
