"""Preference rows → training pairs, rendered by the same prompt builder that asks the questions.

    {"question": "How long?", "chosen": "Two years.", "rejected": "Ages!", "status": "approved", …}  →  Pair(messages=…, …)

Only rows that a person approved are learned; of the others their number and status is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.answers.prompt import blocks_of, render, reply_text
from groundtune.answers.respond import House, Retrieve
from groundtune.errors import InputError
from groundtune.tables import TuningTable
from groundtune.tuning.rows import Pair, TrainSet
from groundtune.tuning.trainset import closed, thinned
from groundtune.types import Document, Passage, Preference, Principal


def build(
    preferences: Sequence[Preference],
    *,
    recipe: TuningTable,
    house: House,
    documents: Mapping[str, Document],
    askers: Mapping[str, Principal],
    retrieve: Retrieve | None,
    seed: int,
) -> tuple[TrainSet, tuple[Pair, ...]]:
    """Return the pairs to learn from, and those that early stopping looks at: every tenth, ``dev_rows`` at most, none of fewer than 20.

    A pair whose ``source`` is a document (``document:…``) is bound to its readers. Raises ``InputError`` for an unknown asker, and
    ``StateError`` when no pair is left, or when nobody could read the adapter.
    """
    audience = None if recipe.readers is None else Principal(id="service:audience", groups=frozenset(recipe.readers))
    left_out: Counter[str] = Counter()
    pairs: list[Pair] = []
    for item in preferences:
        if item.status != "approved":
            left_out[f"a preference that is {item.status}, not approved"] += 1
            continue
        if item.asker not in askers:
            raise InputError(f"preference {item.id}: asked as {item.asker!r}, who is no principal", "mend it, then type: groundtune check")
        drawn_on = _document(item.source, documents)
        gone = [name for name in drawn_on if name not in documents]
        if gone:
            left_out["a preference whose document is gone"] += 1
            continue
        if audience is not None and any(not audience.groups <= documents[name].readers for name in drawn_on):
            left_out["drawn from a document outside the adapter's audience"] += 1
            continue
        passages: tuple[Passage, ...] = ()
        if recipe.passages:
            if retrieve is None:
                raise ValueError("a recipe with passages needs something to retrieve with")
            found = retrieve(item.question, audience or askers[item.asker], {})
            if audience is not None:
                found = tuple(passage for passage in found if audience.groups <= documents[passage.chunk.document_id].readers)
            passages = found[: recipe.distractors + 1]
        pairs.append(
            Pair(
                example_id=item.id,
                messages=render(item.question, instructions=house.instructions, passages=blocks_of(passages), notes=house.notes(passages)),
                chosen=_text(item.chosen, house),
                rejected=_text(item.rejected, house),
                document_ids=tuple(dict.fromkeys([*drawn_on, *(passage.chunk.document_id for passage in passages)])),
            )
        )
    pairs = thinned(pairs, recipe.max_rows, seed, left_out)
    held = pairs[::10][: recipe.dev_rows] if len(pairs) >= 20 else []
    return closed([pair for pair in pairs if pair not in held], left_out, documents, {}), tuple(held)


def _document(source: str, documents: Mapping[str, Document]) -> list[str]:
    """Return the document that a source names, by its id or its path; nothing for what is no document, such as "review"."""
    if source.startswith("document:"):
        return [source]
    return [f"document:{source}"] if f"document:{source}" in documents else []


def _text(reply: Mapping[str, Any] | str, house: House) -> str:
    return reply if isinstance(reply, str) else reply_text(reply, house.answer_field, structured=house.structured)
