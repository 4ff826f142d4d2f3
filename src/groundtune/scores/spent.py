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


def machine_seconds(answer: Answer) -> float:
    """Return the seconds that a machine was busy with one answer: those of its batch, shared evenly, and its own search."""
    seconds = answer.seconds
    return seconds.retrieval + max(0.0, seconds.total - seconds.retrieval) / max(1, seconds.batch)
