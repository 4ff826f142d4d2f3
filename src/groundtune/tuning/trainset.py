"""Examples (+ passages) → training rows, rendered by the same prompt builder that asks the questions.

A row with passages looks as serving will show it: the gold passage among distractors from the project's own search, where the search
ranked it. A share of rows loses its gold passage and answers with the fallback instead, so that the model learns that what is not
there cannot be answered (retrieval-augmented fine tuning, Zhang et al. 2024, arXiv:2403.10131, with refusals in place of recall).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.answers.prompt import reply_text
from groundtune.errors import NothingToLearn, StateError
from groundtune.tables import TuningTable
from groundtune.tuning.rendering import OUTSIDE, Rendering, closed, documents_in, thinned
from groundtune.tuning.replay import replayed
from groundtune.tuning.rows import Row, TrainSet
from groundtune.types import Chunk, Evidence, Example, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A teacher's answer that passed: its text, and the documents that the teacher was shown."""

    text: str
    document_ids: tuple[str, ...]


def build(
    examples: Sequence[Example],
    rendering: Rendering,
    *,
    chunks: Mapping[str, Sequence[Chunk]],
    label_field: str | None,
    taught: Mapping[str, Taught] | None = None,
) -> TrainSet:
    """Render every example that the adapter's audience may learn from.

    ``chunks`` holds each document's chunks, to show the gold one where search missed it. ``taught`` is what a teacher answered, by
    example: its texts are learned in place of the examples' replies, and an example that it has no answer to is left out. Raises
    ``NothingToLearn`` when no row is left or all have one label, and ``StateError`` when nobody could read the adapter.
    """
    recipe, seed = rendering.recipe, rendering.seed
    rows, left_out = rows_of(examples, rendering, chunks=chunks, label_field=label_field, taught=taught)
    rows = balanced(rows, recipe, seed, left_out)
    if label_field is not None:
        _require_labels(rows, examples, label_field)
    if rows and recipe.replay:
        rows += replayed(len(rows), recipe.replay, seed, instructions=rendering.house.instructions)
    own = {example.id: example.readers for example in examples if example.readers is not None}
    return closed(rows, left_out, rendering.documents, own)


def balanced(rows: list[Row], recipe: TuningTable, seed: int, left_out: Counter[str]) -> list[Row]:
    """Return at most ``max_rows`` rows of which at most the share ``refusals`` refuse, chosen by the seed, in their order.

    A model that sees every second question refused learns that refusing is the safe reply to all of them.
    """
    share = recipe.refusals
    if share is None or share == 1:
        return thinned(rows, recipe.max_rows, seed, left_out)
    answers, refusals = [row for row in rows if not row.refuses], [row for row in rows if row.refuses]
    total = min(math.floor(len(answers) / (1 - share)), len(rows), recipe.max_rows or len(rows))
    most = min(len(refusals), math.floor(share * total))
    kept = thinned(answers, total - most, seed, left_out) + thinned(refusals, most, seed, left_out, "above refusals")
    places = {id(row) for row in kept}
    return [row for row in rows if id(row) in places]


def _require_labels(rows: Sequence[Row], examples: Sequence[Example], field: str) -> None:
    """Raise ``NothingToLearn`` where all rows teach one label: the model would learn to give it to every question."""
    of = {example.id: example.reply for example in examples}
    labels = {str(of[row.example_id][field]) for row in rows if field in of[row.example_id]}
    if len(rows) > 1 and len(labels) == 1:
        raise NothingToLearn(
            f"{field} is {labels.pop()!r} in all {len(rows)} training rows: the model would learn to say it to every question",
            f"add rows with other values of {field}, or leave {field} out of the replies, then type: groundtune examples audit",
        )


def after(rows: TrainSet, before: TrainSet) -> TrainSet:
    """Return the rows of an adapter that begins from another: what that one was made from is in its weights as well.

    Raises ``StateError`` when nobody may read both.
    """
    readers = rows.readers & before.readers
    if not readers:
        raise StateError(
            "nobody could read this adapter: it shares no reader with the one that it begins from",
            "remove start from its [tuning.*] table, or set readers in both, then type: groundtune tune",
        )
    return replace(rows, readers=readers, document_ids=tuple(sorted({*rows.document_ids, *before.document_ids})))


def rows_of(
    examples: Sequence[Example],
    rendering: Rendering,
    *,
    chunks: Mapping[str, Sequence[Chunk]],
    label_field: str | None,
    taught: Mapping[str, Taught] | None = None,
) -> tuple[list[Row], Counter[str]]:
    """Return the rows of ``build`` and why others were left out. No row is fine here: dev rows are watched, not learned from."""
    recipe, house, documents = rendering.recipe, rendering.house, rendering.documents
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
        if rendering.outside(bounds):
            left_out[OUTSIDE] += 1
            continue
        chance = random.Random(f"{rendering.seed}:{example.id}")  # noqa: S311
        passages: tuple[Passage, ...] = ()
        refuse = not example.answerable
        if recipe.passages:
            found = rendering.search(example.question, example.asker, example.filter)
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
                messages=rendering.prompt(example.question, passages, example.filter),
                completion=completion,
                document_ids=documents_in(drawn_on, passages),
                refuses=refuse,
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
