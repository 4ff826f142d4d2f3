"""One way to answer, for every arm: retrieve (or not), render, complete, parse, cite.

An arm is data; nothing here asks for its name. So a fair comparison is a property of this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.access.filter import Filter, allowed
from groundtune.answers.abstain import Judge, beforehand, judged
from groundtune.answers.again import Again, look_up, more
from groundtune.answers.history import shown
from groundtune.answers.prompt import Block, Message, Shot, blocks_of, notes_of, prompt_hash, render, reply_text
from groundtune.answers.reply import Parsed, cite, parse, refuses
from groundtune.answers.support import Unsupported, held_to
from groundtune.files import fingerprint
from groundtune.models.chat import Chat, Completion, Request
from groundtune.passages.conflicts import conflicts
from groundtune.types import Abstention, Answer, Arm, ModelVersion, Passage, Principal, Seconds

Retrieve = Callable[[str, Principal, Filter], tuple[Passage, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was looked up for a question beforehand, in ``seconds``: passages, or all documents that the asker may read."""

    passages: tuple[Passage, ...] = ()
    corpus: tuple[Block, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question as it comes in: who asks it, how the asker narrowed it, and the messages that came before it.

    ``found`` is what was looked up for it already, so that questions to different states of the index are answered together.
    """

    question: str
    asker: Principal
    filter: Filter
    example_id: str | None = None
    history: tuple[Message, ...] = ()
    found: Found | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """How this project asks and answers: what ``[answers]`` and ``[costs]`` of groundtune.toml say, and the reply schema."""

    instructions: str
    fallback: str
    fallback_reply: Mapping[str, str]
    refusals: tuple[str, ...]
    answer_field: str
    quote_field: str
    schema: Mapping[str, Any] | None
    max_new_tokens: int
    seed: int
    machine_hour: float = 0.0
    prompt_million: float = 0.0
    completion_million: float = 0.0
    unsupported: Unsupported = "keep"
    tell_conflicts: bool = False

    @property
    def prompt_hash(self) -> str:
        """The fingerprint of what shapes its prompts."""
        return prompt_hash(self.instructions, tell_conflicts=self.tell_conflicts)

    def notes(self, passages: Sequence[Passage]) -> tuple[str, ...]:
        """Return what a prompt says of the passages in it beside their texts: which of them disagree, where the project wants it told."""
        return notes_of(conflicts(passages), passages) if self.tell_conflicts else ()

    @property
    def structured(self) -> bool:
        """Whether a reply is a JSON object."""
        return self.schema is not None

    def fallback_text(self) -> str:
        """Return what is said when nothing was found, as the project's replies look."""
        reply = {**self.fallback_reply, self.answer_field: self.fallback}
        return reply_text(reply, self.answer_field, structured=self.structured and bool(self.fallback_reply))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What answering needs: the chat model, search, the adapter and what is shown in the prompt.

    ``judge`` says when an answer is given, ``again`` when a draft is looked up again; without them neither is done.
    """

    chat: Chat
    house: House
    retrieve: Retrieve | None = None
    adapter: ModelVersion | None = None
    shots: tuple[Shot, ...] = ()
    corpus: Callable[[Principal], tuple[Block, ...]] | None = None
    judge: Judge | None = None
    again: Again | None = None

    @property
    def logprobs(self) -> bool:
        """Whether the probabilities of tokens are of use to any of it."""
        return self.again is not None or (self.judge is not None and self.judge.wants_logprobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A question with all that is known before the model is asked. ``answer`` is set where it need not be asked."""

    ask: Ask
    passages: tuple[Passage, ...]
    messages: tuple[Message, ...]
    retrieval: float
    answer: Answer | None


def respond(
    arm: Arm,
    asks: Sequence[Ask],
    tools: Tools,
    *,
    done: Collection[int] = (),
    planned: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, list[tuple[int, Answer]]]]:
    """Yield batches as ``(batch number, [(index into asks, answer), …])``.

    How questions are put into batches depends on the questions alone, so a batch has the same number and the same company however
    often the work is broken off; those in ``done`` are not answered again. ``planned`` is told how many batches and answers are left.
    """
    prepared = [_prepare(arm, ask, tools) for ask in asks]
    open_indices = [index for index, item in enumerate(prepared) if item.answer is None]
    plan = tools.chat.plan([Request(messages=prepared[index].messages) for index in open_indices])
    batches = [[open_indices[position] for position in batch] for batch in plan]
    ready = [index for index, item in enumerate(prepared) if item.answer is not None]
    if ready:
        batches.append(ready)
    if planned is not None:
        left = [batch for number, batch in enumerate(batches) if number not in done]
        planned(len(left), sum(len(batch) for batch in left))
    for number, indices in enumerate(batches):
        if number in done:
            continue
        if indices is ready:
            yield number, [(index, answer) for index in indices if (answer := prepared[index].answer) is not None]
            continue
        items, completions = _completed(arm, [prepared[index] for index in indices], tools)
        busy = max((completion.total_seconds for completion in completions), default=0.0)
        answers = [_answer(arm, item, done_, tools, busy / len(items)) for item, done_ in zip(items, completions, strict=True)]
        yield number, list(zip(indices, answers, strict=True))


