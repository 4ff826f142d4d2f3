"""A file of somebody else's examples → its records, each with the line where it begins: JSON lines, a JSON array, CSV or TSV.

What is no record is a problem that names its line; the records around it are read all the same. Only in a JSON array, a broken record
hides those behind it, since nobody knows where the next one begins.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import ExampleError
from groundtune.files import no_constant, objects, once, storable, text_of, why_no_json

MOST_BYTES = 512_000_000
MOST_CELL = 4_000_000
AGAIN = "groundtune examples import FILE"
HINT = f"mend that line, then type: {AGAIN}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file, and the line that it begins on, from 1."""

    line: int
    value: dict[str, Any]


def read(path: Path, problems: list[ExampleError]) -> Iterator[Record]:
    """Yield the records of a file; its problems are added to ``problems``, each with file and line."""

    def tell(message: str, hint: str) -> None:
        problems.append(ExampleError(message, hint))

    text = text_of(path, tell, AGAIN, MOST_BYTES)
    if text is None:
        return
    if path.suffix.casefold() in (".csv", ".tsv"):
        yield from _table(path, text, problems)
    elif text.lstrip()[:1] == "[":
        yield from _array(path, text, problems)
    else:
        yield from (Record(number, row) for number, row in objects(path, text, tell, AGAIN))


def _array(path: Path, text: str, problems: list[ExampleError]) -> Iterator[Record]:
    decoder = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant)
    at, counted, line = text.index("[") + 1, 0, 1
    while True:
        at = _after_blanks(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if at >= len(text):
            problems.append(ExampleError(f"{path}:{line}: the array is not closed: the file ends too early", HINT))
            return
        if text[at] == "]":
            if text[at + 1 :].strip():
                problems.append(ExampleError(f"{path}:{line}: there is more behind the end of the array", HINT))
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            problems.append(ExampleError(f"{path}:{line}: {why_no_json(error, by_line=True)}; what follows was not read", HINT))
            return
        yield from _storable(path, line, value, problems)
        at = _after_blanks(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            problems.append(ExampleError(f"{path}:{line + text.count(chr(10), counted, at)}: expected , or ] after a record", HINT))
            return


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _storable(path: Path, line: int, value: Any, problems: list[ExampleError]) -> Iterator[Record]:
    if not isinstance(value, dict):
        problems.append(ExampleError(f"{path}:{line}: expected a JSON object, found {type(value).__name__}", HINT))
        return
    try:
        storable(value)
    except (ValueError, RecursionError) as error:
        problems.append(ExampleError(f"{path}:{line}: {why_no_json(error)}", HINT))
        return
    yield Record(line, value)


def _table(path: Path, text: str, problems: list[ExampleError]) -> Iterator[Record]:
    """Yield the rows of a table by the names in its first line; an empty cell is left out."""
    delimiter = "\t" if path.suffix.casefold() == ".tsv" else _delimiter(text.partition("\n")[0])
    limit = csv.field_size_limit(MOST_CELL)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(rows, [])]
        twice = sorted({name for name in header if header.count(name) > 1})
        if not header or twice or not all(header):
            what = f"column {twice[0]!r} twice" if twice else "a column without a name" if header else "nothing"
            problems.append(ExampleError(f"{path}:1: the first line names the columns, and holds {what}", HINT))
            return
        begins = rows.line_num + 1
        for cells in rows:
            line, begins = begins, rows.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(ExampleError(f"{path}:{line}: {len(cells)} cells, expected {len(header)}: {', '.join(header)}", HINT))
                continue
            yield from _storable(path, line, {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}, problems)
    except csv.Error as error:
        problems.append(ExampleError(f"{path}:{rows.line_num}: not CSV: {error}; what follows was not read", HINT))
    finally:
        csv.field_size_limit(limit)


def _delimiter(first: str) -> str:
    return max(",;\t", key=first.count)
