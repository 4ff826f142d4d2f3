"""Ruled tables of a PDF: where their cells are, by pdfplumber (the extra ``tables``); what is in them, by the engine that read the page.

Only pages where lines are drawn are looked at, and only while there is time. Text is never taken from the finder of tables: it has the
letters of Arabic and Hebrew in the order in which they stand on the paper.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.documents.pdf_lines import Line
from groundtune.documents.writer import table

Box = tuple[float, float, float, float]
# Frames around paragraphs look like tables with most of their cells empty, or with a page in one of them.
FULLEST = 1500
EMPTIEST = 0.5


@dataclass(frozen=True, slots=True)
class Table:
    """Boxes (left, bottom, right, top) in points from the page's lower left: its own, and those of its cells by rows."""

    box: Box
    rows: tuple[tuple[Box | None, ...], ...]

    def holds(self, line: Line) -> bool:
        """Return whether a line stands in the box, give or take two points."""
        left, bottom, right, top = self.box
        return left - 2 <= line.x and line.right <= right + 2 and bottom - 2 <= line.y <= top + 2


def find(raw: bytes, pages: Sequence[int], *, until: float) -> tuple[dict[int, list[Table]], str]:
    """Return the tables of these pages, counted from 1, and what was not looked at, in words. ``until`` is by ``time.monotonic()``."""
    if not pages:
        return {}, ""
    try:
        import pdfplumber
    except ModuleNotFoundError:
        return {}, ""
    found: dict[int, list[Table]] = {}
    lost: list[int] = []
    try:
        opened = pdfplumber.open(io.BytesIO(raw), pages=list(pages))
    except MemoryError:
        raise
    except Exception as error:
        # It is a second opinion on a file that was read already; what it cannot open has its text without tables.
        return {}, f"the tables in it were read as lines of text: their finder cannot open the file ({type(error).__name__}: {error})"
    with opened:
        for page in opened.pages:
            if time.monotonic() > until:
                return found, f"tables from page {page.page_number} on were read as lines of text: there was no time for more"
            try:
                tables = [_table(page, item) for item in page.find_tables()]
                found[page.page_number] = [item for item in tables if len(item.rows) > 1 and len(item.rows[0]) > 1]
            except (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError):
                lost.append(page.page_number)
            page.close()
    shown = ", ".join(map(str, lost))
    return found, f"the tables on page {shown} were read as lines of text: their finder fails there" if lost else ""


def _table(page: Any, item: Any) -> Table:
    height = page.height + page.bbox[1]

    def turned(box: Box) -> Box:
        left, top, right, bottom = box
        return (left, height - bottom, right, height - top)

    return Table(turned(item.bbox), tuple(tuple(cell and turned(cell) for cell in row.cells) for row in item.rows))


def placed(lines: Sequence[Line], tables: Sequence[Table], within: Callable[[Box], str]) -> list[Line | str]:
    """Return the lines, and in the place of those in a table the table; only where all their letters are in its cells.

    ``within`` returns the text in a box of the page.
    """
    items: list[Line | str] = list(lines)
    for one in tables:
        inside = [line for line in items if isinstance(line, Line) and one.holds(line)]
        cells = [["" if box is None else within(box) for box in row] for row in one.rows]
        said = [cell for row in cells for cell in row if cell.strip()]
        if not inside or len(said) < EMPTIEST * sum(map(len, cells)) or max(map(len, said)) > FULLEST:
            continue
        if _letters("".join(line.text for line in inside)) - _letters("".join(said)):
            continue
        items.insert(items.index(inside[0]), table([row for row in cells if any(cell.strip() for cell in row)]))
        for line in inside:
            items.remove(line)
    return items


def _letters(text: str) -> Counter[str]:
    return Counter(letter for letter in text if letter.isalnum())
