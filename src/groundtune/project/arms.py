"""Arms as groundtune.toml has them → what ``respond()`` needs for each, or the reason why an arm cannot run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from groundtune.access.filter import allowed
from groundtune.answers.prompt import Block, Shot, corpus_of, prompt_hash, render, reply_text
from groundtune.answers.respond import House, Retrieve, Tools
from groundtune.errors import StateError, UnknownName
from groundtune.models.chat import Chat
from groundtune.project.content import Content
from groundtune.tables import ArmTable, Settings
from groundtune.types import Arm, Example, ModelVersion, Principal


def arm_of(table: ArmTable) -> Arm:
    """Return the arm that a table describes."""
    return Arm(**table.model_dump())


def arm_named(settings: Settings, name: str) -> Arm:
    """Return the arm of that name. Raises ``UnknownName`` with the known ones."""
    for table in settings.arms:
        if table.name == name:
            return arm_of(table)
    known = [table.name for table in settings.arms]
    raise UnknownName.of("arm", name, known, f"name one of these, as in: groundtune ask --arm {known[0]} QUESTION")


def prompt_now(settings: Settings) -> str:
    """Return the hash of the prompt that the project uses now, as ``house_of`` has it; no document is read for it."""
    return prompt_hash(settings.answers.instructions.strip(), tell_conflicts=settings.answers.tell_conflicts)


def house_of(settings: Settings, content: Content) -> House:
    """Return how this project asks and answers."""
    answers, costs = settings.answers, settings.costs
    return House(
        instructions=answers.instructions.strip(),
        fallback=answers.fallback,
        fallback_reply=answers.fallback_reply,
        refusals=tuple(answers.refusals),
        answer_field=answers.answer_field,
        quote_field=answers.quote_field,
        schema=content.schema,
        max_new_tokens=answers.max_new_tokens,
        seed=settings.project.seed,
        machine_hour=costs.machine_hour,
        prompt_million=costs.prompt_million,
        completion_million=costs.completion_million,
        unsupported=answers.unsupported,
        tell_conflicts=answers.tell_conflicts,
    )


def tools_for(
    arm: Arm,
    *,
    chat: Chat,
    house: House,
    content: Content,
    retrieve: Retrieve | None,
    versions: Mapping[str, ModelVersion],
) -> Tools:
    """Put together what an arm answers with. Raises ``StateError`` when its adapter is missing or was made for another prompt."""
    adapter = None
    if arm.adapter is not None:
        adapter = versions.get(arm.adapter)
        if adapter is None:
            raise StateError(f"arm {arm.name!r} needs the adapter {arm.adapter!r}, which is not tuned yet", "type: groundtune tune")
        wanted = house.prompt_hash
        if adapter.prompt_hash != wanted:
            raise StateError(
                f"adapter {adapter.id} was trained on another prompt ({adapter.prompt_hash}) than the project now uses ({wanted})",
                "type: groundtune tune",
            )
    return Tools(
        chat=chat,
        house=house,
        retrieve=retrieve if arm.retrieves else None,
        adapter=adapter,
        shots=shots_for(arm, content, house),
        corpus=corpus_for(content) if arm.whole_corpus else None,
    )


def shots_for(arm: Arm, content: Content, house: House) -> tuple[Shot, ...]:
    """Choose the examples shown in the prompt: from the training split, of documents that every principal may read, by the project's seed.

    Every third one is a refusal, where the training split has any.
    """
    if arm.shots == 0:
        return ()
    askers = [allowed(principal) for principal in content.principals.values()]

    def open_to_all(example: Example) -> bool:
        if example.readers is not None and not all(asker.permits(example.readers) for asker in askers):
            return False
        return all(
            asker.permits(content.documents[item.document_id].readers_of(item.start, item.end))
            for item in example.evidence
            for asker in askers
        )

    usable = [example for example in content.split("train") if open_to_all(example)]
    random.Random(house.seed).shuffle(usable)  # noqa: S311
    refusals = [example for example in usable if not example.answerable]
    answers = [example for example in usable if example.answerable]
    chosen: list[Example] = []
    while len(chosen) < arm.shots and (refusals or answers):
        take = refusals if (len(chosen) % 3 == 1 and refusals) or not answers else answers
        chosen.append(take.pop(0))
    if len(chosen) < arm.shots:
        raise StateError(
            f"arm {arm.name!r} shows {arm.shots} examples, but only {len(chosen)} training examples are open to every principal",
            "lower its shots in groundtune.toml, then type: groundtune check",
        )
    return tuple(
        Shot(
            question=example.question,
            reply=reply_text(example.reply, house.answer_field, structured=house.structured),
            filter=example.filter,
            blocks=_evidence(example, content) if arm.retrieves else (),
        )
        for example in chosen
    )


def _evidence(example: Example, content: Content) -> tuple[Block, ...]:
    return tuple(
        Block(source=item.document_id.removeprefix("document:"), heading=content.documents[item.document_id].title, text=item.quote)
        for item in example.evidence
    )


def corpus_for(content: Content) -> Callable[[Principal], tuple[Block, ...]]:
    """Return what gives somebody all that they may read, for prompts with the whole corpus; each is put together once."""

    @lru_cache(maxsize=64)
    def readable(asker: Principal) -> tuple[Block, ...]:
        may = allowed(asker)
        return corpus_of([document for document in content.documents.values() if may.permits(document.readers)])

    return readable


def why_not_run(tools: Tools, askers: Sequence[Principal]) -> str | None:
    """Return why an arm cannot run here, or ``None``: a whole corpus that does not fit the model's context with room for the answer."""
    if tools.corpus is None:
        return None
    for asker in sorted(set(askers), key=lambda item: item.id):
        messages = render("?", instructions=tools.house.instructions, corpus=tools.corpus(asker), shots=tools.shots)
        tokens = tools.chat.count(messages)
        room = tools.chat.context - tools.house.max_new_tokens
        if tokens > room:
            return (
                f"what {asker.id} may read is {tokens:,} tokens, and {tools.chat.name} has room for {room:,}"
                f" (context {tools.chat.context:,} less {tools.house.max_new_tokens} for the answer)"
            )
    return None
