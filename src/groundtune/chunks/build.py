"""Documents → an index version: the difference to what is there, embedded first, committed, counted back, tagged, and named last.

A version's id is a function of the documents, their readers, the splitter and the embedder. Nothing is served before its manifest is
written; until then, and after a failure, the version before it stays live. What a killed run left in the table is found there by the
next one and used, since the difference is taken against the table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.chunks import index_lance as lance
from groundtune.chunks import manifest
from groundtune.chunks.cache import EmbeddingCache
from groundtune.chunks.index import search_text
from groundtune.chunks.manifest import IndexVersion, versions
from groundtune.chunks.split import split, verify_coverage
from groundtune.errors import StaleIndex
from groundtune.files import fingerprint
from groundtune.models.embed import Embed
from groundtune.progress import Progress, Silent
from groundtune.types import Chunk, Document

# Counted up when the splitter cuts the same text in another way, or the searched text of a chunk changes.
ALGORITHM = 2

Describe = Callable[[Sequence[Chunk]], list[Chunk]]

__all__ = ["IndexVersion", "open_live", "sync", "verify", "versions"]


@dataclass(frozen=True, slots=True)
class _Change:
    """What has to happen to a table: documents whose text is new to it, whose readers changed, and which are gone from it."""

    write: tuple[Document, ...]
    restamp: tuple[Document, ...]
    gone: tuple[str, ...]


def version_id(documents: Sequence[Document], embed: Embed, splitter: Mapping[str, Any]) -> str:
    """Return the id that the index of these documents has."""
    contents = sorted((item.id, item.content_hash, sorted(item.readers)) for item in documents)
    return "index:" + fingerprint(contents, dict(splitter), ALGORITHM, embed.fingerprint, length=12)


def sync(
    documents: Sequence[Document],
    *,
    embed: Embed,
    splitter: Mapping[str, Any],
    store: Path,
    progress: Progress | None = None,
    describe: Describe | None = None,
) -> IndexVersion:
    """Bring the index in step with the documents, and return the version that is live now. ``describe`` writes lines of context.

    Raises ``StaleIndex`` when what was stored is not what was meant to be, and ``StorageError`` when the disk is full; the live version
    stays live then.
    """
    shown = progress or Silent()
    wanted = version_id(documents, embed, splitter)
    before = manifest.live(store)
    if before is not None and before.id == wanted:
        return replace(before, added=0, changed=0, restamped=0, gone=0, unchanged=len(documents))
    try:
        version = _built(documents, wanted, before, embed, splitter, store, shown, describe)
    except RuntimeError as error:
        told = lance.full_disk(error, store)
        if told is not None:
            raise told from error
        raise
    manifest.write(store, version)
    return version


def _built(
    documents: Sequence[Document],
    wanted: str,
    before: IndexVersion | None,
    embed: Embed,
    splitter: Mapping[str, Any],
    store: Path,
    progress: Progress,
    describe: Describe | None,
) -> IndexVersion:
    name = f"chunks_{fingerprint(dict(splitter), ALGORITHM, embed.fingerprint, length=12)}"
    database = lance.connect(store / "lance")
    if name in _tables(database):
        table = database.open_table(name)
    else:
        table = database.create_table(name, schema=lance.schema(embed.dimensions))
    change = _difference(documents, _present(table))
    chunks = {item.id: split(item, embed.count, **splitter) for item in change.write}
    for document in change.write:
        verify_coverage(document, chunks[document.id])
        if describe is not None:
            chunks[document.id] = describe(chunks[document.id])
    made = [chunk for item in change.write for chunk in chunks[item.id]]
    cache = EmbeddingCache(store / "embeddings.sqlite")
    try:
        vectors = cache.vectors([search_text(chunk) for chunk in made], embed, progress)
    finally:
        cache.close()
    _commit(table, change, made, vectors)
    tag = wanted.replace(":", "-")
    if tag in table.tags.list():
        table.tags.delete(tag)
    table.tags.create(tag, table.version)
    counts = _count_back(table, documents, chunks)
    old = before.contents if before is not None else {}
    changes = {item.id: _kind(item, old.get(item.id)) for item in documents}
    return IndexVersion(
        id=wanted,
        table=name,
        tag=tag,
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


def _tables(database: Any) -> list[str]:
    listed = database.list_tables()
    return list(getattr(listed, "tables", listed))


def _kind(document: Document, old: Mapping[str, Any] | None) -> str:
    if old is None:
        return "added"
    if old["hash"] != document.content_hash:
        return "changed"
    return "unchanged" if list(old["readers"]) == sorted(document.readers) else "restamped"


def _present(table: Any) -> dict[str, tuple[str, frozenset[str], int]]:
    """Return what the table holds, by document: hash, readers, number of chunks. Torn documents come back with an impossible hash."""
    found: dict[str, tuple[str, frozenset[str], int]] = {}
    columns = ["document_id", "document_hash", "readers"]
    rows = table.search().select(columns).limit(max(1, table.count_rows())).to_arrow().to_pylist()
    for row in rows:
        name, text_hash, readers = row["document_id"], row["document_hash"], frozenset(row["readers"] or ())
        if name not in found:
            found[name] = (text_hash, readers, 1)
            continue
        same = found[name][:2] == (text_hash, readers)
        found[name] = (text_hash if same else "torn", readers, found[name][2] + 1)
    return found


def _difference(documents: Sequence[Document], present: Mapping[str, tuple[str, frozenset[str], int]]) -> _Change:
    write, restamp = [], []
    for document in documents:
        there = present.get(document.id)
        if there is None or there[0] != document.content_hash:
            write.append(document)
        elif there[1] != document.readers:
            restamp.append(document)
    gone = sorted(present.keys() - {document.id for document in documents})
    return _Change(tuple(write), tuple(restamp), tuple(gone))


def _commit(table: Any, change: _Change, made: Sequence[Chunk], vectors: Any) -> None:
    """Apply a change to the table. Readers follow the table's live version by its tag, so no state in between is seen."""
    lance.drop_documents(table, [*change.gone, *(document.id for document in change.write)])
    if made:
        table.add(lance.rows_of(made, vectors))
    if change.restamp:
        lance.restamp(table, {document.id: document.readers for document in change.restamp})
    lance.make_indices(table)


