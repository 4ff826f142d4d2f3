"""Questions of all probes → an arm's answers, in one go: as few as tell the probes apart, in batches as many callers would make them.

    items (freshness-0 ana, permission-0 bo, …)  →  prompts that differ  →  batches of 16, 4, 1 and the rest  →  an answer for each item

What an arm is not shown cannot change its answer: an arm without documents answers a question once, whoever asks and whatever the documents
say at the moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import allowed
from groundtune.answers.prompt import Block
from groundtune.answers.respond import Ask, Found, Tools
from groundtune.files import fingerprint, plain
from groundtune.models.chat import Chat, Completion, Request
from groundtune.project.evaluate import answered
from groundtune.records.ledger import Ledger
from groundtune.types import Answer, Arm, Passage, Principal

if TYPE_CHECKING:
    from groundtune.project.main import Project

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of one probe. ``world`` is the state of the documents that it is put to, ``passages`` what search found there."""

    id: str
    probe: str
    example_id: str
    question: str
    asker: Principal
    filter: Mapping[str, Any]
    world: str
    passages: tuple[Passage, ...] = ()
    seconds: float = 0.0


class Paced:
    """A chat model whose batches are as many as ask at the same time: ``callers`` of each size, then the rest together.

    A model on this machine answers a batch as one; an endpoint gets the requests of a batch at the same time. Either way the batch is
    what callers at one time are to it.
    """

    def __init__(self, chat: Chat, callers: Sequence[int]) -> None:
        self._chat = chat
        self._callers = sorted(set(callers), reverse=True)
        self.name, self.fingerprint, self.context = chat.name, chat.fingerprint, chat.context

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return what the model counts."""
        return self._chat.count(messages)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return batches of the sizes asked for, the largest first; each split again where the model cannot take it at once."""
        order = [index for batch in self._chat.plan(requests) for index in batch]
        batches = []
        for size in sizes(len(order), self._callers):
            taken, order = order[:size], order[size:]
            parts = self._chat.plan([requests[index] for index in taken])
            batches += [[taken[place] for place in part] for part in parts]
        return batches

    def complete(
        self,
        requests: Sequence[Request],
        *,
        limit: int,
        schema: Mapping[str, Any] | None = None,
        adapter: Path | None = None,
        seed: int = 0,
    ) -> list[Completion]:
        """Answer one batch, as the model does."""
        return self._chat.complete(requests, limit=limit, schema=schema, adapter=adapter, seed=seed)


def sizes(total: int, callers: Sequence[int]) -> list[int]:
    """Return the sizes of batches of ``total`` questions: the rest first, then one of each number of callers that there are enough for."""
    found: list[int] = []
    for size in sorted(set(callers), reverse=True):
        if size <= total - sum(found):
            found.append(size)
    rest = total - sum(found)
    return [*([rest] if rest else []), *found]


def answers_of(
    project: Project,
    arm: Arm,
    items: Sequence[Item],
    spare: Sequence[Item],
    tools: Tools,
    corpora: Mapping[str, Mapping[str, tuple[Block, ...]]],
    ledger: Ledger,
    key: str,
) -> dict[str, Answer]:
    """Return an arm's answer to each item, by the item's id. What is in the ledger already is not asked again.

    ``spare`` items are answered too as far as it takes them to have as many as the callers are; by a model on this machine only where
    ``[probes] fill`` says so, since it takes as long as all the rest.
    """
    unique: dict[str, Item] = {}
    same: dict[str, str] = {}
    callers = project.settings.probes.callers
    needed = sum(set(callers)) if project.settings.chat.use != "local" or project.settings.probes.fill else 0
    reaching: set[str] = set()
    for place, item in enumerate([*items, *spare]):
        if place >= len(items) and len(reaching) >= needed:
            break
        same[item.id] = _identity(arm, item, tools)
        unique.setdefault(same[item.id], item)
        if _reaches_the_model(arm, item, tools):
            reaching.add(same[item.id])
    asks = [
        Ask(
            question=item.question,
            asker=item.asker,
            filter=item.filter,
            example_id=item.id,
            found=Found(
                passages=item.passages if arm.retrieves else (),
                corpus=corpora[item.world][item.asker.id] if arm.whole_corpus else (),
                seconds=item.seconds if arm.retrieves else 0.0,
            ),
        )
        for item in unique.values()
    ]
    paced = replace(tools, chat=Paced(tools.chat, callers), again=None)
    whole = fingerprint(VERSION, key, callers, [[item.id, same[item.id]] for item in unique.values()])
    given = answered(project, arm, asks, paced, whole, ledger=ledger, step="probe")
    by_identity = dict(zip(unique, given, strict=True))
    return {
        item.id: replace(by_identity[same[item.id]], example_id=item.example_id, asker=item.asker.id)
        for item in (*items, *spare)
        if item.id in same
    }


def _may_ask(item: Item, tools: Tools) -> bool:
    """Return whether the arm's adapter may answer the asker at all."""
    return tools.adapter is None or tools.adapter.readers is None or allowed(item.asker).permits(tools.adapter.readers)


def _reaches_the_model(arm: Arm, item: Item, tools: Tools) -> bool:
    """Return whether the item is load: where nothing was found or the adapter is closed to the asker, no model is asked."""
    return _may_ask(item, tools) and not (arm.retrieves and not item.passages)


def _identity(arm: Arm, item: Item, tools: Tools) -> str:
    """Return what an arm's answer to an item hangs on: what it is shown, and whether its adapter may answer the asker at all."""
    may = _may_ask(item, tools)
    shown: list[Any] = [item.world, item.asker.id] if arm.whole_corpus else []
    if arm.retrieves:
        shown = [plain(passage.chunk) for passage in item.passages]
    return fingerprint(item.question, plain(item.filter), may, shown)
