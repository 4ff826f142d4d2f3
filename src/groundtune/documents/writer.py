"""Pieces of text and where they come from → one Markdown text with its places; what several loaders need to write it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.types import Place

_BLANKS = re.compile(r"[ \t\u00a0]*[\r\n\v\f\u0085\u2028\u2029]+[ \t]*")


class Writer:
    """Joins pieces by blank lines; a place begins with the first piece that is added after it was named."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._places: list[Place] = []
        self._named = ""
        self._length = 0

    def at(self, name: str) -> None:
        """Let what follows come from this place."""
        self._named = name

    def add(self, piece: str, joint: str = "\n\n") -> None:
        """Add a piece of text, ``joint`` before it; a blank one is left out."""
        piece = piece.strip("\n").rstrip()
        if not piece.strip():
            return
        if self._pieces:
            self._pieces.append(joint)
            self._length += len(joint)
        if self._named and (not self._places or self._places[-1].name != self._named):
            self._places.append(Place(self._length, self._named))
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def text(self) -> str:
        """All that was added."""
        return "".join(self._pieces)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places named, by rising starts in ``text``."""
        return tuple(self._places)


def one_line(text: str) -> str:
    """Return text with its line ends made blanks, as a heading and a table's cell need it."""
    return _BLANKS.sub(" ", text).strip()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table whose head is the first of them; short rows are filled up, bars in cells escaped."""
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in (*row, *[""] * (width - len(row)))) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def fenced(text: str, language: str = "") -> tuple[str, int]:
    """Return text within a fence longer than any in it, and where in the result the text begins."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    opening = f"{fence}{language}\n"
    return f"{opening}{text}\n{fence}", len(opening)
