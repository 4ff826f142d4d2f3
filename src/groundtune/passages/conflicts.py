"""Passages → sentences of two of them that say nearly the same with other figures, newest first.

    product/v5/slots.md   version 5, 2026-06-09   "A slot can be cancelled free of charge until 2 hours before it begins."
    product/v4/slots.html version 4, 2025-11-04   "A slot can be cancelled without a fee until 4 hours before it begins."

A heuristic by words and figures, without a model. Two sentences of different documents are paired where most of their words agree;
under the same heading of two versions (or near-duplicates) of a document fewer have to, and elsewhere what they begin with must be the
same. They conflict where figures of one kind differ and neither gives all that the other does. What contradicts in words alone is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundtune.chunks.blocks import sentences, units
from groundtune.chunks.words import words
from groundtune.documents.alike import DUPLICATE, rank
from groundtune.documents.places import name_of
from groundtune.passages.figures import Figures, figures
from groundtune.types import Chunk, Conflict, Passage, Statement

# Share of the words that two sentences must have in common (Jaccard), figures counted by their kind.
LIKE = 0.7
LIKE_TWINS = 0.4
LEAST_WORDS = 4  # of a sentence that stands by itself, figures aside
MOST = 5  # conflicts shown of one answer
MOST_SENTENCES = 400  # with figures, of all passages together: their pairs are compared one by one
LONGEST = 600  # characters of a sentence


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence, or a ``row`` of a table, with figures: ``text[start:end]`` of its chunk, and the heading right above it."""

    chunk: Chunk
    start: int
    end: int
    heading: str
    row: bool
    found: Figures

    @property
    def marks(self) -> frozenset[str]:
        """Its words and the kinds of its figures."""
        return frozenset(self.found.rest)

    @property
    def says_enough(self) -> bool:
        """Whether its words tell what the figures are of: "Released on 3 March" and the number of a list do not."""
        return len(self.marks - self.found.given.keys()) >= (1 if self.row else LEAST_WORDS)


def conflicts(passages: Sequence[Passage]) -> tuple[Conflict, ...]:
    """Return up to ``MOST`` conflicts between passages of different documents, the most alike first."""
    if len({passage.chunk.document_id for passage in passages}) < 2:
        return ()
    said = [item for passage in passages for item in _with_figures(passage.chunk)][:MOST_SENTENCES]
    found: list[tuple[float, int, Conflict]] = []
    for place, one in enumerate(said):
        for other in said[place + 1 :]:
            if one.chunk.document_id == other.chunk.document_id:
                continue
            alike = _alike(one, other)
            if alike is None:
                continue
            kinds = _differs(one.found, other.found)
            if kinds:
                found.append((-alike[0], len(found), _conflict(one, other, kinds, alike[1])))
    kept: list[Conflict] = []
    used: set[tuple[str, int]] = set()
    for _, _, item in sorted(found, key=lambda entry: entry[:2]):
        places = {(item.first.chunk_id, item.first.start), (item.second.chunk_id, item.second.start)}
        # A sentence conflicts once, with the one that it is most like.
        if not places & used:
            kept.append(item)
            used |= places
    return tuple(kept[:MOST])


def _with_figures(chunk: Chunk) -> Iterator[_Said]:
    for unit in units(chunk.text):
        if unit.level:
            continue
        path = unit.path or chunk.heading_path
        for part in sentences(chunk.text, unit):
            row = part.kind in ("table", "lines")
            for start, end in _rows(chunk.text, part.start, part.end) if row else [(part.start, part.end)]:
                found = figures(chunk.text[start : min(end, start + LONGEST)])
                if found.given:
                    yield _Said(chunk, start, end, path[-1] if path else "", row, found)


def _rows(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if text[start:stop].strip():
            yield start, stop
        start = stop + 1


def _alike(one: _Said, other: _Said) -> tuple[float, str] | None:
    """Return how alike two sentences are and why that is enough; ``None`` where it is not."""
    mine, theirs = one.marks, other.marks
    if not mine & theirs:
        return None
    share = len(mine & theirs) / len(mine | theirs)
    if share >= LIKE_TWINS and _twins(one, other):
        return share, f"the same section of two versions, {share:.0%} of the words in common"
    if share >= LIKE and one.found.rest[0] == other.found.rest[0] and one.says_enough and other.says_enough:
        return share, f"{share:.0%} of the words in common"
    return None


def _twins(one: _Said, other: _Said) -> bool:
    """Return whether two sentences stand under the same heading of two versions, or near-duplicates, of a document."""
    left, right = one.chunk, other.chunk
    if words(one.heading) != words(other.heading) or not one.heading:
        return False
    if left.metadata.get(DUPLICATE) and left.metadata.get(DUPLICATE) == right.metadata.get(DUPLICATE):
        return True
    related = words(left.title) == words(right.title) or left.metadata.get("product") == right.metadata.get("product") is not None
    dated = any(left.metadata.get(name) != right.metadata.get(name) for name in ("version", "date"))
    return bool(related and dated)


def _differs(one: Figures, other: Figures) -> list[str]:
    """Return the kinds of figures in which neither sentence gives all that the other does."""
    shared = [(kind, mine, other.given[kind]) for kind, mine in one.given.items() if kind in other.given]
    return [kind for kind, mine, theirs in shared if not mine.keys() <= theirs.keys() and not theirs.keys() <= mine.keys()]


def _conflict(one: _Said, other: _Said, kinds: Sequence[str], why: str) -> Conflict:
    left, right = _statement(one, other, kinds), _statement(other, one, kinds)
    later = _later(left, right)
    if later is False:
        left, right = right, left
    return Conflict(first=left, second=right, newer=later is not None, why=why)


def _statement(said: _Said, other: _Said, kinds: Sequence[str]) -> Statement:
    chunk = said.chunk
    start, end = chunk.start + said.start, chunk.start + said.end
    own = [text for kind in kinds for value, text in said.found.given[kind].items() if value not in other.found.given[kind]]
    return Statement(
        document_id=chunk.document_id,
        chunk_id=chunk.id,
        text=chunk.text[said.start : said.end],
        start=start,
        end=end,
        says=", ".join(own),
        version=chunk.metadata.get("version", ""),
        date=chunk.metadata.get("date", ""),
        place=name_of(chunk.places, start, end) or chunk.place,
    )


def _later(left: Statement, right: Statement) -> bool | None:
    """Return whether the left one is of the later version or, of the same, the later date; ``None`` where neither tells."""
    for mine, theirs in ((left.version, right.version), (left.date, right.date)):
        if mine and theirs and rank(mine) != rank(theirs):
            return rank(mine) > rank(theirs)
    return None
