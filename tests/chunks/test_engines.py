import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import Store
from groundtune.testing.store_contract import StoreContract


class TestQdrantFiles(StoreContract):
    """Qdrant's own local mode: the client's filters and ranking, in one process."""

    recall_rows = 1000
    cases = 10

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        pytest.importorskip("qdrant_client", reason="pip install 'groundtune[qdrant]'")
        from groundtune.chunks.engines.qdrant import QdrantRows

        self.one = RowStore(QdrantRows(url=None, folder=tmp_path))
        yield
        self.one.close()

    def store(self) -> Store:
        return self.one


class TestChromaFiles(StoreContract):
    """Chroma in this process."""

    negation = False

    recall_rows = 1000
    cases = 10

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        pytest.importorskip("chromadb", reason="pip install 'groundtune[chroma]'")
        self.folder = tmp_path

    def store(self) -> Store:
        from groundtune.chunks.engines.chroma import ChromaRows

        return RowStore(ChromaRows(url=None, folder=self.folder))


class TestChromaServer(StoreContract):
    """Chroma's own server, with the test and its children as clients."""

    negation = False

    recall_rows = 1000
    cases = 10

    @pytest.fixture(autouse=True)
    def _server(self, chroma_server: str) -> None:
        self.url, self.namespace = chroma_server, f"s{uuid.uuid4().hex[:8]}"

    def store(self) -> Store:
        from groundtune.chunks.engines.chroma import ChromaRows

        return RowStore(ChromaRows(url=self.url, folder=Path(), namespace=self.namespace))

    def opener(self) -> str:
        return (
            "from pathlib import Path; from groundtune.chunks.engines.chroma import ChromaRows\n"
            "from groundtune.chunks.engines.store import RowStore\n"
            f"store = RowStore(ChromaRows(url={self.url!r}, folder=Path(), namespace={self.namespace!r}))"
        )
