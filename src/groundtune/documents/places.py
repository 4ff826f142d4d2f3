"""Offsets in a text → the name of the place they come from: a page, a slide, a row, a line.

    (Place(0, "page 3"), Place(812, "page 4")), characters 700 to 900   →   "pages 3-4"

A place holds from its start to the next one, so what stands before the first has no name.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

from groundtune.types import Place

__all__ = ["composed", "name_of", "touched"]

# "page 3", "Prices!row 14": what is counted, and its number.
_COUNTED = re.compile(r"(?s)(.*?)([^\W\d_]+) (\d+)")


def touched(places: Sequence[Place], start: int, end: int) -> tuple[Place, ...]:
    """Return the places that characters ``start`` to ``end`` of the text come from, in order; ``places`` rise by their starts."""
    first = bisect_right(places, start, key=lambda place: place.start) - 1
    last = bisect_right(places, max(start, end - 1), key=lambda place: place.start)
    return tuple(places[max(0, first) : last])


def name_of(places: Sequence[Place], start: int, end: int) -> str:
    """Return where characters ``start`` to ``end`` stand, in words: one place, a run of numbered ones, or the first and the last."""
    found = touched(places, start, end)
    if not found:
        return ""
    first, last = found[0].name, found[-1].name
    if first == last:
        return first
    one, other = _COUNTED.fullmatch(first), _COUNTED.fullmatch(last)
    if one and other and one.group(1, 2) == other.group(1, 2):
        return f"{one[1]}{one[2]}s {one[3]}-{other[3]}"
    return f"{first} - {last}"


def composed(text: str, places: Sequence[Place]) -> tuple[str, tuple[Place, ...]]:
    """Return the text with its letters composed (NFC), and its places moved to where their characters stand then."""
    if unicodedata.is_normalized("NFC", text):
        return text, tuple(places)
    whole = unicodedata.normalize("NFC", text)
    if not places:
        return whole, ()
    borders = [0, *(place.start for place in places), len(text)]
    parts = [unicodedata.normalize("NFC", text[begin:end]) for begin, end in zip(borders, borders[1:], strict=False)]
    if "".join(parts) != whole:
        # A mark that begins a place joins the letter that ends the one before it; then each start is counted from the beginning.
        return whole, tuple(Place(len(unicodedata.normalize("NFC", text[: place.start])), place.name) for place in places)
    moved, at = [], 0
    for part, place in zip(parts, places, strict=False):
        at += len(part)
        moved.append(Place(at, place.name))
    return whole, tuple(moved)
