"""RAGAS with our judge as its model: answers → RAGAS' own prompts → the judge of ``[judge]`` → a value for each answer, kept.

RAGAS reports its use over the network unless it is told not to; it is told not to before it is imported.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groundtune.errors import JudgeError, MissingExtra
from groundtune.files import fingerprint
from groundtune.project.judge import Asked, open_judge
from groundtune.scores.ragas import NAME, installed, why_not
from groundtune.scores.scorer import Mark
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project

AT_ONCE = 16  # answers, after which their values are kept
CLASSES = {
    "faithfulness": ("Faithfulness", ("user_input", "response", "retrieved_contexts")),
    "response_groundedness": ("ResponseGroundedness", ("response", "retrieved_contexts")),
    "context_precision": ("ContextPrecision", ("user_input", "reference", "retrieved_contexts")),
    "context_recall": ("ContextRecall", ("user_input", "reference", "retrieved_contexts")),
    "factual_correctness": ("FactualCorrectness", ("response", "reference")),
}
Marks = dict[tuple[str, str], Mark]


def marks(project: Project, kinds: Sequence[str], answers: Mapping[str, Sequence[Answer]], examples: Sequence[Example]) -> Marks:
    """Return RAGAS' value of every answer to which each kind applies. An answer that RAGAS cannot value is a failed mark.

    Values are kept as they come. Raises ``MissingExtra`` without the package, ``JudgeError`` where not one answer could be valued.
    """
    chat, seed = open_judge(project), project.settings.project.seed
    by_id, field = {example.id: example for example in examples}, project.settings.answers.answer_field
    ask = Asked(chat, project.settings.judge.max_new_tokens)
    found: Marks = {}
    for kind in kinds:
        rows = [(answer, by_id[answer.example_id or ""]) for given in answers.values() for answer in given if answer.failure is None]
        rows = [(answer, example) for answer, example in rows if why_not(kind, answer, example) is None]
        key = fingerprint(NAME, kind, installed(), chat.fingerprint, seed, [_fields(kind, *row, field) for row in rows])
        kept = project.ledger.batches(key)
        told: list[Mark] = []
        metric = None
        with project.progress.start(f"{NAME} {kind}", total=len(rows), unit="answers") as task:
            for number, start in enumerate(range(0, len(rows), AT_ONCE)):
                part = rows[start : start + AT_ONCE]
                if number in kept:
                    told += [Mark(**row) for row in kept[number]]
                else:
                    metric = metric or open_metric(kind, ask, seed)
                    told += (new := [value(metric, _fields(kind, *row, field)) for row in part])
                    if not any(mark.failed for mark in new):
                        project.ledger.keep_batch(key, number, new)
                task.advance(len(part))
        if told and all(mark.failed for mark in told):
            raise JudgeError(
                f"RAGAS valued none of {len(told)} answers ({kind}) with {chat.name} as its model, such as: {told[0].reason}",
                "take a model that answers in JSON as judge.model, or leave ragas: out of scores.metrics",
            )
        found |= {(f"{NAME}:{kind}", answer.id): mark for (answer, _), mark in zip(rows, told, strict=True)}
    return found


def _fields(kind: str, answer: Answer, example: Example, answer_field: str) -> dict[str, Any]:
    """Return what RAGAS is given of an answer."""
    have = {
        "user_input": answer.question,
        "response": answer.said,
        "retrieved_contexts": [passage.chunk.text for passage in answer.passages],
        "reference": str(example.reply.get(answer_field, "")),
    }
    return {name: have[name] for name in CLASSES[kind][1]}


def value(metric: Any, given: Mapping[str, Any]) -> Mark:
    """Return RAGAS' value of one answer as a mark; whatever it raises, and a value that is no number, is a failed one."""
    try:
        result = asyncio.run(metric.ascore(**given))
        number = float(result.value)
    except Exception as error:  # a finding about that answer and judge, not the end of the evaluation
        return Mark(None, f"RAGAS gave no value: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", failed=True)
    if not math.isfinite(number):
        return Mark(None, "RAGAS gave no value: it found nothing to check", failed=True)
    return Mark(number, f"by RAGAS {installed()}" + (f": {result.reason}" if getattr(result, "reason", None) else ""))


def open_metric(kind: str, ask: Asked, seed: int) -> Any:
    """Return RAGAS' metric with the judge as its model. Raises ``MissingExtra`` where RAGAS is not there or cannot be imported."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    try:
        from ragas.llms.base import InstructorBaseRagasLLM
        from ragas.metrics import collections
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or NAME, NAME) from error

    class Judge(InstructorBaseRagasLLM):  # type: ignore[misc]
        """The judge as RAGAS asks it."""

        def generate(self, prompt: str, response_model: Any) -> Any:
            """Return the reply as RAGAS' own model of it. Raises ``JudgeError`` for a reply that is none."""
            [(text, failure)] = ask([({"role": "user", "content": prompt},)], response_model.model_json_schema(), seed)
            if failure is not None:
                raise JudgeError(f"the judge gave no reply: {failure}", "type: groundtune evaluate")
            try:
                return response_model.model_validate_json(text.strip())
            except ValueError as error:
                raise JudgeError(f"the judge's reply is not what RAGAS asked for: {text[:80]!r}", "type: groundtune evaluate") from error

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            """Return the same; our chat models wait for their reply."""
            return self.generate(prompt, response_model)

    return getattr(collections, CLASSES[kind][0])(llm=Judge())
