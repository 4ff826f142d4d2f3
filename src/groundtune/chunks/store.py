"""Where index versions are kept: one draft per table that is written, and any number of published versions of it that never change.

    draft = store.draft("chunks_3f2a", 384)     what is there stays: a draft begins where the last one ended
    draft.write(chunks, vectors)                whole documents, in place of what there was of them
    draft.restamp({"document:a.md": {"hr"}})    who may read it; texts and vectors stay
    draft.restamp({"document:a.md": ({"hr"}, {"hr", "staff"})})     the same, chunk by chunk
    draft.publish("index-9c1e")                 from now on a version of that name
    store.snapshot("chunks_3f2a", "index-9c1e") the same rows for ever, whatever is written to the draft

An engine is a plug-in of the entry point group ``groundtune.index``: a function ``open(settings, folder) → Store``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from groundtune.chunks.index import Index
from groundtune.errors import ConfigError
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

# Who may read the chunks of a document: one set where all have the same, else one for each, by ordinal.
Readers = frozenset[str] | tuple[frozenset[str], ...]

# The hash of a document whose chunks do not belong together; no text has it, so the next sync writes the document again.
TORN = "torn"


@dataclass(frozen=True, slots=True)
class Held:
    """What a store has of one document: the hash of its text, who may read its chunks, and how many there are."""

    hash: str
    readers: Readers
    chunks: int


class Row(NamedTuple):
    """One stored chunk as ``verify`` looks at it. ``start`` and ``end`` are characters of its document."""

    document_id: str
    id: str
    ordinal: int
    start: int
    end: int
    text: str


class Draft(Protocol):
    """The rows of a table as they are being written. One writer at a time; other processes see each call's outcome when it returns."""

    def held(self) -> dict[str, Held]:
        """Return what is there, by document id. A document of which only a part is there has the hash ``TORN``."""
        ...

    def write(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> None:
        """Put whole documents in place of what there was of them. ``vectors`` (n, d) are those of ``chunks``, at length 1."""
        ...

    def delete(self, document_ids: Sequence[str]) -> None:
        """Take documents out. An unknown id is no error: it is out already."""
        ...

    def restamp(self, readers: Mapping[str, Readers]) -> None:
        """Give the chunks of documents other readers. Texts and vectors are not read from the caller and stay as they are.

        Where there is one set for each chunk, a chunk beyond them is read by nobody (``stamp``). An unknown document is no error.
        """
        ...

    def index(self) -> Index:
        """Return search over the draft, as it is now and as it becomes."""
        ...

    def publish(self, tag: str) -> None:
        """Keep the rows as they are now under this name, all at once; a version that had the name before gives it up."""
        ...


class Store(Protocol):
    """One place with drafts and versions. ``place`` names it without secrets, and is written into the manifest of a version."""

    place: str

    def draft(self, table: str, dimensions: int) -> Draft:
        """Open the draft of a table of vectors of that many dimensions, made where there is none."""
        ...

    def snapshot(self, table: str, tag: str) -> Index:
        """Open a published version for searching. Raises ``StaleIndex`` where there is none of that name."""
        ...

    def held(self, table: str, tag: str) -> dict[str, Held]:
        """Return what a published version holds, by document id. Raises ``StaleIndex`` where there is none of that name."""
        ...

    def rows(self, table: str, tag: str, document_ids: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the chunks that a published version stores of these documents, or of all, in any order; past all permissions.

        An id that the version does not hold yields nothing. Raises ``StaleIndex`` where there is no version of that name.
        """
        ...

    def tags(self, table: str) -> list[str]:
        """Return the names of a table's published versions, sorted; none where there is no such table."""
        ...

    def drop(self, table: str, tag: str) -> None:
        """Give a version up, and reclaim the rows that no other version and no draft shows."""
        ...

    def close(self) -> None:
        """Give connections back. Indexes that were opened stop answering."""
        ...


@runtime_checkable
class Stepping(Protocol):
    """A store that knows its states by number, so that a small change need not be counted against everything that did not change."""

    def untouched(self, table: str, tag: str) -> bool:
        """Return whether the draft of the table is still, row for row, what was published under this name."""
        ...

    def held_of(self, table: str, tag: str, document_ids: Sequence[str]) -> tuple[dict[str, Held], int]:
        """Return what a published version holds of these documents, and how many rows it has in all. Raises ``StaleIndex`` as ``held``."""
        ...


def stamp(readers: Readers, ordinal: int) -> frozenset[str]:
    """Return who may read the chunk of that ordinal; nobody where there is a set for each chunk and none for this one."""
    if isinstance(readers, frozenset):
        return readers
    return readers[ordinal] if 0 <= ordinal < len(readers) else frozenset()


def joined(each: Sequence[frozenset[str]]) -> Readers:
    """Return the readers of a document's chunks, by ordinal, as one set where all have the same."""
    return each[0] if each and all(readers == each[0] for readers in each) else tuple(each)


def strictest(readers: Readers) -> frozenset[str]:
    """Return who may read all of a document's chunks."""
    if isinstance(readers, frozenset):
        return readers
    return frozenset.intersection(*readers) if readers else frozenset()


def widest(readers: Readers) -> frozenset[str]:
    """Return who may read one of a document's chunks, or more."""
    return readers if isinstance(readers, frozenset) else frozenset().union(*readers)


def held_of(rows: Iterable[tuple[str, str, int, Iterable[str], int | None]]) -> dict[str, Held]:
    """Gather rows (document id, its hash, ordinal, readers, how many chunks it should have) by document, and mark what is torn.

    The number is ``None`` where the engine writes a document in one commit, and has no need to count.
    """
    first: dict[str, tuple[str, int | None]] = {}
    each: dict[str, dict[int, frozenset[str]]] = {}
    counts: Counter[str] = Counter()
    torn: set[str] = set()
    shared: dict[frozenset[str], frozenset[str]] = {}
    for name, text_hash, ordinal, readers, count in rows:
        may = frozenset(readers or ())
        if first.setdefault(name, (text_hash, count)) != (text_hash, count):
            torn.add(name)
        counts[name] += 1
        each.setdefault(name, {})[ordinal] = shared.setdefault(may, may)
    found: dict[str, Held] = {}
    for name, (text_hash, count) in first.items():
        whole = set(each[name]) == set(range(counts[name])) and count in (None, counts[name]) and name not in torn
        stamped = joined([each[name][ordinal] for ordinal in sorted(each[name])])
        found[name] = Held(text_hash if whole else TORN, stamped, counts[name])
    return found


def by_document(chunks: Sequence[Chunk]) -> Counter[str]:
    """Return how many of the chunks each document has."""
    return Counter(chunk.document_id for chunk in chunks)


def secret(settings: Mapping[str, Any]) -> str | None:
    """Return the key that ``index.key_env`` names; ``None`` where it names no variable. Raises ``ConfigError`` for one that is not set."""
    name = settings.get("key_env")
    if not name:
        return None
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"index.key_env names {name}, which is not set", f"set it: export {name}=...")
    return value


def address(settings: Mapping[str, Any], engine: str) -> str:
    """Return ``index.url``. Raises ``ConfigError`` where an engine that needs it has none."""
    url = settings.get("url")
    if not url:
        raise ConfigError(
            f"index.engine is {engine!r}, which needs index.url", 'write url = "..." under [index], then type: groundtune check'
        )
    return str(url)
