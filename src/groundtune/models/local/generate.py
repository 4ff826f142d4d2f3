"""Token ids of a batch of prompts → token ids of their greedy continuations.

    prompts      [A B C x]            shared prefix A B C: computed once, its keys and values repeated over the rows
                 [A B C y z]
    in the batch  A B C · x           pads stand between prefix and rest, masked, and positions skip them
                  A B C y z

Rows leave the batch as they end. What each row gets is what it would get alone, up to the rounding of sums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from groundtune.models.local.grammar import Matcher, forbid


@dataclass(slots=True)
class Row:
    """One prompt on its way. ``queue`` holds tokens that are decided but not yet read by the model."""

    prompt: list[int]
    matcher: Matcher | None = None
    tokens: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    first: float | None = None
    total: float = 0.0
    done: bool = False
    truncated: bool = False


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all prompts share, leaving each at least one of its own."""
    if not prompts:
        return 0
    shortest = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    for position in range(shortest):
        if any(prompt[position] != first[position] for prompt in prompts[1:]):
            return position
    return max(0, shortest)


def can_share(config: Any) -> bool:
    """Whether pads may stand inside the sequence: only where every layer attends to everything before it."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds == {"full_attention"} and not (getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True))


@torch.inference_mode()
def generate(
    model: Any, rows: Sequence[Row], *, limit: int, ends: frozenset[int], pad: int, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Fill ``tokens``, ``first``, ``total`` and ``truncated`` of every row; seconds count from the call.

    ``limit`` bounds the new tokens of a row; ``ends`` are the tokens that end it (they are not kept).
    """
    began = clock()
    device = next(model.parameters()).device
    shared = shared_prefix([row.prompt for row in rows]) if len(rows) > 1 and can_share(model.config) else 0
    width = max(len(row.prompt) for row in rows)
    cache = DynamicCache(config=model.config)
    if shared:
        prefix = torch.tensor([rows[0].prompt[:shared]], device=device)
        model(input_ids=prefix, attention_mask=torch.ones_like(prefix), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(rows))
    ids = torch.full((len(rows), width - shared), pad, device=device)
    mask = torch.zeros((len(rows), width), dtype=torch.long, device=device)
    mask[:, :shared] = 1
    positions = torch.zeros((len(rows), width - shared), dtype=torch.long, device=device)
    for number, row in enumerate(rows):
        rest = len(row.prompt) - shared
        ids[number, -rest:] = torch.tensor(row.prompt[shared:], device=device)
        mask[number, width - rest :] = 1
        positions[number, -rest:] = torch.arange(shared, len(row.prompt), device=device)
    alive = list(rows)
    while True:
        output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        _choose(alive, output.logits[:, -1], limit, ends, began, clock)
        keep = [number for number, row in enumerate(alive) if not row.done]
        if not keep:
            return
        if len(keep) < len(alive):
            index = torch.tensor(keep, device=device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]
            alive = [alive[number] for number in keep]
        step = min(len(row.queue) for row in alive)
        ids = torch.tensor([row.queue[:step] for row in alive], device=device)
        for row in alive:
            del row.queue[:step]
        mask = torch.cat([mask, mask.new_ones((len(alive), step))], dim=1)
        positions = positions[:, -1:] + torch.arange(1, step + 1, device=device)


def _choose(alive: Sequence[Row], logits: torch.Tensor, limit: int, ends: frozenset[int], began: float, clock: Callable[[], float]) -> None:
    """Give every row without decided tokens its next one, and mark the rows that end."""
    open_rows = [(number, row) for number, row in enumerate(alive) if not row.queue]
    if not open_rows:
        return
    scores = logits[[number for number, _ in open_rows]].float()
    matched = [(place, row.matcher) for place, (_, row) in enumerate(open_rows) if row.matcher is not None]
    if matched:
        bits = torch.full((len(open_rows), (scores.shape[1] + 31) // 32), -1, dtype=torch.int32)
        for place, matcher in matched:
            matcher.mask(bits[place])
        forbid(scores, bits)
    chosen = scores.argmax(dim=-1).tolist()
    now = clock() - began
    for (_, row), token in zip(open_rows, chosen, strict=True):
        row.first = now if row.first is None else row.first
        _accept(row, token, limit, ends)
        if row.done:
            row.total = now


def _accept(row: Row, token: int, limit: int, ends: frozenset[int]) -> None:
    if token in ends:
        row.done = True
        return
    taken = [token]
    if row.matcher is not None:
        row.matcher.take(token)
        taken += row.matcher.forced()
    taken = [item for item in taken if item not in ends][: limit - len(row.tokens)]
    row.tokens += taken
    row.queue += taken
    if row.matcher is not None and row.matcher.finished:
        row.done = True
    elif len(row.tokens) >= limit:
        row.done = row.truncated = True
