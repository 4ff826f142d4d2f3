"""A logged answer → what checkers hold against it: form, quotes, numbers, age. They propose; a person decides.

checker("The fee is 45 EUR.") with a passage that says 40 EUR  →  Proposal("wrong fact", "number", "45 stands in no passage shown")
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from groundtune.decisions.audit.responses import Response
from groundtune.examples.quotes import locate
from groundtune.examples.schema import check

Label = Literal["wrong fact", "wrong format", "wrong tone", "wrong reasoning", "should have refused", "not a failure"]
LABELS: tuple[Label, ...] = get_args(Label)
FAILURES = LABELS[:-1]
# Where several object, what is worst is proposed first.
_ORDER: tuple[Label, ...] = ("should have refused", "wrong format", "wrong fact", "not a failure")

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,'’\u00a0\u202f]\d+)*(?![\w])")
_LIST_MARK = re.compile(r"^\s*\d{1,2}[.)]\s", re.MULTILINE)
_QUOTED = re.compile(r"“([^”\n]{8,600})”|«([^»\n]{8,600})»|„([^“”\n]{8,600})[“”]")
_STRAIGHT = re.compile(r"\"([^\"\n]{8,600})\"")
_WORD = re.compile(r"[^\W\d_]{4,}")
_SPELLED = {
    name: str(value)
    for value, name in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {"twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90"}  # fmt: skip
_ALIKE = 0.5  # share of an answer's long words that a document has to hold to be what the answer is about


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a checker says: the label, which checker, and what it found."""

    label: Label
    checker: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A document that a newer version takes the place of."""

    older: str
    older_text: str
    newer: str
    newer_text: str


@dataclass(frozen=True, kw_only=True)
class House:
    """What checkers know of the project: its documents by name, which of them are replaced, the form of replies, and what a refusal is."""

    documents: Mapping[str, str]
    replaced: Sequence[Replaced] = ()
    schema: Mapping[str, Any] | None = None
    quote_field: str = "quote"
    refuses: Callable[[str], bool] = lambda said: False


NOTHING = House(documents={})


def propose(response: Response, house: House = NOTHING) -> tuple[Proposal, ...]:
    """Return what the checkers hold against an answer, the gravest first; nothing where none objects."""
    found = [proposal for checker in (_refusal, _form, _quote, _number, _age, _same) for proposal in checker(response, house)]
    return tuple(sorted(found, key=lambda item: _ORDER.index(item.label)))


def numbers_in(text: str) -> frozenset[str]:
    """Return the numbers of a text in plain form: ``1,150`` → 1150, ``two`` → 2, ``99,5`` → 99.5. Where a comma can be either, both."""
    found: set[str] = set()
    for match in _NUMBER.finditer(_LIST_MARK.sub("\n", text)):
        found.update(_forms(match[0]))
    found.update(_SPELLED[word] for word in re.findall(r"[a-z]+", text.casefold()) if word in _SPELLED)
    return frozenset(found)


def _forms(written: str) -> Iterator[str]:
    """Yield the plain forms that a written number may have."""
    written = re.sub(r"['’\u00a0\u202f]", "", written)
    candidates = {written.replace(",", "")}
    if written.count(",") == 1 and written.count(".") == 0:
        candidates.add(written.replace(",", "."))
        if len(written.partition(",")[2]) != 3:
            candidates.discard(written.replace(",", ""))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", written):
        candidates.add(written.replace(".", "").replace(",", "."))
    for candidate in candidates:
        try:
            value = Decimal(candidate).normalize()
        except InvalidOperation:  # a version such as 5.10.2, which is what it says
            yield candidate
            continue
        yield f"{value:f}"


def _refusal(response: Response, house: House) -> Iterator[Proposal]:
    if response.answerable is None or not response.answer.strip():
        return
    refused = house.refuses(response.answer)
    if not response.answerable and not refused:
        yield Proposal("should have refused", "refusal", "the log says that it cannot be answered, and this is an answer")
    elif response.answerable and refused:
        yield Proposal("wrong fact", "refusal", "the log says that it can be answered, and this declines")


def _form(response: Response, house: House) -> Iterator[Proposal]:
    text = response.answer.strip()
    if not text:
        yield Proposal("wrong format", "format", "the answer is empty")
        return
    if response.format == "json" or text[0] in "{[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Proposal("wrong format", "format", f"not JSON: {error}")
            return
        if house.schema is not None:
            problems = check(value, house.schema) if isinstance(value, dict) else ["not an object"]
            if problems:
                yield Proposal("wrong format", "format", f"against the reply schema: {'; '.join(problems[:3])}")
    elif text.count("```") % 2:
        yield Proposal("wrong format", "format", "a block of code is not closed")


def _sources(response: Response, house: House) -> tuple[str, list[str]]:
    """Return what the answer may draw on, and its name: the passages shown, or else the documents."""
    if response.passages:
        return "passage shown", [passage.text for passage in response.passages]
    return "document", list(house.documents.values())


def _quotes(response: Response, house: House) -> list[str]:
    """Return what an answer gives as somebody's words. In JSON, straight quotes are its own, and one field is a quote."""
    text = response.answer
    found = [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]
    if not text.lstrip().startswith(("{", "[")):
        found += [match[1] for match in _STRAIGHT.finditer(text)]
    else:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return found
        quoted = value.get(house.quote_field) if isinstance(value, dict) else None
        found += [quoted] if isinstance(quoted, str) else []
    return [quote for quote in found if len(quote.split()) >= 3]


