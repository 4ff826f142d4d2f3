"""A small, strict part of JSON Schema for replies: what constrained decoding supports everywhere, and no more.

Known keywords: type, properties, required, additionalProperties, enum, const, minLength, maxLength, items, description, title.
A schema that uses another one is refused rather than half obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError

KNOWN = frozenset(
    {
        "$schema", "type", "properties", "required", "additionalProperties", "enum", "const", "minLength", "maxLength", "items",
        "description", "title",
    }
)  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
HINT = "mend the schema, then type: groundtune check"


def load_schema(path: Path) -> dict[str, Any]:
    """Read a reply schema. Raises ``ConfigError`` for a missing file, bad JSON, an unknown keyword, or a type other than object."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such schema", "correct [examples] schema, then type: groundtune check") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", f"mend it; see: ls -l {path}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON: {error}", HINT) from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ConfigError(f'{path}: expected a schema of "type": "object"', HINT)
    wrong = list(_wrong(schema, ""))
    if wrong:
        raise ConfigError(f"{path}: {'; '.join(wrong)}; known keywords: {', '.join(sorted(KNOWN))}", HINT)
    return schema


def _wrong(schema: Any, where: str) -> Iterator[str]:
    """Yield what this validator would not obey: keywords that it does not know, and known ones with values of another form."""
    if not isinstance(schema, dict):
        yield f"{where or 'the schema'} is {schema!r}, expected an object"
        return
    inside = f"{where}." if where else ""
    for key, value in schema.items():
        if key not in KNOWN:
            yield f"{inside}{key} is not supported"
        elif not _FORMS.get(key, _anything)(value):
            yield f"{inside}{key} is {value!r}, which is not supported"
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield from _wrong(inner, f"{inside}{name}")
    if "items" in schema:
        yield from _wrong(schema["items"], f"{inside}items")


def _anything(value: Any) -> bool:
    return True


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_FORMS: dict[str, Callable[[Any], bool]] = {
    "type": lambda value: (
        isinstance(value, str | list) and bool(value) and all(isinstance(item, str) and item in TYPES for item in _listed(value))
    ),
    "properties": lambda value: isinstance(value, dict),
    "required": _texts,
    "additionalProperties": lambda value: isinstance(value, bool),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "minLength": _length,
    "maxLength": _length,
}


def _listed(kinds: Any) -> list[Any]:
    return kinds if isinstance(kinds, list) else [kinds]


def check(reply: Any, schema: Mapping[str, Any], where: str = "") -> list[str]:
    """Return what is wrong with a value, in words; empty when the schema accepts it."""
    name = where or "it"
    kinds = schema.get("type")
    if kinds is not None and not any(_is(reply, kind) for kind in _listed(kinds)):
        return [f"{name} is {_kind(reply)}, expected {kinds if isinstance(kinds, str) else ' or '.join(kinds)}"]
    found = []
    if "enum" in schema and not any(_equal(reply, item) for item in schema["enum"]):
        found.append(f"{name} is {reply!r}, expected one of {', '.join(map(str, schema['enum']))}")
    if "const" in schema and not _equal(reply, schema["const"]):
        found.append(f"{name} is {reply!r}, expected {schema['const']!r}")
    if isinstance(reply, str):
        if len(reply) < schema.get("minLength", 0):
            found.append(f"{name} has {len(reply)} characters, expected at least {schema['minLength']}")
        if "maxLength" in schema and len(reply) > schema["maxLength"]:
            found.append(f"{name} has {len(reply)} characters, expected at most {schema['maxLength']}")
    if isinstance(reply, dict):
        properties = schema.get("properties", {})
        found += [f"{where + '.' if where else ''}{key} is missing" for key in schema.get("required", ()) if key not in reply]
        for key, value in reply.items():
            inner = f"{where}.{key}" if where else str(key)
            if key in properties:
                found += check(value, properties[key], inner)
            elif schema.get("additionalProperties", True) is False:
                found.append(f"{inner} is not a known field")
    if isinstance(reply, list) and "items" in schema:
        for number, value in enumerate(reply):
            found += check(value, schema["items"], f"{where}[{number}]")
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _kind(value: Any) -> str:
    return next((kind for kind in TYPES if _is(value, kind)), type(value).__name__)


def _equal(left: Any, right: Any) -> bool:
    """Return whether two JSON values are the same: 1 is 1.0, but never true."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_equal(one, other) for one, other in zip(left, right, strict=True))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
