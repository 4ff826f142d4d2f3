"""Workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) → a heading for each sheet, a line for each row; places are "Prices!row 14".

Values are those that the program which wrote the file had last computed; formulas, comments and pictures are not read. Hidden sheets are.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.documents import archive, rows
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer, one_line
from groundtune.errors import DocumentError

PRELOAD = ("python_calamine",)


def load(path: Path, raw: bytes) -> Loaded:
    """Read a workbook. Raises ``DocumentError``; one whose rows are more than are read is refused whole."""
    from python_calamine import CalamineError, CalamineWorkbook

    if raw.startswith(b"PK"):
        if path.suffix.lower() in (".xlsx", ".xlsm"):
            archive.office(path, raw, "xl/workbook.xml")
        else:
            archive.opened(path, raw)
    limits = current()
    writer = Writer()
    left = limits.rows
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(raw))
        names = workbook.sheet_names
        if len(names) > limits.pages:
            raise DocumentError(f"{path}: {len(names):,} sheets; at most {limits.pages:,} are read", HINT, state="too large")
        for name in names:
            sheet = workbook.get_sheet_by_name(name)
            # Rows that hold nothing count as well: they are walked through, and a file can claim a million of them in a few bytes.
            left -= sheet.total_height
            if left < 0:
                raise DocumentError(f"{path}: more than {limits.rows:,} rows", HINT.replace("mend", "split"), state="too large")
            if sheet.height:
                writer.at(f"{one_line(name)}!row {(sheet.start or (0, 0))[0] + 1}")
                writer.add(f"## {one_line(name)}")
                rows.write(writer, _rows(sheet), prefix=f"{one_line(name)}!")
    except CalamineError as error:
        state = "encrypted" if "password" in str(error).lower() else "unreadable"
        raise DocumentError(f"{path}: cannot be read as a workbook: {error}", HINT, state=state) from None
    return Loaded(title=path.stem, text=writer.text, places=writer.places)


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's number, from 1, and its cells from column A on; the reader leaves out the empty columns on the left."""
    width = sheet.end[1] + 1 if sheet.end else 0
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        yield number, [""] * (width - len(cells)) + [_said(cell) for cell in cells]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value)