def _quote(response: Response, house: House) -> Iterator[Proposal]:
    where, texts = _sources(response, house)
    if not texts:
        return
    for quote in _quotes(response, house):
        if locate(quote, response.question) is None and all(locate(quote, text) is None for text in texts):
            yield Proposal("wrong fact", "quote", f"“{_cut(quote)}” stands in no {where}")


def _number(response: Response, house: House) -> Iterator[Proposal]:
    given = numbers_in(response.answer)
    if response.expected is not None:
        missing = sorted(numbers_in(response.expected) - given)
        if missing:
            yield Proposal("wrong fact", "number", f"the expected answer has {', '.join(missing[:5])}, and this has not")
    where, texts = _sources(response, house)
    if not texts:
        return
    known = numbers_in(response.question).union(*(numbers_in(text) for text in texts))
    # Of the forms that one written number may have, one is enough.
    odd = [match[0] for match in _NUMBER.finditer(_LIST_MARK.sub("\n", response.answer)) if known.isdisjoint(_forms(match[0]))]
    if odd:
        yield Proposal("wrong fact", "number", f"{', '.join(list(dict.fromkeys(odd))[:5])} stands in no {where}")


def _age(response: Response, house: House) -> Iterator[Proposal]:
    """Yield where the answer stands on what a newer version no longer says."""
    shown = {passage.document for passage in response.passages if passage.document}
    given = numbers_in(response.answer)
    words = set(_WORD.findall(f"{response.question} {response.answer}".casefold()))
    quotes = _quotes(response, house)
    for pair in house.replaced:
        if pair.older in shown and pair.newer not in shown:
            yield Proposal("wrong fact", "staleness", f"was shown {pair.older}, which {pair.newer} takes the place of")
            continue
        about = words & set(_WORD.findall(pair.newer_text.casefold()))
        if not words or len(about) < _ALIKE * len(words):
            continue
        gone = sorted((given & numbers_in(pair.older_text)) - numbers_in(pair.newer_text))
        said = [quote for quote in quotes if locate(quote, pair.older_text) and not locate(quote, pair.newer_text)]
        if gone or said:
            what = f"“{_cut(said[0])}”" if said else ", ".join(gone[:5])
            yield Proposal("wrong fact", "staleness", f"{what} stands in {pair.older}, and no longer in {pair.newer}")


def _same(response: Response, house: House) -> Iterator[Proposal]:
    if response.expected is not None and _bare(response.expected) == _bare(response.answer):
        yield Proposal("not a failure", "expected", "says what was expected")


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
