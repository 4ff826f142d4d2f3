"""Examples (+ passages) → training rows, rendered by the same prompt builder that asks the questions.

A row with passages looks as serving will show it: the gold passage among distractors from the project's own search, where the search
ranked it. A share of rows loses its gold passage and answers with the fallback instead, so that the model learns that what is not
there cannot be answered (retrieval-augmented fine tuning, Zhang et al. 2024, arXiv:2403.10131, with refusals in place of recall).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from groundtune.answers.prompt import blocks_of, render, reply_text
from groundtune.answers.respond import House, Retrieve
from groundtune.errors import StateError
from groundtune.tables import TuningTable
from groundtune.tuning.replay import replayed
from groundtune.tuning.rows import Pair, Row, TrainSet
from groundtune.types import Chunk, Document, Evidence, Example, Passage, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A teacher's answer that passed: its text, and the documents that the teacher was shown."""

    text: str
    document_ids: tuple[str, ...]


def build(
    examples: Sequence[Example],
    *,
    recipe: TuningTable,
    house: House,
    documents: Mapping[str, Document],
    askers: Mapping[str, Principal],
    retrieve: Retrieve | None,
    chunks: Mapping[str, Sequence[Chunk]],
    label_field: str | None,
    seed: int,
    taught: Mapping[str, Taught] | None = None,
) -> TrainSet:
    """Render every example that the adapter's audience may learn from.

    ``retrieve`` must return more passages than are shown, so that a row without its gold still has company. ``chunks`` holds each
    document's chunks, to show the gold one where search missed it. ``taught`` is what a teacher answered, by example: its texts are
    learned in place of the examples' replies, and an example that it has no answer to is left out. Raises ``StateError`` when no row is
    left, or when nobody could read the adapter.
    """
    rows, left_out = rows_of(
        examples,
        recipe=recipe,
        house=house,
        documents=documents,
        askers=askers,
        retrieve=retrieve,
        chunks=chunks,
        label_field=label_field,
        seed=seed,
        taught=taught,
    )
    rows = thinned(rows, recipe.max_rows, seed, left_out)
    if rows and recipe.replay:
        rows += replayed(len(rows), recipe.replay, seed, instructions=house.instructions)
    own = {example.id: example.readers for example in examples if example.readers is not None}
    return closed(rows, left_out, documents, own)


Kept = TypeVar("Kept", Row, Pair)


def thinned(rows: list[Kept], most: int | None, seed: int, left_out: Counter[str]) -> list[Kept]:
    """Return at most ``most`` of the rows, chosen by the seed, in their order."""
    if most is None or len(rows) <= most:
        return rows
    left_out["above max_rows"] += len(rows) - most
    return [rows[index] for index in sorted(random.Random(seed).sample(range(len(rows)), most))]  # noqa: S311


def closed(
    rows: Sequence[Row | Pair], left_out: Mapping[str, int], documents: Mapping[str, Document], own: Mapping[str, frozenset[str]]
) -> TrainSet:
    """Return the rows as a set with its readers; ``own`` holds those that a row's example names itself.

    Raises ``StateError`` when there is no row, or nobody who may read all of them.
    """
    if not rows:
        raise StateError("no training row is left", "add training examples or widen tuning.*.readers, then type: groundtune check")
    document_ids = tuple(sorted({item for row in rows for item in row.document_ids}))
    bounds = [documents[item].readers for item in document_ids] + [own[row.example_id] for row in rows if row.example_id in own]
    readers = frozenset.intersection(*bounds) if bounds else frozenset(["everyone"])
    if not readers:
        raise StateError(
            "nobody could read this adapter: its training rows draw on documents that share no reader",
            "set readers in its [tuning.*] table to the groups it is for, then type: groundtune tune",
        )
    return TrainSet(rows=tuple(rows), left_out=dict(left_out), readers=readers, document_ids=document_ids)


