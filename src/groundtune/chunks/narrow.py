"""A version → the same one without some of its documents. No source is read, and nothing else of what is served changes.

    index:3f2a {a, b, c}   without b   →   index:9c1e {a, c}: their texts, readers and vectors as index:3f2a has them

Where the table's draft still is what the version holds, rows are only taken out. A document that the draft has in another state (a later
version changed it, or an ingestion was killed over it) is copied from the version, with its vectors from the cache.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundtune.access.filter import Predicate
from groundtune.chunks import manifest
from groundtune.chunks.build import id_without, read_back, standing, table_name, tags_of
from groundtune.chunks.cache import EmbeddingCache
from groundtune.chunks.index import search_text
from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import Draft, Held, Store, widest
from groundtune.chunks.verify import verify_version
from groundtune.errors import StaleIndex
from groundtune.models.embed import Embed
from groundtune.progress import Silent
from groundtune.types import Chunk

AT_ONCE = 500  # chunks that one question to the engine names


def narrows(version: IndexVersion, embed: Embed, engine: Store) -> bool:
    """Return whether a version can be narrowed here: it is in this engine, in a table of this release, with vectors of this embedder."""
    here = version.engine == engine.place and version.embedder == embed.fingerprint
    return here and version.table == table_name(version.splitter, version.embedder)


def without(version: IndexVersion, gone: Collection[str], *, store: Path, engine: Store, embed: Embed) -> IndexVersion:
    """Return the version that holds the same less the documents ``gone``; it is made where there is none. Call it while ``writing``.

    A document that has to be copied, and has a chunk that nobody may read, is left out as well: no search can reach such a chunk.
    Raises ``StaleIndex`` for a version that cannot be narrowed here, or where what was stored is not what was meant to be.
    """
    if not narrows(version, embed, engine):
        told = f"{version.id} holds documents that are gone, and cannot be made anew without them by the project's embedder and engine"
        raise StaleIndex(told, "type: groundtune ingest")
    wanted = id_without(version, gone)
    there = standing(store, wanted, engine)
    if there is not None and not verify_version(there, engine, rows=False).differences:
        return there
    contents = {name: item for name, item in version.contents.items() if name not in gone}
    draft = engine.draft(version.table, embed.dimensions)
    held = draft.held()
    differing = {name: item for name, item in contents.items() if held.get(name) != _held(item)}
    chunks = _copies(version, differing, held, engine)
    out_of_reach = {name for name, item in differing.items() if name not in chunks and not _restamps(held.get(name), item)}
    if out_of_reach:
        return without(version, {*gone, *out_of_reach}, store=store, engine=engine, embed=embed)
    _apply(draft, held, contents, chunks, store, embed)
    taken = set(engine.tags(version.table))
    tag = next(item for item in tags_of(wanted) if item not in taken)
    draft.publish(tag)
    made = replace(
        version,
        id=wanted,
        tag=tag,
        contents=contents,
        added=0,
        changed=0,
        restamped=0,
        gone=len(version.contents) - len(contents),
        unchanged=len(contents),
    )
    read_back(engine, made.table, tag, {name: contents[name].get("rows") for name in chunks if contents[name].get("rows") is not None})
    wrong = verify_version(made, engine, rows=False).differences
    if wrong:
        told = "; ".join(item.message for item in wrong[:5])
        raise StaleIndex(f"the index does not hold what was written: {told}", "type: groundtune ingest")
    manifest.write(store, made)
    return made


def _held(item: Mapping[str, Any]) -> Held:
    return Held(item["hash"], manifest.readers_in(item), item["chunks"])


def _restamps(there: Held | None, item: Mapping[str, Any]) -> bool:
    """Return whether all that differs is who reads a document: the same set for each chunk, so that no line of context has to change."""
    wanted = _held(item)
    return there is not None and (there.hash, there.chunks) == (wanted.hash, wanted.chunks) and isinstance(wanted.readers, frozenset)


def _copies(
    version: IndexVersion, differing: Mapping[str, Mapping[str, Any]], held: Mapping[str, Held], engine: Store
) -> dict[str, list[Chunk]]:
    """Read the chunks of the documents that new readers alone do not mend, as far as all of a document's can be read."""
    names = [name for name, item in differing.items() if not _restamps(held.get(name), item)]
    if not names:
        return {}
    everybody = Predicate(frozenset().union(*(widest(manifest.readers_in(differing[name])) for name in names)))
    index = engine.snapshot(version.table, version.tag)
    owners = {row.id: row.document_id for row in engine.rows(version.table, version.tag, names)}
    ids = list(owners)
    read: dict[str, Chunk] = {}
    for begin in range(0, len(ids), AT_ONCE):
        read |= index.chunks(ids[begin : begin + AT_ONCE], everybody)
    found: dict[str, list[Chunk]] = {}
    for name, chunk in ((chunk.document_id, chunk) for chunk in read.values()):
        found.setdefault(name, []).append(chunk)
    return {name: sorted(part, key=lambda chunk: chunk.ordinal) for name, part in found.items() if len(part) == differing[name]["chunks"]}


def _apply(
    draft: Draft,
    held: Mapping[str, Held],
    contents: Mapping[str, Mapping[str, Any]],
    chunks: Mapping[str, list[Chunk]],
    store: Path,
    embed: Embed,
) -> None:
    """Bring the draft to these contents."""
    copied = [chunk for part in chunks.values() for chunk in part]
    cache = EmbeddingCache(store / "embeddings.sqlite")
    try:
        vectors = cache.vectors([search_text(chunk) for chunk in copied], embed, Silent())
    finally:
        cache.close()
    draft.delete(sorted(held.keys() - contents.keys()))
    draft.write(copied, vectors)
    changed = {name: _held(item) for name, item in contents.items() if name not in chunks}
    draft.restamp({name: item.readers for name, item in changed.items() if held[name].readers != item.readers})
