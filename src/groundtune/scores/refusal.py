"""Whether an arm declines when it should, and only then."""

from __future__ import annotations

from groundtune.scores.scorer import Applies, Context, Mark
from groundtune.types import Answer, Example


def refusal_right(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when an unanswerable question was refused, or an answerable one was not."""
    right = answer.refused != example.answerable
    return Mark(float(right), _said(answer, example))


def is_answerable(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why there can be no false refusal."""
    return None if example.answerable else "unanswerable: refusing is right"


def false_refusal(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when an answerable question was refused."""
    return Mark(float(answer.refused), _said(answer, example))


def is_unanswerable(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why there can be no false answer."""
    return "answerable: answering is right" if example.answerable else None


def false_answer(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when an unanswerable question was answered."""
    return Mark(float(not answer.refused), _said(answer, example))


def of_kind(kind: str) -> Applies:
    """Return the check that a question is of one kind: ``answerable``, ``version``, ``forbidden`` or ``refuse``."""

    def applies(answer: Answer, example: Example, context: Context) -> str | None:
        return None if example.kind == kind else f"a question of the kind {example.kind}"

    return applies


def _said(answer: Answer, example: Example) -> str:
    return f"{'answerable' if example.answerable else 'unanswerable'}, and {'refused' if answer.refused else 'answered'}"
