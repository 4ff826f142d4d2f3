"""Rows → token ids, prompt and completion apart: the loss mask is the border between two lists.

Row(messages=…, completion="Two years.")              →  Encoded(prompt=(1, 9, …), completion=(…, end of turn))
Pair(messages=…, chosen="Two.", rejected="No idea.")  →  EncodedPair(chosen=Encoded(…), rejected=Encoded(…)), one prompt
Rated(messages=…, completion="Two.", desirable=True)  →  EncodedRating(own=Encoded(…), other=the prompt with another row's reply)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import StateError
from groundtune.tuning.rows import AnyRow, Pair, Rated, Row

CHECK = "mend it, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as token ids: ``prompt`` carries no loss, ``completion`` (with its end token) carries all of it."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def learned(self) -> tuple[Encoded, ...]:
        """The rows that are read with a gradient: itself."""
        return (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPair:
    """Two completions of one prompt. Its length is what it takes in a batch: two rows as long as the longer one."""

    chosen: Encoded
    rejected: Encoded

    def __len__(self) -> int:
        return 2 * max(len(self.chosen), len(self.rejected))

    @property
    def two(self) -> tuple[Encoded, Encoded]:
        """Both rows, the chosen one first."""
        return self.chosen, self.rejected

    @property
    def learned(self) -> tuple[Encoded, ...]:
        """The rows that are read with a gradient: both, the chosen one first."""
        return self.two


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRating:
    """A rated reply, and beside it the same prompt with the reply of another row: how far the model has moved is measured on those.

    Its length is that of its own row: the other one is read without a gradient, before the batch is cut into parts.
    """

    own: Encoded
    other: Encoded
    desirable: bool

    def __len__(self) -> int:
        return len(self.own)

    @property
    def two(self) -> tuple[Encoded, Encoded]:
        """Both rows, its own first."""
        return self.own, self.other

    @property
    def learned(self) -> tuple[Encoded, ...]:
        """The rows that are read with a gradient: its own."""
        return (self.own,)


def encode(rows: Sequence[Row], tokenizer: Any, max_tokens: int, context: int | None = None) -> list[Encoded]:
    """Turn rows into token ids by the model's own chat template.

    Raises ``StateError`` for a row that has no completion, or is longer than ``max_tokens`` or than the model's ``context``.
    """
    end = _end(tokenizer)
    encoded = []
    for row in rows:
        prompt = _prompt(row, tokenizer)
        completion = _completion(row, row.completion, len(prompt), tokenizer, end, max_tokens, context)
        encoded.append(Encoded(prompt=prompt, completion=completion))
    return encoded


def encode_pairs(pairs: Sequence[Pair], tokenizer: Any, max_tokens: int, context: int | None = None) -> list[EncodedPair]:
    """Turn pairs into token ids, as ``encode``. Raises ``StateError`` also for a pair whose two replies are the same."""
    end = _end(tokenizer)
    encoded = []
    for pair in pairs:
        prompt = _prompt(pair, tokenizer)
        chosen, rejected = (
            Encoded(prompt=prompt, completion=_completion(pair, text, len(prompt), tokenizer, end, max_tokens, context))
            for text in (pair.chosen, pair.rejected)
        )
        if chosen == rejected:
            raise StateError(f"preference {pair.example_id}: chosen and rejected are the same, so nothing could be learned", CHECK)
        encoded.append(EncodedPair(chosen=chosen, rejected=rejected))
    return encoded


def encode_rated(
    rows: Sequence[Rated], tokenizer: Any, max_tokens: int, context: int | None = None, *, beside: Sequence[Rated] = ()
) -> list[EncodedRating]:
    """Turn rated rows into token ids, as ``encode``. Each gets the reply of the next row with another prompt and another reply.

    ``beside`` are further rows whose replies may be taken. Raises ``StateError`` for a row for which there is no other reply that fits.
    """
    end = _end(tokenizer)
    plain = []
    for row in (*rows, *beside):
        prompt = _prompt(row, tokenizer)
        plain.append(Encoded(prompt=prompt, completion=_completion(row, row.completion, len(prompt), tokenizer, end, max_tokens, context)))
    room = max_tokens if context is None else min(max_tokens, context)
    encoded = []
    for place, row in enumerate(rows):
        own = plain[place]
        around = (plain[(place + step) % len(plain)] for step in range(1, len(plain)))
        reply = next(
            (
                item.completion
                for item in around
                if item.prompt != own.prompt and item.completion != own.completion and len(own.prompt) + len(item.completion) <= room
            ),
            None,
        )
        if reply is None:
            raise StateError(
                f"rating {row.example_id}: no other question has another reply that fits in {room} tokens with this one, so how far the"
                " model moves cannot be told",
                "add ratings of other replies or raise max_tokens in its [tuning.*] table, then type: groundtune tune",
            )
        encoded.append(EncodedRating(own=own, other=Encoded(prompt=own.prompt, completion=reply), desirable=row.desirable))
    return encoded


def encode_any(
    rows: Sequence[AnyRow], tokenizer: Any, max_tokens: int, context: int | None = None, *, beside: Sequence[AnyRow] = ()
) -> list[Encoded] | list[EncodedPair] | list[EncodedRating]:
    """Turn rows, pairs or rated rows into token ids; they do not come mixed. ``beside`` is that of ``encode_rated``."""
    pairs = [row for row in rows if isinstance(row, Pair)]
    if pairs:
        return encode_pairs(pairs, tokenizer, max_tokens, context)
    rated = [row for row in rows if isinstance(row, Rated)]
    if rated:
        others = [row for row in beside if isinstance(row, Rated)]
        return encode_rated(rated, tokenizer, max_tokens, context, beside=others)
    return encode([row for row in rows if isinstance(row, Row)], tokenizer, max_tokens, context)


def context_of(config: Any) -> int | None:
    """Return how many tokens a model was made for, where its configuration says so."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else None


def _end(tokenizer: Any) -> int:
    from groundtune.models.local.template import end_of_turn

    return end_of_turn(tokenizer)


def _prompt(row: AnyRow, tokenizer: Any) -> tuple[int, ...]:
    from groundtune.models.local.template import rendered

    return tuple(tokenizer(rendered(tokenizer, row.messages), add_special_tokens=False)["input_ids"])


def _completion(row: AnyRow, text: str, before: int, tokenizer: Any, end: int, max_tokens: int, context: int | None) -> tuple[int, ...]:
    ids = (*tokenizer(text, add_special_tokens=False)["input_ids"], end)
    if len(ids) < 2:
        raise StateError(f"example {row.example_id}: its reply is empty, so nothing could be learned", CHECK)
    whole = before + len(ids)
    if whole > max_tokens:
        raise StateError(
            f"example {row.example_id}: {whole} tokens, but max_tokens is {max_tokens}",
            "raise max_tokens or lower distractors in its [tuning.*] table, then type: groundtune tune",
        )
    if context is not None and whole > context:
        raise StateError(
            f"example {row.example_id}: {whole} tokens, but the model reads at most {context}",
            "lower distractors in its [tuning.*] table or take a model with more context, then type: groundtune tune",
        )
    return ids
