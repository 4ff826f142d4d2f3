"""A quote and the wanted answer → the fact that both state, another value for it, and whether a text says one or the other.

    quote   "We report a breach to you within 36 hours of becoming aware of it."
    reply   "Within 36 hours of our becoming aware."
    fact    quantity "36 hours" → "46 hours"

Only what the wanted answer states too is taken: an arm that answers rightly has to say it, so that saying neither value is telling. Facts
are figures with their unit, amounts, shares, times, dates, weekdays, numbers with dashes, and names of a few documents.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.scores.numbers import numbers
from groundtune.scores.runs import words

FactKind = Literal["date", "time", "code", "amount", "share", "quantity", "weekday", "name"]

MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBERS: dict[str, int] = {word: place for place, word in enumerate(_ONES.split())}
NUMBERS |= {word: 20 + 10 * place for place, word in enumerate(_TENS)}
NUMBERS |= {f"{ten}-{word}": NUMBERS[ten] + NUMBERS[word] for ten in _TENS for word in _ONES.split()[1:10]}
NUMBERS["hundred"] = 100
_WORDS = {value: word for word, value in NUMBERS.items()}
# Invented, and no words of a language that documents are likely to be in.
INVENTED = ("Vandrel", "Ostrimar", "Kelmoray", "Tavisund", "Brenlow", "Quillmere", "Sandorvik", "Halbreth", "Mirvane", "Corvanth")

_WORD_NUMBER = "|".join(sorted((word for word in NUMBERS if word not in ("zero", "one")), key=len, reverse=True))
_FIGURE = r"\d[\d,.'\u2019]*\d|\d"
_CURRENCY = r"EUR|USD|GBP|CHF|JPY|€|\$|£"
_PATTERNS: tuple[tuple[FactKind, re.Pattern[str]], ...] = (
    ("date", re.compile(rf"\b\d{{1,2}} (?:{'|'.join(MONTHS)})(?: \d{{4}})?\b|\b\d{{4}}-\d{{2}}-\d{{2}}\b")),
    ("time", re.compile(r"(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d(?![\d:])")),
    ("code", re.compile(r"\b\d{3,}(?:-\d+)+\b")),
    ("amount", re.compile(rf"(?:{_CURRENCY}) ?(?:{_FIGURE})|(?:{_FIGURE}) ?(?:{_CURRENCY})(?!\w)")),
    ("share", re.compile(rf"(?:{_FIGURE}) ?%")),
    ("quantity", re.compile(rf"(?<![\w.,-])(?:\d{{1,3}}(?:,\d{{3}})+|\d+|{_WORD_NUMBER})[ -][a-z]{{3,}}(?: [a-z]{{3,}})?", re.IGNORECASE)),
    ("weekday", re.compile(rf"\b(?:{'|'.join(WEEKDAYS)})\b")),
    ("name", re.compile(r"(?<=[a-z,] )[A-Z][a-z]{4,}\b")),
)
_NUMBER = re.compile(rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d+|{_WORD_NUMBER})(?=[ -])", re.IGNORECASE)
_UNIT_REACH = 3  # words between a number and its unit
_BLANK = re.compile(r"[^.!?\n|<>]+")
_ALIKE = 0.5  # share of the shorter sentence's words from which on two sentences with one value state one fact
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value as a quote writes it, and what it is changed into."""

    kind: FactKind
    old: str
    new: str


