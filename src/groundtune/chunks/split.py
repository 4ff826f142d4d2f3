"""Document → chunks: heading-aware, counted in tokens, with exact character offsets.

    # Slots             ┐ chunk 0   heading_path ("Slots",)
    intro …             ┘
    ## Cancelling       ┐ chunk 1   heading_path ("Slots", "Cancelling")
    paragraph, list …   ┘

Blocks (paragraphs, lists, tables, code) are packed until a chunk is full. Above a heading of level 1 or 2 a chunk holds other headings at
most. A block that is too long is cut at its parts (list items, rows, lines), then at sentence ends, then at words, then anywhere.
Every character of the document that is not blank is in exactly one chunk.

What is searched need not be all that is read. ``unit`` says what a chunk is and which of its neighbours are read with it:

    packed     blocks up to max_tokens, read alone
    child      the same, read with the others of its section, up to parent_tokens
    sentence   one sentence, read with up to ``window`` sentences on either side, within its section
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal, get_args

from groundtune.chunks.blocks import Unit, halves, refined, sentences, units
from groundtune.documents.places import name_of, touched
from groundtune.errors import DocumentError
from groundtune.types import Chunk, Document

Count = Callable[[list[str]], list[int]]
SearchUnit = Literal["packed", "child", "sentence"]

# A sentence of fewer tokens ("3.", "See below.") is no sentence to search for, and is joined to its neighbour.
SHORTEST_SENTENCE = 6


def split(
    document: Document,
    count: Count,
    *,
    max_tokens: int,
    min_tokens: int,
    unit: SearchUnit = "packed",
    parent_tokens: int = 600,
    window: int = 2,
    context: str = "headings",
) -> list[Chunk]:
    """Split one document. ``count`` returns the tokens of each text; no chunk has more than ``max_tokens`` by it.

    A chunk of fewer than ``min_tokens`` is joined to its neighbour under the same heading of level 1 or 2 where both fit together
    (not a sentence). The only chunk that may be over the limit is a single character that is. ``context`` is ``none`` where only the
    text itself is to be searched. Raises ``ValueError`` for limits that make no sense.
    """
    if not 0 <= min_tokens <= max_tokens or max_tokens < 1:
        raise ValueError(f"expected 0 <= min_tokens <= max_tokens, not {min_tokens} and {max_tokens}")
    if unit not in get_args(SearchUnit):
        raise ValueError(f"expected a unit out of {', '.join(get_args(SearchUnit))}, not {unit!r}")
    if window < 0 or (unit == "child" and parent_tokens < max_tokens):
        raise ValueError(f"expected 0 <= window and max_tokens <= parent_tokens, not {window} and {parent_tokens}")
    text = document.text
    # What every text costs by itself (begin and end marks) is paid once a chunk, not once a block.
    [fixed] = count([""]) if text.strip() else [0]
    fixed = min(max(fixed, 0), max_tokens - 1)
    blocks = units(text)
    if unit == "sentence":
        blocks = [sentence for block in blocks for sentence in sentences(text, block)]
    sections = _sections(_fitted(text, blocks, count, max_tokens, fixed))
    room, least = max_tokens - fixed, max(1, min_tokens - fixed)
    packs = [pack for section in sections for pack in (_alone(section, room) if unit == "sentence" else _packed(section, room, least))]
    counted = _counted(text, packs, count, max_tokens)
    chunks = [_chunk(document, ordinal, pack, tokens) for ordinal, (pack, tokens) in enumerate(counted)]
    reads: list[tuple[int, int]] = []
    if unit == "child":
        reads = _parents(text, chunks, count, parent_tokens)
    elif unit == "sentence":
        reads = _windows(chunks, window)
    ends = [0, *(chunk.end for chunk in chunks)]
    return [
        replace(
            chunk,
            lead=text[ends[chunk.ordinal] : chunk.start] if chunk.ordinal else "",
            reads=reads[chunk.ordinal] if reads and reads[chunk.ordinal] != (chunk.ordinal, chunk.ordinal) else None,
            context="" if context == "none" else None,
        )
        for chunk in chunks
    ]


def chunk_id(document_id: str, document_hash: str, ordinal: int) -> str:
    """Return the id that a document's chunk of that ordinal has."""
    return f"chunk:{document_id.removeprefix('document:')}#{ordinal}@{document_hash[:8]}"


