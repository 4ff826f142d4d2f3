"""The numbers in a text, in one spelling: "1,500.50 EUR, 3 %" → ["1500.5", "3"].

A comma before groups of three digits parts thousands, any other single comma is a decimal one; a dot is decimal unless there are several
before groups of three. "5.0.1" and what follows a letter ("v4.10") is a name, and kept as it stands. Numbers written as words are not read.
"""

from __future__ import annotations

import re
from collections import Counter

from groundtune.scores.scorer import Context, Mark
from groundtune.types import Answer, Example

# A sign counts only where it cannot be a hyphen between words or numbers.
_NUMBER = re.compile(r"(?:(?<![\w)\]])[-\u2212+])?(?<![\w.,])\d+(?:[.,'\u2019\u00a0\u202f]\d+)*|(?:(?<=[^\W\d_]))\d+(?:\.\d+)*")
_THOUSANDS = re.compile(
    r"\d{1,3}(?:[,'\u2019\u00a0\u202f]\d{3})+(?:\.\d+)?|\d{1,3}(?:[.'\u2019\u00a0\u202f]\d{3}){2,}(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+"
)
MOST_DIGITS = 40


def numbers(text: str) -> list[str]:
    """Return the numbers of a text in their order, each as plain digits with a dot, without a plus or empty zeros."""
    found: list[str] = []
    for match in _NUMBER.finditer(text):
        name = match.start() > 0 and text[match.start() - 1].isalpha()
        found += [match[0]] if name else _plain(match[0])
    return found


def _plain(written: str) -> list[str]:
    sign = "-" if written[0] in "-\u2212" else ""
    bare = written.lstrip("-\u2212+")
    if _THOUSANDS.fullmatch(bare):
        decimal = "," if re.search(r"\..*,|\..*\.", bare) else "."
        kept = "".join(letter for letter in bare if letter.isdigit() or letter == decimal)
        return [sign + _trimmed(kept.replace(",", "."))]
    if re.fullmatch(r"\d+[.,]\d+|\d+", bare):
        return [sign + _trimmed(bare.replace(",", "."))]
    if re.fullmatch(r"\d+(?:\.\d+){2,}", bare):
        return [bare]
    return [_trimmed(part) for part in re.findall(r"\d+", bare)]


def _trimmed(digits: str) -> str:
    """Return digits without leading zeros, nor trailing ones after the dot; longer ones than any quantity stay as they are."""
    if len(digits) > MOST_DIGITS:
        return digits
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    whole = "".join(str(int(letter)) for letter in whole).lstrip("0") or "0"
    return f"{whole}.{part}" if part else whole


def number_f1(said: str, wanted: str) -> float:
    """Return the F1 of the two bags of numbers; 1 where neither text has any."""
    mine, theirs = Counter(numbers(said)), Counter(numbers(wanted))
    if not mine and not theirs:
        return 1.0
    return 2 * (mine & theirs).total() / (mine.total() + theirs.total())


def has_number(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why no number is wanted."""
    if not example.answerable:
        return "unanswerable: no number is wanted"
    wanted = example.reply.get(context.answer_field)
    return None if isinstance(wanted, str) and numbers(wanted) else "the wanted answer has no number"


def numeric(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark how well the numbers said are the numbers wanted, whatever the words around them."""
    wanted = str(example.reply[context.answer_field])
    value = number_f1(answer.said, wanted)
    return Mark(value, f"numbers {', '.join(numbers(answer.said)[:8]) or 'none'}; wanted {', '.join(numbers(wanted)[:8])}")
