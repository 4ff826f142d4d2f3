"""What is read is wider than what is found, exact, and never beyond what the asker may see or what the chunk itself allows."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.access.filter import allowed
from groundtune.answers.reply import cite
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.chunks.split import split
from groundtune.files import fingerprint
from groundtune.models.hashed import open as hashed
from groundtune.passages.retrieve import retrieve
from groundtune.passages.widen import wide, widened
from groundtune.types import Chunk, Document, Passage, Principal

EMBED = hashed({"model": "hashed-32"})
WORDS = "slot gate kiosk token haulier invoice credit refund leave salary".split()
GROUPS = ["everyone", "hr", "finance"]


def document(number: int) -> Document:
    chance = random.Random(number)
    parts = []
    for section in range(3):
        sentences = [" ".join(chance.choices(WORDS, k=6)).capitalize() + "." for _ in range(6)]
        gap = chance.choice([" ", "\n", "\n\n", "\n\n\n"])
        parts.append(f"## Part {section}\n\n{gap.join(sentences)}")
    text = f"# D{number}\n\n" + "\n\n".join(parts)
    return Document(
        id=f"document:d{number}.md",
        source=f"d{number}.md",
        title=f"D{number}",
        text=text,
        content_hash=fingerprint(text),
        readers=frozenset(["everyone"]),
        metadata={"version": "5"},
    )


DOCUMENTS = {item.id: item for item in map(document, range(4))}


def chunks_of(unit: str) -> list[Chunk]:
    limits = {"max_tokens": 30, "min_tokens": 5, "unit": unit, "parent_tokens": 80, "window": 2}
    return [chunk for item in DOCUMENTS.values() for chunk in split(item, EMBED.count, **limits)]  # type: ignore[arg-type]


def index_of(chunks: list[Chunk]) -> MemoryIndex:
    return MemoryIndex(chunks, EMBED.documents([chunk.text for chunk in chunks]))


MADE = {unit: chunks_of(unit) for unit in ("packed", "child", "sentence")}


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(["packed", "child", "sentence"]),
    st.integers(0, 10_000),
    st.sets(st.sampled_from(GROUPS), min_size=1),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_a_wider_passage_is_exact_and_holds_nothing_that_its_chunk_or_its_asker_may_not_have(
    unit: str, seed: int, groups: set[str], question: list[str], limit: int
) -> None:
    chance = random.Random(seed)
    # Readers by chunk, as sections with readers of their own will have them.
    chunks = [
        replace(chunk, readers=frozenset(chance.choice([["everyone"], ["everyone"], ["hr"], ["everyone", "hr"], []])))
        for chunk in MADE[unit]
    ]
    asker = Principal(id="p", groups=frozenset(groups))
    found = retrieve(" ".join(question), asker, index=index_of(chunks), embed=EMBED, limit=limit)
    assert len(found) <= limit
    assert [passage.rank for passage in found] == list(range(1, len(found) + 1))
    spans = set()
    for passage in found:
        chunk = passage.chunk
        assert DOCUMENTS[chunk.document_id].text[chunk.start : chunk.end] == chunk.text
        inside = [
            item for item in chunks if item.document_id == chunk.document_id and max(item.start, chunk.start) < min(item.end, chunk.end)
        ]
        assert all(item.readers == chunk.readers and groups & item.readers for item in inside)
        assert len({item.heading_path[:2] for item in inside}) == 1
        assert chunk.heading_path == inside[0].heading_path[: len(chunk.heading_path)]
        if unit == "child":
            # One parent at most: the reads of the chunk that was found.
            assert len({item.reads for item in inside}) == 1
        for start, end in ((c.start, c.end) for c in inside):
            assert (chunk.document_id, start, end) not in spans, "two passages hold the same text"
            spans.add((chunk.document_id, start, end))


@pytest.mark.parametrize("unit", ["child", "sentence"])
def test_all_that_may_be_read_is_read_where_readers_are_the_same(unit: str) -> None:
    chunks = MADE[unit]
    asker = Principal(id="p", groups=frozenset(["everyone"]))
    [best] = retrieve(chunks[4].text, asker, index=index_of(chunks), embed=EMBED, limit=1)
    hit = next(chunk for chunk in chunks if chunk.id == best.chunk.id)
    assert hit.reads is not None
    run = [chunk for chunk in chunks if chunk.document_id == hit.document_id][hit.reads[0] : hit.reads[1] + 1]
    assert (best.chunk.start, best.chunk.end) == (run[0].start, run[-1].end)
    assert best.chunk.end - best.chunk.start > hit.end - hit.start


def test_a_hidden_neighbour_ends_the_wider_text_even_in_its_middle() -> None:
    chunks = [replace(chunk, readers=frozenset(["hr"])) if chunk.ordinal == 3 else chunk for chunk in MADE["sentence"]]
    asker = Principal(id="p", groups=frozenset(["everyone", "hr"]))
    first = [chunk for chunk in chunks if chunk.document_id == "document:d0.md"]
    around = index_of(chunks).chunks([chunk.id for chunk in first], allowed(asker))
    seen = wide(first[4], around)
    assert first[4].reads is not None and first[4].reads[0] < 3
    assert seen.start == first[4].start, "the asker may see chunk 3, but not as part of chunk 4"


def test_overlapping_windows_are_one_passage_and_make_room_for_the_next() -> None:
    chunks = MADE["sentence"]
    asker = Principal(id="p", groups=frozenset(["everyone"]))
    given = [
        Passage(chunk=chunks[number], rank=rank, score=1 / rank, similarity=0.1 * rank, found_by={"dense": rank}, allowed_by=("everyone",))
        for rank, number in enumerate((1, 12, 3, 14, 2), start=1)
    ]
    found = widened(given, index=index_of(chunks), may=allowed(asker), limit=3)
    assert [(passage.rank, passage.chunk.id) for passage in found] == [(1, chunks[1].id), (2, chunks[12].id)]
    reads = found[0].chunk.reads
    assert reads is not None and reads[0] <= 1 and reads[1] >= 4
    assert (found[0].found_by, found[0].similarity) == ({"dense": 1}, 0.5)
    [only] = widened(given, index=index_of(chunks), may=allowed(asker), limit=1)
    assert only.chunk.id == chunks[1].id and only.chunk.reads == chunks[1].reads


def test_a_quote_next_to_what_was_found_is_cited_at_its_exact_place() -> None:
    chunks = MADE["sentence"]
    asker = Principal(id="p", groups=frozenset(["everyone"]))
    found = retrieve(chunks[3].text, asker, index=index_of(chunks), embed=EMBED, limit=1)
    [cited] = cite(chunks[2].text, found)
    assert DOCUMENTS[cited.document_id].text[cited.start : cited.end] == cited.quote
    assert cited.start == chunks[2].start


def test_neighbours_of_another_version_of_the_document_are_not_put_together() -> None:
    first, second, third, *_ = [chunk for chunk in MADE["sentence"] if chunk.document_id == "document:d0.md"]
    for odd in (
        replace(second, document_hash="f" * 16),
        replace(second, lead=second.lead + " "),
        replace(second, metadata={"version": "4"}),
    ):
        assert wide(first, {odd.id: odd, third.id: third}) == first
