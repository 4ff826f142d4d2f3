"""PDF → text page by page, large type as headings, ruled tables as tables; places are "page 3", counted from 1 as viewers do.

    lines of a page, each with its type size and where it stands
      → the size of most letters is the body's; a line of 1.15 times that or more is a heading
      → a wider gap than usual ends a paragraph
      → lines within a ruled table give way to the table, where every letter of theirs is in it

A page that shows something and has no text (a scan) is named in ``unread``. Tables need the extra ``tables``; without it, their cells
are lines of text like any other.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from groundtune.documents import pdf_tables
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.pdf_lines import Line, boxed, lines_of
from groundtune.documents.writer import Writer, one_line
from groundtune.errors import DocumentError

PRELOAD = ("pypdfium2", "pdfplumber")
# A heading is set at least this much larger than the body: notes of measurement in docs/reference/formats.md.
HEADING = 1.15
MOST_HEADING = 200
# A gap that much wider than the usual one between lines begins a paragraph.
GAP = 1.35
# Titles that programs write when nobody gave one.
_NO_TITLE = re.compile(r"(?i)untitled|microsoft (word|powerpoint|excel)|\S+\.(docx?|pptx?|xlsx?|pdf|tex|dvi|indd|qxd|md|rtf|odt)|slide 1")


def load(path: Path, raw: bytes) -> Loaded:
    """Read a PDF. Raises ``DocumentError``: with a password, cut off, of too many pages, or without any text at all."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            hint = "save it without the password, then type: groundtune check"
            raise DocumentError(f"{path}: is a PDF with a password", hint, state="encrypted") from None
        raise DocumentError(f"{path}: cannot be opened as a PDF, it is corrupt or cut off: {error}", HINT) from None
    limits = current()
    if len(document) > limits.pages:
        raise DocumentError(f"{path}: {len(document):,} pages; at most {limits.pages:,} are read", HINT, state="too large")
    if not len(document):
        raise DocumentError(f"{path}: has no pages", HINT)
    began = time.monotonic()
    pages: list[Sequence[Line]] = []
    unread: list[tuple[str, str]] = []
    scanned: list[int] = []
    broken: list[int] = []
    ruled: list[int] = []
    for number in range(1, len(document) + 1):
        try:
            page = lines_of(document, number - 1)
        except pypdfium2.PdfiumError:
            broken.append(number)
            pages.append(())
            continue
        pages.append(page.lines)
        if not page.lines and page.shows:
            scanned.append(number)
        if page.ruled:
            ruled.append(number)
    if broken:
        unread.append(("unreadable", f"{_pages(broken)} cannot be read"))
    if scanned:
        unread.append(("no text layer", f"no text layer on {_pages(scanned)}: recognise the text (OCR) and replace the file"))
    if b"%%EOF" not in raw[-2048:]:
        unread.append(("unreadable", "does not end as a PDF does: it may be cut off, and pages may be missing"))
    tables, trouble = pdf_tables.find(raw, ruled, until=began + limits.seconds / 2)
    if trouble:
        unread.append(("too large", trouble))
    if not any(pages):
        state, reason = unread[0] if unread else ("unreadable", "holds no text")
        raise DocumentError(f"{path}: {reason}", HINT, state=state)
    levels = _levels(pages)
    text = Writer()
    for number, lines in enumerate(pages, start=1):
        text.at(f"page {number}")
        found = tables.get(number, [])
        items = pdf_tables.placed(lines, found, partial(boxed, document, number - 1)) if found else lines
        _write(text, items, levels)
    title = _metadata_title(document)
    document.close()
    return Loaded(title=title or _first_heading(text.text) or path.stem, text=text.text, places=text.places, unread=tuple(unread))


def _write(writer: Writer, items: Sequence[Line | str], levels: dict[float, int]) -> None:
    for block in _blocks(items):
        if isinstance(block, str):
            writer.add(block)
            continue
        level = levels.get(block[0].size)
        said = "\n".join(line.text for line in block)
        writer.add(f"{'#' * level} {one_line(said)}" if level and _is_heading(said) else said)


def _levels(pages: Sequence[Sequence[Line]]) -> dict[float, int]:
    """Return the heading level of each type size that is one, the largest 1, at most six.

    Sizes that are used on one page only (a cover) do not take levels away from the headings of the text: above those they are all 1.
    """
    letters: Counter[float] = Counter()
    used: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            letters[line.size] += len(line.text)
        used.update({line.size for line in lines})
    if not letters:
        return {}
    body = letters.most_common(1)[0][0]
    large = sorted((size for size in letters if size >= body * HEADING), reverse=True)
    fewest = 2 if len(pages) > 3 else 1
    levels: dict[float, int] = {}
    level, before = 1, 0.0
    for size in large:
        # Sizes that nobody could tell apart by eye are of one level.
        if used[size] >= fewest and (not before or size < before * 0.95):
            level, before = level + bool(levels), size
        levels[size] = min(level, 6)
    return levels


def _blocks(items: Sequence[Line | str]) -> list[list[Line] | str]:
    """Group lines into paragraphs: a new one begins at another size, at a wide gap, and where the text moves up (a new column)."""
    drops = [
        one.y - two.y
        for one, two in zip(items, items[1:], strict=False)
        if isinstance(one, Line) and isinstance(two, Line) and one.y > two.y and one.size == two.size
    ]
    usual = median(drops) if drops else 0.0
    blocks: list[list[Line] | str] = []
    before: Line | None = None
    for item in items:
        if isinstance(item, str):
            blocks.append(item)
            before = None
            continue
        drop = before.y - item.y if before else 0.0
        last = blocks[-1] if blocks else None
        # Pieces set on one line, and tall letters in a line, do not begin a paragraph.
        if before is None or not isinstance(last, list) or item.size != before.size or drop > usual * GAP or drop < -item.size:
            blocks.append([item])
        else:
            last.append(item)
        before = item
    return blocks


def _is_heading(said: str) -> bool:
    return len(said) <= MOST_HEADING and said.count("\n") < 4 and any(letter.isalpha() for letter in said)


def _first_heading(text: str) -> str:
    found = re.search(r"^#{1,2} (.+)$", text[:5000], re.MULTILINE)
    return found[1] if found else ""


def _metadata_title(document: Any) -> str:
    title = one_line(document.get_metadata_value("Title") or "")
    return "" if _NO_TITLE.match(title) else title[:300]


def _pages(numbers: Sequence[int]) -> str:
    """Return "page 3", or "pages 2-4, 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return f"page {shown[0]}" if len(numbers) == 1 else f"pages {', '.join(shown)}"
