"""Who may read an item and what is known of it, from everything that says so; the nearest to the text wins.

readers:   rule with overrides  >  the file itself (where its source is trusted)  >  sidecar  >  column or export
>  rule  >  [[sources]] readers  >  [documents] readers  >  an error: not supplied is never everyone
metadata:  the file itself  >  sidecar  >  column or export  >  rule  >  [[sources]] metadata

offer.pdf + offer.pdf.meta.toml (readers = ["sales"])  →  Given(readers={"sales"}, …)
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from groundtune.documents.load import HINT, documents_from, readers_of
from groundtune.documents.sources.folder import Item
from groundtune.errors import DocumentError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.types import Document

SIDECAR = ".meta.toml"
MOST_SIDECAR = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Readers and metadata for names that ``match`` (``hr/**``, ``wiki/*.md``); ``overrides`` beats what documents say themselves."""

    match: str
    readers: frozenset[str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    overrides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for a whole source. ``trusted``: its files may name their own readers. ``readers`` is the last resort."""

    rules: tuple[Rule, ...] = ()
    readers: frozenset[str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is known of one item before its bytes are read. ``forced`` readers count whatever the bytes say."""

    readers: frozenset[str] | None
    forced: bool
    metadata: Mapping[str, str]
    title: str | None

    @property
    def fingerprint(self) -> str:
        """The identity of it all: where it changes, the same bytes give another document."""
        return _identity(self.readers, self.forced, tuple(sorted(self.metadata.items())), self.title)


@lru_cache(maxsize=4096)
def _identity(readers: frozenset[str] | None, forced: bool, metadata: tuple[tuple[str, str], ...], title: str | None) -> str:
    """Most files of a folder have all of this in common, so it is not hashed for each of them."""
    return fingerprint(None if readers is None else sorted(readers), forced, dict(metadata), title)


def given(name: str, item: Item, policy: Policy, sidecar: bytes | None) -> Given:
    """Weigh everything that is said of the item called ``name``. Raises ``DocumentError`` for a sidecar that cannot be read."""
    near: list[frozenset[str]] = []
    readers, metadata, forced = policy.readers, dict(policy.metadata), not policy.trusted
    override: frozenset[str] | None = None
    for rule in policy.rules:
        if matches(rule.match, name):
            metadata |= rule.metadata
            if rule.readers is not None:
                readers = rule.readers
                override = rule.readers if rule.overrides else override
    metadata |= item.metadata
    if item.readers is not None:
        near.append(readers_of(Path(name), sorted(item.readers)))
    title = item.title
    if sidecar is not None:
        fields = read_sidecar(f"{name}{SIDECAR}", sidecar)
        if "readers" in fields and not policy.trusted:
            raise DocumentError(
                f"{name}{SIDECAR}: names readers, and its source is not trusted to", "set trust_readers = true in its [[sources]] table"
            )
        if "readers" in fields:
            near.append(readers_of(Path(f"{name}{SIDECAR}"), fields.pop("readers")))
        title = fields.pop("title", title)
        metadata |= fields
    if near:
        readers = near[-1]
    if override is not None:
        readers, forced = override, True
    return Given(readers=readers, forced=forced, metadata=metadata, title=title)


def made(name: str, raw: bytes, known: Given, shown: str = "") -> tuple[tuple[Document, ...], tuple[GroundtuneError, ...]]:
    """Return the documents of an item's bytes, and what could not be read of it."""
    if known.forced and known.readers is None:
        return (), (
            DocumentError(
                f"{name}: no readers are supplied for it, and its source is not trusted to name them in its files",
                "add readers to its [[sources]] table or a [[documents.rules]] table, then type: groundtune ingest",
            ),
        )
    documents, problems = documents_from(
        name, raw, readers=known.readers, metadata=known.metadata, shown=Path(name if "://" in shown else shown or name)
    )
    if known.forced and known.readers is not None:
        documents = tuple(replace(document, readers=known.readers) for document in documents)
    if known.title:
        title = unicodedata.normalize("NFC", " ".join(known.title.split()))[:300]
        documents = tuple(
            replace(document, title=title, content_hash=fingerprint(document.content_hash, title)) if document.source == name else document
            for document in documents
        )
    return documents, problems


def read_sidecar(name: str, raw: bytes) -> dict[str, Any]:
    """Return what a sidecar says: texts, numbers, dates and booleans as they are written, ``readers`` as a list. Refuses all else."""
    try:
        if len(raw) > MOST_SIDECAR:
            raise DocumentError(f"{name}: {len(raw):,} bytes; at most {MOST_SIDECAR:,} are read", HINT)
        found = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{name}: not UTF-8 at byte {error.start}", HINT) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DocumentError(f"{name}: not TOML: {error}", HINT) from None
    fields: dict[str, Any] = {}
    for key, value in found.items():
        if key == "readers":
            fields[key] = value
        elif isinstance(value, list | dict):
            raise DocumentError(f"{name}: {key} holds more than one value", "write one text, then type: groundtune ingest")
        else:
            fields[key] = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return fields


def matches(pattern: str, name: str) -> bool:
    """Return whether a name matches: ``*`` and ``?`` stay within one folder, ``**`` goes through any number of them."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    written = unicodedata.normalize("NFC", pattern)
    parts = []
    for piece in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", written):
        parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)


def rules_of(tables: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return ``[[documents.rules]]`` tables as rules."""
    return tuple(
        Rule(
            match=table["match"],
            readers=None if table["readers"] is None else readers_of(Path("[[documents.rules]]"), list(table["readers"])),
            metadata=dict(table["metadata"]),
            overrides=table["overrides"],
        )
        for table in tables
    )
