"""Texts → postings: which rows hold which word, and how often. Words are those of LanceDB's own tokenizer, so any script is cut as it cuts.

    ["Hauliers were cancelling", "cancelled"]     cancel  rows 0 1   1 1        haulier  row 0   1        were  row 0   1

Of ASCII text a word is a run of letters and digits, whatever stands around it; so each is given to the tokenizer once, however often it
occurs, which is several times as fast. Other texts are given to it whole. ``tests/chunks/test_segments.py`` holds the two to be the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundtune.chunks.late import lancedb

if TYPE_CHECKING:
    import numpy as np

# LanceDB's names. ICU's rules and dictionaries find the words; English ones lose their endings (Porter 2), and accents go.
OPTIONS: dict[str, Any] = {
    "base_tokenizer": "icu/split",
    "language": "English",
    "max_token_length": 40,
    "lower_case": True,
    "stem": True,
    "remove_stop_words": False,
    "ascii_folding": True,
}
AT_ONCE = 20_000  # words that the tokenizer is given in one text
MOST_COUNTED = 65_535  # occurrences of a word in one row

_RUN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Postings:
    """Rows by word. The rows of ``terms[n]`` (sorted by their bytes) are ``rows[starts[n] : starts[n + 1]]``, ascending.

    ``counts``: how often each has it; ``lengths``: words of each row; ``most`` and ``shortest``: by word, the largest count and length.
    """

    terms: tuple[bytes, ...]
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray
    most: np.ndarray
    shortest: np.ndarray


class _Numbers(dict[str, int]):
    """Numbers what is looked up, in the order of first occurrence."""

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        return number


def tokens(text: str) -> list[str]:
    """Return the words of a text, in their order."""
    plain = text.replace("\0", " ").encode("utf-8", "replace").decode()
    return [token.text for token in lancedb().tokenize(plain, **OPTIONS)]


def postings(texts: Sequence[str]) -> Postings:
    """Return which of the texts hold which words."""
    import numpy as np

    # A word that the tokenizer has seen already is marked by a NUL, which no run of letters has.
    numbers = _Numbers()
    found: list[np.ndarray] = []
    sizes = np.zeros(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        parts = _RUN.findall(text.lower()) if text.isascii() else ["\0" + word for word in tokens(text)]
        sizes[row] = len(parts)
        found.append(np.fromiter(map(numbers.__getitem__, parts), np.int32, len(parts)))
    names = [name[1:] if name.startswith("\0") else None for name in numbers]
    ascii_words = [name for name in numbers if not name.startswith("\0")]
    cut = iter(_each(ascii_words))
    final = [next(cut) if name is None else name for name in names]
    terms = sorted({name.encode() for name in final if name is not None})
    place = {name: number for number, name in enumerate(terms)}
    mapped = np.array([-1 if name is None else place[name.encode()] for name in final], dtype=np.int64)
    term = mapped[np.concatenate(found)] if found else np.zeros(0, dtype=np.int64)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), sizes)
    keep = term >= 0
    return _counted(tuple(terms), term[keep], rows[keep], len(texts))


def _counted(terms: tuple[bytes, ...], term: np.ndarray, row: np.ndarray, count: int) -> Postings:
    import numpy as np

    lengths = np.bincount(row, minlength=count).astype(np.uint32)
    keys = term * max(1, count) + row
    keys.sort()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    times = np.diff(first, append=len(keys))
    keys = keys[first]
    rows = (keys % max(1, count)).astype(np.int32)
    starts = np.searchsorted(keys // max(1, count), np.arange(len(terms) + 1)).astype(np.int64)
    counts = np.minimum(times, MOST_COUNTED).astype(np.uint16)
    some = len(terms) > 0
    return Postings(
        terms=terms,
        starts=starts,
        rows=rows,
        counts=counts,
        lengths=lengths,
        most=np.maximum.reduceat(counts, starts[:-1]) if some else np.zeros(0, np.uint16),
        shortest=np.minimum.reduceat(lengths[rows], starts[:-1]) if some else np.zeros(0, np.uint32),
    )


def _each(words: Sequence[str]) -> list[str | None]:
    """Return what the tokenizer makes of each word by itself; ``None`` of one that it leaves out."""
    made: list[str | None] = []
    for begin in range(0, len(words), AT_ONCE):
        part = words[begin : begin + AT_ONCE]
        known = {token.position: token.text for token in lancedb().tokenize(" ".join(part), **OPTIONS)}
        made += [known.get(place) for place in range(len(part))]
    return made
