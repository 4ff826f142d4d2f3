"""LangChain and LlamaIndex, the real packages, both ways. Left out where the extras are not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.errors import DocumentError, ModelError, UnknownName
from groundtune.integrations import convert
from groundtune.integrations.embeddings import Wrapped
from groundtune.models.hashed import open as hashed
from groundtune.types import Principal

sys.path.insert(0, str(Path(__file__).parent.parent / "project"))

HASHED = hashed({"model": "hashed-64"})
ROWS: list[tuple[str, dict[str, Any]]] = [
    *((f"slot gate secret {n}", {"source": f"hr{n}.md", "readers": ["hr"], "version": 5}) for n in range(30)),
    ("slot gate for everyone", {"source": "open.md", "readers": ["everyone"], "version": 5}),
    ("slot times of the gate", {"source": "old.md", "readers": ["everyone"], "version": 4}),
    ("nobody's gate slot", {"source": "none.md", "readers": []}),
]
ANA = Principal(id="ana", groups=frozenset(["everyone"]))
NOBODY = Principal(id="x", groups=frozenset())


def lists(texts: list[str]) -> list[list[float]]:
    """Embed as plain lists that are not of unit length, as another library's embedder may."""
    return [[3.0 * float(value) for value in row] for row in HASHED.documents(texts)]


def test_texts_without_readers_are_refused_and_none_are_nobody() -> None:
    with pytest.raises(DocumentError, match="a.md: its metadata names no readers"):
        convert.documents_of([("text", {"source": "a.md"})])
    with pytest.raises(DocumentError, match="expected a list"):
        convert.documents_of([("text", {"source": "a.md", "readers": "everyone"})])
    [made] = convert.documents_of([("text", {"source": "a.md", "readers": []})], readers=["everyone"])
    assert made.readers == frozenset()
    with pytest.raises(DocumentError, match="two texts"):
        convert.documents_of([("a", {"source": "a.md"}), ("b", {"source": "a.md"})], readers=["everyone"])


def test_vectors_are_checked_and_brought_to_unit_length() -> None:
    wrapped = Wrapped(lists, lambda text: lists([text])[0], name="m", max_tokens=99)
    assert np.allclose(wrapped.documents(["a b", "c"]), HASHED.documents(["a b", "c"]), atol=1e-6)
    assert np.allclose(wrapped.query("a b"), HASHED.query("a b"), atol=1e-6)
    assert wrapped.documents([]).shape == (0, 64)
    other = Wrapped(lambda texts: [row[::-1] for row in lists(texts)], lambda text: lists([text])[0], name="m", max_tokens=99)
    assert wrapped.fingerprint != other.fingerprint
    for wrong in ([[0.0, 0.0]], [[float("nan")]], [["x"]], [], [1.0], [[1.0], [2.0]]):
        with pytest.raises(ModelError, match="the embedder bad returned"):
            Wrapped(lambda texts, wrong=wrong: wrong, lambda text: [1.0], name="bad", max_tokens=9)  # type: ignore[misc]


@pytest.fixture
def project(tmp_path: Path) -> Any:
    from made_project import make_project

    import groundtune

    made = groundtune.open(make_project(tmp_path / "small"))
    made.ingest()
    return made


def shown(search: Any, asker: Principal, **filter: str) -> list[str]:
    found = search("slot gate", asker, filter)
    assert all(passage.allowed_by and passage.found_by for passage in found)
    return sorted(passage.chunk.document_id for passage in found)


