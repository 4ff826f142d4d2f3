"""Rows that are not what was written: each kind of damage, put into a store by its own door, has to be found by ``verify_version``.

written     document:d0.md  three chunks         stored     document:d0.md  three chunks, one with another word
manifest    their ids, spans and texts, hashed   verify  →  rows, coverage: document:d0.md

The store is not told that anything is damaged, so these hold for every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import Row, Store
from groundtune.chunks.verify import digest, verify_version
from groundtune.testing.index_contract import WIDTH
from groundtune.testing.store_rows import written
from groundtune.types import Chunk, Document

Damage = Callable[[list[Chunk]], list[Chunk]]


def _second(**changes: object) -> Damage:
    return lambda chunks: [chunks[0], replace(chunks[1], **changes), chunks[2]]  # type: ignore[arg-type]


def _swapped(chunks: list[Chunk]) -> list[Chunk]:
    first, second, third = chunks
    return [replace(first, ordinal=second.ordinal), replace(second, ordinal=first.ordinal), third]


def _all(**changes: object) -> Damage:
    return lambda chunks: [replace(chunk, **changes) for chunk in chunks]  # type: ignore[arg-type]


# What is done to a document, and the kinds of difference that have to be told of it, no more and no fewer.
DAMAGE: dict[str, tuple[Damage, set[str]]] = {
    "nothing": (lambda chunks: chunks, set()),
    "another text": (lambda chunks: _second(text=chunks[1].text.swapcase())(chunks), {"rows", "coverage"}),
    "a shorter span": (lambda chunks: _second(end=chunks[1].end - 1)(chunks), {"rows", "coverage"}),
    "another id": (_second(id="chunk:another"), {"rows"}),
    "another order": (_swapped, {"rows"}),
    "one chunk less": (lambda chunks: chunks[:2], {"chunks", "rows", "coverage"}),
    "other readers": (_all(readers=frozenset(["everyone", "support"])), {"readers"}),
    "no readers": (_all(readers=frozenset()), {"readers"}),
    "another hash": (_all(document_hash="f" * 16), {"hash"}),
    "other readers of a part": (_second(readers=frozenset(["finance"])), {"readers"}),
}


def document(number: int) -> tuple[Document, list[Chunk]]:
    """Return document ``number`` and its three chunks, whose spans cover it."""
    chunks, _ = written(number)
    text, placed = "", []
    for chunk in chunks:
        placed.append(replace(chunk, start=len(text), end=len(text) + len(chunk.text)))
        text += f"{chunk.text}\n\n"
    whole = Document(
        id=chunks[0].document_id,
        source=chunks[0].document_id.removeprefix("document:"),
        title="T",
        text=text,
        content_hash=chunks[0].document_hash,
        readers=chunks[0].readers,
    )
    return whole, placed


def manifest_of(store: Store, table: str, tag: str, documents: Sequence[tuple[Document, Sequence[Chunk]]]) -> IndexVersion:
    """Return the manifest that these documents have when they were written as they should be."""
    contents = {
        item.id: {"hash": item.content_hash, "readers": sorted(item.readers), "chunks": len(chunks), "rows": digest(chunks)}
        for item, chunks in documents
    }
    return IndexVersion(
        id="index:0000", table=table, tag=tag, engine=store.place, splitter={}, embedder="e", embedder_name="e", contents=contents
    )


def damage_is_found(store: Store, table: str) -> None:
    """Write a version whole, then once more with one document damaged in each way, and compare it with the manifest of the first."""
    made = [document(number) for number in range(len(DAMAGE))]
    version = manifest_of(store, table, "one", made)
    draft = store.draft(table, WIDTH)
    vectors = [written(number)[1] for number in range(len(made))]
    for (_, chunks), theirs in zip(made, vectors, strict=True):
        draft.write(chunks, theirs)
    draft.publish("one")
    documents = [item for item, _ in made]
    assert verify_version(version, store, documents=documents).differences == ()
    for (item, chunks), theirs, (damage, _) in zip(made, vectors, DAMAGE.values(), strict=True):
        damaged = damage(chunks)
        if damaged is not chunks:
            draft.write(damaged, theirs[: len(damaged)])
            assert damaged[0].document_id == item.id
    draft.publish("one")
    found = {(difference.kind, difference.document) for difference in verify_version(version, store, documents=documents).differences}
    wanted = {(kind, item.id) for item, (_, kinds) in zip(documents, DAMAGE.values(), strict=True) for kind in kinds}
    assert found == wanted | {("count", "")}


def rows_are_listed(store: Store, table: str) -> None:
    """Publish, write on, and list the version's rows: all, of some documents, of none, and of ids that nobody has."""
    made = [document(number) for number in range(4)]
    draft = store.draft(table, WIDTH)
    for number, (_, chunks) in enumerate(made):
        draft.write(chunks, written(number)[1])
    draft.publish("first")
    draft.write(*written(0, edition=1))
    draft.delete(["document:d1.md"])
    draft.restamp({"document:d2.md": frozenset()})
    draft.publish("second")
    wanted = {item.id: sorted(_row(chunk) for chunk in chunks) for item, chunks in made}
    assert sorted(store.rows(table, "first")) == sorted(row for rows in wanted.values() for row in rows)
    some = ["document:d2.md", "document:d0.md", "document:unknown.md", "x' OR '1'='1", ""]
    assert sorted(store.rows(table, "first", some)) == sorted(wanted["document:d0.md"] + wanted["document:d2.md"])
    assert list(store.rows(table, "first", [])) == []
    assert sorted({row.document_id for row in store.rows(table, "second")}) == ["document:d0.md", "document:d2.md", "document:d3.md"]
    assert {row.id for row in store.rows(table, "second", ["document:d0.md"])} == {chunk.id for chunk in written(0, edition=1)[0]}


def _row(chunk: Chunk) -> Row:
    return Row(chunk.document_id, chunk.id, chunk.ordinal, chunk.start, chunk.end, chunk.text)
