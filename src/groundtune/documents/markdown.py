"""Markdown with YAML front matter: ``title``, ``readers``, and any other short values as metadata.

    ---
    title: Cancelling and moving slots
    version: "5"
    readers: [everyone]
    ---
    # Cancelling and moving slots

Every value is kept as it is written (``5.10`` stays ``5.10``, ``no`` stays ``no``); YAML builds nothing but texts and lists of texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.documents.decode import decode
from groundtune.documents.loaded import HINT, Loaded, readers_of
from groundtune.errors import DocumentError

_CLOSED = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_OPENED = re.compile(r"---[ \t]*(?:\n|\Z)")
_TITLE = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
MOST_FRONT_MATTER = 20_000

Value = str | list[str]


def load(path: Path, raw: bytes) -> Loaded:
    """Read a Markdown file. The front matter is no part of the text, so it is never searched or cited. Raises ``DocumentError``."""
    text = decode(path, raw)
    fields: dict[str, Value] = {}
    opened = _OPENED.match(text)
    if opened:
        closed = _CLOSED.search(text, opened.end())
        if closed is None:
            # Read as a rule between paragraphs, it would let a document lose its readers by one missing line.
            raise DocumentError(f"{path}:1: front matter is opened by --- and never closed", HINT)
        fields = front_matter(path, text[opened.end() : closed.start()])
        text = text[closed.end() :]
    text = text.strip("\n").rstrip()
    heading = _TITLE.search(text)
    title = fields.pop("title", "") or (heading[1] if heading else path.stem)
    readers = readers_of(path, fields.pop("readers")) if "readers" in fields else None
    metadata = {name: value if isinstance(value, str) else ", ".join(value) for name, value in fields.items()}
    return Loaded(title=title if isinstance(title, str) else ", ".join(title), text=text, metadata=metadata, readers=readers)


def front_matter(path: Path, written: str) -> dict[str, Value]:
    """Return the names and values between the two lines of dashes; values are texts or lists of texts.

    Raises ``DocumentError`` with the line in the file for what is not YAML, a name used twice, an anchor, an alias or a tag (an alias is
    how a small YAML file becomes a huge one), a value inside a value, an empty value, and more than ``MOST_FRONT_MATTER`` characters.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(written) > MOST_FRONT_MATTER:
        raise DocumentError(f"{path}:1: front matter of {len(written):,} characters; at most {MOST_FRONT_MATTER:,} are read", HINT)
    try:
        # "base" and events: no type is guessed from how a value looks, and no object is built that a file asks for.
        return _fields(path, iter(YAML(typ="base", pure=True).parse(written)))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise DocumentError(f"{path}:{line}: front matter is not YAML: {error.problem}", HINT) from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DocumentError(f"{path}:1: front matter is not YAML: {reason}", HINT) from None


def _fields(path: Path, events: Iterator[Any]) -> dict[str, Value]:
    """Read a table of texts and lists of texts from the parser's events, and refuse everything else where it begins."""
    fields: dict[str, Value] = {}
    name: str | None = None
    items: list[str] | None = None
    inside, named = False, ""
    for kind, event, where in _plain(path, events):
        if not inside:
            if kind in ("Scalar", "SequenceStart"):
                raise DocumentError(f"{where}: front matter is not a table of names and values", HINT)
            inside = kind == "MappingStart"
        elif kind == "Scalar" and items is not None:
            items.append(event.value)
        elif kind == "Scalar" and name is None:
            name, named = event.value, where
            if not name.strip() or name in fields:
                raise DocumentError(f"{where}: front matter has {f'{name!r} twice' if name.strip() else 'an empty name'}", HINT)
        elif kind == "Scalar" and name is not None:
            if not event.value.strip() and event.implicit[0]:
                raise DocumentError(f"{named}: front matter {name!r} has no value", HINT)
            fields[name], name = event.value, None
        elif kind == "SequenceStart" and name is not None and items is None:
            items = []
        elif kind == "SequenceEnd" and name is not None and items is not None:
            fields[name], name, items = items, None, None
        elif kind in ("MappingStart", "SequenceStart"):
            raise DocumentError(f"{where}: front matter {name or ''!r} holds more than a text or a list of texts", HINT)
    return fields


def _plain(path: Path, events: Iterator[Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield each event's kind, the event, and ``file:line``; refuse anchors, aliases, tags and second documents."""
    documents = 0
    for event in events:
        kind = type(event).__name__.removesuffix("Event")
        where = f"{path}:{event.start_mark.line + 2}"
        if getattr(event, "anchor", None) is not None:
            raise DocumentError(f"{where}: front matter uses a YAML anchor or alias", "write the value out, then type: groundtune check")
        if getattr(event, "tag", None) is not None:
            raise DocumentError(f"{where}: front matter uses a YAML tag", "write the value without it, then type: groundtune check")
        documents += kind == "DocumentStart"
        if documents > 1:
            raise DocumentError(f"{where}: front matter holds a second YAML document", HINT)
        yield kind, event, where
