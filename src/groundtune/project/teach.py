"""A teacher arm's answers to the training questions → those that are good enough to be learned.

    arm "rag" answers 300 training questions  →  scored as any answers are  →  211 reach token_f1 0.5, with every quote found  →  taught

Only questions of the training split are asked, so nothing of the test set can be learned. An answer that failed, was cut, holds a quote
that is in no passage, or has no value in the metric is not taught.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.access.filter import allowed
from groundtune.answers.respond import Ask, respond
from groundtune.answers.stored import answer_from
from groundtune.errors import InputError, UnknownName
from groundtune.files import fingerprint
from groundtune.project.arms import arm_named, tools_for
from groundtune.scores.metrics import metrics_for
from groundtune.scores.scorer import Context, score_all
from groundtune.tables import TuningTable
from groundtune.tuning.trainset import Taught
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project


def taught_by(project: Project, recipe: TuningTable) -> dict[str, Taught]:
    """Return the teacher's answers that passed, by example. Raises ``UnknownName`` for a metric that nobody measures."""
    context = _context(project)
    known = metrics_for(context)
    if recipe.teacher_metric not in known:
        raise UnknownName.of("metric", recipe.teacher_metric, list(known), "correct teacher_metric, then type: groundtune tune")
    examples = project.content.split("train")
    answers = _from_file(project, recipe, examples) if recipe.teacher_answers else _asked(project, str(recipe.teacher), examples)
    passed = good(answers, examples, context, metric=recipe.teacher_metric, least=recipe.teacher_min)
    project.progress.note(
        f"teacher {recipe.teacher}: {len(passed)} of {len(examples)} answers have {recipe.teacher_metric} {recipe.teacher_min:g} or more"
    )
    return {
        answer.example_id: Taught(
            text=answer.text, document_ids=tuple(dict.fromkeys(passage.chunk.document_id for passage in answer.passages))
        )
        for answer in passed
        if answer.example_id is not None
    }


def good(answers: Sequence[Answer], examples: Sequence[Example], context: Context, *, metric: str, least: float) -> list[Answer]:
    """Return the answers that may be learned: whole, with every quote found, and with ``least`` of ``metric`` or more.

    To a question that must be refused, any refusal of the model's own is good, and nothing else.
    """
    of = {example.id: example for example in examples}
    kept = [answer for answer in answers if answer.example_id in of]
    scores = score_all(kept, examples, context, {metric: metrics_for(context)[metric]})
    values = {score.example_id: score.value for score in scores if not score.failed}

    def passes(answer: Answer) -> bool:
        if answer.failure is not None or answer.fallback or not answer.text.strip() or (answer.quoted and not answer.cited):
            return False
        if not of[str(answer.example_id)].answerable:
            return answer.refused
        value = values.get(str(answer.example_id))
        return value is not None and value >= least and not answer.refused

    return [answer for answer in kept if passes(answer)]


def _asked(project: Project, name: str, examples: Sequence[Example]) -> list[Answer]:
    """Let the arm answer; batches are kept in the ledger, and what was answered is not asked again."""
    content, people = project.content, project.content.principals
    arm = arm_named(project.settings, name)
    retrieve = project.retriever() if arm.retrieves else None
    versions = {}
    if arm.adapter:
        from groundtune.project.tune import standing

        versions = standing(project, [arm.adapter])
    tools = tools_for(arm, chat=project.chat, house=project.house, content=content, retrieve=retrieve, versions=versions)
    index = None
    if retrieve is not None:
        from groundtune.chunks.build import open_live

        _, version = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
        index = [version.id, project.settings.passages.model_dump(), project.steps.identity]
    key = fingerprint(
        "teach", arm, content.split_fingerprint("train"), index, tools.shots, tools.adapter and tools.adapter.id, tools.house,
        content.documents_fingerprint, project.chat.fingerprint, {name: person.groups for name, person in people.items()},
    )  # fmt: skip
    asks = [Ask(question=e.question, asker=people[e.asker], filter=e.filter, example_id=e.id) for e in examples]
    stored = project.ledger.batches(key)
    found = {row["example_id"]: answer_from(row) for rows in stored.values() for row in rows}
    if len(found) < len(asks):
        with project.progress.start(f"teacher {name}", total=len(asks), unit="questions") as task:
            task.advance(len(found))
            for number, batch in respond(arm, asks, tools, done=stored.keys()):
                project.ledger.keep_batch(key, number, [answer for _, answer in batch])
                found |= {answer.example_id: answer for _, answer in batch}
                task.advance(len(batch))
    return [found[example.id] for example in examples if example.id in found]


def _from_file(project: Project, recipe: TuningTable, examples: Sequence[Example]) -> list[Answer]:
    """Read answers of the teacher arm. Raises ``InputError`` for a file that is none, and for answers to dev or test questions."""
    place: Path = project.folder / str(recipe.teacher_answers)
    hint = "correct teacher_answers in its [tuning.*] table, then type: groundtune tune"
    kept: Mapping[str, str] = {example.id: example.question for example in examples}
    others = {example.id for example in project.content.examples} - set(kept)
    answers = []
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {error.strerror}", hint) from error
    for number, line in enumerate(lines, start=1):
        try:
            answer = answer_from(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{place}:{number}: is no answer ({error!r})", hint) from error
        if answer.example_id in others:
            raise InputError(f"{place}:{number}: answers {answer.example_id}, which is not a training question", hint)
        if answer.arm == recipe.teacher and answer.example_id is not None and kept.get(answer.example_id) == answer.question:
            answers.append(answer)
    return answers


def _context(project: Project) -> Context:
    content, settings = project.content, project.settings
    people = content.principals
    return Context(
        documents=content.documents,
        reply_schema=content.schema,
        permits=lambda asker, document: allowed(people[asker]).permits(document.readers),
        answer_field=settings.answers.answer_field,
        label_field=settings.answers.label_field,
        quote_field=settings.answers.quote_field,
    )
