"""Rows → token ids, prompt and completion apart: the loss mask is the border between two lists.

Row(messages=…, completion="Two years.")              →  Encoded(prompt=(1, 9, …), completion=(…, end of turn))
Pair(messages=…, chosen="Two.", rejected="No idea.")  →  EncodedPair(chosen=Encoded(…), rejected=Encoded(…)), one prompt
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import StateError
from groundtune.tuning.rows import Pair, Row

CHECK = "mend it, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as token ids: ``prompt`` carries no loss, ``completion`` (with its end token) carries all of it."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPair:
    """Two completions of one prompt. Its length is what it takes in a batch: two rows as long as the longer one."""

    chosen: Encoded
    rejected: Encoded

    def __len__(self) -> int:
        return 2 * max(len(self.chosen), len(self.rejected))


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


def encode_any(
    rows: Sequence[Row | Pair], tokenizer: Any, max_tokens: int, context: int | None = None
) -> list[Encoded] | list[EncodedPair]:
    """Turn rows, or pairs, into token ids; they do not come mixed."""
    pairs = [row for row in rows if isinstance(row, Pair)]
    if pairs:
        return encode_pairs(pairs, tokenizer, max_tokens, context)
    return encode([row for row in rows if isinstance(row, Row)], tokenizer, max_tokens, context)


def context_of(config: Any) -> int | None:
    """Return how many tokens a model was made for, where its configuration says so."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else None


def _end(tokenizer: Any) -> int:
    from groundtune.models.local.template import end_of_turn

    return end_of_turn(tokenizer)


def _prompt(row: Row | Pair, tokenizer: Any) -> tuple[int, ...]:
    from groundtune.models.local.template import rendered

    return tuple(tokenizer(rendered(tokenizer, row.messages), add_special_tokens=False)["input_ids"])


def _completion(row: Row | Pair, text: str, before: int, tokenizer: Any, end: int, max_tokens: int, context: int | None) -> tuple[int, ...]:
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
