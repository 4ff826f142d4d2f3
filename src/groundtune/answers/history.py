"""The turns of a conversation before the question: read from a file or taken from a caller, checked, cut to what is shown.

    {"role": "user", "content": "How long is a slot?"}
    {"role": "assistant", "content": "30 minutes."}                one JSON object a line

The conversation is what the asker says it was: it gives no permission, names no document to be read, and cannot speak as the system.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import InputError, Problems

Message = Mapping[str, str]
ROLES = ("user", "assistant")
# Shown in the prompt at most; what a question refers to is nearly always near.
TURNS = 6
MOST_CHARACTERS = 8_000
MOST_BYTES = 4_000_000  # of a file: a conversation is far shorter
HINT = 'write {"role": "user" or "assistant", "content": "…"}, then type: groundtune ask … --history FILE.jsonl'


def load(path: Path) -> tuple[Message, ...]:
    """Read a conversation from a JSONL file. Raises ``InputError`` for one line that is no message, ``Problems`` for several."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES:,} bytes; a conversation is expected", HINT)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", HINT) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}", HINT) from None
    messages: list[Message] = []
    problems: list[InputError] = []
    # Not splitlines: JSON may hold the line ends that only Unicode knows.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            messages.append(_message(json.loads(line)))
        except (ValueError, RecursionError) as error:
            problems.append(InputError(f"{path}:{number}: {error}", HINT))
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    return tuple(messages)


def checked(history: Sequence[Any]) -> tuple[Message, ...]:
    """Return a caller's messages as they are used. Raises ``InputError`` naming the first that is none."""
    found = []
    for number, item in enumerate(history, start=1):
        try:
            found.append(_message(item))
        except ValueError as error:
            raise InputError(f"message {number} of the history: {error}", HINT) from None
    return tuple(found)


def shown(history: Sequence[Message]) -> tuple[Message, ...]:
    """Return the last turns, at most ``TURNS`` messages and ``MOST_CHARACTERS`` in all; the first of them is never an answer."""
    kept: list[Message] = []
    room = MOST_CHARACTERS
    for message in reversed(history[-TURNS:]):
        room -= len(message["content"])
        if room < 0:
            break
        kept.insert(0, message)
    while kept and kept[0]["role"] != "user":
        kept.pop(0)
    return tuple(kept)


def _message(item: Any) -> Message:
    if not isinstance(item, Mapping):
        raise ValueError(f"{_short(item)} is not an object")
    unknown = sorted(str(key) for key in item if key not in ("role", "content"))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known: content, role")
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise ValueError(f"role is {_short(role)}, expected one of {', '.join(ROLES)}")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"content is {_short(content)}, expected a text")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise ValueError("content holds half of a character pair, which is no text") from None
    return {"role": role, "content": content}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
