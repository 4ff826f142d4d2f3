"""What an answer took: seconds, tokens, money. Failed answers took theirs too."""

from __future__ import annotations

from collections.abc import Callable

from groundtune.scores.scorer import Context, Mark, Scorer
from groundtune.types import Answer, Example


def spent(read: Callable[[Answer], float], unit: str) -> Scorer:
    """Turn a number on the answer into a scorer."""

    def score(answer: Answer, example: Example, context: Context) -> Mark:
        value = float(read(answer))
        return Mark(value, f"{value:g} {unit}")

    return score
