"""A sentence → the figures that it gives, by kind, and its other words.

    "A slot can be cancelled until 4 hours before it begins."   duration {14400: "4 hours"}   slot cancel until duration befor begin
    "Each call is signed with SHA-256."                         sha {256: "SHA-256"}          each cal sign with sha

Numbers that are part of a name ("Harbour 4", "v5", "Step 2") are words. Times are compared in seconds, months and years in months, sizes in
bytes; a number before any other word counts that ("25 open slots": # open). Number words count before units of time only. English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from groundtune.chunks.words import stem, words

_SECONDS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kilobyte": 1e3, "megabyte": 1e6, "gigabyte": 1e9, "terabyte": 1e12}
_COUNTED = {
    name: number
    for number, name in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), start=1)
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}  # fmt: skip
_MONTH_NAMES = "January February March April May June July August September October November December".split()
_MONEY = {"€": "eur", "$": "usd", "£": "gbp"}
_FIGURE = re.compile(
    r"(?P<iso>\b\d{4}-\d{2}-\d{2}\b)"
    rf"|(?P<day>\b\d{{1,2}})\.?\s+(?P<month>{'|'.join(_MONTH_NAMES)})\b(?:\s+(?P<year>\d{{4}}))?"
    r"|(?P<clock>\b\d{1,2}:\d{2}\b)"
    r"|\b(?P<code>[A-Za-z]{2,12})-(?P<coded>\d{1,6})\b"
    r"|(?P<money>EUR|USD|GBP|CHF|[€$£])\s?(?P<sum>\d[\d,.]*\d|\d)"
    r"|(?<![\w.])(?P<number>\d[\d,.]*\d|\d)"
    r"(?:\s?(?P<percent>%|per\s?cent\b)|\s+(?:(?P<days>working|business)\s+(?=days?\b))?(?P<noun>[A-Za-z]+)|(?P<suffix>[kKMGT]B\b|EUR\b|\s?[€£]))?"
    rf"|\b(?P<said>{'|'.join(_COUNTED)})\s+(?P<unit>(?:seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?))\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"([\w'’-]+)\W?\s*$")
_AND = re.compile(r"\s*(?:,|–|-|/)?\s*(?:or|and|to)?\s*", re.IGNORECASE)
_DIGITS = re.compile(r"[,](?=\d{3}\b)")


@dataclass(frozen=True, slots=True)
class Figures:
    """``given``: kind → value → as it is written. ``rest``: the stems of the sentence's longer words, and the kinds, in order."""

    given: Mapping[str, Mapping[float, str]]
    rest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A figure at ``sentence[start:end]``; ``value`` is the number written times ``factor``. ``bare``: nothing says what it counts."""

    start: int
    end: int
    kind: str
    value: float
    factor: float = 1.0
    bare: bool = False


def figures(sentence: str) -> Figures:
    """Return what a sentence gives in figures, and what else it says."""
    found = [item for match in _FIGURE.finditer(sentence) if (item := _read(match, sentence)) is not None]
    for place in range(len(found) - 2, -1, -1):
        one, after = found[place], found[place + 1]
        if one.bare and _AND.fullmatch(sentence, one.end, after.start):
            # "15, 30 or 45 minutes": all of them are minutes.
            found[place] = replace(one, kind=after.kind, value=one.value * after.factor, factor=after.factor)
    given: dict[str, dict[float, str]] = {}
    masked: list[str] = []
    reached = 0
    for item in found:
        given.setdefault(item.kind, {})[item.value] = sentence[item.start : item.end].strip()
        masked += _stems(sentence[reached : item.start])
        # Kinds do not differ by how many figures of them there are.
        masked += [item.kind] if masked[-1:] != [item.kind] else []
        reached = item.end
    masked += _stems(sentence[reached:])
    return Figures(given, tuple(masked))


def _read(match: re.Match[str], sentence: str) -> _Found | None:
    """Return the figure, or ``None`` for a number that is part of a name."""
    part, start, end = match.groupdict(), match.start(), match.end()
    if part["iso"]:
        return _Found(start, end, "date", float(part["iso"].replace("-", "")))
    if part["month"]:
        month = [name.casefold() for name in _MONTH_NAMES].index(part["month"].casefold()) + 1
        return _Found(start, end, "date" if part["year"] else "day", int(part["year"] or 0) * 10_000 + month * 100 + int(part["day"]))
    if part["clock"]:
        return _Found(start, end, "clock", float(part["clock"].replace(":", "")))
    if part["code"]:
        return _Found(start, end, part["code"].casefold(), float(part["coded"]))
    if part["said"]:
        kind, factor = _unit(part["unit"]) or ("", 0.0)
        return _Found(start, end, kind, _COUNTED[part["said"].casefold()] * factor, factor)
    number = _number(part["sum"] or part["number"])
    if number is None:
        return None
    if part["money"]:
        return _Found(start, end, _MONEY.get(part["money"], part["money"].casefold()), number)
    return _counted(number, match, sentence)


def _counted(number: float, match: re.Match[str], sentence: str) -> _Found | None:
    """Return a number with what it counts: a percentage, a unit, the word after it, or the one before."""
    part, start, end = match.groupdict(), match.start(), match.end()
    if part["percent"]:
        return _Found(start, end, "percent", number)
    if part["days"]:
        # Not so many days as the calendar has.
        return _Found(start, end, f"{part['days'].casefold()} days", number)
    known = _unit((part["noun"] or part["suffix"] or "").strip())
    if known:
        return _Found(start, end, known[0], number * known[1], known[1])
    before = _BEFORE.search(sentence[:start])
    if before and (before[1][:1].isupper() or before[1].casefold() in ("v", "version", "release")):
        return None
    if part["noun"] and not _AND.fullmatch(part["noun"]):
        return _Found(start, end, f"# {stem(part['noun'].casefold())}", number)
    # Nothing follows that it could count: "port 443".
    return _Found(start, match.end("number"), f"{before[1].casefold()} #" if before else "#", number, bare=True)


def _unit(word: str) -> tuple[str, float] | None:
    """Return what a unit measures and how much of it one is; ``None`` for a word that is no unit."""
    if word in _MONEY or word.casefold() == "eur":
        return _MONEY.get(word, "eur"), 1.0
    name = word.casefold()
    one = name if name in _SECONDS | _MONTHS | _BYTES else name.removesuffix("s")
    if one in _SECONDS:
        return "duration", float(_SECONDS[one])
    if one in _MONTHS:
        return "months", float(_MONTHS[one])
    return ("bytes", _BYTES[one]) if one in _BYTES else None


def _number(written: str) -> float | None:
    """Return a number as it is written in English: 1,150 and 99.5; ``None`` for what is none, such as 1.2.3."""
    try:
        return float(_DIGITS.sub("", written).replace(",", "."))
    except ValueError:
        return None


def _stems(text: str) -> list[str]:
    """Return the stems of the words of four letters and more, and all words of other scripts."""
    return [stem(word) for word in words(text) if not word.isascii() or len(word) >= 4]
