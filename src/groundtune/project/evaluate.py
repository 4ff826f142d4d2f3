"""Every arm × every test question → answers → scores. A batch that was answered is stored whole, and never answered again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import allowed
from groundtune.answers.respond import Ask, Tools, respond
from groundtune.answers.stored import answer_from
from groundtune.errors import StateError
from groundtune.files import fingerprint, write_json, write_lines
from groundtune.project import measure
from groundtune.project.arms import arm_named, tools_for, why_not_run
from groundtune.project.calibrations import with_switches
from groundtune.scores.corpus import Tally, tallies_of
from groundtune.scores.metrics import corpus_metrics, metrics_for
from groundtune.scores.scorer import Context, Verdicts, score_all
from groundtune.types import Answer, Arm, Asked, Example, Score, Split

if TYPE_CHECKING:
    from groundtune.project.main import Project
    from groundtune.records.ledger import Ledger
    from groundtune.scores.support import Support


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Answers and scores of one run. ``not_run`` maps an arm to the reason why it did not; ``inputs`` are the fingerprints."""

    run_id: str
    folder: Path
    arms: tuple[Arm, ...]
    examples: tuple[Example, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    scores: tuple[Score, ...]
    not_run: Mapping[str, str]
    inputs: Mapping[str, str]
    looks: int
    models: Mapping[str, str]
    tallies: tuple[Tally, ...] = ()
    notes: tuple[str, ...] = ()
    asked: Asked = "test"


def evaluate(project: Project, names: Sequence[str] | None, asked: Asked = "test") -> Evaluation:
    """Answer and score. Raises ``StateError`` when nothing is locked, the index is missing or stale, or an adapter is not tuned.

    ``asked`` is the holdout only where somebody says so: its questions are answered by nothing else, and its looks are counted apart.
    """
    lock = project.require_lock()
    content, settings = project.content, project.settings
    arms = [arm_named(settings, name) for name in dict.fromkeys(names)] if names else project.arms
    examples = content.split(asked)
    if not examples:
        raise StateError(
            f"there is no {asked}: no example has split = {asked}", f"add rows with split = {asked}, then type: groundtune lock"
        )
    people = content.principals
    asks = [Ask(question=e.question, asker=people[e.asker], filter=e.filter, example_id=e.id) for e in examples]
    retrieve = project.retriever() if any(arm.retrieves for arm in arms) else None
    index = _index_id(project) if retrieve else "none"
    versions = project.versions() if any(arm.adapter for arm in arms) else {}
    tools = {
        arm.name: tools_for(arm, chat=project.chat, house=project.house, content=content, retrieve=retrieve, versions=versions)
        for arm in arms
    }
    tools = {arm.name: with_switches(project, arm, tools[arm.name]) for arm in arms}
    keys = {arm.name: arm_key(project, arm, tools[arm.name], index, asked) for arm in arms}
    inputs = {
        **project.described(),
        **({"asked": asked, asked: lock.holdout} if asked == "holdout" else {}),
        "rubric": lock.rubric,
        "arms": lock.arms,
        "index": index,
        "chat": project.chat.fingerprint,
        "embed": project.embed.fingerprint if retrieve else "none",
        "prompt": project.house.prompt_hash,
        **measure.inputs(settings),
        **{f"adapter {name}": version.id for name, version in sorted(versions.items())},
        **{f"abstention {name}": item.judge.id for name, item in tools.items() if item.judge is not None},
    }
    run = project.ledger.begin("evaluate", fingerprint(inputs, keys), inputs, settings.project.seed)
    project.ledger.look(lock.id(asked), run.id, [arm.name for arm in arms])
    looks = project.ledger.looks(lock.id(asked))
    if asked == "holdout":
        before = "the first look at it" if looks == 1 else f"look {looks}: it is no longer unseen"
        project.progress.note(f"the holdout is asked: {len(examples)} questions, {before}")
    not_run: dict[str, str] = {}
    answers: dict[str, tuple[Answer, ...]] = {}
    for arm in arms:
        reason = why_not_run(tools[arm.name], [ask.asker for ask in asks])
        if reason:
            not_run[arm.name] = reason
            project.progress.note(f"arm {arm.name}: not run: {reason}")
            continue
        answers[arm.name] = answered(project, arm, asks, tools[arm.name], keys[arm.name])
    verdicts, notes = measure.verdicts_for(project, answers, examples)
    context = context_of(project, support=measure.support_for(project), verdicts=verdicts)
    wanted = measure.asked(settings)
    metrics, whole = metrics_for(context, wanted), corpus_metrics(wanted)
    scores: list[Score] = []
    tallies: list[Tally] = []
    with project.progress.start("score", total=sum(len(rows) for rows in answers.values()), unit="answers") as task:
        for rows in answers.values():
            scores += score_all(rows, examples, context, metrics)
            tallies += tallies_of(rows, examples, context, whole)
            task.advance(len(rows))
    folder = project.state / "runs" / run.id.removeprefix("run:")
    evaluation = Evaluation(
        run_id=run.id,
        folder=folder,
        arms=tuple(arms),
        examples=examples,
        answers=answers,
        scores=tuple(scores),
        not_run=not_run,
        inputs=inputs,
        looks=looks,
        models={name: f"{version.id}" for name, version in versions.items()},
        tallies=tuple(tallies),
        notes=notes,
        asked=asked,
    )
    _keep(project, evaluation, run.id)
    return evaluation


def context_of(project: Project, *, support: Support | None = None, verdicts: Verdicts | None = None) -> Context:
    """Return what scorers may look at besides answers and examples."""
    content, table, people = project.content, project.settings.answers, project.content.principals
    return Context(
        documents=content.documents,
        reply_schema=content.schema,
        permits=lambda asker, document: allowed(people[asker]).permits(document.readers),
        answer_field=table.answer_field,
        label_field=table.label_field,
        quote_field=table.quote_field,
        support=support,
        verdicts=verdicts,
    )


def _index_id(project: Project) -> str:
    from groundtune.chunks.build import open_live

    _, version = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
    return version.id


def arm_key(project: Project, arm: Arm, tools: Tools, index: str, split: Split) -> str:
    """Return the fingerprint of all that an arm's answers to the questions of a split depend on."""
    content = project.content
    # What was answered before there were these switches keeps its key.
    switches = [item for item in (tools.judge and tools.judge.id, tools.again and [tools.again.rounds, tools.again.below]) if item]
    return fingerprint(
        arm,
        content.split_fingerprint(split),
        {name: principal.groups for name, principal in content.principals.items()},
        index if arm.retrieves else None,
        [project.settings.passages.model_dump(), project.steps.identity] if arm.retrieves else None,
        content.documents_fingerprint if arm.whole_corpus else None,
        tools.shots,
        None if tools.adapter is None else tools.adapter.id,
        tools.house,
        tools.house.prompt_hash,
        project.chat.fingerprint,
        project.settings.chat.batch,
        *switches,
    )


def answered(
    project: Project, arm: Arm, asks: Sequence[Ask], tools: Tools, key: str, *, ledger: Ledger | None = None, step: str = "answer"
) -> tuple[Answer, ...]:
    """Return an arm's answers in the order of the questions, asking only for the batches that are not stored in the ledger."""
    ledger = ledger or project.ledger
    stored = ledger.batches(key)
    by_example = {row["example_id"]: answer_from(row) for rows in stored.values() for row in rows}
    if len(by_example) < len(asks):
        with project.progress.start(f"{step} {arm.name}", total=len(asks), unit="questions") as task:
            task.advance(len(by_example))
            for number, batch in respond(arm, asks, tools, done=stored.keys()):
                ledger.keep_batch(key, number, [answer for _, answer in batch])
                by_example |= {answer.example_id: answer for _, answer in batch}
                failed = sum(answer.failure is not None for _, answer in batch)
                task.advance(len(batch), **({"failed": str(failed)} if failed else {}))
    return tuple(by_example[ask.example_id] for ask in asks)


def _kept(manifest: Path) -> dict[str, Any]:
    """Return a run's manifest; empty where there is none."""
    if not manifest.is_file():
        return {}
    found: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    return found


def _keep(project: Project, evaluation: Evaluation, run_id: str) -> None:
    """Write the run's folder for people and other programs; its manifest last."""
    folder = evaluation.folder
    metrics = measure.signatures(evaluation.scores, evaluation.tallies)
    if project.ledger.run(run_id).status == "done" and _kept(folder / "manifest.json").get("metrics") == metrics:
        return
    write_lines(folder / "answers.jsonl", [answer for rows in evaluation.answers.values() for answer in rows])
    write_lines(folder / "scores.jsonl", evaluation.scores)
    write_lines(folder / "tallies.jsonl", evaluation.tallies)
    counts = {name: len(rows) for name, rows in evaluation.answers.items()}
    write_json(
        folder / "manifest.json",
        {"schema": 1, "run": run_id, "inputs": evaluation.inputs, "answers": counts, "not_run": evaluation.not_run, "metrics": metrics},
    )
    edges = [(answer.id, run_id) for rows in evaluation.answers.values() for answer in rows]
    edges += [(answer.id, passage.chunk.id) for rows in evaluation.answers.values() for answer in rows for passage in answer.passages]
    project.ledger.link(run_id, edges)
    project.ledger.end(run_id, "done", {"folder": str(folder.relative_to(project.folder)), "answers": counts})
