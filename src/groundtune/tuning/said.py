"""What the trainer's own model says to a few prompts, kept beside the adapter that it leaves.

    adapted model, holding the weights that were kept  →  said.json  {"prompts": [[messages]], "tokens": [[ids]], "limit": 24, "dtype": "…"}

Whoever loads the adapter later, merges it or writes it in another form can be held against that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.files import write_json
from groundtune.models.tuned import ADAPTER, WHOLE

FILE = "said.json"
LIMIT = 24  # new tokens a prompt: a difference in the weights shows in the first few, or in none
ROWS = 8  # prompts that are answered at once


def encoded(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return a prompt as training and serving make it: template to text, text to ids."""
    text = tokenizer.apply_chat_template([dict(message) for message in messages], add_generation_prompt=True, tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def say(model: Any, tokenizer: Any, prompts: Sequence[Sequence[Mapping[str, str]]], *, limit: int = LIMIT) -> list[list[int]]:
    """Return the greedy continuation of each prompt as token ids, less the token that ends it, by the loop that serves answers."""
    from groundtune.models.local.chat import end_tokens
    from groundtune.models.local.generate import Row, generate

    model.eval()
    ends = end_tokens(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    rows = [Row(prompt=encoded(tokenizer, messages)) for messages in prompts]
    for begin in range(0, len(rows), ROWS):
        generate(model, rows[begin : begin + ROWS], limit=limit, ends=ends, pad=int(pad))
    return [row.tokens for row in rows]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Return at most ``count`` of the items, spread evenly over them."""
    wanted = min(len(items), count)
    return [items[math.floor(place * len(items) / wanted)] for place in range(wanted)] if wanted else []


def shorter(prompts: Sequence[Sequence[Mapping[str, str]]], count: int) -> list[Sequence[Mapping[str, str]]]:
    """Return at most ``count`` prompts out of the shorter half: reading costs the time, and a difference shows in the words that follow."""
    by_length = sorted(range(len(prompts)), key=lambda place: (sum(len(message["content"]) for message in prompts[place]), place))
    return spread([prompts[place] for place in sorted(by_length[: max(count, (len(prompts) + 1) // 2)])], count)


def keep(adapted: Any, tokenizer: Any, prompts: Sequence[Sequence[Mapping[str, str]]], folder: Path) -> None:
    """Put the weights that training kept in ``folder`` into its own model again, ask it the prompts, and write ``said.json`` there."""
    from safetensors.torch import load_file

    # After the last step the model holds other weights than those of the best look at the dev rows.
    if (folder / ADAPTER).is_file():
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(adapted, load_file(str(folder / ADAPTER)))
    else:
        # Weights that are tied are written once, so not every name is in the file.
        adapted.load_state_dict(load_file(str(folder / WHOLE)), strict=False)
    tokens = say(adapted, tokenizer, prompts)
    dtype = str(next(adapted.parameters()).dtype).removeprefix("torch.")
    write_json(folder / FILE, {"schema": 1, "limit": LIMIT, "dtype": dtype, "prompts": [list(p) for p in prompts], "tokens": tokens})


def kept(folder: Path) -> dict[str, Any] | None:
    """Return what ``keep`` wrote, or ``None`` for an adapter that was trained before this was kept."""
    path = folder / FILE
    if not path.is_file():
        return None
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row