def verify_coverage(document: Document, chunks: Sequence[Chunk]) -> None:
    """Raise ``DocumentError`` unless the chunks are this document's text, in order, without overlap, and all of it that is not blank."""

    def wrong(what: str) -> DocumentError:
        return DocumentError(f"{document.source}: its chunks do not cover it: {what}", "type: groundtune ingest")

    reached = 0
    for ordinal, chunk in enumerate(chunks):
        if (chunk.document_id, chunk.document_hash, chunk.ordinal) != (document.id, document.content_hash, ordinal):
            raise wrong(f"{chunk.id} is not chunk {ordinal} of {document.id} as it stands")
        if not reached <= chunk.start < chunk.end <= len(document.text):
            raise wrong(f"{chunk.id} has characters {chunk.start} to {chunk.end}, after one that ends at {reached}")
        if document.text[chunk.start : chunk.end] != chunk.text:
            raise wrong(f"{chunk.id} is not what stands at characters {chunk.start} to {chunk.end}")
        if document.text[reached : chunk.start].strip():
            raise wrong(f"characters {reached} to {chunk.start} are in no chunk")
        if chunk.lead != (document.text[reached : chunk.start] if ordinal else ""):
            raise wrong(f"{chunk.id} is not led by what stands at characters {reached} to {chunk.start}")
        if chunk.reads is not None and not 0 <= chunk.reads[0] <= ordinal <= chunk.reads[1] < len(chunks):
            raise wrong(f"{chunk.id} is to be read as chunks {chunk.reads[0]} to {chunk.reads[1]} of {len(chunks)}")
        reached = chunk.end
    if document.text[reached:].strip():
        raise wrong(f"characters {reached} to {len(document.text)} are in no chunk")


def _fitted(text: str, todo: list[Unit], count: Count, max_tokens: int, fixed: int) -> list[Unit]:
    """Return the units with their tokens, those that do not fit replaced by their parts, in order; one batch of counting a round."""
    while True:
        new = [index for index, unit in enumerate(todo) if unit.tokens < 0]
        sizes = count([text[todo[index].start : todo[index].end] for index in new]) if new else []
        for index, size in zip(new, sizes, strict=True):
            # At least one, though a tokenizer may see nothing in it: runs of units stay short, and can be halved.
            todo[index] = replace(todo[index], tokens=max(1, size - fixed))
        done: list[Unit] = []
        led = 0
        room = max_tokens - fixed
        for unit in todo:
            # What follows a heading has to leave room for it, or the heading would stand alone; a heading that long stands alone.
            left = room - led if led <= room // 2 else room
            if unit.tokens > left and unit.end - unit.start > 1:
                done += refined(text, unit, unit.tokens / max(1, left))
            else:
                done.append(unit)
            led = led + unit.tokens if unit.leads else 0
        if len(done) == len(todo):
            return done
        todo = done


def _sections(fitted: Sequence[Unit]) -> list[list[Unit]]:
    """Group units: a new section begins at a heading of level 1 or 2, unless nothing but headings stands before it."""
    sections: list[list[Unit]] = []
    only_headings = False
    for unit in fitted:
        if not sections or (unit.level in (1, 2) and not only_headings):
            sections.append([])
            only_headings = True
        sections[-1].append(unit)
        only_headings = only_headings and bool(unit.level)
    return sections


