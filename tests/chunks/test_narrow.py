"""A version without some of its documents: what is left is exactly as it was, whatever was written since."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made_rows import DictRows

from groundtune.access.filter import Predicate
from groundtune.chunks import build, manifest, narrow
from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import Store
from groundtune.chunks.store_lance import LanceStore
from groundtune.chunks.store_memory import MemoryStore
from groundtune.chunks.verify import verify_version
from groundtune.errors import StaleIndex
from groundtune.files import fingerprint
from groundtune.models.hashed import open as hashed
from groundtune.types import Chunk, Document, Section

SPLITTER = {"max_tokens": 40, "min_tokens": 5}
EMBED = hashed({})
ALL = Predicate(frozenset(["everyone", "hr"]))


@pytest.fixture(params=["memory", "rows", "lance", "pgvector", "qdrant", "chroma"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = opened(request, tmp_path)
    yield made
    made.close()


def opened(request: pytest.FixtureRequest, folder: Path) -> Store:
    if request.param == "lance":
        return LanceStore(folder / "lance")
    if request.param == "pgvector":
        from groundtune.chunks.postgres.store import PostgresStore

        return PostgresStore(request.getfixturevalue("postgres"), namespace=f"s{uuid.uuid4().hex[:8]}", role="reader")
    if request.param == "qdrant":
        pytest.importorskip("qdrant_client", reason="pip install 'groundtune[qdrant]'")
        from groundtune.chunks.engines.qdrant import QdrantRows

        return RowStore(QdrantRows(url=None, folder=folder / "qdrant"))
    if request.param == "chroma":
        pytest.importorskip("chromadb", reason="pip install 'groundtune[chroma]'")
        from groundtune.chunks.engines.chroma import ChromaRows

        return RowStore(ChromaRows(url=None, folder=folder / "chroma"))
    return MemoryStore() if request.param == "memory" else RowStore(DictRows())


class Deaf:
    """The embedder, for when nothing may be embedded: what is copied has its vectors in the cache."""

    def __getattr__(self, name: str) -> object:
        assert name != "documents", "nothing is to be embedded"
        return getattr(EMBED, name)


def document(name: str, text: str, readers: frozenset[str] = frozenset(["everyone"]), second: frozenset[str] | None = None) -> Document:
    """A document; ``second`` are the readers of its second half."""
    body = f"# {name}\n\n{text * 20}\n\n## More\n\n{text * 20}"
    cut = body.index("## More")
    sections = () if second is None else (Section(0, cut, readers), Section(cut, len(body), second))
    whole = readers if second is None else readers & second
    title = fingerprint(name, body)
    return Document(
        id=f"document:{name}", source=name, title=name, text=body, content_hash=title, readers=whole, metadata={"v": "1"}, sections=sections
    )


def synced(folder: Path, engine: Store, *documents: Document) -> build.IndexVersion:
    return build.sync(list(documents), embed=EMBED, splitter=SPLITTER, store=folder, engine=engine)


def held(engine: Store, version: build.IndexVersion) -> dict[str, Chunk]:
    """Every chunk that somebody may read, as it is given back."""
    ids = [row.id for row in engine.rows(version.table, version.tag)]
    return engine.snapshot(version.table, version.tag).chunks(ids, ALL)


def test_what_is_left_is_as_the_version_had_it_whatever_was_written_since(tmp_path: Path, engine: Store) -> None:
    hr = frozenset(["hr"])
    first = (document("a", "One is old. "), document("b", "Two. "), document("c", "Three. ", second=hr), document("d", "Four is old. ", hr))
    old = synced(tmp_path, engine, *first)
    before = held(engine, old)
    hidden = replace(first[1], readers=frozenset())
    synced(tmp_path, engine, document("a", "One is new. "), hidden, document("d", "Four is new. "), document("e", "Five. "))
    made = narrow.without(old, {"document:d"}, store=tmp_path, engine=engine, embed=Deaf())  # type: ignore[arg-type]
    assert sorted(made.contents) == ["document:a", "document:b", "document:c"]
    assert held(engine, made) == {key: chunk for key, chunk in before.items() if chunk.document_id != "document:d"}
    assert verify_version(made, engine, documents=first).differences == ()
    # The versions before are what they were, and it has the id that an ingestion of the same would give it.
    assert held(engine, old) == before
    assert synced(tmp_path, engine, *first[:3]).id == made.id


def test_a_document_that_nobody_reads_a_part_of_is_left_out_where_it_has_to_be_copied(tmp_path: Path, engine: Store) -> None:
    kept, gone = document("kept", "It stays. "), document("gone", "It goes. ")
    old = synced(tmp_path, engine, kept, gone, document("parted", "Old. ", second=frozenset()))
    same = narrow.without(old, {"document:gone"}, store=tmp_path, engine=engine, embed=EMBED)
    assert sorted(same.contents) == ["document:kept", "document:parted"]
    manifest.path_of(tmp_path, same.id).unlink()
    synced(tmp_path, engine, kept, document("parted", "New. ", second=frozenset()))
    made = narrow.without(old, {"document:gone"}, store=tmp_path, engine=engine, embed=EMBED)
    assert sorted(made.contents) == ["document:kept"] and verify_version(made, engine).differences == ()


def test_only_what_the_project_can_search_is_narrowed(tmp_path: Path) -> None:
    engine = MemoryStore()
    version = synced(tmp_path, engine, document("a", "One. "), document("b", "Two. "))
    for other in (replace(version, engine="elsewhere"), replace(version, embedder="another"), replace(version, table="chunks_old")):
        with pytest.raises(StaleIndex, match="holds documents that are gone"):
            narrow.without(other, {"document:a"}, store=tmp_path, engine=engine, embed=EMBED)