def _prepare(arm: Arm, ask: Ask, tools: Tools) -> _Prepared:
    house = tools.house
    passages: tuple[Passage, ...] = ()
    retrieval = 0.0
    if arm.retrieves and ask.found is not None:
        passages, retrieval = ask.found.passages, ask.found.seconds
    elif arm.retrieves:
        if tools.retrieve is None:
            raise ValueError(f"arm {arm.name!r} retrieves, but was given nothing to retrieve with")
        began = time.perf_counter()
        passages = tools.retrieve(ask.question, ask.asker, ask.filter)
        retrieval = time.perf_counter() - began
    messages = _messages(arm, ask, passages, tools)
    answer = None
    if tools.adapter is not None and tools.adapter.readers is not None and not allowed(ask.asker).permits(tools.adapter.readers):
        why = f"adapter {tools.adapter.id} was trained on documents that {ask.asker.id} may not read; ask another arm"
        answer = _made(arm, ask, passages, messages, tools, text="", seconds=Seconds(retrieval=retrieval), failure=why)
    elif arm.retrieves and not passages:
        seconds = Seconds(retrieval=retrieval, total=retrieval)
        why_not = Abstention(state="nothing found")
        answer = _made(arm, ask, (), messages, tools, text=house.fallback_text(), seconds=seconds, fallback=True, abstention=why_not)
    elif (withheld := beforehand(tools.judge, ask.question, passages)) is not None:
        seconds = Seconds(retrieval=retrieval, total=retrieval)
        answer = _made(arm, ask, passages, messages, tools, text=house.fallback_text(), seconds=seconds, abstention=withheld)
    return _Prepared(ask=ask, passages=passages, messages=messages, retrieval=retrieval, answer=answer)


def _messages(arm: Arm, ask: Ask, passages: tuple[Passage, ...], tools: Tools) -> tuple[Message, ...]:
    corpus: Sequence[Block] = ()
    if arm.whole_corpus and ask.found is not None:
        corpus = ask.found.corpus
    elif arm.whole_corpus and tools.corpus is not None:
        corpus = tools.corpus(ask.asker)
    return render(
        ask.question,
        instructions=tools.house.instructions,
        filter=ask.filter,
        passages=blocks_of(passages),
        notes=tools.house.notes(passages),
        corpus=corpus,
        shots=tools.shots,
        history=shown(ask.history),
    )


