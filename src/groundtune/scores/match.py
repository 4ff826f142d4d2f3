"""What was said against what should have been said: exact, token F1, ROUGE, chrF; all from 0 to 1.

An unanswerable question has one right reply, a refusal: there each metric is 1 for a refusal and 0 for anything else.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from groundtune.scores.scorer import Context, Mark, Scorer
from groundtune.types import Answer, Example

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single blanks: as the SQuAD v1.1 evaluation script does."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact(said: str, wanted: str) -> float:
    """Return 1 when both are equal after SQuAD's normalisation, else 0."""
    return float(normalised(said) == normalised(wanted))


def token_f1(said: str, wanted: str) -> float:
    """Return the F1 of the two bags of words after SQuAD's normalisation; two empty texts are equal, one empty text shares nothing."""
    mine, theirs = normalised(said).split(), normalised(wanted).split()
    if not mine or not theirs:
        return float(mine == theirs)
    shared = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * shared / (len(mine) + len(theirs))


def rouge_l(said: str, wanted: str) -> float:
    """Return the F-measure of the longest common subsequence of words, with the words of the rouge-score package (no stemming).

    Words are runs of a-z and 0-9 there, so texts in other scripts share nothing; measure those with chrF.
    """
    mine, theirs = _rouge_words(said), _rouge_words(wanted)
    if not mine or not theirs:
        return 0.0
    return 2 * common_subsequence(mine, theirs) / (len(mine) + len(theirs))


def rouge_n(said: str, wanted: str, length: int) -> float:
    """Return the F-measure of the shared runs of ``length`` words, with the words of the rouge-score package (no stemming)."""
    mine, theirs = _word_runs(_rouge_words(said), length), _word_runs(_rouge_words(wanted), length)
    shared = (mine & theirs).total()
    return 2 * shared / (mine.total() + theirs.total()) if shared else 0.0


def rouge_1(said: str, wanted: str) -> float:
    """Return ROUGE-1: shared words."""
    return rouge_n(said, wanted, 1)


def rouge_2(said: str, wanted: str) -> float:
    """Return ROUGE-2: shared pairs of neighbouring words."""
    return rouge_n(said, wanted, 2)


def _word_runs(said: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(said[start : start + length]) for start in range(len(said) - length + 1))


def _rouge_words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by bit-parallel rows (Hyyrö 2004): one addition a word of ``right``."""
    places: dict[str, int] = {}
    for position, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << position
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        kept = row & places.get(word, 0)
        row = ((row + kept) | (row - kept)) & full
    return len(left) - row.bit_count()


@lru_cache(maxsize=1)
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def chrf(said: str, wanted: str) -> float:
    """Return sacrebleu's sentence chrF (character n-grams to 6, beta 2) divided by 100."""
    return min(1.0, float(_chrf().sentence_score(said, [wanted]).score) / 100)


def chrf_settings(context: Context) -> str:
    """Return the answer field and sacrebleu's own signature."""
    import sacrebleu

    return f"{field_settings(context)},nrefs:1,case:mixed,eff:yes,nc:6,nw:0,space:no,sacrebleu:{sacrebleu.__version__}"


def field_settings(context: Context) -> str:
    """Return which field of the wanted reply is compared."""
    return f"answer:{context.answer_field}"


def matching(measure: Callable[[str, str], float], name: str) -> Scorer:
    """Turn a comparison of two texts into a scorer; where an example has several right wordings, the best comparison counts."""

    def score(answer: Answer, example: Example, context: Context) -> Mark:
        if not example.answerable:
            return refusal_mark(answer)
        wanted = example.reply[context.answer_field]
        if not isinstance(wanted, str):
            raise TypeError(f"the example's {context.answer_field!r} is a {type(wanted).__name__}, not a text")
        # Of several wordings that are as good, the one that the answer is nearest to; of equals, the first.
        value, nearest = max(((measure(answer.said, text), text) for text in (wanted, *example.also)), key=lambda pair: pair[0])
        return Mark(value, f"{name} {value:.3f} between {_short(answer.said)!r} and {_short(nearest)!r}")

    return score


def refusal_mark(answer: Answer) -> Mark:
    """Mark the answer to a question that has to be refused."""
    if answer.refused:
        return Mark(1.0, "unanswerable, and refused: right")
    return Mark(0.0, "unanswerable, but answered: wrong whatever it says")


def _short(text: str, most: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
