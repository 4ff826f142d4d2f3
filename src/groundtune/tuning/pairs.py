"""Preferences and ratings → training pairs and rated rows, rendered as every other row is.

    {"question": "How long?", "chosen": "Two years.", "rejected": "Ages!", "status": "approved", …}  →  Pair(messages=…, …)
    {"question": "How long?", "reply": "Ages!", "desirable": false, "status": "approved", …}         →  Rated(messages=…, …)

Only rows that a person approved are learned; of the others their number and status is told. A row that draws on a document is bound to
its readers. Who may be answered by a model that learned one that names no document is for ``readers`` of the [tuning.*] table to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from groundtune.answers.prompt import Message, reply_text
from groundtune.answers.respond import House
from groundtune.errors import InputError, NothingToLearn, StateError
from groundtune.examples.ratings import Rating
from groundtune.tables import TuningTable
from groundtune.tuning.rendering import OUTSIDE, Rendering, closed, documents_in, thinned
from groundtune.tuning.rows import Pair, Rated, TrainSet
from groundtune.types import Preference

Judged = TypeVar("Judged", Preference, Rating)
LEAST_TO_HOLD_OUT = 20


def build(preferences: Sequence[Preference], rendering: Rendering) -> tuple[TrainSet, tuple[Pair, ...]]:
    """Return the pairs to learn from, and those that early stopping looks at: every tenth, ``dev_rows`` at most, none of fewer than 20.

    A pair is bound to the readers of its ``source``, and one whose source is no document is left out. Raises ``InputError`` for an
    unknown asker, ``NothingToLearn`` when no pair is left, and ``StateError`` when nobody could read the adapter, or nobody knows who may.
    """
    recipe, house = rendering.recipe, rendering.house
    left_out: Counter[str] = Counter()
    own: dict[str, frozenset[str]] = {}
    pairs = [
        Pair(
            example_id=item.id,
            messages=messages,
            chosen=_text(item.chosen, house),
            rejected=_text(item.rejected, house),
            document_ids=document_ids,
        )
        for item, messages, document_ids in _rendered(preferences, "preference", rendering, left_out, own)
    ]
    pairs = thinned(pairs, recipe.max_rows, rendering.seed, left_out)
    held = pairs[::10][: recipe.dev_rows] if len(pairs) >= LEAST_TO_HOLD_OUT else []
    return closed([pair for pair in pairs if pair not in held], left_out, rendering.documents, own), tuple(held)


def build_rated(ratings: Sequence[Rating], rendering: Rendering) -> tuple[TrainSet, tuple[Rated, ...]]:
    """Return the rated rows to learn from, and those that early stopping looks at, as ``build`` does; halves of a pair stay together.

    Raises what ``build`` does, and ``NothingToLearn`` where all of them are of one kind: then the best that a model can do is to say
    everything, or nothing.
    """
    recipe, house = rendering.recipe, rendering.house
    left_out: Counter[str] = Counter()
    own: dict[str, frozenset[str]] = {}
    rows = [
        Rated(
            example_id=item.id, messages=messages, completion=_text(item.reply, house), desirable=item.desirable, document_ids=document_ids
        )
        for item, messages, document_ids in _rendered(ratings, "rating", rendering, left_out, own)
    ]
    rows = thinned(rows, recipe.max_rows, rendering.seed, left_out)
    ids = list(dict.fromkeys(row.example_id for row in rows))
    held = set(ids[::10][: recipe.dev_rows] if len(ids) >= LEAST_TO_HOLD_OUT else [])
    learned = [row for row in rows if row.example_id not in held]
    if len({row.desirable for row in learned}) == 1:
        kind, other = ("desirable", "undesirable") if learned[0].desirable else ("undesirable", "desirable")
        raise NothingToLearn(
            f"all {len(learned)} ratings are {kind}: kto learns from the difference between good and bad replies",
            f'approve {other} ones too, or set objective = "sft" in its [tuning.*] table, then type: groundtune tune',
        )
    return closed(learned, left_out, rendering.documents, own), tuple(row for row in rows if row.example_id in held)


def balance(rows: Sequence[Rated], recipe: TuningTable) -> tuple[int, int, float]:
    """Return how many rows are desirable and undesirable, and the ratio of their weights in the loss.

    From 1 to 4/3 is advised by Ethayarajh et al. 2024 (arXiv:2402.01306, section 4.2).
    """
    good = sum(row.desirable for row in rows)
    bad = len(rows) - good
    return good, bad, (recipe.desirable_weight * good) / (recipe.undesirable_weight * max(1, bad))


def _rendered(
    items: Sequence[Judged], kind: str, rendering: Rendering, left_out: Counter[str], own: dict[str, frozenset[str]]
) -> Iterator[tuple[Judged, tuple[Message, ...], tuple[str, ...]]]:
    """Yield what may be learned with its prompt and its documents; count what may not. ``own`` gets who may read what names no document."""
    documents, audience = rendering.documents, rendering.audience
    for item in items:
        if item.status != "approved":
            left_out[f"a {kind} that is {item.status}, not approved"] += 1
            continue
        if item.asker not in rendering.askers:
            raise InputError(f"{kind} {item.id}: asked as {item.asker!r}, who is no principal", "mend it, then type: groundtune check")
        drawn_on = [f"document:{item.source.removeprefix('document:')}"] if item.source else []
        if any(name not in documents for name in drawn_on):
            left_out[f"a {kind} whose source is no document, or is gone"] += 1
            continue
        if not drawn_on:
            if audience is None:
                raise StateError(
                    f"{kind} {item.id} names no document, so nobody knows who may be answered by a model that learned it",
                    "name the document as its source, or set readers in the [tuning.*] table, then type: groundtune tune",
                )
            own[item.id] = audience.groups
        if rendering.outside(documents[name].readers for name in drawn_on):
            left_out[OUTSIDE] += 1
            continue
        passages = rendering.search(item.question, item.asker, {})[: rendering.recipe.distractors + 1]
        yield item, rendering.prompt(item.question, passages, {}), documents_in(drawn_on, passages)


def _text(reply: Mapping[str, Any] | str, house: House) -> str:
    return reply if isinstance(reply, str) else reply_text(reply, house.answer_field, structured=house.structured)
