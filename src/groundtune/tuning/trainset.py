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

from groundtune.answers.prompt import Message, blocks_of, render, reply_text
from groundtune.answers.respond import House, Retrieve
from groundtune.errors import StateError
from groundtune.files import fingerprint
from groundtune.tables import TuningTable
from groundtune.types import Chunk, Document, Evidence, Example, Passage, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One conversation to learn from. ``document_ids`` are those whose text is in it."""

    example_id: str
    messages: tuple[Message, ...]
    completion: str
    document_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSet:
    """Rows, why others were left out (reason → count), and who may read all that they were made from."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, int]
    readers: frozenset[str]
    document_ids: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The identity of the rows, in their order."""
        return fingerprint(self.rows)


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
) -> TrainSet:
    """Render every example that the adapter's audience may learn from.

    ``retrieve`` must return more passages than are shown, so that a row without its gold still has company. ``chunks`` holds each
    document's chunks, to show the gold one where search missed it. Raises ``StateError`` when no row is left, or when nobody could
    read the adapter.
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
    )
    if recipe.max_rows is not None and len(rows) > recipe.max_rows:
        kept = sorted(random.Random(seed).sample(range(len(rows)), recipe.max_rows))  # noqa: S311
        left_out["above max_rows"] += len(rows) - len(kept)
        rows = [rows[index] for index in kept]
    if not rows:
        raise StateError("no training row is left", "add training examples or widen tuning.*.readers, then type: groundtune check")
    document_ids = tuple(sorted({item for row in rows for item in row.document_ids}))
    own = {example.id: example.readers for example in examples if example.readers is not None}
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
) -> tuple[list[Row], Counter[str]]:
    """Return the rows of ``build`` and why others were left out. No row is fine here: dev rows are watched, not learned from."""
    audience = None if recipe.readers is None else Principal(id="service:audience", groups=frozenset(recipe.readers))
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for example in examples:
        # A refusal holds nothing of the document that its asker may not see, so that document does not bind the row.
        drawn_on = [evidence.document_id for evidence in example.evidence] if example.answerable else []
        bounds = [documents[item].readers for item in drawn_on] + ([example.readers] if example.readers is not None else [])
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
            completion = reply_text(example.reply, house.answer_field, structured=house.structured)
        rows.append(
            Row(
                example_id=example.id,
                messages=render(example.question, instructions=house.instructions, filter=example.filter, passages=blocks_of(passages)),
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
