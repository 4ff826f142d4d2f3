"""A text → its words → its runs of eight words.

Words are letters and digits in lower case, so case, punctuation, line ends and Markdown marks do not hide a run.
"""

from __future__ import annotations

import re

LENGTH = 8
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of a text, lower-cased, without punctuation."""
    return _WORD.findall(text.casefold())


def runs(text: str) -> frozenset[str]:
    """Return every run of ``LENGTH`` words of a text, words put together by single blanks."""
    said = words(text)
    return frozenset(" ".join(said[start : start + LENGTH]) for start in range(len(said) - LENGTH + 1))