def rows_of(
    examples: Sequence[Example],
    *,
    recipe: TuningTable,
    house: House,
    documents: Mapping[str, Document],
    askers: Mapping[str, Principal],
    retrieve: Retrieve | None,
    chunks: Mapping[str, Sequence[Chunk]],
    label_field: str | None,
    seed: int,
    taught: Mapping[str, Taught] | None = None,
) -> tuple[list[Row], Counter[str]]:
    """Return the rows of ``build`` and why others were left out. No row is fine here: dev rows are watched, not learned from."""
    audience = None if recipe.readers is None else Principal(id="service:audience", groups=frozenset(recipe.readers))
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for example in examples:
        # A refusal holds nothing of the document that its asker may not see, so that document does not bind the row.
        drawn_on = [evidence.document_id for evidence in example.evidence] if example.answerable else []
        bounds = [example.readers] if example.readers is not None else []
        if taught is not None:
            if example.id not in taught:
                left_out["the teacher has no answer to it that passed"] += 1
                continue
            drawn_on = list(dict.fromkeys([*drawn_on, *taught[example.id].document_ids]))
        bounds += [documents[item].readers for item in drawn_on]
        if audience is not None and any(not audience.groups <= readers for readers in bounds):
            left_out["drawn from a document outside the adapter's audience"] += 1
            continue
        chance = random.Random(f"{seed}:{example.id}")  # noqa: S311
        passages: tuple[Passage, ...] = ()
        refuse = not example.answerable
        if recipe.passages:
            if retrieve is None:
                raise ValueError("a recipe with passages needs something to retrieve with")
            asker = audience or askers[example.asker]
            found = retrieve(example.question, asker, example.filter)
            if audience is not None:
                # Search shows what any of the asker's groups may read; an adapter's readers must all be able to.
                found = tuple(passage for passage in found if audience.groups <= documents[passage.chunk.document_id].readers)
            passages, refuse = _shown(example, found, recipe, chunks, chance)
        if example.answerable and refuse:
            reply = dict(house.fallback_reply)
            if label_field and label_field in example.reply:
                reply[label_field] = example.reply[label_field]
            completion = reply_text({**reply, house.answer_field: house.fallback}, house.answer_field, structured=house.structured)
        else:
            completion = taught[example.id].text if taught else reply_text(example.reply, house.answer_field, structured=house.structured)
        rows.append(
            Row(
                example_id=example.id,
                messages=render(
                    example.question,
                    instructions=house.instructions,
                    filter=example.filter,
                    passages=blocks_of(passages),
                    notes=house.notes(passages),
                ),
                completion=completion,
                document_ids=tuple(dict.fromkeys([*drawn_on, *(passage.chunk.document_id for passage in passages)])),
            )
        )
    return rows, left_out


def _shown(
    example: Example,
    found: Sequence[Passage],
    recipe: TuningTable,
    chunks: Mapping[str, Sequence[Chunk]],
    chance: random.Random,
) -> tuple[tuple[Passage, ...], bool]:
    """Return the passages to show, and whether the row must then refuse."""
    count = recipe.distractors + 1
    if not example.answerable:
        # The audience may read what this asker may not; refusing beside the answer would teach to refuse what is there.
        return tuple([passage for passage in found if not holds(passage.chunk, example.evidence)][:count]), True
    gold = [passage for passage in found if holds(passage.chunk, example.evidence)]
    others = [passage for passage in found if not holds(passage.chunk, example.evidence)]
    if chance.random() < recipe.without_gold:
        return tuple(others[:count]), True
    if any(passage in gold for passage in found[:count]):
        return tuple(found[:count]), False
    missed = (
        gold[:1]
        or [
            Passage(chunk=chunk, rank=count, score=0.0, similarity=None, found_by={}, allowed_by=())
            for evidence in example.evidence
            for chunk in chunks.get(evidence.document_id, ())
            if holds(chunk, [evidence])
        ][:1]
    )
    shown = [*others[: count - len(missed)]]
    for passage in missed:
        shown.insert(chance.randint(0, len(shown)), passage)
    return tuple(shown), not missed


def holds(chunk: Chunk, evidence: Sequence[Evidence]) -> bool:
    """Return whether a chunk covers at least half of any gold quote."""
    for item in evidence:
        if item.document_id == chunk.document_id:
            covered = min(chunk.end, item.end) - max(chunk.start, item.start)
            if covered * 2 >= item.end - item.start:
                return True
    return False
