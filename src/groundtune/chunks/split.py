"""Document → chunks: heading-aware, counted in tokens, with exact character offsets.

    # Slots             ┐ chunk 0   heading_path ("Slots",)
    intro …             ┘
    ## Cancelling       ┐ chunk 1   heading_path ("Slots", "Cancelling")
    paragraph, list …   ┘

Blocks (paragraphs, lists, tables, code) are packed until a chunk is full. A chunk never crosses a heading of level 1 or 2. A block that is too
long is cut at lines (tables, lists, code), then at sentence ends, then at words, then anywhere. Every character of the document that
is not blank is in exactly one chunk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.errors import DocumentError
from groundtune.types import Chunk, Document

Count = Callable[[list[str]], list[int]]

_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+")
_BREAKS = (re.compile(r"\n"), _SENTENCE, re.compile(r"\s+"))
HARD_LEVEL = 2


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    level: int  # of a heading; 0 for anything else
    heading: str
    tokens: int


def split(document: Document, count: Count, *, max_tokens: int, min_tokens: int) -> list[Chunk]:
    """Split one document. ``count`` returns the tokens of each text; no chunk has more than ``max_tokens`` by it.

    A section shorter than ``min_tokens`` is joined to the one before it where both fit under a heading of level 3 or more.
    """
    if max_tokens < 1 or min_tokens < 0 or min_tokens > max_tokens:
        raise ValueError(f"expected 0 <= min_tokens <= max_tokens, not {min_tokens} and {max_tokens}")
    blocks = _fitted(document.text, _blocks(document.text), count, max_tokens)
    chunks: list[Chunk] = []
    path: list[tuple[int, str]] = []
    pending: list[_Block] = []
    pending_path: tuple[str, ...] = ()

    def flush() -> None:
        nonlocal pending
        if not pending:
            return
        start, end = pending[0].start, pending[-1].end
        text = document.text[start:end]
        ordinal = len(chunks)
        chunks.append(
            Chunk(
                id=f"chunk:{document.source}#{ordinal}@{document.content_hash[:8]}",
                document_id=document.id,
                document_hash=document.content_hash,
                ordinal=ordinal,
                text=text,
                start=start,
                end=end,
                heading_path=pending_path,
                title=document.title,
                readers=document.readers,
                tokens=sum(block.tokens for block in pending),
                metadata=document.metadata,
            )
        )
        pending = []

    for block in blocks:
        filled = sum(item.tokens for item in pending)
        only_headings = all(item.level for item in pending)
        if block.level:
            # A heading opens a chunk, unless the one before it is still small or is itself only headings.
            hard = block.level <= HARD_LEVEL and not only_headings
            if pending and (hard or (filled >= min_tokens and not only_headings) or filled + block.tokens > max_tokens):
                flush()
            path = [item for item in path if item[0] < block.level] + [(block.level, block.heading)]
            if not pending or only_headings:
                pending_path = tuple(name for _, name in path)
        elif pending and filled + block.tokens > max_tokens:
            flush()
        if not pending:
            pending_path = tuple(name for _, name in path)
        pending.append(block)
    flush()
    # Blocks are joined by blank lines, whose tokens can add up where a tokenizer counts them.
    return _recounted(chunks, count)


def verify_coverage(document: Document, chunks: Sequence[Chunk]) -> None:
    """Raise ``DocumentError`` unless the chunks are this document's text, in order, without overlap, and all of it that is not blank."""

    def wrong(what: str) -> DocumentError:
        return DocumentError(f"{document.source}: its chunks do not cover it: {what}", "type: groundtune ingest")

    reached = 0
    for chunk in sorted(chunks, key=lambda item: item.start):
        if document.text[chunk.start : chunk.end] != chunk.text:
            raise wrong(f"{chunk.id} is not characters {chunk.start} to {chunk.end}")
        if chunk.start < reached:
            raise wrong(f"{chunk.id} begins inside the chunk before it")
        if document.text[reached : chunk.start].strip():
            raise wrong(f"characters {reached} to {chunk.start} are in no chunk")
        reached = chunk.end
    if document.text[reached:].strip():
        raise wrong(f"characters {reached} to {len(document.text)} are in no chunk")


