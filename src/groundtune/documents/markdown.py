"""Markdown with YAML front matter: ``title``, ``readers``, and any other short values as metadata."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from groundtune.documents.load import HINT, Loaded, decode, readers_of
from groundtune.errors import DocumentError

FENCE = re.compile(r"\A---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
MOST_FRONT_MATTER = 20_000


def load(path: Path, raw: bytes) -> Loaded:
    """Read a Markdown file. The front matter is no part of the text, so it is never searched or cited."""
    text = decode(path, raw)
    fields: dict[str, Any] = {}
    found = FENCE.match(text)
    if found:
        fields = _fields(path, found[1] or "")
        text = text[found.end() :]
    elif text.startswith("---\n"):
        raise DocumentError(f"{path}:1: its front matter is not closed by a line ---", HINT)
    text = text.strip("\n")
    heading = re.search(r"^#\s+(.+?)\s*#*$", text, re.MULTILINE)
    title = fields.pop("title", None) or (heading[1] if heading else path.stem)
    readers = readers_of(path, fields.pop("readers")) if "readers" in fields else None
    return Loaded(title=str(title), text=text, metadata={key: _short(path, key, value) for key, value in fields.items()}, readers=readers)


def _fields(path: Path, written: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    # Aliases are how a small YAML file becomes a huge one; front matter has no use for them.
    if len(written) > MOST_FRONT_MATTER or re.search(r"(?m)(^|[\s\[{,:-])[&*][\w-]", written):
        raise DocumentError(f"{path}:1: its front matter is too long, or uses YAML anchors or aliases", HINT)
    try:
        value = YAML(typ="safe", pure=True).load(written)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise DocumentError(f"{path}:{line}: front matter is not YAML: {error.problem}", HINT) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise DocumentError(f"{path}:1: front matter is not YAML: {error}", HINT) from None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise DocumentError(f"{path}:1: front matter is not a table of names and values", HINT)
    return value


def _short(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float | date):
        raise DocumentError(f"{path}: front matter {key} is {value!r}; expected a text, a number or a date", HINT)
    return str(value)
