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

from groundtune.models.batches import shared_prefix
from groundtune.models.local.attention import sharing
from groundtune.models.local.cache import Prefixes, Reads, attends_fully, new_cache, parts_of
from groundtune.models.local.grammar import Matcher, Stuck, forbid

# Tokens that are read in one pass: more outgrow the processor's cache, and their activations the memory.
READ_TOKENS = 2_048


@dataclass(slots=True)
class Row:
    """One prompt on its way. ``queue`` holds tokens that are decided but not yet read by the model.

    ``logprobs``, where it is a list, gets the log-probability of each of ``tokens`` among those that were allowed, ``None`` for one that
    the grammar left no choice about.
    """

    prompt: list[int]
    matcher: Matcher | None = None
    tokens: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    first: float | None = None
    total: float = 0.0
    done: bool = False
    truncated: bool = False
    failure: str | None = None
    logprobs: list[float | None] | None = None


@torch.inference_mode()
def generate(
    model: Any,
    rows: Sequence[Row],
    *,
    limit: int,
    ends: frozenset[int],
    pad: int,
    prefixes: Prefixes | None = None,
    reads: Reads | None = None,
    label: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Fill ``tokens``, ``first``, ``total`` and ``truncated`` of every row; seconds count from the call.

    ``limit`` bounds the new tokens of a row; ``ends`` are the tokens that end it (they are not kept). ``prefixes`` remembers shared
    beginnings between calls and ``reads`` whole batches of prompts, under ``label`` for the adapter that is switched on. Where a batch was
    read before, the seconds that reading it took then are counted again: they are what the answer costs by itself.
    """
    began = clock()
    device = next(model.parameters()).device
    for row in rows:
        _take_forced(row, limit, ends)
    alive = [row for row in rows if not row.done]
    if not alive:
        return
    prompts = [row.prompt for row in alive]
    shared = shared_prefix(prompts) if len(prompts) > 1 and attends_fully(model.config) else 0
    width = max(len(prompt) for prompt in prompts)
    cache = new_cache(model.config, width + limit)
    ids, mask, positions = _left_padded(prompts, shared, width, pad, device)
    known = None if reads is None else reads.again(label, prompts, cache)
    if known is not None:
        logits, began = known.logits, clock() - known.seconds
    else:
        if shared:
            (prefixes or Prefixes()).read(model, prompts[0][:shared], cache, label)
            cache.batch_repeat_interleave(len(prompts))
        with sharing(shared):
            logits = _read(model, cache, ids, mask, positions)
        if reads is not None:
            reads.keep(label, prompts, cache, shared, logits, clock() - began)
    while True:
        _choose(alive, logits, limit, ends, began, clock)
        keep = _closed_up([row.done for row in alive])
        if not keep:
            return
        if len(keep) < len(alive):
            index = torch.tensor(keep, device=device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]
            alive = [alive[place] for place in keep]
        step = min(len(row.queue) for row in alive)
        ids = torch.tensor([row.queue[:step] for row in alive], device=device)
        for row in alive:
            del row.queue[:step]
        mask = torch.cat([mask, mask.new_ones((len(alive), step))], dim=1)
        positions = positions[:, -1:] + torch.arange(1, step + 1, device=device)
        with sharing(shared):
            logits = _read(model, cache, ids, mask, positions)


def _read(model: Any, cache: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Read the next tokens of all rows, a few rows at a time where they are many; return the logits after them, (rows, vocabulary)."""
    parts = parts_of(cache, len(ids), max(1, READ_TOKENS // ids.shape[1]))
    logits = []
    for begin, end, part in parts:
        # Neighbours are of like length: what is padding for all of them is not read.
        pads = 0
        if len(parts) > 1 and part.layers[0].is_initialized:
            pads = int((mask[begin:end, -ids.shape[1] :] == 0).all(dim=0).sum())
            for layer in part.layers:
                layer.skip(pads)
        output = model(
            input_ids=ids[begin:end, pads:],
            attention_mask=mask[begin:end],
            position_ids=positions[begin:end, pads:],
            past_key_values=part,
            use_cache=True,
            logits_to_keep=1,
        )
        logits.append(output.logits[:, -1])
    if len(parts) > 1:
        for layer in cache.layers:
            layer.advance(ids.shape[1])
    return torch.cat(logits) if len(logits) > 1 else logits[0]


def _left_padded(
    prompts: Sequence[list[int]], shared: int, width: int, pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids and positions of what follows the shared prefix, (rows, width - shared), and the mask of all, (rows, width)."""
    ids = torch.full((len(prompts), width - shared), pad, dtype=torch.long)
    positions = torch.zeros_like(ids)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    mask[:, :shared] = 1
    for place, prompt in enumerate(prompts):
        rest = len(prompt) - shared
        ids[place, -rest:] = torch.tensor(prompt[shared:])
        positions[place, -rest:] = torch.arange(shared, len(prompt))
        mask[place, -rest:] = 1
    return ids.to(device), mask.to(device), positions.to(device)


def _closed_up(done: Sequence[bool]) -> list[int]:
    """Return which row each place holds once those that are done have left: gaps are filled from the end, the others stay."""
    stay = sum(not item for item in done)
    spare = [place for place in range(stay, len(done)) if not done[place]]
    return [place if not done[place] else spare.pop() for place in range(stay)]


def _choose(alive: Sequence[Row], logits: torch.Tensor, limit: int, ends: frozenset[int], began: float, clock: Callable[[], float]) -> None:
    """Give every row without decided tokens its next one, and mark the rows that end."""
    open_rows = [(number, row) for number, row in enumerate(alive) if not row.queue]
    if not open_rows:
        return
    scores = logits[[number for number, _ in open_rows]].float()
    matched = [(place, row.matcher, limit - len(row.tokens)) for place, (_, row) in enumerate(open_rows) if row.matcher is not None]
    if matched:
        bits = torch.full((len(open_rows), (scores.shape[1] + 31) // 32), -1, dtype=torch.int32)
        for place, matcher, left in matched:
            matcher.mask(bits[place], left)
        forbid(scores, bits)
    chosen = scores.argmax(dim=-1).tolist()
    sure = _sure(scores, [row.logprobs is not None for _, row in open_rows])
    now = clock() - began
    for (_, row), token, logprob in zip(open_rows, chosen, sure, strict=True):
        row.first = now if row.first is None else row.first
        _accept(row, token, limit, ends, logprob)
        if row.done:
            row.total = now


def _sure(scores: torch.Tensor, wanted: Sequence[bool]) -> list[float | None]:
    """Return the log-probability of the best token of each row of scores, (rows, vocabulary), that it is wanted of."""
    rows = [place for place, want in enumerate(wanted) if want]
    found: list[float | None] = [None] * len(wanted)
    if rows:
        part = scores[rows]
        for place, value in zip(rows, (part.amax(dim=-1) - part.logsumexp(dim=-1)).tolist(), strict=True):
            found[place] = value
    return found


def _accept(row: Row, token: int, limit: int, ends: frozenset[int], logprob: float | None) -> None:
    if token in ends:
        row.done = True
        return
    if row.matcher is not None:
        try:
            row.matcher.take(token)
        except Stuck as error:
            row.done, row.failure = True, f"constrained decoding broke off: {error}"
            return
    row.tokens.append(token)
    row.queue.append(token)
    if row.logprobs is not None:
        row.logprobs.append(logprob)
    _take_forced(row, limit, ends)


def _take_forced(row: Row, limit: int, ends: frozenset[int]) -> None:
    """Add the tokens that the grammar leaves no choice about, and see whether the row has ended."""
    if row.matcher is not None:
        try:
            forced = [token for token in row.matcher.forced() if token not in ends]
        except Stuck as error:
            row.done, row.failure = True, f"constrained decoding broke off: {error}"
            return
        row.truncated = len(row.tokens) + len(forced) > limit
        forced = forced[: limit - len(row.tokens)]
        row.tokens += forced
        row.queue += forced
        if row.logprobs is not None:
            row.logprobs += [None] * len(forced)
        row.done = row.matcher.finished
        row.truncated = row.truncated or row.matcher.closed_early
    if not row.done and len(row.tokens) >= limit:
        row.done = row.truncated = True