def _completed(arm: Arm, items: list[_Prepared], tools: Tools) -> tuple[list[_Prepared], list[Completion]]:
    """Ask the model about one batch and, where the project wants it, look up again what it was unsure of."""
    items = list(items)

    def complete(places: list[int]) -> list[Completion]:
        return tools.chat.complete(
            [Request(messages=items[place].messages, logprobs=tools.logprobs) for place in places],
            limit=tools.house.max_new_tokens,
            schema=tools.house.schema if arm.constrained else None,
            adapter=Path(tools.adapter.adapter_path) if tools.adapter and tools.adapter.adapter_path else None,
            seed=tools.house.seed,
        )

    def widen(place: int, texts: list[str]) -> bool:
        item, retrieve = items[place], tools.retrieve
        if retrieve is None:
            return False
        began = time.perf_counter()
        found = [retrieve(text, item.ask.asker, item.ask.filter) for text in texts]
        passages = more(item.passages, found, limit=max(map(len, found), default=0))
        spent = item.retrieval + time.perf_counter() - began
        items[place] = replace(item, passages=passages, messages=_messages(arm, item.ask, passages, tools), retrieval=spent)
        return len(passages) > len(item.passages)

    completions = list(complete(list(range(len(items)))))
    if tools.again is not None and arm.retrieves:
        look_up(tools.again, completions, said=lambda draft: _parsed(draft.text, tools.house).said, widen=widen, complete=complete)
    return items, completions


def _parsed(text: str, house: House) -> Parsed:
    return parse(text, structured=house.structured, answer_field=house.answer_field, quote_field=house.quote_field)


def _answer(arm: Arm, item: _Prepared, completion: Completion, tools: Tools, busy: float) -> Answer:
    house = tools.house
    seconds = Seconds(
        retrieval=item.retrieval,
        first_token=completion.first_token_seconds,
        total=item.retrieval + completion.total_seconds,
        batch=completion.batch,
    )
    cost = (
        house.machine_hour * (busy + item.retrieval) / 3600
        + house.prompt_million * completion.prompt_tokens / 1e6
        + house.completion_million * completion.completion_tokens / 1e6
    )
    answer = _made(
        arm,
        item.ask,
        item.passages,
        item.messages,
        tools,
        text=_whole(completion.text),
        seconds=seconds,
        failure=completion.failure,
        tokens=(completion.prompt_tokens, completion.completion_tokens),
        cost=cost,
    )
    fallback = house.fallback_text()
    return judged(answer, tools.judge, completion.mean_logprob, (fallback, _parsed(fallback, house)))


def _whole(text: str) -> str:
    """Return text without halves of surrogate pairs, which a server may send and nothing can store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _made(
    arm: Arm,
    ask: Ask,
    passages: tuple[Passage, ...],
    messages: tuple[Message, ...],
    tools: Tools,
    *,
    text: str,
    seconds: Seconds,
    failure: str | None = None,
    fallback: bool = False,
    tokens: tuple[int, int] = (0, 0),
    cost: float = 0.0,
    abstention: Abstention | None = None,
) -> Answer:
    house = tools.house
    parsed = Parsed(reply=None, said="", quoted="") if failure else _parsed(text, house)
    withheld = abstention is not None and abstention.state == "below threshold"
    refused = not failure and (fallback or withheld or refuses(parsed.said, (house.fallback, *house.refusals)))
    # An arm without passages has nothing to be held against, and a refusal claims nothing.
    claims = bool(passages) and not failure and not refused
    said, bare = held_to(parsed.said, passages, house.unsupported) if claims else (parsed.said, ())
    emptied = bool(bare) and not said
    # What was answered before there were calibrations keeps its name.
    how = [item for item in (tools.judge.id if tools.judge else "", tools.again and [tools.again.rounds, tools.again.below]) if item]
    model = tools.adapter.id if tools.adapter else f"model:{tools.chat.name}"
    return Answer(
        id="answer:" + fingerprint(arm, ask.question, ask.asker.id, ask.filter, model, messages, tools.chat.fingerprint, house.seed, *how),
        question=ask.question,
        asker=ask.asker.id,
        arm=arm.name,
        text=text,
        said=house.fallback if emptied else said,
        reply=parsed.reply,
        quoted=parsed.quoted,
        cited=cite(parsed.quoted, passages),
        refused=refused or emptied,
        fallback=fallback,
        passages=passages,
        model=model,
        prompt_hash=house.prompt_hash,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        seconds=seconds,
        cost=cost,
        failure=failure,
        example_id=ask.example_id,
        messages=messages,
        unsupported=bare,
        abstention=abstention,
        conflicts=conflicts(passages),
    )
