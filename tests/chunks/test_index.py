from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundtune.access.filter import Predicate
from groundtune.chunks import index_lance as lance
from groundtune.chunks.index import Index
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.chunks.store_lance import LanceDraft, LanceStore
from groundtune.testing.index_contract import GROUPS, WIDTH, IndexContract, made
from groundtune.types import Chunk


class TestMemoryIndex(IndexContract):
    def build(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> Index:
        return MemoryIndex(chunks, vectors)


class TestLanceIndex(IndexContract):
    """Search over a published version."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "lance"

    def build(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> Index:
        store = LanceStore(self.folder)
        name = f"t{len(list(self.folder.glob('*.lance')))}"
        draft = store.draft(name, WIDTH)
        draft.write(chunks, vectors)
        return self.opened(store, draft, name)

    def opened(self, store: LanceStore, draft: LanceDraft, name: str) -> Index:
        draft.publish("live")
        return store.snapshot(name, "live")

    def test_a_stemmed_word_is_found(self) -> None:
        chunks, vectors = made(12, 10)
        chunks[3] = replace(chunks[3], text="Hauliers were cancelling bookings", readers=frozenset(["everyone"]))
        found = self.build(chunks, vectors).keyword("cancelled booking", Predicate(frozenset(["everyone"])), None, 3)
        assert found[0].id == chunks[3].id

    def test_equal_scores_at_the_limit_are_decided_by_id(self) -> None:
        chunks, vectors = made(60, 11)
        vectors[:] = vectors[0]
        found = self.build(chunks, vectors).dense(vectors[0], Predicate(frozenset(GROUPS)), None, 7)
        may = Predicate(frozenset(GROUPS))
        assert [hit.id for hit in found] == sorted(chunk.id for chunk in chunks if may.permits(chunk.readers))[:7]

    def test_what_was_remembered_for_one_asker_is_not_shown_to_another(self) -> None:
        chunks, vectors = made(120, 12)
        index = self.build(chunks, vectors)
        for _ in range(2):
            for group in GROUPS:
                may = Predicate(frozenset([group]))
                wanted = {chunk.id for chunk in chunks if may.permits(chunk.readers)}
                assert {hit.id for hit in index.dense(vectors[3], may, None, 120)} == wanted


class TestLanceDraftIndex(TestLanceIndex):
    """Search over a draft, none of which has been published."""

    def opened(self, store: LanceStore, draft: LanceDraft, name: str) -> Index:
        return draft.index()


def test_a_full_disk_is_told_from_other_failures(tmp_path: Path) -> None:
    assert "no space left" in str(
        lance.full_disk(RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)"), tmp_path)
    )
    assert lance.full_disk(RuntimeError("something else"), tmp_path) is None
