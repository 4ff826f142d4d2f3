"""How likely a local model finds given texts: (prompt, continuation) pairs → the log-likelihood of each token of the continuation.

    likelihoods(chat, [("Slots can be cancelled … How late may I cancel?", "Until two hours before.")])  →  [[-1.2, -0.4, …]]

Pairs are read in batches of like length, padded on the right, and only the continuation's positions go through the last layer: a
vocabulary of 49,000 is most of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from groundtune.models.local.chat import LocalChat

TOKENS = 2_048  # of a batch, padding included


@torch.inference_mode()
def likelihoods(chat: LocalChat, pairs: Sequence[tuple[str, str]], *, tokens: int = TOKENS) -> list[list[float]]:
    """Return natural logarithms, one a token, in the order of the pairs. A pair longer than the context loses the start of its prompt."""
    prompts: dict[str, list[int]] = {}
    rows: list[tuple[list[int], list[int]]] = []
    for prompt, text in pairs:
        if prompt not in prompts:
            prompts[prompt] = chat.encode([{"role": "user", "content": prompt}])
        said = chat.encode_text(text)[: chat.context - 1]
        rows.append((prompts[prompt][-(chat.context - len(said)) :], said))
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]) + len(rows[place][1]))
    found: list[list[float]] = [[] for _ in rows]
    with chat.base() as model:
        start = 0
        while start < len(order):
            end, longest = start, 0
            while end < len(order):
                size = sum(map(len, rows[order[end]]))
                if end > start and max(longest, size) * (end - start + 1) > tokens:
                    break
                longest = max(longest, size)
                end += 1
            places = order[start:end]
            for place, values in zip(places, _batch(model, [rows[place] for place in places]), strict=True):
                found[place] = values
            start = end
    return found


def _batch(model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> list[list[float]]:
    width = max(len(prompt) + len(said) for prompt, said in rows)
    device = next(model.parameters()).device
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, (prompt, said) in enumerate(rows):
        ids[number, : len(prompt) + len(said)] = torch.tensor(prompt + said)
        mask[number, : len(prompt) + len(said)] = 1
    hidden = model.base_model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state
    values: list[list[float]] = []
    for number, (prompt, said) in enumerate(rows):
        if not said:
            values.append([])
            continue
        # The state before a token is what foretells it.
        states = hidden[number, len(prompt) - 1 : len(prompt) + len(said) - 1]
        told = torch.log_softmax(model.get_output_embeddings()(states).float(), dim=-1)
        values.append(told[torch.arange(len(said)), torch.tensor(said, device=told.device)].tolist())
    return values
