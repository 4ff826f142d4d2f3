"""JSON lines of logged answers → ``Response``s, with every problem named by file and line; and the sample that is looked at.

{"question": "How long is the warranty?", "answer": "Two years.", "passages": [{"text": "…", "document": "warranty.md"}]}

``question`` and ``answer`` are required. ``id``, ``passages`` (texts, or tables with ``text`` and ``document``), ``expected`` (a good
answer), ``answerable`` (false: it should have refused) and ``format`` ("json") help the checkers. Whatever else a log holds is left alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import GroundtuneError, InputError, Problems
from groundtune.files import fingerprint, objects, text_of

AGAIN = "groundtune audit FILE"
HINT = f"mend that line, then type: {AGAIN}"
MOST_SHOWN = 20
SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A passage that the system showed its model; ``document`` is its name there, or empty."""

    text: str
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One logged answer. ``id`` goes by what it says, so the same row keeps its label when the log grows; ``line`` counts from 1."""

    id: str
    line: int
    question: str
    answer: str
    passages: tuple[Shown, ...] = ()
    expected: str | None = None
    answerable: bool | None = None
    format: str | None = None
    name: str = ""


def read(path: Path) -> tuple[Response, ...]:
    """Read the log. Raises ``InputError`` for one problem and ``Problems`` for several; of very many the first are listed."""
    problems: list[GroundtuneError] = []
    found: list[Response] = []
    seen: Counter[str] = Counter()

    def tell(message: str, hint: str) -> None:
        problems.append(InputError(message, hint))

    text = text_of(path, tell, AGAIN)
    for number, row in objects(path, text, tell, AGAIN) if text is not None else ():
        wrong = list(_wrong(row))
        problems += [InputError(f"{path}:{number}: {text}", HINT) for text in wrong]
        if wrong:
            continue
        said = fingerprint(row["question"], row["answer"], row.get("passages"), row.get("id"))
        seen[said] += 1
        # Two equal rows are two answers that were given; both count.
        own = said if seen[said] == 1 else f"{said}-{seen[said]}"
        found.append(_response(f"response:{own}", number, row))
    if problems:
        more = len(problems) - MOST_SHOWN
        shown = problems[:MOST_SHOWN]
        if more > 0:
            shown.append(InputError(f"and {more} more like these", HINT))
        raise problems[0] if len(problems) == 1 else Problems(shown, f"mend these, then type: {AGAIN}")
    if not found:
        raise InputError(f"{path}: holds no answers", 'give one JSON object a line: {"question": "…", "answer": "…"}')
    return tuple(found)


def sample(responses: Sequence[Response], size: int, seed: int) -> tuple[Response, ...]:
    """Return ``size`` responses drawn at random by the seed, all of them where there are no more.

    Each is given a place by a hash of the seed and its id, so a log that grows changes few of those drawn, and the order of its lines none.
    """

    def place(response: Response) -> bytes:
        return hashlib.sha256(f"{seed} {response.id}".encode()).digest()

    return tuple(sorted(responses, key=place)[:size])


def _wrong(row: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name in ("question", "answer") if name not in row]
    if missing:
        yield f"{' and '.join(missing)} missing; there are: {', '.join(sorted(row)) or 'none'}"
    for name in ("question", "answer", "expected", "format", "id"):
        if row.get(name) is not None and not isinstance(row[name], str) and not (name == "id" and isinstance(row[name], int)):
            yield f"{name} is {type(row[name]).__name__}, expected a text"
    if isinstance(row.get("question"), str) and not row["question"].strip():
        yield "question is empty"
    if row.get("answerable") is not None and not isinstance(row["answerable"], bool):
        yield "answerable is neither true nor false"
    passages = row.get("passages") or []
    if not isinstance(passages, list):
        yield "passages is not a list"
        return
    for place, item in enumerate(passages):
        text = item.get("text") if isinstance(item, dict) else item
        document = item.get("document", "") if isinstance(item, dict) else ""
        if not isinstance(text, str) or not isinstance(document, str):
            yield f'passages.{place}: expected a text, or {{"text": "…", "document": "…"}}'


def _response(own: str, number: int, row: Mapping[str, Any]) -> Response:
    shown = [item if isinstance(item, dict) else {"text": item} for item in row.get("passages") or []]
    return Response(
        id=own,
        line=number,
        question=row["question"],
        answer=row["answer"] or "",
        passages=tuple(Shown(text=item["text"], document=item.get("document", "")) for item in shown),
        expected=row.get("expected"),
        answerable=row.get("answerable"),
        format=row.get("format"),
        name=str(row.get("id") or ""),
    )
