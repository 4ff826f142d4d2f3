"""One question → the prompt that is trained on and the documents in it, for rows, pairs and rated replies alike.

Rendering(recipe, house, documents, askers, retrieve, seed)
    .outside(bounds)                  may somebody of the adapter's audience not read what the row draws on?
    .search(question, asker, filter)  what retrieval shows to the audience, or to the asker where the adapter has none
    .prompt(question, …)              the messages, by the one prompt builder

rows  →  thinned (max_rows)  →  closed (who may read all of them)  →  TrainSet
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from groundtune.access.filter import Filter
from groundtune.answers.prompt import Message, blocks_of, render
from groundtune.answers.respond import House, Retrieve
from groundtune.errors import NothingToLearn, StateError
from groundtune.tables import TuningTable
from groundtune.tuning.rows import AnyRow, TrainSet
from groundtune.types import Document, Passage, Principal

OUTSIDE = "drawn from a document outside the adapter's audience"
Kept = TypeVar("Kept", bound=AnyRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What every row of one adapter is made with.

    ``retrieve`` is needed where the recipe trains with passages; it must return more of them than are shown, so that a row without its
    gold still has company. ``seed`` chooses which rows are kept, and what each shows.
    """

    recipe: TuningTable
    house: House
    documents: Mapping[str, Document]
    askers: Mapping[str, Principal]
    retrieve: Retrieve | None
    seed: int

    @property
    def audience(self) -> Principal | None:
        """Whom the adapter is for: one who is in all of its groups; ``None`` where the recipe names none."""
        return None if self.recipe.readers is None else Principal(id="service:audience", groups=frozenset(self.recipe.readers))

    def outside(self, bounds: Iterable[frozenset[str]]) -> bool:
        """Return whether a group of the audience is missing among the readers of anything that a row draws on."""
        audience = self.audience
        return audience is not None and any(not audience.groups <= readers for readers in bounds)

    def search(self, question: str, asker: str, filter: Filter) -> tuple[Passage, ...]:
        """Return the passages that a row may show; none where the recipe trains without."""
        if not self.recipe.passages:
            return ()
        if self.retrieve is None:
            raise ValueError("a recipe with passages needs something to retrieve with")
        audience = self.audience
        found = self.retrieve(question, audience or self.askers[asker], filter)
        if audience is None:
            return tuple(found)
        # Search shows what any of the asker's groups may read; an adapter's readers must all be able to.
        return tuple(passage for passage in found if audience.groups <= self.documents[passage.chunk.document_id].readers)

    def prompt(self, question: str, passages: Sequence[Passage], filter: Filter) -> tuple[Message, ...]:
        """Return the messages before the reply, as serving has them."""
        return render(
            question, instructions=self.house.instructions, filter=filter, passages=blocks_of(passages), notes=self.house.notes(passages)
        )


def documents_in(drawn_on: Iterable[str], passages: Iterable[Passage]) -> tuple[str, ...]:
    """Return the documents whose text is in a row, each once."""
    return tuple(dict.fromkeys([*drawn_on, *(passage.chunk.document_id for passage in passages)]))


def thinned(rows: list[Kept], most: int | None, seed: int, left_out: Counter[str], why: str = "above max_rows") -> list[Kept]:
    """Return at most ``most`` of the rows, chosen by the seed, in their order; ``why`` is what the others are counted under."""
    if most is None or len(rows) <= most:
        return rows
    left_out[why] += len(rows) - most
    return [rows[index] for index in sorted(random.Random(seed).sample(range(len(rows)), most))]  # noqa: S311


def closed(
    rows: Sequence[AnyRow], left_out: Mapping[str, int], documents: Mapping[str, Document], own: Mapping[str, frozenset[str]]
) -> TrainSet:
    """Return the rows as a set with its readers; ``own`` holds those that a row's example names itself.

    Raises ``NothingToLearn`` when there is no row, and ``StateError`` when there is nobody who may read all of them.
    """
    if not rows:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())) or "there are none"
        raise NothingToLearn(
            f"no training row is left: {why}", "add training examples or widen tuning.*.readers, then type: groundtune check"
        )
    document_ids = tuple(sorted({item for row in rows for item in row.document_ids}))
    bounds = [documents[item].readers for item in document_ids] + [own[row.example_id] for row in rows if row.example_id in own]
    readers = frozenset.intersection(*bounds) if bounds else frozenset(["everyone"])
    if not readers:
        raise StateError(
            "nobody could read this adapter: its training rows draw on documents that share no reader",
            "set readers in its [tuning.*] table to the groups it is for, then type: groundtune tune",
        )
    return TrainSet(rows=tuple(rows), left_out=dict(left_out), readers=readers, document_ids=document_ids)
