"""Text → words, in any script, for what counts words in Python: the exact index and the likeness of passages.

    "The Gate's slots"   the gate s slots
    "किताबें पढ़ना"           किताबें पढ़ना           vowel signs and other marks stay with their letter
    "北京大学"              北京 京大 大学          pairs of neighbours, where a script sets no blanks between words

The default index has a better way for the last: it cuts such runs by a dictionary (ICU). Pairs need none.
"""

from __future__ import annotations

import re
import unicodedata

K1, B = 1.2, 0.75  # of BM25 in every index that ranks here: Robertson and Zaragoza 2009, the usual constants
# Chinese, Japanese, Thai, Lao, Burmese and Khmer, by Unicode block.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)
_ASCII_WORD = re.compile(r"[a-z0-9_]+")


def words(text: str) -> list[str]:
    """Return the words of a text, case-folded and in compatibility composition (NFKC), in their order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(letter if unicodedata.category(letter)[0] in "LMN" or letter == "_" else " " for letter in folded)
    found: list[str] = []
    for word in kept.split():
        begin = 0
        for run in _UNSPACED.finditer(word):
            found += [part for part in (word[begin : run.start()], *_pairs(run[0])) if part]
            begin = run.end()
        if begin < len(word):
            found.append(word[begin:])
    return found


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)] or [run]


def spaced(text: str) -> str:
    """Return text with blanks between pairs of neighbours where a script sets none, for engines whose words end at blanks.

    The same of a question finds what it holds; other scripts stay as they are.
    """
    return text if text.isascii() else _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


# Longest first, so that the whole ending goes.
_ENDINGS = ("ings", "ing", "ers", "er", "ed", "es", "s")


def stem(word: str) -> str:
    """Return an English word without the endings that inflect it: cancel for cancelling, cancelled and cancels; other words as they are.

    Cruder than Porter's, and enough to see whether two short texts use the same word: what is left need not be a word.
    """
    if not word.isascii() or not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