def _count_back(table: Any, documents: Sequence[Document], chunks: Mapping[str, Sequence[Chunk]]) -> dict[str, int]:
    """Return the number of chunks of each document as the table has them. Raises ``StaleIndex`` where it is not what was meant."""
    present = _present(table)
    wrong = []
    for document in documents:
        there = present.get(document.id)
        if there is None or there[0] != document.content_hash or there[1] != document.readers:
            wrong.append(f"{document.source} is not there as it is now")
        elif document.id in chunks and there[2] != len(chunks[document.id]):
            wrong.append(f"{document.source} has {there[2]} chunks, {len(chunks[document.id])} were written")
    wrong += [f"{name} should be gone" for name in sorted(present.keys() - {document.id for document in documents})]
    if wrong:
        raise StaleIndex(f"the index does not hold what was written: {'; '.join(wrong[:5])}", "type: groundtune ingest")
    return {document.id: present[document.id][2] for document in documents}


def open_live(store: Path, *, embed: Embed, splitter: Mapping[str, Any]) -> tuple[lance.LanceIndex, IndexVersion]:
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
    database = lance.connect(store / "lance")
    if version.table not in _tables(database):
        raise StaleIndex(
            f"the table {version.table} of {version.id} is not in {store / 'lance'}", f"remove {store}, then type: groundtune ingest"
        )
    return lance.LanceIndex(database.open_table(version.table), version.tag), version


def verify(store: Path, *, embed: Embed, splitter: Mapping[str, Any], documents: Sequence[Document]) -> list[str]:
    """Compare the live version with its manifest and with the documents; return what differs, in words."""
    index, version = open_live(store, embed=embed, splitter=splitter)
    table = lance.connect(store / "lance").open_table(version.table)
    table.checkout(version.tag)
    present = _present(table)
    findings = []
    if index.count() != version.chunks:
        findings.append(f"the index holds {index.count()} chunks, its manifest says {version.chunks}")
    for name, item in version.contents.items():
        there = present.get(name)
        if there is None:
            findings.append(f"{name} is in the manifest, but not in the index")
        elif there != (item["hash"], frozenset(item["readers"]), item["chunks"]):
            findings.append(f"{name} is not as its manifest says")
    findings += [f"{name} is in the index, but not in its manifest" for name in sorted(present.keys() - version.contents.keys())]
    if version.id != version_id(documents, embed, splitter):
        findings.append("the documents changed since the index was built; type: groundtune ingest")
    return findings
