"""A text → its sentences, which are what is held against the passages one by one.

"Dr. Lee moved it to 4 p.m. Why? It rained."  →  ["Dr. Lee moved it to 4 p.m.", "Why?", "It rained."]
"""

from __future__ import annotations

import re

from groundtune.scores.runs import words

# After these a dot ends no sentence, unless a new line follows.
_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof st jr sr vs etc e.g i.e eg ie cf no nos fig vol pp approx inc ltd co corp dept est gen col sgt capt lt rev hon
    u.s u.k""".split()
)
_END = re.compile(
    r"[.!?\u2026\u3002\uff01\uff1f\u0964\u061f]+[\"'\u201d\u2019)\]]*(?=\s|$)|[\u3002\uff01\uff1f]|\n\s*\n|\n(?=\s*[-*\u2022]\s)"
)
_LAST = re.compile(r"([\w.]+)$")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, stripped, in order; pieces without a letter or digit are left out."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() <= start or (match[0].startswith(".") and _goes_on(text, start, match)):
            continue
        found.append(text[start : match.end()])
        start = match.end()
    found.append(text[start:])
    return [piece.strip() for piece in found if words(piece)]


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    """Return whether a dot belongs to an abbreviation, an initial or an enumeration."""
    before = _LAST.search(text[start : match.start()])
    if before is None:
        return False
    last, after = before[1].casefold(), text[match.end() :].lstrip(" \t")
    if after[:1] in ("", "\n"):
        return False
    if last in _ABBREVIATIONS:
        return True
    single = len(last) == 1 and last.isalpha() and before[1].isupper()
    dotted = "." in last and last.replace(".", "").isalpha() and after[:1].islower()
    listed = last.isdigit() and text[start : match.start()].strip() == before[1]
    return single or dotted or listed