def _blocks(text: str) -> list[_Block]:
    """Return the top-level blocks of Markdown text as character spans, headings with their level; tokens are counted later."""
    from markdown_it import MarkdownIt

    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    spans: list[tuple[int, int, int, str]] = []
    tokens = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").parse(_same_lines(text))
    for index, token in enumerate(tokens):
        if token.map is None or token.level != 0 or token.nesting < 0:
            continue
        level = int(token.tag[1]) if token.type == "heading_open" else 0
        name = tokens[index + 1].content.strip() if level else ""
        spans.append((starts[token.map[0]], min(starts[token.map[1]], len(text)), level, re.sub(r"[*_`]", "", name)))
    blocks: list[_Block] = []
    reached = 0
    for start, end, level, name in spans:
        if start > reached:
            blocks += _stripped(text, reached, start, 0, "")
        blocks += _stripped(text, max(start, reached), end, level, name)
        reached = max(reached, end)
    return [*blocks, *_stripped(text, reached, len(text), 0, "")]


def _same_lines(text: str) -> str:
    """Return the text with every other line break made a blank, since Markdown's parser counts lines by ``\\n`` alone."""
    return text.replace("\r", " ").replace("\x00", " ")


def _stripped(text: str, start: int, end: int, level: int, heading: str) -> list[_Block]:
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return []
    begin = start + len(piece) - len(piece.lstrip())
    return [_Block(begin, begin + len(bare), level, heading, 0)]


def _fitted(text: str, blocks: list[_Block], count: Count, max_tokens: int) -> list[_Block]:
    """Return the blocks with their tokens, those over the limit cut into pieces under it."""
    counted = count([text[block.start : block.end] for block in blocks]) if blocks else []
    fitted: list[_Block] = []
    for block, tokens in zip(blocks, counted, strict=True):
        if tokens <= max_tokens:
            fitted.append(_Block(block.start, block.end, block.level, block.heading, tokens))
        else:
            pieces = _cut(text, block.start, block.end, count, max_tokens, 0)
            fitted += [
                _Block(start, end, block.level if number == 0 else 0, block.heading, size)
                for number, (start, end, size) in enumerate(pieces)
            ]
    return fitted


def _cut(text: str, start: int, end: int, count: Count, max_tokens: int, depth: int) -> list[tuple[int, int, int]]:
    """Cut a span at breaks of this depth and pack the parts again; parts that are still too long are cut one depth further down."""
    if depth == len(_BREAKS):
        return _halved(text, start, end, count, max_tokens)
    edges = [start, *(start + match.end() for match in _BREAKS[depth].finditer(text[start:end])), end]
    parts = [(a, b) for a, b in zip(edges, edges[1:], strict=False) if text[a:b].strip()]
    sizes = count([text[a:b].strip() for a, b in parts])
    packed: list[tuple[int, int, int]] = []
    for (a, b), size in zip(parts, sizes, strict=True):
        a, b = _trim(text, a, b)
        if size > max_tokens:
            packed += _cut(text, a, b, count, max_tokens, depth + 1)
        elif packed and packed[-1][2] + size <= max_tokens:
            packed[-1] = (packed[-1][0], b, packed[-1][2] + size)
        else:
            packed.append((a, b, size))
    return packed


def _halved(text: str, start: int, end: int, count: Count, max_tokens: int) -> list[tuple[int, int, int]]:
    """Cut a span without any blank in half until its parts fit; a single character always counts as fitting."""
    [size] = count([text[start:end]])
    if size <= max_tokens or end - start <= 1:
        return [(start, end, size)]
    middle = (start + end) // 2
    return _halved(text, start, middle, count, max_tokens) + _halved(text, middle, end, count, max_tokens)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))


def _recounted(chunks: list[Chunk], count: Count) -> list[Chunk]:
    from dataclasses import replace

    sizes = count([chunk.text for chunk in chunks]) if chunks else []
    return [replace(chunk, tokens=size) for chunk, size in zip(chunks, sizes, strict=True)]
