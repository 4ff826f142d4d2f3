"""Patterns of rules → which documents they are for, and which of two is the more specific.

    ""              every document
    "hr/"  "hr"     the folder hr, or the document hr, and all that is below it or packed in it
    "hr/*.md"       files of hr itself: * and ? stay within one folder
    "hr/**/*.md"    files of hr and of any folder below

A file in a file (``mails/a.eml!/offer.pdf``) is below that file; a pattern with a wildcard is asked of the outermost one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

_WILD = re.compile(r"[*?]")


def fits(pattern: str, source: str) -> bool:
    """Return whether a rule of this pattern is for the document of that path."""
    return bool(fitting([pattern])(source))


def fitting(patterns: Sequence[str]) -> Callable[[str], tuple[int, ...]]:
    """Return what says which of the patterns, by their places among them, are for a document; made once, and asked of many."""
    if not patterns:
        return lambda source: ()
    asked: list[tuple[int, re.Pattern[str] | None, tuple[str, ...]]] = []
    for place, pattern in enumerate(patterns):
        wild = _compiled(pattern) if _WILD.search(pattern) else None
        asked.append((place, wild, () if wild else parts_of(unicodedata.normalize("NFC", pattern))))

    def fit(source: str) -> tuple[int, ...]:
        outermost, found = source.split("!/")[0], parts_of(source)
        return tuple(
            place for place, wild, wanted in asked if (wild.fullmatch(outermost) is not None if wild else found[: len(wanted)] == wanted)
        )

    return fit


def specificity(pattern: str) -> tuple[int, int]:
    """Return how specific a pattern is: the parts that it spells out, then the parts of which it knows some; larger beats smaller."""
    parts = parts_of(pattern)
    return sum(not _WILD.search(part) for part in parts), sum(bool(_WILD.search(part)) and part != "**" for part in parts)


def wrong_pattern(pattern: object) -> str | None:
    """Return what is wrong with a pattern, or ``None``."""
    if not isinstance(pattern, str) or "\0" in pattern:
        return f"{pattern!r} is not a path"
    if pattern.startswith("/") or ".." in pattern.split("/") or pattern != pattern.strip():
        return f'{pattern!r} is not the path of a folder or a document as `groundtune access report` names them; "" is for all'
    return None


def parts_of(source: str) -> tuple[str, ...]:
    """Return the parts of a path; what is packed in a file is below that file."""
    return tuple(part for part in source.replace("!/", "/").split("/") if part)


def matches(pattern: str, name: str) -> bool:
    """Return whether a whole name matches: ``*`` and ``?`` stay within one folder, ``**`` goes through any number of them."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    written = unicodedata.normalize("NFC", pattern)
    parts = []
    for piece in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", written):
        parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)
