"""Attention of many rows to a beginning they share: its keys and values are read from memory once a step, not once a row.

    step of 36 rows, 449 shared tokens, 430 of each row's own
      shared   36 queries × one copy of 449 keys     ┐ each softmax apart, then weighed by
      own      each query × its row's 430 keys       ┘ the sums that the softmaxes divided by

A step is bound by memory, so half of the reading saved is half of the attention's time. The result is that of attention over all keys, up
to rounding (the merge of partial softmaxes: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "groundtune-shared-prefix"

# How many tokens the rows of the batch share that is being decoded; 0: nothing is known of it.
_SHARED: ContextVar[int] = ContextVar("shared", default=0)


@contextmanager
def sharing(tokens: int) -> Iterator[None]:
    """Say that the first ``tokens`` keys and values of all rows are the same, and masked for none."""
    before = _SHARED.set(tokens)
    try:
        yield
    finally:
        _SHARED.reset(before)


def install(model: Any) -> None:
    """Let a model attend by this module. One that does not choose its attention by name stays as it is."""
    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as ``sdpa`` does. ``query`` (rows, heads, tokens, size), ``key`` and ``value`` (rows, key heads, all tokens, size)."""
    shared = _SHARED.get()
    rows, heads, tokens, size = query.shape
    special = any(rest.get(name) is not None for name in ("softcap", "position_bias", "s_aux", "cache"))
    alike = attention_mask is None or attention_mask.shape[1] == 1
    if not shared or rows == 1 or tokens != 1 or special or not alike or query.device.type != "cpu" or shared >= key.shape[2]:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **rest)
        return found
    groups, each = key.shape[1], heads // key.shape[1]
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    # The query heads of a key head stand where other tokens would stand: none of them is masked against another.
    asked = query.view(rows, groups, each, size)
    own_mask = None if attention_mask is None else _added(attention_mask[..., shared:], query.dtype)
    own, own_sum = flash(asked, key[:, :, shared:], value[:, :, shared:], attn_mask=own_mask, scale=scaling)
    all_asked = asked.transpose(0, 1).reshape(1, groups, rows * each, size)
    first, first_sum = flash(all_asked, key[:1, :, :shared], value[:1, :, :shared], scale=scaling)
    first = first.view(groups, rows, each, size).transpose(0, 1)
    first_sum = first_sum.view(groups, rows, each).transpose(0, 1)
    weight = torch.sigmoid(first_sum - own_sum).unsqueeze(-1).to(query.dtype)
    return torch.lerp(own, first, weight).reshape(rows, 1, heads, size), None


def _added(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask as numbers to add."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, float("-inf"))
