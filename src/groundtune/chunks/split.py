"""Document → chunks: heading-aware, counted in tokens, with exact character offsets.

    # Slots             ┐ chunk 0   heading_path ("Slots",)
    intro …             ┘
    ## Cancelling       ┐ chunk 1   heading_path ("Slots", "Cancelling")
    paragraph, list …   ┘

Blocks (paragraphs, lists, tables, code) are packed until a chunk is full. Above a heading of level 1 or 2 a chunk holds other headings at
most. A block that is too long is cut at its parts (list items, rows, lines), then at sentence ends, then at words, then anywhere.
Every character of the document that is not blank is in exactly one chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from groundtune.chunks.blocks import Unit, halves, refined, units
from groundtune.documents.places import name_of, touched
from groundtune.errors import DocumentError
from groundtune.types import Chunk, Document

Count = Callable[[list[str]], list[int]]


def split(document: Document, count: Count, *, max_tokens: int, min_tokens: int) -> list[Chunk]:
    """Split one document. ``count`` returns the tokens of each text; no chunk has more than ``max_tokens`` by it.

    A chunk of fewer than ``min_tokens`` is joined to its neighbour under the same heading of level 1 or 2 where both fit together.
    The only chunk that may be over the limit is a single character that is. Raises ``ValueError`` for limits that make no sense.
    """
    if not 0 <= min_tokens <= max_tokens or max_tokens < 1:
        raise ValueError(f"expected 0 <= min_tokens <= max_tokens, not {min_tokens} and {max_tokens}")
    text = document.text
    # What every text costs by itself (begin and end marks) is paid once a chunk, not once a block.
    [fixed] = count([""]) if text.strip() else [0]
    fixed = min(max(fixed, 0), max_tokens - 1)
    fitted = _fitted(text, units(text), count, max_tokens, fixed)
    packs = [pack for section in _sections(fitted) for pack in _packed(section, max_tokens - fixed, max(1, min_tokens - fixed))]
    counted = _counted(text, packs, count, max_tokens)
    return [_chunk(document, ordinal, pack, tokens) for ordinal, (pack, tokens) in enumerate(counted)]


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
        reached = chunk.end
    if document.text[reached:].strip():
        raise wrong(f"characters {reached} to {len(document.text)} are in no chunk")


def _fitted(text: str, todo: list[Unit], count: Count, max_tokens: int, fixed: int) -> list[Unit]:
    """Return the units with their tokens, those that do not fit replaced by their parts, in order; one batch of counting a round."""
    while True:
        new = [index for index, unit in enumerate(todo) if unit.tokens < 0]
        sizes = count([text[todo[index].start : todo[index].end] for index in new]) if new else []
        for index, size in zip(new, sizes, strict=True):
            todo[index] = replace(todo[index], tokens=max(0, size - fixed))
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
                moved.insert(0, pack.pop())
            packs.append(pack)
            pack, filled = moved, led
        pack.append(unit)
        filled += unit.tokens
    return _levelled(_joined([*packs, pack], room, least), room, least)


def _joined(packs: list[list[Unit]], room: int, least: int) -> list[list[Unit]]:
    """Join each run of fewer than ``least`` tokens to the smaller of the neighbours that it fits with."""
    sizes = [_size(pack) for pack in packs]
    index = 0
    while index < len(packs):
        near = [other for other in (index - 1, index + 1) if 0 <= other < len(packs) and sizes[other] + sizes[index] <= room]
        if sizes[index] >= least or not near:
            index += 1
            continue
        first = min(index, min(near, key=lambda other: sizes[other]))
        packs[first : first + 2] = [packs[first] + packs[first + 1]]
        sizes[first : first + 2] = [sizes[first] + sizes[first + 1]]
        index = first
    return packs


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


def _chunk(document: Document, ordinal: int, pack: Sequence[Unit], tokens: int) -> Chunk:
    start, end = pack[0].start, pack[-1].end
    # A chunk stands under the headings that it opens with; one of text and headings, under those above its text.
    under = next((unit for unit in pack if not unit.level), pack[-1])
    return Chunk(
        id=f"chunk:{document.id.removeprefix('document:')}#{ordinal}@{document.content_hash[:8]}",
        document_id=document.id,
        document_hash=document.content_hash,
        ordinal=ordinal,
        text=document.text[start:end],
        start=start,
        end=end,
        heading_path=under.path,
        title=document.title,
        readers=document.readers,
        tokens=tokens,
        metadata=document.metadata,
        place=name_of(document.places, start, end),
        places=touched(document.places, start, end),
    )
