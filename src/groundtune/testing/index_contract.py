"""What every index has to hold. Subclass it, say how to build yours, and let pytest find it.

class TestMyIndex(IndexContract):
    def build(self, chunks, vectors):
        return MyIndex(chunks, vectors)
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.access.filter import Predicate
from groundtune.chunks.index import Hit, Index
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

WIDTH = 24
WORDS = "slot gate kiosk token haulier invoice credit refund leave salary breach webhook export yard driver".split()
GROUPS = ("everyone", "support", "finance", "security", 'it\'s "odd"')
QUERIES = ("slot gate", "refund", "AND OR NOT ( ) : \" ' * ~ ^", "🚚 emoji", "the of and", "", "zzzz", "x" * 3000, "null\x00byte")


def made(count: int, seed: int) -> tuple[list[Chunk], np.ndarray]:
    """Return chunks of random words, readers (also nobody) and versions, with random unit vectors (count, 24)."""
    import numpy as np

    chance = random.Random(seed)  # noqa: S311
    chunks = [
        Chunk(
            id=f"chunk:d{number // 3}.md#{number % 3}@00000000",
            document_id=f"document:d{number // 3}.md",
            document_hash="0" * 16,
            ordinal=number % 3,
            text=" ".join(chance.choices(WORDS, k=12)),
            start=0,
            end=1,
            heading_path=("H",),
            title="T",
            readers=frozenset(chance.sample(GROUPS, chance.randint(0, 3))),
            tokens=12,
            metadata={"version": chance.choice("45")},
            lead="\n\n" if number % 3 else "",
            reads=(0, 2) if number % 4 == 0 else None,
            context={0: None, 1: "", 2: "About slots."}[number % 3],
        )
        for number in range(count)
    ]
    vectors = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return chunks, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class IndexContract:
    """Permissions, filters and limits that hold in both searches of any index."""

    def build(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> Index:
        """Return your index of these chunks and unit vectors (n, 24)."""
        raise TypeError("say how to build your index: override build()")

    def _both(
        self, index: Index, text: str, vector: np.ndarray, may: Predicate, filter: dict[str, str] | None, limit: int
    ) -> list[list[Hit]]:
        return [index.keyword(text, may, filter, limit), index.dense(vector, may, filter, limit)]

    def test_nobody_sees_what_they_may_not(self) -> None:
        """No row without a shared group comes back, for any principal and any query, however odd."""
        chunks, vectors = made(90, 1)
        index = self.build(chunks, vectors)
        readers = {chunk.id: chunk.readers for chunk in chunks}
        for number, text in enumerate(QUERIES):
            for groups in ((), ("everyone",), ("support", "finance"), ('it\'s "odd"',), ("unknown",), GROUPS):
                may = Predicate(frozenset(groups))
                for found in self._both(index, text, vectors[number], may, None, 50):
                    assert all(may.permits(readers[hit.id]) for hit in found)
                    assert groups or not found

    def test_hidden_rows_do_not_use_up_the_limit(self) -> None:
        """The dense search returns as many permitted rows as there are, up to the limit, whatever ranks above them."""
        chunks, vectors = made(120, 2)
        index = self.build(chunks, vectors)
        for group in GROUPS:
            may = Predicate(frozenset([group]))
            permitted = sum(may.permits(chunk.readers) for chunk in chunks)
            assert permitted > 0
            assert len(index.dense(vectors[0], may, None, 10)) == min(10, permitted)

    def test_a_filter_only_narrows(self) -> None:
        """Filtered results are permitted results that match the filter, and nothing else."""
        chunks, vectors = made(90, 3)
        index = self.build(chunks, vectors)
        may = Predicate(frozenset(["everyone", "support"]))
        for filter in ({"version": "4"}, {"version": "5"}, {"version": "x' OR '1'='1"}, {"nothing": "here"}):
            matching = {chunk.id for chunk in chunks if all(chunk.metadata.get(k) == v for k, v in filter.items())}
            whole = self._both(index, "slot gate", vectors[5], may, None, 90)
            for all_of_it, found in zip(whole, self._both(index, "slot gate", vectors[5], may, filter, 90), strict=True):
                assert {hit.id for hit in found} == {hit.id for hit in all_of_it} & matching

    def test_dense_ranks_as_the_exact_index_does(self) -> None:
        """The order and the cosines are those of exact arithmetic."""
        chunks, vectors = made(90, 4)
        index, oracle = self.build(chunks, vectors), MemoryIndex(chunks, vectors)
        may = Predicate(frozenset(["everyone", "finance"]))
        for number in range(8):
            mine, exact = index.dense(vectors[number], may, None, 10), oracle.dense(vectors[number], may, None, 10)
            assert [hit.id for hit in mine] == [hit.id for hit in exact]
            assert all(abs(left.score - right.score) < 1e-4 for left, right in zip(mine, exact, strict=True))

    def test_rare_words_rank_first(self) -> None:
        """A chunk that holds the question's rare word comes before those that hold only its common ones."""
        from dataclasses import replace

        chunks, vectors = made(60, 5)
        chunks[17] = replace(chunks[17], text="slot gate demurrage yard", readers=frozenset(["everyone"]))
        found = self.build(chunks, vectors).keyword("slot demurrage", Predicate(frozenset(["everyone"])), None, 5)
        assert found[0].id == chunks[17].id

    def test_a_chunk_comes_back_as_it_went_in(self) -> None:
        """Every field survives; ids that nobody has, or that the asker may not see, are left out."""
        chunks, vectors = made(30, 6)
        index = self.build(chunks, vectors)
        asked = [*(chunk.id for chunk in chunks), "chunk:nobody's", "it's OR 1=1"]
        for groups in ((), ("finance",), GROUPS):
            may = Predicate(frozenset(groups))
            assert index.chunks(asked, may) == {chunk.id: chunk for chunk in chunks if may.permits(chunk.readers)}
        assert index.chunks([], Predicate(frozenset(GROUPS))) == {}

    def test_an_empty_index_answers_nothing(self) -> None:
        """No rows, no results, no errors."""
        chunks, vectors = made(1, 7)
        index = self.build([], vectors[:0])
        assert index.count() == 0
        assert self._both(index, "slot", vectors[0], Predicate(frozenset(GROUPS)), None, 5) == [[], []]
        assert index.chunks(["chunk:d0.md#0@00000000"], Predicate(frozenset(GROUPS))) == {}
