"""What an answer claims, and where the documents say it: numbers and telling words, compared without a model.

facts("It costs EUR 390 a month.", besides="What does it cost?")  →  numbers {"390"}, words {"month"}

This sees words, not meaning: an answer in other words looks unsupported, and a denial of what the document says looks supported. So it
says "look at this row", never "this row is wrong".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from groundtune.types import Document

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_]{4,}")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*[.!?]?")
STEM = 6
# Words that say little in any document; of other languages, the documents' own common words are told by how often they occur.
COMMON = frozenset(
    "about above after again also always another answer because been before being below between both cannot come could does doing down"
    " each either else every from further have having here hers himself into itself just know like made make many more most much must"
    " need never once only other over same shall should since some such take than that their them then there these they this those"
    " through under until upon very want well were what when where which while whom will with within without would yes your yours".split()
)
WORDED = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
    )
}
MOST_SENTENCES = 200_000
LEAST_FOUND = 0.6


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers, as digits without separators of thousands, and the beginnings of telling words."""

    numbers: frozenset[str]
    words: frozenset[str]

    def __len__(self) -> int:
        return len(self.numbers) + len(self.words)


def facts(text: str, besides: str = "") -> Facts:
    """Return the facts of a text that ``besides`` does not hold already."""
    found, known = _facts(text), _facts(besides)
    return Facts(found.numbers - known.numbers, found.words - known.words)


@lru_cache(maxsize=20_000)
def _facts(text: str) -> Facts:
    low = text.casefold()
    said = [word for word in _WORD.findall(low)]
    # One word for a number is told as the number, so that "two hours" is supported by "2 hours"; "one" is too often no number.
    spelled = {WORDED[word] for word in re.findall(r"[a-z]{3,9}", low) if word in WORDED and word != "one"}
    numbers = {_number(match) for match in _NUMBER.findall(text)} | spelled
    return Facts(frozenset(numbers), frozenset(word[:STEM] for word in said if word not in COMMON and word not in WORDED))


def _number(written: str) -> str:
    """Return 1,500 and 1.500 as 1500, 390.00 as 390, 15:30 and 4.9 as they are."""
    if re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*", written):
        return re.sub(r"[.,]", "", written)
    whole = written.replace(",", ".")
    return whole.rstrip("0").rstrip(".") if re.fullmatch(r"\d+\.\d*0+", whole) and whole.endswith("00") else whole


def shared(claimed: Facts, held: Facts) -> float:
    """Return the share of facts that the other text holds, 0 to 1; 1 where nothing is claimed."""
    if not len(claimed):
        return 1.0
    return (len(claimed.numbers & held.numbers) + len(claimed.words & held.words)) / len(claimed)


def missing_numbers(answer: str, held: Sequence[str]) -> tuple[str, ...]:
    """Return the numbers of an answer that none of the texts holds, sorted."""
    there = frozenset[str]().union(*(_facts(text).numbers for text in held))
    return tuple(sorted(_facts(answer).numbers - there))


def answer_text(reply: Mapping[str, object], answer_field: str) -> str:
    """Return what a reply says to a person, or all its texts where it has no such field."""
    said = reply.get(answer_field)
    return said if isinstance(said, str) else " ".join(value for value in reply.values() if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Found:
    """The sentence of a document that says most of an answer, and the share of its facts that it says."""

    document: str
    quote: str
    share: float


class Finder:
    """Finds the sentence that says what an answer says. An inverted index proposes, so that thousands of rows take seconds."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._sentences: list[tuple[str, str]] = []
        self._holders: dict[str, list[int]] = defaultdict(list)
        for document in documents:
            for match in _SENTENCE.finditer(document.text):
                text = match[0].strip()
                if not 12 <= len(text) <= 1000 or len(self._sentences) >= MOST_SENTENCES:
                    continue
                for fact in (held := _facts(text)).words | held.numbers:
                    self._holders[fact].append(len(self._sentences))
                self._sentences.append((document.id.removeprefix("document:"), text))

    def find(self, question: str, answer: str, readable: frozenset[str]) -> Found | None:
        """Return the best sentence of the documents named ``readable``, or ``None`` where none says most of the answer and its numbers."""
        claimed = facts(answer)
        if not len(claimed):
            return None
        common = max(20, len(self._sentences) // 10)
        votes: Counter[int] = Counter()
        for fact in claimed.words | claimed.numbers:
            if len(holders := self._holders.get(fact, ())) <= common:
                votes.update(holders)
        asked = _facts(question)
        best: tuple[float, float, int] | None = None
        for number, _ in votes.most_common(200):
            name, text = self._sentences[number]
            held = _facts(text)
            if name not in readable or not claimed.numbers <= held.numbers | asked.numbers:
                continue
            rank = (shared(claimed, held), shared(asked, held), -number)
            best = rank if best is None or rank > best else best
        if best is None or best[0] < LEAST_FOUND:
            return None
        name, text = self._sentences[-best[2]]
        return Found(document=name, quote=text, share=best[0])
