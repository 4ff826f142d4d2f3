"""JSON and JSON Lines → one block for each record, a ``path: value`` line for each value in it.

    [{"id": 7, "tags": ["a", "b"]}]   →   id: 7          "item 1"
                                          tags: a; b

A place is an item of the outermost list, a line of a ``.jsonl``, or a name of the outermost object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.documents.decode import decode
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer
from groundtune.errors import DocumentError

_TITLES = ("title", "name", "subject", "summary")


def load(path: Path, raw: bytes) -> Loaded:
    """Read a JSON file. Raises ``DocumentError`` with line and column for what is not JSON, a name used twice, and endless nesting."""
    value = _parsed(path, decode(path, raw), "")
    writer = Writer()
    records = (
        [(f"item {number}", item) for number, item in enumerate(value, start=1)]
        if isinstance(value, list)
        else [(str(name), {name: item}) for name, item in value.items()]
        if isinstance(value, dict)
        else [("", value)]
    )
    _most(path, len(records))
    for place, record in records:
        writer.at(place)
        writer.add("\n".join(_lines(record)))
    title = next((value[key] for key in _TITLES if isinstance(value.get(key), str)), "") if isinstance(value, dict) else ""
    return Loaded(title=title[:300] or path.stem, text=writer.text, places=writer.places)


def load_lines(path: Path, raw: bytes) -> Loaded:
    """Read a file of one JSON value a line. Raises ``DocumentError`` naming the line that is none."""
    writer = Writer()
    # By \n alone: a JSON text may hold the other characters that end a line.
    lines = decode(path, raw).split("\n")
    _most(path, len(lines))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            writer.at(f"line {number}")
            writer.add("\n".join(_lines(_parsed(path, line, f":{number}"))))
    return Loaded(title=path.stem, text=writer.text, places=writer.places)


def _parsed(path: Path, text: str, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            # Of two values with one name a reader shows one; which, nobody could tell.
            raise DocumentError(f"{path}{where}: an object names one of {', '.join(map(repr, list(found)[:5]))} twice", HINT)
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        line = where or f":{error.lineno}"
        raise DocumentError(f"{path}{line}: not JSON: {error.msg} at column {error.colno}", HINT) from None
    except RecursionError:
        raise DocumentError(f"{path}{where}: nested too deep to be read", HINT, state="too large") from None
    except ValueError as error:
        raise DocumentError(f"{path}{where}: not JSON that can be read: {error}", HINT) from None


def _most(path: Path, count: int) -> None:
    if count > current().rows:
        raise DocumentError(f"{path}: more than {current().rows:,} records", HINT.replace("mend", "split"), state="too large")


def _lines(value: Any, name: str = "") -> Iterator[str]:
    """Yield ``path: value`` lines; a list of plain values is one line."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from _lines(item, f"{name}[{number}]")
    else:
        said = "; ".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
        if said:
            yield f"{name}: {said}" if name else said


def _plain(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value)
