"""A small, strict part of JSON Schema for replies: what constrained decoding supports everywhere, and no more.

Known keywords: type, properties, required, additionalProperties, enum, const, minLength, maxLength, items, description, title.
A schema that uses another one is refused rather than half obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        schema = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such schema", "correct [examples] schema, then type: groundtune check") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not JSON: {error}", HINT) from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ConfigError(f'{path}: expected a schema of "type": "object"', HINT)
    unknown = sorted(_unknown(schema, ""))
    if unknown:
        raise ConfigError(f"{path}: keywords that are not supported: {', '.join(unknown)}; known: {', '.join(sorted(KNOWN))}", HINT)
    return schema


def _unknown(schema: Any, where: str) -> list[str]:
    if not isinstance(schema, dict):
        return [where or "(not an object)"]
    found = [f"{where}{key}" for key in schema if key not in KNOWN]
    kinds = schema.get("type", [])
    found += [f"{where}type {kind!r}" for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in TYPES]
    for name, inner in schema.get("properties", {}).items():
        found += _unknown(inner, f"{where}{name}.")
    if "items" in schema:
        found += _unknown(schema["items"], f"{where}items.")
    return found


def check(reply: Any, schema: Mapping[str, Any], where: str = "") -> list[str]:
    """Return what is wrong with a value, in words; empty when the schema accepts it."""
    name = where or "it"
    kinds = schema.get("type")
    if kinds is not None and not any(_is(reply, kind) for kind in (kinds if isinstance(kinds, list) else [kinds])):
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
    return left == right and isinstance(left, bool) == isinstance(right, bool)
