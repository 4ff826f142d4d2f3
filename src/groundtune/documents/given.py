"""Who may read an item by its own word, and what is known of it; the nearest to the text wins.

readers:   the file itself (where its source is trusted)  >  sidecar  >  column or export  >  none of its own
metadata:  the file itself  >  sidecar  >  column or export  >  rule  >  [[sources]] metadata

offer.pdf + offer.pdf.meta.toml (readers = ["sales"])  →  Given(readers={"sales"}, …)

What rules and defaults make of that is for ``project.permissions`` to say, each time anew: they change by another hand than texts do.
Here it only counts whether there is any, since an item that nobody says the readers of is an error: not supplied is never everyone.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from groundtune.access.paths import fits, fitting, matches
from groundtune.documents.load import HINT, documents_from, readers_of
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import DocumentError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.types import Document

__all__ = ["SIDECAR", "Given", "Policy", "Rule", "Silent", "given", "made", "matches", "read_sidecar", "rules_of"]

SIDECAR = ".meta.toml"
MOST_SIDECAR = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a rule means for items that ``match`` (``hr/``, ``wiki/*.md``): metadata, and whether it ``covers`` those without readers."""

    match: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    covers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for a whole source. ``trusted``: its files may name their own readers. ``readers`` is the last resort."""

    rules: tuple[Rule, ...] = ()
    readers: frozenset[str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is known of one item before its bytes are read. ``readers`` are those it names itself, ``None`` where it names none.

    ``forced``: these count whatever the bytes say. ``covered``: a rule or a default says who reads it where it does not.
    """

    readers: frozenset[str] | None
    forced: bool
    covered: bool
    metadata: Mapping[str, str]
    title: str | None

    @property
    def fingerprint(self) -> str:
        """The identity of it all: where it changes, the same bytes give another document."""
        return _identity(self.readers, self.forced, self.covered, tuple(sorted(self.metadata.items())), self.title)


@lru_cache(maxsize=4096)
def _identity(readers: frozenset[str] | None, forced: bool, covered: bool, metadata: tuple[tuple[str, str], ...], title: str | None) -> str:
    """Most files of a folder have all of this in common, so it is not hashed for each of them."""
    return fingerprint(None if readers is None else sorted(readers), forced, covered, dict(metadata), title)


class Silent:
    """What is given for the items of a source of which neither a sidecar nor the source itself says anything: most files of a folder.

    That hangs only on which rules fit their names, so it is worked out, and marked by ``mark_of``, once for all items that the same fit.
    """

    def __init__(self, policy: Policy, mark_of: Callable[[Given], str]) -> None:
        self._policy, self._mark_of = policy, mark_of
        self._fitting = fitting([rule.match for rule in policy.rules])
        self._known: dict[tuple[int, ...], str] = {}

    def mark(self, name: str) -> str:
        """Return the mark of such an item of that name."""
        rules = self._fitting(name)
        known = self._known.get(rules)
        if known is None:
            silent = Item(name=name, read=refused(AssertionError(name)))
            known = self._known[rules] = self._mark_of(given(name, silent, self._policy, None))
        return known


def given(name: str, item: Item, policy: Policy, sidecar: bytes | None) -> Given:
    """Weigh everything that is said of the item called ``name``. Raises ``DocumentError`` for a sidecar that cannot be read."""
    near: list[frozenset[str]] = []
    metadata, covered = dict(policy.metadata), policy.readers is not None
    for rule in policy.rules:
        if fits(rule.match, name):
            metadata |= rule.metadata
            covered = covered or rule.covers
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
    return Given(readers=near[-1] if near else None, forced=not policy.trusted, covered=covered, metadata=metadata, title=title)


def made(name: str, raw: bytes, known: Given, shown: str = "") -> tuple[tuple[Document, ...], tuple[GroundtuneError, ...]]:
    """Return the documents of an item's bytes, with the readers that they name or ``unnamed``, and what could not be read of it."""
    if known.forced and known.readers is None and not known.covered:
        return (), (
            DocumentError(
                f"{name}: no readers are supplied for it, and its source is not trusted to name them in its files",
                "add readers to its [[sources]] table or a [[documents.rules]] table, then type: groundtune ingest",
                state="no readers",
            ),
        )
    documents, problems = documents_from(
        name,
        raw,
        readers=known.readers,
        metadata=known.metadata,
        shown=Path(name if "://" in shown else shown or name),
        unnamed=known.covered,
    )
    if known.forced:
        own = known.readers
        documents = tuple(replace(document, readers=own or frozenset(), unnamed=own is None) for document in documents)
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


def rules_of(tables: Sequence[Mapping[str, Any]], covering: Sequence[str] = ()) -> tuple[Rule, ...]:
    """Return ``[[documents.rules]]`` tables for their metadata, and rules of readers (``covering``: their patterns) for what they cover."""
    told = tuple(Rule(match=table["match"], metadata=dict(table["metadata"])) for table in tables)
    return told + tuple(Rule(match=pattern, covers=True) for pattern in covering)