def test_langchain_parts_work_in_our_protocols() -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    from groundtune.integrations import langchain

    class Theirs(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return lists(texts)

        def embed_query(self, text: str) -> list[float]:
            return lists([text])[0]

    embed = langchain.embed_of(Theirs(), name="theirs")
    assert np.allclose(embed.query("slot"), HASHED.query("slot"), atol=1e-6)
    theirs = [Document(page_content=text, metadata=metadata) for text, metadata in ROWS]
    ours = langchain.documents_of(theirs)
    assert [(item.id, item.readers) for item in ours[-2:]] == [
        ("document:old.md", frozenset(["everyone"])),
        ("document:none.md", frozenset()),
    ]
    store = InMemoryVectorStore(Theirs())
    store.add_documents(theirs)
    search = langchain.retrieve_from(store, limit=2)
    assert shown(search, ANA) == ["document:old.md", "document:open.md"], "hidden rows used up the limit"
    assert shown(search, ANA, version="4") == ["document:old.md"]
    assert shown(search, NOBODY) == []


def test_our_search_is_a_langchain_retriever_for_one_principal(project: Any) -> None:
    pytest.importorskip("langchain_core")
    from groundtune.integrations.langchain import GroundtuneRetriever

    question = "how often is the keel checked"
    femi = GroundtuneRetriever.of(project, "femi").invoke(question)
    ana = GroundtuneRetriever.of(project, "ana", limit=5).invoke(question)
    assert femi[0].metadata["source"] == "keel.md" and femi[0].metadata["allowed_by"] == ["finance"]
    assert ana and all(item.metadata["source"] != "keel.md" for item in ana)
    text = project.content.documents["document:keel.md"].text
    assert text[femi[0].metadata["start"] : femi[0].metadata["end"]] == femi[0].page_content
    with pytest.raises(UnknownName):
        GroundtuneRetriever.of(project, "somebody")
    with pytest.raises(ValueError, match="principal"):
        GroundtuneRetriever(search=project.retriever())


def test_a_retriever_shows_nothing_that_was_hidden_since_it_was_made(project: Any) -> None:
    """The next question is answered from the version that another process made live meanwhile."""
    from groundtune.integrations.convert import Live, somebody

    femi = somebody(project, "femi")
    assert somebody(project, femi) is femi
    search = Live(project, 5)
    first = search("how often is the keel checked", femi, {})
    assert first[0].chunk.document_id == "document:keel.md"
    assert search("how often is the keel checked", femi, {}) == first
    (project.folder / "documents" / "keel.md").unlink()
    type(project)(project.folder).ingest(strict=False)
    again = search("how often is the keel checked", femi, {})
    assert again and all(passage.chunk.document_id != "document:keel.md" for passage in again)


def test_llamaindex_parts_work_in_our_protocols() -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding

    from groundtune.integrations import llamaindex

    class Theirs(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return lists([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return lists([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return lists([query])[0]

    embed = llamaindex.embed_of(Theirs(), name="theirs")
    assert np.allclose(embed.documents(["slot"])[0], HASHED.query("slot"), atol=1e-6)
    theirs = [Document(text=text, metadata=metadata) for text, metadata in ROWS]
    assert len(llamaindex.documents_of(theirs)) == len(ROWS)
    index = VectorStoreIndex.from_documents(theirs, embed_model=Theirs())
    search = llamaindex.retrieve_from(index.as_retriever, limit=2)
    assert shown(search, ANA) == ["document:old.md", "document:open.md"], "hidden rows used up the limit"
    assert shown(search, ANA, version="4") == ["document:old.md"]
    assert shown(search, NOBODY) == []


def test_our_search_is_a_llamaindex_retriever_for_one_principal(project: Any) -> None:
    pytest.importorskip("llama_index.core")
    from groundtune.integrations.llamaindex import GroundtuneRetriever

    question = "how often is the keel checked"
    femi = GroundtuneRetriever.of(project, "femi").retrieve(question)
    ana = GroundtuneRetriever.of(project, "ana", limit=5).retrieve(question)
    assert femi[0].node.metadata["source"] == "keel.md"
    assert ana and all(item.node.metadata["source"] != "keel.md" for item in ana)
    text = project.content.documents["document:keel.md"].text
    assert text[femi[0].node.start_char_idx : femi[0].node.end_char_idx] == femi[0].node.get_content()
    with pytest.raises(TypeError, match="principal"):
        GroundtuneRetriever(project.retriever())


@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_a_missing_package_names_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from groundtune.errors import MissingExtra

    package = {"langchain": "langchain_core", "llamaindex": "llama_index"}[name]
    for module in [item for item in sys.modules if item.split(".")[0] == package or item == f"groundtune.integrations.{name}"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"groundtune\[{name}\]"):
        importlib.import_module(f"groundtune.integrations.{name}")
