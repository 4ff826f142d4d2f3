"""One question → one answer, by the same way as the pilot's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from groundtune.access.filter import Filter
from groundtune.answers.history import checked
from groundtune.answers.respond import Ask, respond
from groundtune.errors import InputError, StateError
from groundtune.project.arms import arm_named, house_of, tools_for, why_not_run
from groundtune.project.calibrations import with_switches
from groundtune.project.permissions import told
from groundtune.types import Answer, Principal

if TYPE_CHECKING:
    from groundtune.project.main import Project


def ask(
    project: Project,
    question: str,
    arm_name: str,
    asker_name: str | Principal,
    filter: Filter,
    history: Sequence[Mapping[str, str]] = (),
) -> Answer:
    """Answer as an arm would. Raises ``InputError`` for an empty question and ``StateError`` where the arm cannot run."""
    if not question.strip():
        raise InputError("the question is empty", 'type: groundtune ask "How long is a slot?"')
    try:
        question.encode()
    except UnicodeEncodeError:
        raise InputError("the question is not UTF-8", "type it in a terminal whose encoding is UTF-8; see: locale") from None
    arm = arm_named(project.settings, arm_name)
    asker = project.principal(asker_name) if isinstance(asker_name, str) else asker_name
    before = checked(history)
    if before and arm.retrieves and not project.settings.passages.standalone:
        project.progress.note("the question is searched for as it was asked; to rewrite it by the conversation: passages.standalone = true")
    tools = tools_for(
        arm,
        chat=project.chat,
        house=house_of(project.settings, project.served),
        content=project.served,
        retrieve=project.retriever(history=before) if arm.retrieves else None,
        versions=project.models.serving(arm.adapter) if arm.adapter else {},
    )
    tools = with_switches(project, arm, tools)
    reason = why_not_run(tools, [asker])
    if reason:
        raise StateError(f"arm {arm.name!r} cannot run: {reason}", "ask another arm, for example: groundtune ask --arm rag")
    [(_, [(_, answer)])] = list(respond(arm, [Ask(question=question, asker=asker, filter=filter, history=before)], tools))
    content = project.served
    return replace(answer, passages=told(answer.passages, content.as_read, content.documents, content.directory))
