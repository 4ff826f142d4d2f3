"""Ruled tables of a PDF, by pdfplumber (the extra ``tables``): only on pages where lines are drawn, and only while there is time."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from groundtune.documents.pdf_lines import Line
from groundtune.documents.writer import table


@dataclass(frozen=True, slots=True)
class Table:
    """Its box in points from the page's lower left, and its cells by rows."""

    left: float
    bottom: float
    right: float
    top: float
    rows: tuple[tuple[str, ...], ...]

    def holds(self, line: Line) -> bool:
        """Return whether a line stands in the box, give or take two points."""
        return self.left - 2 <= line.x and line.right <= self.right + 2 and self.bottom - 2 <= line.y <= self.top + 2


def find(raw: bytes, pages: Sequence[int], *, until: float) -> tuple[dict[int, list[Table]], str]:
    """Return the tables of these pages, counted from 1, and what was not looked at, in words. ``until`` is by ``time.monotonic()``."""
    if not pages:
        return {}, ""
    try:
        import pdfplumber
    except ModuleNotFoundError:
        return {}, ""
    found: dict[int, list[Table]] = {}
    try:
        opened = pdfplumber.open(io.BytesIO(raw), pages=list(pages))
    except MemoryError:
        raise
    except Exception:
        # It is a second opinion on a file that was read already; what it cannot open has its text without tables.
        return {}, "the tables in it were read as lines of text: their reader cannot open the file"
    with opened:
        for page in opened.pages:
            if time.monotonic() > until:
                return found, f"tables from page {page.page_number} on were read as lines of text: there was no time for more"
            with suppress(ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError):
                tables = [_table(page, item) for item in page.find_tables()]
                found[page.page_number] = [item for item in tables if len(item.rows) > 1 and len(item.rows[0]) > 1]
            page.close()
    return found, ""


def _table(page: object, item: object) -> Table:
    left, top, right, bottom = item.bbox  # type: ignore[attr-defined]
    height = page.height + page.bbox[1]  # type: ignore[attr-defined]
    rows = tuple(tuple(cell or "" for cell in row) for row in item.extract())  # type: ignore[attr-defined]
    return Table(left=left, bottom=height - bottom, right=right, top=height - top, rows=rows)


def placed(lines: Sequence[Line], tables: Sequence[Table]) -> list[Line | str]:
    """Return the lines, and in the place of those within a table the table; only where all their letters are in its cells."""
    items: list[Line | str] = list(lines)
    for one in tables:
        within = [line for line in lines if one.holds(line)]
        inside = [line for line in within if line in items]
        held = _letters("".join(cell for row in one.rows for cell in row))
        if not inside or len(inside) != len(within) or _letters("".join(line.text for line in inside)) - held:
            continue
        items.insert(items.index(inside[0]), table(one.rows))
        for line in inside:
            items.remove(line)
    return items


def _letters(text: str) -> Counter[str]:
    return Counter(letter for letter in text if letter.isalnum())