def facts_in(quote: str, reply: str, question: str, *, seed: int, names: Collection[str] = ()) -> list[Fact]:
    """Return the facts of a quote that the wanted reply states too and the question does not give away, the surest kinds first.

    ``names`` are words that count as names: those that few documents have. The new value is in neither text.
    """
    found: list[Fact] = []
    taken: list[tuple[int, int]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(quote):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            written = match[0] if kind != "quantity" else _unit_cut(match[0])
            if kind == "name" and written not in names:
                continue
            taken.append((match.start(), match.end()))
            if not said(reply, kind, written) or said(question, kind, written):
                continue
            others = (quote, reply, question)
            new = next((text for text in _changed(kind, written, seed) if not any(said(other, kind, text) for other in others)), None)
            if new is not None:
                found.append(Fact(kind=kind, old=written, new=new))
    return found


def said(text: str, kind: FactKind, written: str) -> bool:
    """Return whether a text states the value: figures in any spelling, as digits or words, with their unit where they are small."""
    low = text.casefold()
    if kind == "quantity":
        value, unit = _quantity(written)
        return _says_quantity(low, value, unit)
    if kind in ("amount", "share"):
        [value, *_] = numbers(written) or [""]
        return value in numbers(text)
    if kind == "time":
        return _says_time(low, written)
    if kind == "date":
        return _says_date(text, written)
    return re.search(rf"(?<!\w){re.escape(written.casefold())}(?!\w)", low) is not None


def places(text: str, fact: Fact, quote: str) -> list[tuple[int, int]]:
    """Return where a text states the same fact: the value as it is written, in the quote or in a sentence like it.

    A value that can hardly mean anything else (an amount of four digits, a number with dashes, a name) needs no such sentence.
    """
    found = []
    about = set(words(quote)) - set(words(fact.old))
    for match in re.finditer(rf"(?<![\w.,-]){re.escape(fact.old)}(?![\w-]|[.,]\d)", text):
        if distinctive(fact) or _alike(_sentence(text, match.start()), about):
            found.append((match.start(), match.end()))
    return found


def distinctive(fact: Fact) -> bool:
    """Return whether the value alone tells which fact it is of."""
    digits = sum(letter.isdigit() for letter in fact.old)
    return fact.kind in ("code", "name") or (fact.kind == "amount" and digits >= 4)


def rare_names(texts: Sequence[str], most: int = 3) -> set[str]:
    """Return capitalised words that stand in at most ``most`` of the texts, and never in small letters."""
    held: dict[str, int] = {}
    small: set[str] = set()
    for text in texts:
        found = set(re.findall(r"[^\W\d_]+", text))
        small |= {word for word in found if word.islower()}
        for word in found:
            if len(word) >= 5 and word[0].isupper() and word[1:].islower():
                held[word] = held.get(word, 0) + 1
    return {word for word, count in held.items() if count <= most and word.casefold() not in small and word not in (*MONTHS, *WEEKDAYS)}


# ── what is said ──


def _split(written: str) -> tuple[str, str]:
    """Return a quantity's number as it is written, and the rest with the blank or dash before it."""
    match = _NUMBER.match(written)
    return (match[0], written[match.end() :]) if match else ("", written)


def _unit_cut(written: str) -> str:
    """Return a number with one word after it, or two where the first says what kind ("three working days")."""
    number, rest = _split(written)
    unit = rest[1:].split(" ")
    kept = unit if len(unit) == 2 and unit[0].endswith(("ing", "ar")) else unit[:1]
    return f"{number}{rest[0]}{' '.join(kept)}"


def _quantity(written: str) -> tuple[str, str]:
    """Return a quantity's number in digits, and the first letters of its unit."""
    number, rest = _split(written)
    value = str(NUMBERS[number.casefold()]) if number.casefold() in NUMBERS else number.replace(",", "")
    return value, rest[1:].casefold().split()[-1].rstrip("s")[:5]


def _says_quantity(low: str, value: str, unit: str) -> bool:
    tokens = re.findall(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:-[^\W\d_]+)*", low)
    for place, token in enumerate(tokens):
        held = str(NUMBERS[token]) if token in NUMBERS else token.replace(",", "") if token[0].isdigit() else None
        if held != value:
            continue
        after = tokens[place + 1 : place + 1 + _UNIT_REACH]
        if any(word.startswith(unit) for word in after):
            return True
    return False


def _says_time(low: str, written: str) -> bool:
    hour, minute = (int(part) for part in written.split(":"))
    if re.search(rf"(?<![\d:.])0?{hour}[:.]{minute:02d}(?!\d)", low):
        return True
    half = (hour - 1) % 12 + 1
    end = r"p\.?m" if hour >= 12 else r"a\.?m"
    bare = rf"|(?<![\d:.])0?{half} ?{end}" if minute == 0 else ""
    return re.search(rf"(?<![\d:.])0?{half}[:.]{minute:02d} ?{end}{bare}", low) is not None


def _says_date(text: str, written: str) -> bool:
    day, month, year = _date(written)
    name = MONTHS[month - 1]
    short = f"(?:{name}|{name[:3]}\\.?)"
    named = rf"\b0?{day}(?:st|nd|rd|th)?(?: of)? {short}(?!\w)|\b{short} 0?{day}(?:st|nd|rd|th)?\b"
    iso = rf"|\b{year}-{month:02d}-{day:02d}\b" if year else ""
    return re.search(named + iso, text, re.IGNORECASE) is not None


def _date(written: str) -> tuple[int, int, int]:
    """Return day, month and year, 0 where none is named."""
    if written[4:5] == "-":
        year, month, day = (int(part) for part in written.split("-"))
        return day, month, year
    day_, name, *rest = written.split()
    return int(day_), MONTHS.index(name) + 1, int(rest[0]) if rest else 0


# ── other values ──


def _changed(kind: FactKind, written: str, seed: int) -> Iterator[str]:
    """Yield other values of the same form, the same ones for the same seed."""
    rng = random.Random(f"{seed} {kind} {written}")  # noqa: S311
    if kind == "name":
        yield from rng.sample(INVENTED, len(INVENTED))
    elif kind == "weekday":
        place = WEEKDAYS.index(written)
        yield from (WEEKDAYS[(place + step) % 7] for step in (2, 3, 4))
    elif kind == "time":
        hour, minute = written.split(":")
        width = len(hour)
        yield from (f"{(int(hour) + step) % 24:0{width}d}:{minute}" for step in (3, 5, 7))
    elif kind == "date":
        yield from _other_dates(written)
    elif kind == "code":
        yield from ("".join(str((int(letter) + step) % 10) if letter.isdigit() else letter for letter in written) for step in (3, 4, 7))
    elif kind == "quantity":
        number, rest = _split(written)
        for step in _steps(int(_quantity(written)[0]), rng):
            yield _like(number, step) + rest
    else:
        figure = re.search(_FIGURE, written)
        if figure is None:
            return
        [plain, *_] = numbers(figure[0]) or ["0"]
        decimals = len(plain.partition(".")[2])
        top = 100.0 if kind == "share" and float(plain) <= 100 else None
        for step in _steps(int(float(plain)), rng):
            value_ = step + float(plain) % 1
            if top is None or value_ <= top:
                shown = f"{value_:,.{decimals}f}" if "," in figure[0] or (decimals == 0 and value_ >= 10_000) else f"{value_:.{decimals}f}"
                yield written[: figure.start()] + shown + written[figure.end() :]


def _steps(value: int, rng: random.Random) -> list[int]:
    """Return other numbers of about the same size; for round ones round ones."""
    unit = 10 ** max(0, len(str(value)) - 2)
    up = [value + unit * step for step in (7, 9, 11, 13)] if value >= 10 else [value + step for step in (3, 4, 5, 6)]
    down = [value - unit * step for step in (3, 4) if value - unit * step > 1]
    rng.shuffle(up)
    return up + down


def _like(number: str, value: int) -> str:
    """Return a number written as another one is: in words, with commas, or in digits."""
    if number.casefold() in NUMBERS and value in _WORDS:
        word = _WORDS[value]
        return word.capitalize() if number[0].isupper() else word
    return f"{value:,}" if "," in number else str(value)


def _other_dates(written: str) -> Iterator[str]:
    day, month, year = _date(written)
    for step in (8, 11, 5):
        other, following = (day + step) % 27 + 1, month % 12 + 1
        if written[4:5] == "-":
            yield f"{year}-{following:02d}-{other:02d}"
        else:
            yield f"{other} {MONTHS[following - 1]}" + (f" {year}" if year else "")


# ── where it stands ──


def _sentence(text: str, place: int) -> str:
    return next((match[0] for match in _BLANK.finditer(text) if match.start() <= place < match.end()), "")


def _alike(sentence: str, about: set[str]) -> bool:
    here = set(words(sentence))
    shared = {word for word in here & about if len(word) > 2}
    least = min(len({word for word in here if len(word) > 2}), len({word for word in about if len(word) > 2}))
    return len(shared) >= min(_FEWEST, max(1, least)) and len(shared) >= _ALIKE * least
