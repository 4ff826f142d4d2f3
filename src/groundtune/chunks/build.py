"""Documents → an index version: the difference to what is there, embedded first, committed, counted back, tagged, and named last.

A version's id is a function of the documents, their readers, the splitter and the embedder. Nothing is served before its manifest is
written; until then, and after a failure, the version before it stays live. What a killed run left in the table is found there by the
next one and used, since the difference is taken against the table itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from groundtune.chunks import holding, manifest
from groundtune.chunks.cache import VECTORS, EmbeddingCache
from groundtune.chunks.index import Index, search_text
from groundtune.chunks.manifest import IndexVersion, versions
from groundtune.chunks.split import split, verify_coverage
from groundtune.chunks.store import Draft, Held, Readers, Stepping, Store, joined
from groundtune.chunks.verify import digest, gathered, verify_version
from groundtune.errors import StaleIndex
from groundtune.files import Sorted, fingerprint, fingerprint_plain, plain
from groundtune.models.embed import Embed
from groundtune.progress import Progress, Silent
from groundtune.types import Chunk, Document

# Counted up when the splitter cuts the same text in another way, or the searched text or the columns of a chunk change.
ALGORITHM = 4

Describe = Callable[[Sequence[Chunk]], list[Chunk]]

__all__ = ["IndexVersion", "open_live", "sync", "verify", "versions"]


@dataclass(frozen=True, slots=True)
class _Change:
    """What has to happen to a table: documents whose text is new to it, new readers of others, and which are gone from it."""

    write: tuple[Document, ...]
    restamp: Mapping[str, Readers]
    gone: tuple[str, ...]


class _Plan:
    """The documents of a build: their chunks, cut when they are needed and once, and who may read each of these."""

    def __init__(self, documents: Sequence[Document], embed: Embed, splitter: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]):
        self.documents = {document.id: document for document in documents}
        self.known = known
        self.chunks: dict[str, list[Chunk]] = {}
        self._embed, self._splitter = embed, splitter

    def cut(self, name: str) -> list[Chunk]:
        """Return the chunks of a document."""
        if name not in self.chunks:
            self.chunks[name] = split(self.documents[name], self._embed.count, **self._splitter)
        return self.chunks[name]

    def vouched(self, name: str) -> bool:
        """Return whether a finished version has this text of the document."""
        return name in self.known and bool(self.known[name]["hash"] == self.documents[name].content_hash)

    def readers(self, name: str) -> Readers:
        """Return who may read the chunks of a document."""
        document = self.documents[name]
        if not document.sections:
            return document.readers
        if self.vouched(name) and self.known[name].get("sections") == sections_of(document):
            return manifest.readers_in(self.known[name])
        return joined([chunk.readers for chunk in self.cut(name)])


def version_id(documents: Sequence[Document], embed: Embed, splitter: Mapping[str, Any]) -> str:
    """Return the id that the index of these documents has."""
    named = Sorted()
    contents = ((item.id, item.content_hash, named[item.readers], sections_of(item)) for item in documents)
    return id_of(contents, splitter, embed.fingerprint)


def id_of(contents: Iterable[tuple[str, str, list[str], str]], splitter: Mapping[str, Any], embedder: str) -> str:
    """Return the id of a version of documents, each with its id, hash, sorted readers, and the fingerprint of its sections."""
    rows = sorted([name, text_hash, readers, *filter(None, [sections])] for name, text_hash, readers, sections in contents)
    return "index:" + fingerprint_plain(rows, plain(splitter), ALGORITHM, embedder, length=12)


def id_without(version: IndexVersion, gone: Collection[str]) -> str:
    """Return the id of a version that holds the same less the documents ``gone``."""
    left = ((name, item) for name, item in version.contents.items() if name not in gone)
    rows = ((name, item["hash"], list(item["readers"]), item.get("sections", "")) for name, item in left)
    return id_of(rows, version.splitter, version.embedder)


def sections_of(document: Document) -> str:
    """Return the fingerprint of who reads which part, for a document whose parts have different readers; empty for any other."""
    return fingerprint(document.sections) if document.sections else ""


def sync(
    documents: Sequence[Document],
    *,
    embed: Embed,
    splitter: Mapping[str, Any],
    store: Path,
    progress: Progress | None = None,
    engine: Store | None = None,
    promote: bool = True,
    rebuild: bool = False,
    describe: Describe | None = None,
    readers_only: bool = False,
    since: IndexVersion | None = None,
) -> IndexVersion:
    """Bring the index in step with the documents, and return the version that holds them. Without an ``engine`` it is LanceDB's.

    It is built beside the live one, and becomes live when it is whole; with ``promote=False`` it waits for ``groundtune index promote``.
    ``rebuild=True`` writes every document again, whatever is there: the way out when stored rows were damaged. ``describe`` writes
    lines of context. With ``readers_only`` no text is written: ``StaleIndex`` where that would be needed. What is new, changed or gone is
    counted against ``since``, or else against the live version.

    Raises ``StaleIndex`` when what was stored is not what was meant to be, and ``StorageError`` when the disk is full; the live version
    stays live then. Raises ``StateError`` where another process writes the same index for too long.
    """
    shown = progress or Silent()
    wanted = version_id(documents, embed, splitter)
    kept = engine or _default(store)
    same = standing(store, wanted, kept)
    before = manifest.live(store)
    if same is not None and before is not None and before.id == wanted and not rebuild:
        if since is not None and since.id != wanted:
            return replace(same, **_counts(documents, since))
        return replace(same, added=0, changed=0, restamped=0, gone=0, unchanged=len(documents))
    with holding.writing(store):
        before = manifest.live(store)
        since = since or before
        version = standing(store, wanted, kept)
        # A version that was built before, and left since, is not built again where it is still whole.
        damaged = version is not None and (rebuild or bool(verify_version(version, kept).differences))
        if version is None or damaged:
            version = _built(documents, wanted, before, embed, splitter, store, kept, shown, describe, rebuild or damaged, readers_only)
            version = replace(version, **_counts(documents, since))
            manifest.write(store, version)
        else:
            version = replace(version, **_counts(documents, since))
        if promote and (before is None or before.id != wanted):
            manifest.switch(store, "ingest", wanted)
    return version


def standing(store: Path, wanted: str, engine: Store) -> IndexVersion | None:
    """Return the finished version of this id, where the engine still has it."""
    version = manifest.read(store, wanted)
    return version if version is not None and version.engine == engine.place and version.tag in engine.tags(version.table) else None


def _default(store: Path) -> Store:
    from groundtune.chunks.store_lance import LanceStore

    return LanceStore(store / "lance")


def _built(
    documents: Sequence[Document],
    wanted: str,
    before: IndexVersion | None,
    embed: Embed,
    splitter: Mapping[str, Any],
    store: Path,
    engine: Store,
    progress: Progress,
    describe: Describe | None,
    afresh: bool,
    readers_only: bool,
) -> IndexVersion:
    name = table_name(splitter, embed.fingerprint)
    draft = engine.draft(name, embed.dimensions)
    # Where nothing was written since the version before was, that one says what is there: only what is other is looked at and counted.
    stepped = None if afresh or before is None else _stepped(engine, name, before)
    known = {} if afresh else _known(store, before, name)
    kinds = _kinds(documents, known)
    looked_at = documents
    if stepped is not None:
        looked_at = [item for item in documents if kinds[item.id] != "unchanged" or item.sections]
    planned = _Plan(looked_at, embed, splitter, known)
    passed = {} if stepped is None else {name: known[name] for name in kinds if name not in planned.documents}
    there = draft.held() if stepped is None else _held_by({name: item for name, item in known.items() if name not in passed})
    change = _difference(planned, there, described=describe is not None)
    if readers_only and (change.write or change.gone):
        told = ", ".join([*(item.source for item in change.write), *change.gone][:5])
        raise StaleIndex(
            f"readers cannot be changed alone: the text of {told} is not in the index as it should be", "type: groundtune ingest"
        )
    chunks = {item.id: planned.cut(item.id) for item in change.write}
    for document in change.write:
        verify_coverage(document, chunks[document.id])
        if describe is not None:
            chunks[document.id] = describe(chunks[document.id])
    made = [chunk for item in change.write for chunk in chunks[item.id]]
    cache = EmbeddingCache(store / VECTORS)
    try:
        vectors = cache.vectors([search_text(chunk) for chunk in made], embed, progress)
    finally:
        cache.close()
    _commit(draft, change, made, vectors)
    # A name that was given before stays with its rows: somebody may have them open.
    taken = set(engine.tags(name))
    tag = next(item for item in tags_of(wanted) if item not in taken)
    draft.publish(tag)
    readers = {item.id: planned.readers(item.id) for item in looked_at}
    present = engine.held(name, tag) if stepped is None else _read_of(stepped, name, tag, [*planned.documents, *change.gone], passed)
    counts = _count_back(present, looked_at, readers, chunks)
    digests = {item.id: digest(chunks[item.id]) if item.id in chunks else known[item.id].get("rows") for item in looked_at}
    read_back(engine, name, tag, {item.id: digests[item.id] for item in change.write})
    anew = {
        item.id: {
            "hash": item.content_hash,
            "chunks": counts[item.id],
            "rows": digests[item.id],
            **manifest.readers_kept(readers[item.id], sections_of(item)),
        }
        for item in looked_at
    }
    return IndexVersion(
        id=wanted,
        table=name,
        tag=tag,
        engine=engine.place,
        splitter=dict(splitter),
        embedder=embed.fingerprint,
        embedder_name=embed.name,
        contents={name: anew[name] if name in anew else passed[name] for name in sorted(kinds)},
    )


def _stepped(engine: Store, table: str, before: IndexVersion) -> Stepping | None:
    """Return the engine as one that can take a step from the version before, where the table is still what that one is."""
    able = isinstance(engine, Stepping) and (before.table, before.engine) == (table, engine.place)
    return engine if able and isinstance(engine, Stepping) and engine.untouched(table, before.tag) else None


def _held_by(contents: Mapping[str, Mapping[str, Any]]) -> dict[str, Held]:
    """Return what a version has of documents, as it was counted back when it was written."""
    return {name: Held(item["hash"], manifest.readers_in(item), item["chunks"]) for name, item in contents.items()}


def _read_of(engine: Stepping, table: str, tag: str, names: Sequence[str], passed: Mapping[str, Mapping[str, Any]]) -> dict[str, Held]:
    """Return what a version holds of the documents that were looked at. What was ``passed`` by has to be there as before, row for row.

    Raises ``StaleIndex`` where there are more or fewer rows in all than both have together: something was touched that was not to be.
    """
    read, rows = engine.held_of(table, tag, names)
    expected = sum(item.chunks for item in read.values()) + sum(item["chunks"] for item in passed.values())
    if rows != expected:
        raise StaleIndex(
            f"the index does not hold what was written: it has {rows:,} chunks, {expected:,} were expected",
            "type: groundtune ingest --rebuild",
        )
    return read


def table_name(splitter: Mapping[str, Any], embedder: str) -> str:
    """Return the name of the table that this release keeps chunks in that were cut and embedded so."""
    return f"chunks_{fingerprint(dict(splitter), ALGORITHM, embedder, length=12)}"


def tags_of(wanted: str) -> Iterator[str]:
    """Yield the names that a version may be published under, the preferred one first."""
    base = wanted.replace(":", "-")
    yield base
    yield from (f"{base}-{number}" for number in count(2))


def _counts(documents: Sequence[Document], before: IndexVersion | None) -> dict[str, Any]:
    """Return how many documents are new, changed, and so on, against the version before."""
    old = before.contents if before is not None else {}
    kinds = _kinds(documents, old)
    counted = Counter(kinds.values())
    return {"gone": len(old.keys() - kinds.keys()), **{kind: counted[kind] for kind in ("added", "changed", "restamped", "unchanged")}}


def _known(store: Path, before: IndexVersion | None, table: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what a finished version of this table has of each document."""
    if before is not None and before.table == table:
        return before.contents
    finished = [item for item in versions(store) if item.table == table]
    return {name: item for version in finished for name, item in version.contents.items()}


