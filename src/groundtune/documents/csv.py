"""CSV → one line for each row, with the names of the columns beside the values; places are rows of the file ("row 14").

The delimiter is the one of comma, semicolon, tab and bar that gives the same number of columns, more than one, to most of the first rows.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from groundtune.documents import rows
from groundtune.documents.decode import decode
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer
from groundtune.errors import DocumentError

_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 100


def load(path: Path, raw: bytes) -> Loaded:
    """Read a CSV file. Raises ``DocumentError`` for a quote that is never closed, and for more rows or longer fields than are read."""
    text = decode(path, raw)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else delimiter_of(text)
    writer = Writer()
    rows.write(writer, _rows(path, text, delimiter))
    return Loaded(title=path.stem, text=writer.text, places=writer.places)


def delimiter_of(text: str) -> str:
    """Return the delimiter that fits the first rows best; a comma where none does."""
    best, score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        counts: Counter[int] = Counter()
        try:
            for number, cells in enumerate(csv.reader(text[:100_000].splitlines(), delimiter=delimiter)):
                if number >= _LOOKED_AT:
                    break
                counts[len(cells)] += bool(cells)
        except csv.Error:
            continue
        width, share = max(((width, share) for width, share in counts.items() if width > 1), key=lambda item: item[1], default=(0, 0))
        if (share / max(1, counts.total()), width) > score:
            best, score = delimiter, (share / max(1, counts.total()), width)
    return best


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    most = current().rows
    csv.field_size_limit(10_000_000)
    try:
        # strict: a quote that never closes would otherwise swallow the rest of the file as one value.
        for number, cells in enumerate(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True), start=1):
            if number > most:
                raise DocumentError(f"{path}: more than {most:,} rows", HINT.replace("mend", "split"), state="too large")
            yield number, cells
    except csv.Error as error:
        raise DocumentError(f"{path}: not CSV: {error}", HINT) from None
