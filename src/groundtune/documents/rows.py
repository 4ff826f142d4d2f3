"""Rows of a table → one line of text for each, which says by itself what its values are.

    Name, Price            - Name; Price                 "Prices!row 1"
    Mug, 12          →     - Name: Mug; Price: 12        "Prices!row 2"
    Cup, 9                 - Name: Cup; Price: 9         "Prices!row 3"

A long table is cut into chunks, and a row whose head is in another chunk says nothing; with the names beside the values each row can be
found, and be quoted, alone. Names come from the first row that looks like a head; without one they are the letters of the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from groundtune.documents.writer import Writer, one_line

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def write(writer: Writer, rows: Iterable[tuple[int, Sequence[str]]], *, prefix: str = "") -> int:
    """Add rows, each with its number from 1 in the source; return how many held anything. Places are ``{prefix}row {number}``."""
    names: Sequence[str] | None = None
    looked = written = 0
    for number, cells in rows:
        values = [one_line(cell) for cell in cells]
        if not any(values):
            # A gap ends a table; what stands under it has its own head.
            names, looked = None, 0
            continue
        writer.at(f"{prefix}row {number}")
        if names is None and looked < 3 and is_head(values):
            names = values
            writer.add("- " + "; ".join(value for value in values if value), "\n" if written else "\n\n")
        else:
            writer.add(_record(values, names or ()), "\n" if written else "\n\n")
        looked += 1
        written += 1
    return written


def is_head(values: Sequence[str]) -> bool:
    """Return whether a row can name the columns: two names or more, all different, none of them a number, a date or a truth."""
    named = [value for value in values if value]
    return len(named) > 1 and len(set(named)) == len(named) and not any(_is_value(value) for value in named)


def column(index: int) -> str:
    """Return the letters of a column, counted from 0: A, B, …, Z, AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _record(values: Sequence[str], names: Sequence[str]) -> str:
    filled = [(index, value) for index, value in enumerate(values) if value]
    if len(filled) == 1 and not names:
        return f"- {filled[0][1]}"
    return "- " + "; ".join(f"{names[index] if index < len(names) and names[index] else column(index)}: {value}" for index, value in filled)


def _is_value(value: str) -> bool:
    if value in ("TRUE", "FALSE") or _DATE.match(value):
        return True
    try:
        float(value.replace(",", "").replace("%", ""))
    except ValueError:
        return False
    return True
