"""Passages as they were found → passages as they are read: the parent or the window around each, the overlapping ones as one.

    found    [5] "A slot lasts 45 minutes."      reads chunks 4 to 6
    read     "Slots begin on the hour. A slot lasts 45 minutes. Longer ones cost extra."     document.text[4's start : 6's end]

Nothing wider is stored. The text around a chunk is put together from its neighbours, which are read from the index under the asker's own
permission, so a wider passage holds no character that a search could not have shown to that asker. And it never goes beyond what the
chunk itself allows: it stops at a neighbour with other readers or other metadata, even one that the asker may see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile

from groundtune.access.filter import Predicate
from groundtune.chunks.index import Index
from groundtune.chunks.split import chunk_id
from groundtune.documents.places import name_of
from groundtune.types import Chunk, Passage


@dataclass(slots=True)
class _Read:
    """What is read together: the best passage of those found in it, and its chunks, neighbours in their order."""

    passage: Passage
    chunks: list[Chunk]

    def overlaps(self, other: _Read) -> bool:
        """Return whether a chunk is in both."""
        mine, theirs = self.chunks[0], other.chunks[0]
        same = (mine.document_id, mine.document_hash) == (theirs.document_id, theirs.document_hash)
        return same and max(mine.ordinal, theirs.ordinal) <= min(self.chunks[-1].ordinal, other.chunks[-1].ordinal)

    def join(self, other: _Read) -> None:
        """Take in what ``other`` reads; the better rank and score in each search are kept."""
        known = {chunk.ordinal: chunk for chunk in (*self.chunks, *other.chunks)}
        self.chunks = [known[ordinal] for ordinal in sorted(known)]
        found_by = dict(self.passage.found_by)
        for name, rank in other.passage.found_by.items():
            found_by[name] = min(rank, found_by.get(name, rank))
        scores = dict(self.passage.scores)
        for name, score in other.passage.scores.items():
            scores[name] = max(score, scores.get(name, score))
        similar = [item.passage.similarity for item in (self, other) if item.passage.similarity is not None]
        self.passage = replace(self.passage, found_by=found_by, similarity=max(similar, default=None), scores=scores)


def widened(passages: Iterable[Passage], *, index: Index, may: Predicate, limit: int) -> tuple[Passage, ...]:
    """Return up to ``limit`` passages as they are read, ranked anew from 1. Passages are taken, best first, until there are that many."""
    waiting = iter(passages)
    shown: list[_Read] = []
    while len(shown) < limit:
        page = list(islice(waiting, limit - len(shown)))
        if not page:
            break
        wanted = {name for passage in page for name in _neighbours(passage.chunk)}
        around = index.chunks(sorted(wanted), may) if wanted else {}
        for passage in page:
            read = _Read(passage, _alike(passage.chunk, around))
            overlapping = [other for other in shown if other.overlaps(read)]
            if not overlapping:
                shown.append(read)
                continue
            first, *others = overlapping
            for other in (*others, read):
                first.join(other)
            shown = [item for item in shown if not any(item is other for other in others)]
    return tuple(replace(read.passage, chunk=_whole(read), rank=rank) for rank, read in enumerate(shown, start=1))


def wide(chunk: Chunk, around: Mapping[str, Chunk]) -> Chunk:
    """Return a chunk as it is read, given its neighbours by id."""
    return _joined(chunk, _alike(chunk, around))


def _neighbours(chunk: Chunk) -> list[str]:
    first, last = chunk.reads or (chunk.ordinal, chunk.ordinal)
    ordinals = (ordinal for ordinal in range(first, last + 1) if ordinal != chunk.ordinal)
    return [chunk_id(chunk.document_id, chunk.document_hash, ordinal) for ordinal in ordinals]


def _alike(chunk: Chunk, around: Mapping[str, Chunk]) -> list[Chunk]:
    """Return the run of neighbours to be read with a chunk, itself among them: unbroken, and of the same readers and metadata."""
    first, last = chunk.reads or (chunk.ordinal, chunk.ordinal)

    def there(ordinal: int) -> Chunk | None:
        found = around.get(chunk_id(chunk.document_id, chunk.document_hash, ordinal))
        fits = found is not None and (found.document_id, found.document_hash) == (chunk.document_id, chunk.document_hash)
        return found if found is not None and fits and (found.readers, found.metadata) == (chunk.readers, chunk.metadata) else None

    before = [item for item in takewhile(lambda item: item is not None, map(there, range(chunk.ordinal - 1, first - 1, -1))) if item]
    after = [item for item in takewhile(lambda item: item is not None, map(there, range(chunk.ordinal + 1, last + 1))) if item]
    run = [*reversed(before), chunk, *after]
    place = len(before)
    # What does not adjoin cannot be put together exactly, and is left out.
    begin = end = place
    while begin > 0 and _adjoin(run[begin - 1], run[begin]):
        begin -= 1
    while end + 1 < len(run) and _adjoin(run[end], run[end + 1]):
        end += 1
    return run[begin : end + 1]


def _adjoin(left: Chunk, right: Chunk) -> bool:
    return left.end + len(right.lead) == right.start


def _whole(read: _Read) -> Chunk:
    return _joined(read.passage.chunk, read.chunks)


def _joined(chunk: Chunk, run: list[Chunk]) -> Chunk:
    """Return ``chunk`` with the text of the run, under the headings that all of it stands under."""
    if len(run) == 1:
        return chunk
    path = run[0].heading_path
    for other in run[1:]:
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, other.heading_path, strict=False)))
        path = path[:shared]
    places = tuple(dict.fromkeys(place for item in run for place in item.places))
    return replace(
        chunk,
        place=name_of(places, run[0].start, run[-1].end),
        places=places,
        text=run[0].text + "".join(item.lead + item.text for item in run[1:]),
        start=run[0].start,
        end=run[-1].end,
        lead=run[0].lead,
        reads=(run[0].ordinal, run[-1].ordinal),
        heading_path=path,
        tokens=sum(item.tokens for item in run),
    )
