"""Adapters of services that cannot be run here, against fakes of their HTTP APIs on a real server."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from made_http import served
from made_pinecone import KEY as PINECONE_KEY
from made_pinecone import FakePinecone

from groundtune.access.filter import Predicate
from groundtune.chunks.engines import http
from groundtune.chunks.engines.pinecone import PineconeRows
from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.engines.weaviate import WeaviateRows
from groundtune.chunks.store import Store
from groundtune.errors import ConfigError, StorageError
from groundtune.testing.index_contract import WIDTH
from groundtune.testing.store_contract import StoreContract
from groundtune.testing.store_rows import written


class TestWeaviate(StoreContract):
    negation = False

    recall_rows = 1000
    cases = 10

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        pytest.importorskip("graphql", reason="pip install graphql-core")
        from made_weaviate import KEY, FakeWeaviate

        self.key, self.fake = KEY, FakeWeaviate()
        with served(self.fake) as self.url:
            yield

    def store(self) -> Store:
        return RowStore(WeaviateRows(self.url, key=self.key))

    def opener(self) -> str:
        return (
            "from groundtune.chunks.engines.weaviate import WeaviateRows; from groundtune.chunks.engines.store import RowStore\n"
            f"store = RowStore(WeaviateRows({self.url!r}, key={self.key!r}))"
        )

    def test_a_row_that_the_batch_refuses_is_an_error(self) -> None:
        self.fake.refuse = "full"
        draft = self.store().draft("chunks", WIDTH)
        chunks, vectors = written(0)
        with pytest.raises(StorageError, match="refuses 1 of 3 rows.*disk usage too high"):
            draft.write([chunks[0], replace(chunks[1], text="the disk is full"), chunks[2]], vectors)

    def test_a_wrong_key_is_told(self) -> None:
        with pytest.raises(StorageError, match="refuses the key: 401"):
            RowStore(WeaviateRows(self.url, key="wrong")).draft("chunks", WIDTH)


class TestPinecone(StoreContract):
    negation = False

    recall_rows = 1000
    cases = 4

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        self.fake, self.namespace = FakePinecone(WIDTH), f"s{uuid.uuid4().hex[:8]}"
        with served(self.fake) as self.url:
            yield

    def store(self) -> Store:
        return RowStore(PineconeRows(self.url, key=PINECONE_KEY, namespace=self.namespace))

    def opener(self) -> str:
        return (
            "from groundtune.chunks.engines.pinecone import PineconeRows; from groundtune.chunks.engines.store import RowStore\n"
            f"store = RowStore(PineconeRows({self.url!r}, key={PINECONE_KEY!r}, namespace={self.namespace!r}))"
        )

    def test_an_index_of_another_width_is_refused(self) -> None:
        with pytest.raises(StorageError, match="takes vectors of 24 dimensions, the embedder makes 384"):
            self.store().draft("chunks", 384)

    def test_a_chunk_beyond_the_services_limit_is_named(self) -> None:
        chunks, vectors = written(0)
        with pytest.raises(StorageError, match=r"chunk:d0.md#0@00000000 has \d+ bytes with its text, Pinecone takes 40960"):
            self.store().draft("chunks", WIDTH).write([replace(chunks[0], text="x " * 30_000)], vectors[:1])

    def test_a_service_that_recovers_is_asked_again_and_one_that_does_not_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "PAUSE", 0.001)
        store = self.store()
        draft = store.draft("chunks", WIDTH)
        draft.write(*written(0))
        self.fake.broken = 2
        may = Predicate(frozenset(["everyone"]))
        assert len(draft.index().dense(written(0)[1][0], may, None, 5)) == 3
        self.fake.broken = 1000
        with pytest.raises(StorageError, match="cannot be reached: 503"):
            draft.index().dense(written(0)[1][0], may, None, 5)

    def test_settings_are_checked_before_anything_is_sent(self) -> None:
        with pytest.raises(ConfigError, match="not an address"):
            PineconeRows("index.svc.pinecone.io", key="k")
        with pytest.raises(StorageError, match="refuses the key: 401"):
            RowStore(PineconeRows(self.url, key="")).draft("chunks", WIDTH)
