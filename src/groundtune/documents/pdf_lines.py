"""One page of a PDF → its lines, each with its type size and where it stands."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# The engine marks a hyphen at a line's end, where the word goes on, by one of these.
_HYPHENS = re.compile("[\x02\ufffe\u00ad][ ]*\r?\n?")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")

# A drawing may have millions of strokes; how many there are beyond these says nothing about tables.
MOST_OBJECTS = 20_000
FEWEST_RULES = 3


@dataclass(frozen=True, slots=True)
class Line:
    """``size`` in points, rounded to halves; ``x``, ``y`` are its first letter's origin, ``right`` is its last's."""

    text: str
    size: float
    x: float
    y: float
    right: float


@dataclass(frozen=True, slots=True)
class PageLines:
    """``shows`` is whether anything is drawn on the page; ``ruled`` whether enough lines are for a table."""

    lines: tuple[Line, ...]
    shows: bool
    ruled: bool


def lines_of(document: Any, index: int) -> PageLines:
    """Read a page, counted from 0. Raises ``PdfiumError`` for a page that is not there or cannot be loaded."""
    import pypdfium2.raw as pdfium

    page = document[index]
    try:
        held = page.get_textpage()
        try:
            lines = tuple(_lines(pdfium, held))
        finally:
            held.close()
        count = min(pdfium.FPDFPage_CountObjects(page), MOST_OBJECTS)
        kinds = [pdfium.FPDFPageObj_GetType(pdfium.FPDFPage_GetObject(page, at)) for at in range(count)]
        drawn = kinds.count(pdfium.FPDF_PAGEOBJ_PATH) + kinds.count(pdfium.FPDF_PAGEOBJ_FORM)
        return PageLines(lines=lines, shows=bool(kinds), ruled=drawn >= FEWEST_RULES)
    finally:
        page.close()


def _lines(pdfium: Any, held: Any) -> Iterator[Line]:
    """Yield the lines of text, words that are parted at a line's end made whole."""
    count = held.count_chars()
    if count <= 0:
        return
    buffer = (ctypes.c_ushort * (count * 2 + 2))()
    got = pdfium.FPDFText_GetText(held, 0, count, buffer)
    text = bytes(buffer)[: max(0, got - 1) * 2].decode("utf-16-le", "replace")
    at = 0
    begun: tuple[str, int] | None = None
    for line in text.split("\n"):
        start, at = at, at + len(line) + 1
        piece = line.removesuffix("\r")
        whole, begun_at = (begun[0] + piece, begun[1]) if begun else (piece, start)
        if re.search("[\x02\ufffe\u00ad] *$", piece):
            begun = (_HYPHENS.sub("", whole), begun_at)
            continue
        begun = None
        said = _UNSEEN.sub("", _HYPHENS.sub("", whole)).strip()
        if said:
            first = begun_at + len(text[begun_at : begun_at + 200]) - len(text[begun_at : begun_at + 200].lstrip())
            yield _measured(pdfium, held, said, min(first, count - 1), min(start + len(piece.rstrip()) - 1, count - 1))
    if begun and begun[0].strip():
        yield _measured(pdfium, held, begun[0].strip(), min(begun[1], count - 1), count - 1)


def _measured(pdfium: Any, held: Any, text: str, first: int, last: int) -> Line:
    x, y, right, unused = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharOrigin(held, first, x, y)
    pdfium.FPDFText_GetCharOrigin(held, max(first, last), right, unused)
    size = pdfium.FPDFText_GetFontSize(held, first)
    matrix = pdfium.FS_MATRIX()
    # Many files set type at size 1 and stretch it.
    if pdfium.FPDFText_GetMatrix(held, first, matrix):
        size *= math.hypot(matrix.c, matrix.d)
    return Line(text=text, size=round(size * 2) / 2, x=x.value, y=y.value, right=right.value)
