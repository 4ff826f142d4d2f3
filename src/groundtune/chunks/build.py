"""Documents → an index version: the difference to what is there, embedded first, committed, counted back, tagged, and named last.

A version's id is a function of the documents, their readers, the splitter and the embedder. Nothing is served before its manifest is
written; until then, and after a failure, the version before it stays live. What a killed run left in the table is found there by the
next one and used, since the difference is taken against the table itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.chunks import manifest
from groundtune.chunks.cache import EmbeddingCache
from groundtune.chunks.index import Index, search_text
from groundtune.chunks.manifest import IndexVersion, versions
from groundtune.chunks.split import split, verify_coverage
from groundtune.chunks.store import Draft, Held, Store
from groundtune.errors import StaleIndex
from groundtune.files import fingerprint
from groundtune.models.embed import Embed
from groundtune.progress import Progress, Silent
from groundtune.types import Chunk, Document

# Counted up when the splitter cuts the same text in another way, or the searched text of a chunk changes.
ALGORITHM = 1

__all__ = ["IndexVersion", "open_live", "sync", "verify", "versions"]


@dataclass(frozen=True, slots=True)
class _Change:
    """What has to happen to a table: documents whose text is new to it, whose readers changed, and which are gone from it."""

    write: tuple[Document, ...]
    restamp: tuple[Document, ...]
    gone: tuple[str, ...]


def version_id(documents: Sequence[Document], embed: Embed, splitter: Mapping[str, int]) -> str:
    """Return the id that the index of these documents has."""
    contents = sorted((item.id, item.content_hash, sorted(item.readers)) for item in documents)
    return "index:" + fingerprint(contents, dict(splitter), ALGORITHM, embed.fingerprint, length=12)


def sync(
    documents: Sequence[Document],
    *,
    embed: Embed,
    splitter: Mapping[str, int],
    store: Path,
    progress: Progress | None = None,
    engine: Store | None = None,
) -> IndexVersion:
    """Bring the index in step with the documents, and return the version that is live now. Without an ``engine`` it is LanceDB's.

    Raises ``StaleIndex`` when what was stored is not what was meant to be, and ``StorageError`` when the disk is full; the live version
    stays live then.
    """
    shown = progress or Silent()
    wanted = version_id(documents, embed, splitter)
    before = manifest.live(store)
    kept = engine or _default(store)
    if before is not None and before.id == wanted and before.engine == kept.place and before.tag in kept.tags(before.table):
        return replace(before, added=0, changed=0, restamped=0, gone=0, unchanged=len(documents))
    version = _built(documents, wanted, before, embed, splitter, store, kept, shown)
    manifest.write(store, version)
    return version


def _default(store: Path) -> Store:
    from groundtune.chunks.store_lance import LanceStore

    return LanceStore(store / "lance")


def _built(
    documents: Sequence[Document],
    wanted: str,
    before: IndexVersion | None,
    embed: Embed,
    splitter: Mapping[str, int],
    store: Path,
    engine: Store,
    progress: Progress,
) -> IndexVersion:
    name = f"chunks_{fingerprint(dict(splitter), ALGORITHM, embed.fingerprint, length=12)}"
    draft = engine.draft(name, embed.dimensions)
    change = _difference(documents, draft.held())
    chunks = {item.id: split(item, embed.count, **splitter) for item in change.write}
    for document in change.write:
        verify_coverage(document, chunks[document.id])
    made = [chunk for item in change.write for chunk in chunks[item.id]]
    cache = EmbeddingCache(store / "embeddings.sqlite")
    try:
        vectors = cache.vectors([search_text(chunk) for chunk in made], embed, progress)
    finally:
        cache.close()
    _commit(draft, change, made, vectors)
    tag = wanted.replace(":", "-")
    draft.publish(tag)
    counts = _count_back(engine.held(name, tag), documents, chunks)
    old = before.contents if before is not None else {}
    changes = {item.id: _kind(item, old.get(item.id)) for item in documents}
    return IndexVersion(
        id=wanted,
        table=name,
        tag=tag,
        engine=engine.place,
        splitter=dict(splitter),
        embedder=embed.fingerprint,
        embedder_name=embed.name,
        contents={
            item.id: {"hash": item.content_hash, "readers": sorted(item.readers), "chunks": counts[item.id]}
            for item in sorted(documents, key=lambda item: item.id)
        },
        gone=len(old.keys() - {item.id for item in documents}),
        **{kind: sum(change == kind for change in changes.values()) for kind in ("added", "changed", "restamped", "unchanged")},
    )


def _kind(document: Document, old: Mapping[str, Any] | None) -> str:
    if old is None:
        return "added"
    if old["hash"] != document.content_hash:
        return "changed"
    return "unchanged" if list(old["readers"]) == sorted(document.readers) else "restamped"


def _difference(documents: Sequence[Document], present: Mapping[str, Held]) -> _Change:
    write, restamp = [], []
    for document in documents:
        there = present.get(document.id)
        if there is None or there.hash != document.content_hash:
            write.append(document)
        elif there.readers != document.readers:
            restamp.append(document)
    gone = sorted(present.keys() - {document.id for document in documents})
    return _Change(tuple(write), tuple(restamp), tuple(gone))


def _commit(draft: Draft, change: _Change, made: Sequence[Chunk], vectors: Any) -> None:
    """Apply a change to the draft. Readers follow the live version by its tag, so no state in between is seen."""
    emptied = {item.id for item in change.write} - {chunk.document_id for chunk in made}
    draft.delete([*change.gone, *sorted(emptied)])
    draft.write(made, vectors)
    draft.restamp({document.id: document.readers for document in change.restamp})


def _count_back(present: Mapping[str, Held], documents: Sequence[Document], chunks: Mapping[str, Sequence[Chunk]]) -> dict[str, int]:
    """Return the number of chunks of each document as they are stored. Raises ``StaleIndex`` where it is not what was meant."""
    wrong = []
    for document in documents:
        there = present.get(document.id)
        if there is None or there.hash != document.content_hash or there.readers != document.readers:
            wrong.append(f"{document.source} is not there as it is now")
        elif document.id in chunks and there.chunks != len(chunks[document.id]):
            wrong.append(f"{document.source} has {there.chunks} chunks, {len(chunks[document.id])} were written")
    wrong += [f"{name} should be gone" for name in sorted(present.keys() - {document.id for document in documents})]
    if wrong:
        raise StaleIndex(f"the index does not hold what was written: {'; '.join(wrong[:5])}", "type: groundtune ingest")
    return {document.id: present[document.id].chunks for document in documents}


def open_live(store: Path, *, embed: Embed, splitter: Mapping[str, int], engine: Store | None = None) -> tuple[Index, IndexVersion]:
    """Open the live version for searching. Raises ``StaleIndex`` before the first ingestion, or for another embedder or splitter."""
    version = manifest.live(store)
    if version is None:
        raise StaleIndex("there is no index yet", "type: groundtune ingest")
    if version.embedder != embed.fingerprint:
        raise StaleIndex(
            f"the index was built by the embedder {version.embedder_name} ({version.embedder}); the project now names {embed.name}"
            f" ({embed.fingerprint})",
            "type: groundtune ingest",
        )
    if dict(version.splitter) != dict(splitter):
        raise StaleIndex(
            f"the index was split by {dict(version.splitter)}; the project now asks for {dict(splitter)}", "type: groundtune ingest"
        )
    kept = engine or _default(store)
    if version.engine != kept.place:
        raise StaleIndex(f"the index was built in {version.engine}; the project now names {kept.place}", "type: groundtune ingest")
    return kept.snapshot(version.table, version.tag), version


def verify(
    store: Path, *, embed: Embed, splitter: Mapping[str, int], documents: Sequence[Document], engine: Store | None = None
) -> list[str]:
    """Compare the live version with its manifest and with the documents; return what differs, in words."""
    kept = engine or _default(store)
    index, version = open_live(store, embed=embed, splitter=splitter, engine=kept)
    present = kept.held(version.table, version.tag)
    findings = []
    if index.count() != version.chunks:
        findings.append(f"the index holds {index.count()} chunks, its manifest says {version.chunks}")
    for name, item in version.contents.items():
        there = present.get(name)
        if there is None:
            findings.append(f"{name} is in the manifest, but not in the index")
        elif there != Held(item["hash"], frozenset(item["readers"]), item["chunks"]):
            findings.append(f"{name} is not as its manifest says")
    findings += [f"{name} is in the index, but not in its manifest" for name in sorted(present.keys() - version.contents.keys())]
    if version.id != version_id(documents, embed, splitter):
        findings.append("the documents changed since the index was built; type: groundtune ingest")
    return findings
