"""What every index has to hold. Subclass it, say how to build yours, and let pytest find it.

class TestMyIndex(IndexContract):
    def build(self, chunks, vectors):
        return MyIndex(chunks, vectors)
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from groundtune.access.conditions import Filter, Labels, matches, parts_of
from groundtune.access.filter import Predicate
from groundtune.chunks.index import Hit, Index
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.errors import InputError
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

WIDTH = 24
WORDS = "slot gate kiosk token haulier invoice credit refund leave salary breach webhook export yard driver".split()
GROUPS = ("everyone", "support", "finance", "security", 'it\'s "odd"')
QUERIES = ("slot gate", "refund", "AND OR NOT ( ) : \" ' * ~ ^", "🚚 emoji", "the of and", "", "zzzz", "x" * 3000, "null\x00byte")

CONDITIONS: tuple[Filter, ...] = (
    {"version": ["4.9", "5.0"]},
    {"version": []},
    {"version": ["it's", "') OR true --"]},
    {"version": {"not": "4.10"}},
    {"version": {"not": ["4.9", "it's", "null\x00byte"]}},
    {"version": {"not": []}},
    {"date": {"from": "2025-03"}},
    {"date": {"to": "2025-02"}},
    {"version": {"from": "4.10", "to": "5"}},
    {"version": {"from": "5.0"}, "date": {"not": "2025-03-02"}},
    {"nothing": {"from": "1"}},
    {"nothing": {"not": "here"}},
)
SCRIPTS = (
    ("पुस्तकालय में हिन्दी की किताबें मिलती हैं", "हिन्दी"),
    ("รถไฟออกจากสถานีตอนเช้าทุกวัน", "สถานี"),
    ("北京大学的学生在图书馆学习", "图书馆"),
    ("تقع المكتبة الكبيرة في وسط المدينة", "المكتبة"),
    ("この駅では電車の切符を買えます", "電車"),
    ("Die Größe des Containers wird geprüft", "größe"),
)


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


SIEVE = {"all": 1, "tenth": 10, "hundredth": 100, "thousandth": 1000}
HOSTILE = (
    "x' OR '1'='1",
    "') OR true --",
    "*",
    "%",
    "",
    "null",
    "{}",
    '{"$ne": null}',
    "$contains",
    "support\x00",
    "\\",
    '"',
    "support,finance",
    "{support}",
    "\ud800",
    "${readers}",
    "a=b=c",
)


def sieved(count: int, seed: int) -> tuple[list[Chunk], np.ndarray, np.ndarray]:
    """Return chunks of which every 1st, 10th, 100th and 1000th has the reader of that name, clustered unit vectors, and ten to ask with."""
    import numpy as np

    chunks, _ = made(count, seed)
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, WIDTH))
    vectors = centres[random.integers(20, size=count + 10)] + 0.6 * random.normal(size=(count + 10, WIDTH))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    order = random.permutation(count)
    readers = {int(place): frozenset(name for name, every in SIEVE.items() if rank % every == 0) for rank, place in enumerate(order)}
    sorted_out = [replace(chunk, readers=readers[number]) for number, chunk in enumerate(chunks)]
    return sorted_out, vectors[:count], vectors[count:]


class IndexContract:
    """Permissions, filters and limits that hold in both searches of any index."""

    # An engine that cannot be asked for what a row has not says so here; that is then an error, not a guess.
    negation = True

    # Rows of the test of recall: at least 1000, so that one in a thousand is a row.
    recall_rows = 2000

    def build(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> Index:
        """Return your index of these chunks and unit vectors (n, 24)."""
        raise TypeError("say how to build your index: override build()")

    def _both(self, index: Index, text: str, vector: np.ndarray, may: Predicate, filter: Filter | None, limit: int) -> list[list[Hit]]:
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

    def test_hidden_rows_do_not_use_up_the_limit_of_a_keyword_search(self) -> None:
        """Rows that hold the word and may be seen are found, however many better ones are hidden."""
        chunks, vectors = made(120, 12)
        seen = {chunks[number].id for number in (3, 40, 77)}
        chunks = [
            replace(chunk, text="slot slot slot demurrage", readers=frozenset(["security"]))
            if chunk.id not in seen
            else replace(chunk, text="a yard with no demurrage", readers=frozenset(["support"]))
            for chunk in chunks
        ]
        found = self.build(chunks, vectors).keyword("demurrage slot", Predicate(frozenset(["support"])), None, 3)
        assert {hit.id for hit in found} == seen

    def test_what_is_asked_for_is_data(self) -> None:
        """Ids, filters, groups and texts that look like syntax mean themselves: nothing hidden comes back, and nothing breaks."""
        chunks, vectors = made(60, 13)
        index = self.build(chunks, vectors)
        may = Predicate(frozenset(["support"]))
        seen = {chunk.id for chunk in chunks if may.permits(chunk.readers)}
        for odd in HOSTILE:
            assert index.chunks([odd], Predicate(frozenset(GROUPS))) == {}
            assert index.chunks([odd, chunks[0].id, chunks[1].id], may).keys() <= seen
            stranger = Predicate(frozenset([odd]))
            assert self._both(index, "slot gate", vectors[0], stranger, None, 60) == [[], []]
            assert index.chunks([chunk.id for chunk in chunks], stranger) == {}
            for filter in ({"version": odd}, {odd or "v": "4"}, {odd or "v": odd}):
                assert self._both(index, "slot gate", vectors[0], may, filter, 60) == [[], []]
            for found in self._both(index, odd, vectors[1], may, None, 60):
                assert {hit.id for hit in found} <= seen

    def test_recall_holds_under_every_filter(self) -> None:
        """Of the ten nearest that may be seen, at least 98 % are found, whether all rows, every 10th, 100th or 1000th may be seen."""
        chunks, vectors, asked = sieved(self.recall_rows, 14)
        index, oracle = self.build(chunks, vectors), MemoryIndex(chunks, vectors)
        for group in SIEVE:
            may = Predicate(frozenset([group]))
            found = wanted = 0
            for vector in asked:
                exact = {hit.id for hit in oracle.dense(vector, may, None, 10)}
                mine = [hit.id for hit in index.dense(vector, may, None, 10)]
                assert len(mine) == len(set(mine)) <= 10
                found, wanted = found + len(exact.intersection(mine)), wanted + len(exact)
            assert found >= 0.98 * wanted, f"{group}: {found} of {wanted}"

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

    def test_every_condition_means_what_it_says(self) -> None:
        """One of, none of and ranges let through what ``access.conditions.matches`` does, in both searches; chunks may lack a name."""
        from dataclasses import replace

        chunks, vectors = made(90, 13)
        dates = ("2025-02-28", "2025-03-02", "2024-12-31", "", "soon")
        for number, chunk in enumerate(chunks):
            metadata = {"version": ("4.9", "4.10", "5.0-rc1", "5.0", "it's")[number % 5], "date": dates[number // 5 % 5]}
            chunks[number] = replace(chunk, metadata={key: value for key, value in metadata.items() if value and number % 7})
        index = self.build(chunks, vectors)
        may = Predicate(frozenset(["everyone", "support"]))
        whole = self._both(index, "slot gate", vectors[5], may, None, 90)
        for filter in CONDITIONS:
            if not self.negation and any(isinstance(part, Labels) and part.negated and part.values for part in parts_of(filter)):
                with pytest.raises(InputError, match="cannot be asked"):
                    index.keyword("slot", may, filter, 9)
                with pytest.raises(InputError, match="cannot be asked"):
                    index.dense(vectors[5], may, filter, 9)
                continue
            matching = {chunk.id for chunk in chunks if matches(filter, chunk.metadata)}
            for all_of_it, found in zip(whole, self._both(index, "slot gate", vectors[5], may, filter, 90), strict=True):
                assert {hit.id for hit in found} == {hit.id for hit in all_of_it} & matching, filter

    def test_words_are_found_in_any_script(self) -> None:
        """A word is found in Hindi (vowel signs), Thai and Chinese (no blanks between words) and Arabic, inside a longer sentence."""
        from dataclasses import replace

        chunks, vectors = made(30, 14)
        everyone = frozenset(["everyone"])
        for number, (text, _) in enumerate(SCRIPTS):
            chunks[number] = replace(chunks[number], text=text, readers=everyone)
        index = self.build(chunks, vectors)
        for number, (_, word) in enumerate(SCRIPTS):
            found = index.keyword(word, Predicate(everyone), None, 3)
            assert found and found[0].id == chunks[number].id, word

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
