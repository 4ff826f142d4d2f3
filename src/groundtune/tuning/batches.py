"""The order of the rows, and what of a batch is in memory at once. All of it is a function of the seed, the epoch and the rows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence, Sized
from typing import TypeVar

from groundtune.tables import TuningTable

Item = TypeVar("Item", bound=Sized)


def schedule(lengths: Sequence[int], *, batch: int, epoch: int, seed: int) -> list[list[int]]:
    """Return one epoch's batches of row numbers: rows of like length together, batches in random order."""
    chance = random.Random(f"{seed}:{epoch}")  # noqa: S311
    order = list(range(len(lengths)))
    chance.shuffle(order)
    pool = batch * 8
    batches = []
    for begin in range(0, len(order), pool):
        near = sorted(order[begin : begin + pool], key=lambda index: (lengths[index], index))
        batches += [near[i : i + batch] for i in range(0, len(near), batch)]
    chance.shuffle(batches)
    return batches


def parts_of(batch: Sequence[Item], memory_tokens: int) -> list[list[Item]]:
    """Cut a batch into parts of at most ``memory_tokens`` tokens, padding included, so that one part at a time is in memory.

    The gradients of the parts add up to the batch's, so the cut changes memory and not what is learned.
    """
    parts: list[list[Item]] = [[]]
    for row in sorted(batch, key=len):
        if parts[-1] and (len(parts[-1]) + 1) * len(row) > memory_tokens:
            parts.append([])
        parts[-1].append(row)
    return [part for part in parts if part]


def packs_of(batch: Sequence[Item], memory_tokens: int) -> list[list[Item]]:
    """Cut a batch into packs whose tokens together are at most ``memory_tokens``: each longest row goes where it just fits."""
    packs: list[list[Item]] = []
    for row in sorted(batch, key=len, reverse=True):
        fitting = [pack for pack in packs if sum(map(len, pack)) + len(row) <= memory_tokens]
        if fitting:
            max(fitting, key=lambda pack: sum(map(len, pack))).append(row)
        else:
            packs.append([row])
    return packs


def rate_at(step: int, total: int, recipe: TuningTable) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then a cosine down to a tenth."""
    warm = max(1, round(total * recipe.warmup))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return recipe.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))
