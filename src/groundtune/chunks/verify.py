"""Is a version what its manifest says, what the ledger says, and all of what its documents say? Every difference, one by one.

    manifest    {"document:a.md": {"hash": "9c…", "readers": ["hr"], "chunks": 4, "rows": "51…"}}
    stored      chunk rows of a.md → the same hash, each chunk's readers, four of them, the same digest over their ids, spans and texts
    document    every span has the text that stands there, and no character but blanks is in no span

Of a version that is not there only that is said; of one that is, everything that is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from groundtune.chunks import manifest
from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import TORN, Readers, Row, Store
from groundtune.errors import StaleIndex
from groundtune.files import fingerprint
from groundtune.types import Chunk, Document


@runtime_checkable
class Damaged(Protocol):
    """A store that keeps files of its own beside its rows, made from them for searching."""

    def damage(self, table: str, tag: str) -> list[str]:
        """Return in words what of these files is not as it was written, or not what the rows say."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. ``document`` is empty where it is about the version as a whole."""

    kind: str
    document: str
    message: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in a version; nothing where it is whole."""

    version: str
    differences: tuple[Difference, ...]


def digest(rows: Iterable[Row | Chunk]) -> str:
    """Return the identity of a document's chunks: their ids, order, spans and texts. Readers are not part of it."""
    parts = [
        (row.ordinal, row.id, row.start, row.end, hashlib.sha256(row.text.encode("utf-8", "surrogatepass")).hexdigest()) for row in rows
    ]
    return fingerprint(sorted(parts))


def verify_version(
    version: IndexVersion,
    engine: Store,
    *,
    documents: Sequence[Document] = (),
    recorded: Collection[str] | None = None,
    rows: bool = True,
) -> Verified:
    """Compare a version with what is stored, with the ``documents`` as they are now, and with the document ids ``recorded`` for it.

    A document whose text has changed since is compared by its digest only. ``rows=False`` leaves texts and spans alone.
    """
    found: list[Difference] = []
    try:
        held = engine.held(version.table, version.tag)
        stored = engine.snapshot(version.table, version.tag).count()
    except StaleIndex as error:
        return Verified(version.id, (Difference("missing", "", error.message),))
    if stored != version.chunks:
        found.append(Difference("count", "", f"the index holds {stored} chunks, its manifest says {version.chunks}"))
    for name, item in version.contents.items():
        there = held.get(name)
        if there is None:
            found.append(Difference("missing", name, f"{name} is in the manifest, but not in the index"))
            continue
        if there.hash != item["hash"]:
            what = (
                "its chunks do not belong together: some have another hash or other readers, or are missing"
                if there.hash == TORN
                else f"hash {there.hash}, and {item['hash']} there"
            )
            found.append(Difference("hash", name, f"{name} is not as its manifest says: {what}"))
        said_there = manifest.readers_in(item)
        # Of chunks that do not belong together, no readers are those of the document.
        if there.hash != TORN and there.readers != said_there:
            told = f"readers {_told(there.readers)}, and {_told(said_there)} there"
            found.append(Difference("readers", name, f"{name} is not as its manifest says: {told}"))
        if there.chunks != item["chunks"]:
            said = f"{there.chunks} chunks, and {item['chunks']} there"
            found.append(Difference("chunks", name, f"{name} is not as its manifest says: {said}"))
    extra = sorted(held.keys() - version.contents.keys())
    found += [Difference("unexpected", name, f"{name} is in the index, but not in its manifest") for name in extra]
    if rows:
        found += _rows(version, engine, {item.id: item for item in documents})
        if isinstance(engine, Damaged):
            found += [Difference("files", "", told) for told in engine.damage(version.table, version.tag)]
    if recorded is not None:
        found += _ledger(version, recorded)
    return Verified(version.id, tuple(found))


def _told(readers: Readers) -> str:
    return str(sorted(readers)) if isinstance(readers, frozenset) else "by chunk " + str([sorted(part) for part in readers])


def gathered(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return rows by document, each document's in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.document_id, []).append(row)
    for part in found.values():
        part.sort(key=lambda row: (row.ordinal, row.start, row.id))
    return found


def _rows(version: IndexVersion, engine: Store, documents: Mapping[str, Document]) -> Iterator[Difference]:
    for name, rows in gathered(engine.rows(version.table, version.tag)).items():
        item = version.contents.get(name)
        if item is None:
            continue
        if item.get("rows") is not None and digest(rows) != item["rows"]:
            yield Difference("rows", name, f"{name} has other chunks than were written: their ids, spans or texts differ")
        document = documents.get(name)
        if document is not None and document.content_hash == item["hash"]:
            wrong = uncovered(document, rows)
            if wrong:
                yield Difference("coverage", name, f"{name} is not covered by its chunks: {wrong}")


def uncovered(document: Document, rows: Sequence[Row]) -> str:
    """Return in words what is wrong with the spans of a document's chunks; nothing where they are its text, and all of it."""
    reached = 0
    for row in sorted(rows, key=lambda row: row.start):
        if document.text[row.start : row.end] != row.text:
            return f"{row.id} is not what stands at characters {row.start} to {row.end}"
        if document.text[reached : row.start].strip():
            return f"characters {reached} to {row.start} are in no chunk"
        reached = max(reached, row.end)
    return f"characters {reached} to {len(document.text)} are in no chunk" if document.text[reached:].strip() else ""


def _ledger(version: IndexVersion, recorded: Collection[str]) -> Iterator[Difference]:
    for name in sorted(version.contents.keys() - set(recorded)):
        yield Difference("ledger", name, f"{name} is in the manifest, but the ledger does not say that the version was made from it")
    for name in sorted(set(recorded) - version.contents.keys()):
        yield Difference("ledger", name, f"the ledger says that the version was made from {name}, which is not in the manifest")