def _packed(section: Sequence[Unit], room: int, least: int) -> list[list[Unit]]:
    """Pack the units of a section into runs of at most ``room`` tokens; what leads (a heading, a table's head) stays with what follows."""
    packs: list[list[Unit]] = []
    pack: list[Unit] = []
    filled = 0
    for unit in section:
        # A subheading begins a chunk, once there is enough before it to stand alone.
        opens = bool(unit.level and pack) and not pack[-1].leads and filled >= least
        if pack and (opens or filled + unit.tokens > room):
            # Not of a run of headings without end, which would be moved again and again.
            moved: list[Unit] = []
            led = 0
            while len(pack) > 1 and pack[-1].leads and led + pack[-1].tokens <= min(room // 2, room - unit.tokens):
                led += pack[-1].tokens
                moved.append(pack.pop())
            packs.append(pack)
            pack, filled = moved[::-1], led
        pack.append(unit)
        filled += unit.tokens
    return _levelled(_joined([*packs, pack], room, least), room, least)


def _joined(packs: list[list[Unit]], room: int, least: int) -> list[list[Unit]]:
    """Join each run of fewer than ``least`` tokens to the smaller of the neighbours that it fits with."""
    done: list[tuple[list[Unit], int]] = []
    todo = [(pack, _size(pack)) for pack in reversed(packs)]
    while todo:
        pack, size = todo.pop()
        before = done[-1][1] if done and done[-1][1] + size <= room else None
        after = todo[-1][1] if todo and todo[-1][1] + size <= room else None
        if size >= least or (before is None and after is None):
            done.append((pack, size))
        elif after is None or (before is not None and before <= after):
            longer, held = done.pop()
            longer += pack
            todo.append((longer, held + size))
        else:
            following, more = todo.pop()
            pack += following
            todo.append((pack, size + more))
    return [pack for pack, _ in done]


def _alone(section: Sequence[Unit], room: int) -> list[list[Unit]]:
    """Return each unit of a section by itself, after what leads it where both fit; very short ones joined to a neighbour."""
    packs: list[list[Unit]] = []
    led = 0
    open_ = False
    for unit in section:
        if open_ and led + unit.tokens <= room:
            packs[-1].append(unit)
        else:
            packs.append([unit])
            led = 0
        open_, led = unit.leads, led + unit.tokens
    return _joined(packs, room, SHORTEST_SENTENCE)


def _levelled(packs: list[list[Unit]], room: int, least: int) -> list[list[Unit]]:
    """Move units from the end of a run into a short one after it, so that a full chunk is not followed by a few words."""
    for before, pack in zip(packs, packs[1:], strict=False):
        size, left = _size(pack), _size(before)
        while not pack[0].level and size < least and len(before) > 1 and not before[-2].leads:
            moved = before[-1].tokens
            if size + moved > room or left - moved < least:
                break
            pack.insert(0, before.pop())
            size, left = size + moved, left - moved
    return packs


def _size(pack: Sequence[Unit]) -> int:
    return sum(unit.tokens for unit in pack)


def _counted(text: str, packs: list[list[Unit]], count: Count, max_tokens: int) -> list[tuple[list[Unit], int]]:
    """Return each run with the exact tokens of its text. Tokens of parts need not add up to those of the whole: what is over is halved."""
    todo = packs
    known: dict[tuple[int, int], int] = {}
    while True:
        spans = [(pack[0].start, pack[-1].end) for pack in todo]
        new = [span for span in spans if span not in known]
        if new:
            known.update(zip(new, count([text[start:end] for start, end in new]), strict=True))
        done = [(pack, known[span]) for pack, span in zip(todo, spans, strict=True)]
        over = [tokens > max_tokens and end - start > 1 for (_, tokens), (start, end) in zip(done, spans, strict=True)]
        if not any(over):
            return done
        todo = [part for pack, too_long in zip(todo, over, strict=True) for part in (halves(text, pack) if too_long else [pack])]


def _runs(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """Return runs of neighbours in one section: under the same two outermost headings. Nothing is read across their borders."""
    return [list(run) for _, run in groupby(chunks, key=lambda chunk: chunk.heading_path[:2])]


def _parents(text: str, chunks: Sequence[Chunk], count: Count, parent_tokens: int) -> list[tuple[int, int]]:
    """Return for each chunk the first and last ordinal of its parent: as many neighbours of its section as ``parent_tokens`` hold."""
    groups: list[list[Chunk]] = []
    for run in _runs(chunks):
        filled = parent_tokens
        for chunk in run:
            if chunk is run[0] or filled + chunk.tokens > parent_tokens:
                groups.append([])
                filled = 0
            groups[-1].append(chunk)
            filled += chunk.tokens
    reads: list[tuple[int, int]] = [(chunk.ordinal, chunk.ordinal) for chunk in chunks]
    # Tokens of parts need not add up to those of the whole: what is over is halved.
    while groups:
        tokens = count([text[group[0].start : group[-1].end] for group in groups])
        over = [group for group, size in zip(groups, tokens, strict=True) if size > parent_tokens and len(group) > 1]
        for group in groups:
            for chunk in group:
                reads[chunk.ordinal] = (group[0].ordinal, group[-1].ordinal)
        groups = [half for group in over for half in (group[: len(group) // 2], group[len(group) // 2 :])]
    return reads


def _windows(chunks: Sequence[Chunk], window: int) -> list[tuple[int, int]]:
    """Return for each chunk the first and last ordinal within ``window`` of its own and within its section."""
    return [
        (max(run[0].ordinal, chunk.ordinal - window), min(run[-1].ordinal, chunk.ordinal + window))
        for run in _runs(chunks)
        for chunk in run
    ]


def _chunk(document: Document, ordinal: int, pack: Sequence[Unit], tokens: int) -> Chunk:
    start, end = pack[0].start, pack[-1].end
    # A chunk stands under the headings that it opens with; one of text and headings, under those above its text.
    under = next((unit for unit in pack if not unit.level), pack[-1])
    return Chunk(
        id=chunk_id(document.id, document.content_hash, ordinal),
        document_id=document.id,
        document_hash=document.content_hash,
        ordinal=ordinal,
        text=document.text[start:end],
        start=start,
        end=end,
        heading_path=under.path,
        title=document.title,
        readers=document.readers_of(start, end),
        tokens=tokens,
        metadata=document.metadata,
        place=name_of(document.places, start, end),
        places=touched(document.places, start, end),
    )
