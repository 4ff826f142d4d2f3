"""An answer's sentences → those that no passage supports: by their words and by their numbers, without a model.

    "The fee is 20 euros. It is waived on Sundays."  with  "The fee is 20 euros on workdays."  →  ("It is waived on Sundays.",)

This sees what an answer is made of, not what it means: a sentence in other words counts as unsupported, one that turns a passage's own
words round ("is not waived") as supported. It finds numbers, names and subjects that the passages never had. Scripts without blanks
between words are compared by pairs of letters, and digits of any script by their value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from groundtune.chunks.words import words as cut
from groundtune.types import Passage

Unsupported = Literal["keep", "flag", "drop"]
# Of a sentence's words of four letters and more: the share that has to stand in one passage.
LEAST_SHARE = 0.6
_SENTENCE = re.compile(r"(?<=[.!?…।॥؟۔])[\"'”’»)\]]*\s+|(?<=[。！？])|\n+")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD = re.compile(r"[^\W\d_]{4,}")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, in order, without the blanks around them."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def held_to(said: str, passages: Sequence[Passage], how: Unsupported) -> tuple[str, tuple[str, ...]]:
    """Return what is said, and its sentences that no passage supports: with ``drop`` they are left out of it, which may leave nothing."""
    bare = () if how == "keep" else unsupported(said, passages)
    return (" ".join(sentence for sentence in sentences(said) if sentence not in bare) if how == "drop" and bare else said), bare


def unsupported(said: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return the sentences that no single passage supports: all their numbers, and most of their longer words, stand in it."""
    shown = [(numbers(passage.chunk.text), words(" ".join([passage.chunk.text, *passage.chunk.heading_path]))) for passage in passages]
    return tuple(sentence for sentence in sentences(said) if not any(_stands(sentence, *passage) for passage in shown))


def _stands(sentence: str, shown_numbers: frozenset[str], shown_words: frozenset[str]) -> bool:
    wanted = words(sentence)
    return numbers(sentence) <= shown_numbers and len(wanted & shown_words) >= LEAST_SHARE * len(wanted)


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of a text as written, thousands' commas aside; "1,150" is "1150", "5.2" is not "52"."""
    plain = "".join(str(unicodedata.decimal(letter, letter)) for letter in unicodedata.normalize("NFKC", text))
    return frozenset(re.sub(r",(?=\d{3}(?!\d))", "", found) for found in _NUMBER.findall(plain))


def words(text: str) -> frozenset[str]:
    """Return the words of four letters and more in one form; the plural of a word is the word. Of other scripts shorter ones as well."""
    found = cut(text)
    plain = [part for word in found if word.isascii() for part in _WORD.findall(word)]
    others = [word for word in found if not word.isascii() and not word.isdecimal() and (len(word) >= 4 or not _european(word))]
    return frozenset(word.removesuffix("s") for word in [*plain, *others])


def _european(word: str) -> bool:
    """Return whether a word is Latin (with accents), Greek, Cyrillic or Armenian: there, the shortest words say least."""
    return all(letter < "\u0590" for letter in word)
