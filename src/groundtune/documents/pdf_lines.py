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

# An alef and a lam after it, of any form.
_LAM_ALEF = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
# A drawing may have millions of strokes; how many there are beyond these says nothing about tables.
MOST_OBJECTS = 20_000
# Fewer are no table, and more are a drawing, in which a finder of tables gets lost.
FEWEST_RULES, MOST_RULES = 3, 3_000


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
        return PageLines(lines=lines, shows=bool(kinds), ruled=FEWEST_RULES <= drawn <= MOST_RULES)
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
    text = _LAM_ALEF.sub(lambda pair: pair[0][::-1] if _one_glyph(pdfium, held, pair.start()) else pair[0], text)
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


def _one_glyph(pdfium: Any, held: Any, index: int) -> bool:
    """Return whether two characters stand for one sign. The engine gives those of a lam-alef in the order of the paper, back to front."""
    one, two = ([ctypes.c_double() for _ in range(4)] for _ in range(2))
    pdfium.FPDFText_GetCharBox(held, index, *one)
    pdfium.FPDFText_GetCharBox(held, index + 1, *two)
    return [side.value for side in one] == [side.value for side in two]


def boxed(document: Any, index: int, box: tuple[float, float, float, float]) -> str:
    """Return the text within a box (left, bottom, right, top) of a page, counted from 0, as one line."""
    left, bottom, right, top = box
    page = document[index]
    try:
        held = page.get_textpage()
        try:
            said = held.get_text_bounded(left=left, bottom=bottom, right=right, top=top)
        finally:
            held.close()
    finally:
        page.close()
    return " ".join(_UNSEEN.sub("", _HYPHENS.sub("", said)).split())