def read_back(engine: Store, table: str, tag: str, digests: Mapping[str, str | None]) -> None:
    """Compare the chunks that were written with what is read. Raises ``StaleIndex`` where they differ."""
    if not digests:
        return
    read = gathered(engine.rows(table, tag, list(digests)))
    wrong = sorted(name for name, wanted in digests.items() if digest(read.get(name, [])) != wanted)
    if wrong:
        raise StaleIndex(f"the index does not hold what was written: the chunks of {', '.join(wrong[:5])}", "type: groundtune ingest")


def _kinds(documents: Sequence[Document], before: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return of each document, by id, what it is to contents that were before."""
    named = Sorted()
    found: dict[str, str] = {}
    for document in documents:
        old = before.get(document.id)
        if old is None:
            kind = "added"
        elif old["hash"] != document.content_hash:
            kind = "changed"
        else:
            same = old["readers"] == named[document.readers]
            if same and (document.sections or "sections" in old):
                same = old.get("sections", "") == sections_of(document)
            kind = "unchanged" if same else "restamped"
        found[document.id] = kind
    return found


def _difference(planned: _Plan, present: Mapping[str, Held], *, described: bool) -> _Change:
    """Compare the documents with a table. What no finished version vouches for is written again: a run was killed over it."""
    write: list[Document] = []
    restamp: dict[str, Readers] = {}
    for name, document in planned.documents.items():
        there = present.get(name)
        if (
            there is None
            or there.hash != document.content_hash
            or not planned.vouched(name)
            or there.chunks != planned.known[name]["chunks"]
        ):
            write.append(document)
            continue
        readers = planned.readers(name)
        if there.readers == readers:
            continue
        one = isinstance(readers, frozenset)
        # A line of context is written from the chunks with the same readers, so where these part it is written anew; and chunks that are
        # not those in the table cannot be stamped one by one.
        other = name in planned.chunks and digest(planned.chunks[name]) != planned.known[name].get("rows")
        if (described and not one) or other:
            write.append(document)
        else:
            restamp[name] = readers
    gone = sorted(present.keys() - planned.documents.keys())
    return _Change(tuple(write), restamp, tuple(gone))


def _commit(draft: Draft, change: _Change, made: Sequence[Chunk], vectors: Any) -> None:
    """Apply a change to the draft. Readers follow the live version by its tag, so no state in between is seen."""
    emptied = {item.id for item in change.write} - {chunk.document_id for chunk in made}
    draft.delete([*change.gone, *sorted(emptied)])
    draft.write(made, vectors)
    draft.restamp(change.restamp)


def _count_back(
    present: Mapping[str, Held], documents: Sequence[Document], readers: Mapping[str, Readers], chunks: Mapping[str, Sequence[Chunk]]
) -> dict[str, int]:
    """Return the number of chunks of each document as they are stored. Raises ``StaleIndex`` where it is not what was meant."""
    wrong = []
    for document in documents:
        there = present.get(document.id)
        if there is None or there.hash != document.content_hash or there.readers != readers[document.id]:
            wrong.append(f"{document.source} is not there as it is now")
        elif document.id in chunks and there.chunks != len(chunks[document.id]):
            wrong.append(f"{document.source} has {there.chunks} chunks, {len(chunks[document.id])} were written")
    wrong += [f"{name} should be gone" for name in sorted(present.keys() - {document.id for document in documents})]
    if wrong:
        raise StaleIndex(f"the index does not hold what was written: {'; '.join(wrong[:5])}", "type: groundtune ingest")
    return {document.id: present[document.id].chunks for document in documents}


def open_live(store: Path, *, embed: Embed, splitter: Mapping[str, Any], engine: Store | None = None) -> tuple[Index, IndexVersion]:
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
    if version.table != table_name(splitter, embed.fingerprint):
        raise StaleIndex("the index was built by an earlier release of groundtune, which kept other columns", "type: groundtune ingest")
    kept = engine or _default(store)
    if version.engine != kept.place:
        raise StaleIndex(f"the index was built in {version.engine}; the project now names {kept.place}", "type: groundtune ingest")
    try:
        index = kept.snapshot(version.table, version.tag)
        # Held, and still there after that: it stays until this index is let go of.
        ready = holding.hold(store, version.id, index) and manifest.path_of(store, version.id).is_file()
    except StaleIndex:
        if not _moved_on(store, version):
            raise
        ready = False
    return (index, version) if ready else open_live(store, embed=embed, splitter=splitter, engine=kept)


def _moved_on(store: Path, version: IndexVersion) -> bool:
    now = manifest.state(store)
    return now is not None and now.id != version.id


def verify(
    store: Path, *, embed: Embed, splitter: Mapping[str, Any], documents: Sequence[Document], engine: Store | None = None
) -> list[str]:
    """Compare the live version with its manifest and with the documents; return what differs, in words."""
    kept = engine or _default(store)
    _, version = open_live(store, embed=embed, splitter=splitter, engine=kept)
    findings = [item.message for item in verify_version(version, kept, documents=documents).differences]
    if version.id != version_id(documents, embed, splitter):
        findings.append("the documents changed since the index was built; type: groundtune ingest")
    return findings
