"""Dev questions, with an answer and without → how sure an arm has to be to answer, kept for the live index version.

    dev questions → passages (→ answers) → signals → scores.abstention → .groundtune/calibrations/rag/3f2a9c1e77aa.json

The questions are asked as their askers, so one whose document the asker may not read counts among those without an answer. The test
questions are not read here. Batches that the model has answered are kept in the ledger: broken off, the same command goes on where it
stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from groundtune.answers.abstain import Judge, from_retrieval
from groundtune.answers.respond import Ask, Tools, respond
from groundtune.answers.stored import answer_from
from groundtune.calibration import Calibrated
from groundtune.decisions.curve import risk_coverage
from groundtune.errors import InputError, StateError
from groundtune.files import fingerprint, write_atomic
from groundtune.project.arms import arm_named, tools_for, why_not_run
from groundtune.project.calibrations import NONE, Calibration, again_of, live_index, made_for, write
from groundtune.project.evaluate import arm_key
from groundtune.records.ledger import now
from groundtune.scores import abstention
from groundtune.scores.grounded import coverage
from groundtune.types import Answer, Arm, Example, Passage

if TYPE_CHECKING:
    from groundtune.project.main import Project

# Share of the evidence's characters that the passages must hold for a question to count as supported.
ENOUGH = 0.5


def calibrate(project: Project, arm_name: str, *, retrieval_only: bool) -> Calibration:
    """Fit, choose and keep. Nothing is kept, and no model is asked, where there are too few dev questions of a kind.

    Raises ``InputError`` for ``retrieval_only`` and an arm that does not search, ``StateError`` where the arm cannot run.
    """
    arm = arm_named(project.settings, arm_name)
    if retrieval_only and not arm.retrieves:
        raise InputError(
            f"arm {arm.name!r} does not search, so only its answers can be judged", f"type: groundtune calibrate --arm {arm.name}"
        )
    examples, table = project.content.split("dev"), project.settings.abstain
    having = sum(example.answerable for example in examples)
    why = abstention.too_few(having, len(examples) - having, table.target)
    if why:
        return _without(project, arm, not retrieval_only, examples, why)
    tools = None if retrieval_only else _tools(project, arm, examples)
    rows, failed = _from_passages(project, examples) if tools is None else _from_answers(project, arm, examples, tools)
    found = abstention.calibrate(rows, target=table.target, on=table.on)
    fitted_for = made_for(project, arm, tools)
    dev = project.content.split_fingerprint("dev")
    calibration = Calibration(
        id="calibration:" + fingerprint(arm.name, fitted_for, dev, found.threshold, found.weights),
        arm=arm.name,
        generation=tools is not None,
        made_for=fitted_for,
        made_at=now(),
        dev=dev,
        failed=failed,
        found=found,
    )
    if found.state != "measured":
        return calibration
    calibration = write(project, calibration)
    picture = risk_coverage(found, title=f"{arm.name}: what is answered, and how much of it wrongly")
    write_atomic(project.state / "calibrations" / arm.name / f"{_file(fitted_for['index'])}.svg", picture)
    run = project.ledger.begin("calibrate", fingerprint(calibration.id), {**fitted_for, "dev": dev}, project.settings.project.seed)
    project.ledger.end(run.id, "done", {"calibration": calibration.id, "path": str(calibration.path)})
    return calibration


def _file(index: str) -> str:
    return index.removeprefix("index:")


def _without(project: Project, arm: Arm, generation: bool, examples: Sequence[Example], why: str) -> Calibration:
    having = sum(example.answerable for example in examples)
    table = project.settings.abstain
    return Calibration(
        id=NONE,
        arm=arm.name,
        generation=generation,
        made_for={"index": live_index(project, arm)},
        made_at=now(),
        dev=project.content.split_fingerprint("dev"),
        failed=0,
        found=Calibrated(
            state="too few", reason=why, answerable=having, unanswerable=len(examples) - having, target=table.target, on=table.on
        ),
    )


def _tools(project: Project, arm: Arm, examples: Sequence[Example]) -> Tools:
    content = project.content
    tools = tools_for(
        arm,
        chat=project.chat,
        house=project.house,
        content=content,
        retrieve=project.retriever() if arm.retrieves else None,
        versions=project.versions() if arm.adapter else {},
    )
    reason = why_not_run(tools, [content.principals[example.asker] for example in examples])
    if reason:
        raise StateError(f"arm {arm.name!r} cannot run: {reason}", "calibrate another arm, for example: groundtune calibrate --arm rag")
    # A judge without a threshold only notes the signals.
    return replace(tools, judge=Judge(answerable_field=project.settings.abstain.answerable_field), again=again_of(project, arm))


def _from_passages(project: Project, examples: Sequence[Example]) -> tuple[list[abstention.Row], int]:
    retrieve, people = project.retriever(), project.content.principals
    rows = []
    with project.progress.start("search", total=len(examples), unit="questions") as task:
        for example in examples:
            passages = retrieve(example.question, people[example.asker], example.filter)
            rows.append(_row(example, passages, from_retrieval(example.question, passages), willing=bool(passages), retrieves=True))
            task.advance(1)
    return rows, 0


def _from_answers(project: Project, arm: Arm, examples: Sequence[Example], tools: Tools) -> tuple[list[abstention.Row], int]:
    people = project.content.principals
    asks = [Ask(question=e.question, asker=people[e.asker], filter=e.filter, example_id=e.id) for e in examples]
    key = fingerprint("calibrate", arm_key(project, arm, tools, live_index(project, arm), "dev"), project.settings.abstain.answerable_field)
    stored = project.ledger.batches(key)
    answers: dict[str | None, Answer] = {row["example_id"]: answer_from(row) for rows in stored.values() for row in rows}
    with project.progress.start(f"answer {arm.name}", total=len(asks), unit="questions") as task:
        task.advance(len(answers))
        for number, batch in respond(arm, asks, tools, done=stored.keys()):
            # A failure may be gone the next time, and must not be kept as if it said something of the question.
            if not any(answer.failure for _, answer in batch):
                project.ledger.keep_batch(key, number, [answer for _, answer in batch])
            answers |= {answer.example_id: answer for _, answer in batch}
            task.advance(len(batch))
    rows = []
    for example in examples:
        answer = answers[example.id]
        if answer.failure is None:
            signals = answer.abstention.signals if answer.abstention else {}
            rows.append(_row(example, answer.passages, signals, willing=not answer.refused, retrieves=arm.retrieves))
    return rows, len(examples) - len(rows)


def _row(example: Example, passages: Sequence[Passage], signals: abstention.Signals, *, willing: bool, retrieves: bool) -> abstention.Row:
    shown, total = coverage(example, passages)
    supported = example.answerable and (not retrieves or not total or shown >= ENOUGH * total)
    return abstention.Row(
        id=example.id,
        source=example.split_group,
        answerable=example.answerable,
        supported=supported,
        willing=willing,
        signals=dict(signals),
    )
