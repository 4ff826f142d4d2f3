"""RAGAS' metrics as ours: ``ragas:faithfulness`` → what RAGAS, asking the judge, made of each answer. Nothing of RAGAS is imported here.

The values are RAGAS' own, by its own prompts; they come as the judge's verdicts do, and its version is in the signature.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from groundtune.scores.scorer import Context, Family, Mark, Metric
from groundtune.types import Answer, Example

NAME = "ragas"
# What each is, and whether it needs a wanted answer to hold things against.
KINDS = {
    "faithfulness": ("share of the answer's statements that the passages shown bear out", False),
    "response_groundedness": ("how far the passages shown bear out the answer, on two scales of 0 to 2", False),
    "context_precision": ("how early the passages that are of use for the wanted answer come", True),
    "context_recall": ("share of the wanted answer's statements that the passages shown hold", True),
    "factual_correctness": ("F1 of the statements of the answer and of the wanted one", True),
}
WITHOUT_PASSAGES = ("factual_correctness",)


def installed() -> str | None:
    """Return the version of RAGAS that is installed, without importing it."""
    try:
        return version("ragas")
    except PackageNotFoundError:
        return None


def ragas_metric(kind: str) -> Metric:
    """Return the metric ``ragas:<kind>``. Raises ``ValueError`` for one that has no adapter."""
    if kind not in KINDS:
        raise ValueError(f"those with an adapter are {', '.join(KINDS)}")
    what, wanted = KINDS[kind]

    def applies(answer: Answer, example: Example, context: Context) -> str | None:
        return why_not(kind, answer, example)

    def score(answer: Answer, example: Example, context: Context) -> Mark:
        mark = context.verdicts.marks.get((f"{NAME}:{kind}", answer.id)) if context.verdicts else None
        if mark is None:
            raise LookupError(f"RAGAS was not asked for {kind}; set [judge], and {NAME}:{kind} among scores.metrics")
        return mark

    def settings(context: Context) -> str:
        return f"ragas:{installed() or 'none'},{context.verdicts.identity if context.verdicts else 'judge:none'}"

    passages = "" if kind in WITHOUT_PASSAGES else "given with passages and "
    return Metric(
        name=f"{NAME}:{kind}",
        better="higher",
        low=0.0,
        high=1.0,
        worst=0.0,
        definition=f"RAGAS' {kind} by the judge: {what}.",
        applies_to=f"answers {passages}not refused" + (", to answerable questions" if wanted else ""),
        score=score,
        applies=applies,
        paired=False,
        settings=settings,
    )


def why_not(kind: str, answer: Answer, example: Example) -> str | None:
    """Say why RAGAS has nothing to value; its metrics raise for what is missing."""
    if kind not in WITHOUT_PASSAGES and not answer.passages:
        return "this answer was given without passages"
    if answer.refused:
        return "refused: it claims nothing"
    if KINDS[kind][1] and not example.answerable:
        return "unanswerable: there is no wanted answer to hold it against"
    return None


RAGAS = Family(NAME, "metric", ragas_metric)
