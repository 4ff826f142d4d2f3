"""One version in all its forms, the same prompts: the same words, or where they part.

    trainer's model ─┐ in the number format of the training
    adapter reloaded ┘
    adapter reloaded ┐ in float32
    merged           │
    each export     ─┘

The two groups are compared within themselves: bfloat16 and float32 may part at a near tie, and that is no fault of a form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.models.tuned import ADAPTER
from groundtune.registry import merge
from groundtune.tuning import said
from groundtune.types import Score

METRIC = "parity"
Prompt = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a form first says something else. ``margin`` is how far a model's first choice is there ahead of its second, in logits.

    Where that is below about 0.01, it is a tie that rounding decides; where it is not, the form holds other weights.
    """

    form: str
    reference: str
    prompt: int
    place: int
    wanted: str
    said: str
    margin: float | None


def differences(
    form: str,
    tokens: Sequence[Sequence[int]],
    reference: str,
    wanted: Sequence[Sequence[int]],
    decode: Callable[[Sequence[int]], str],
    margin: Callable[[int, int], float] | None = None,
) -> list[Difference]:
    """Return the prompts to which a form answers otherwise than the reference does; ``margin(prompt, place)`` is asked for each."""
    found = []
    for number, (mine, theirs) in enumerate(zip(tokens, wanted, strict=True)):
        if list(mine) == list(theirs):
            continue
        place = next((at for at, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
        found.append(
            Difference(
                form=form,
                reference=reference,
                prompt=number,
                place=place,
                wanted=decode(theirs),
                said=decode(mine),
                margin=None if margin is None else round(margin(number, place), 4),
            )
        )
    return found


def margin_of(model: Any, tokenizer: Any, prompts: Sequence[Prompt], tokens: Sequence[Sequence[int]]) -> Callable[[int, int], float]:
    """Return what tells the lead of a model's first choice over its second, at a place of what it said to a prompt."""

    def margin(prompt: int, place: int) -> float:
        import torch

        ids = said.encoded(tokenizer, prompts[prompt]) + list(tokens[prompt][:place])
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids], device=next(model.parameters()).device), logits_to_keep=1).logits[0, -1].float()
        first, second = logits.topk(2).values.tolist()
        return float(first - second)

    return margin


def measure(folder: Path, chat: Mapping[str, Any], *, arm: str) -> tuple[list[Score], list[Difference]]:
    """Compare trainer, reloaded adapter and merged model; return a score for each prompt, 1 where all agree, and the differences.

    A version that was trained before its own words were kept gets scores without a value: parity was then not measured.
    """
    record = said.kept(folder)
    if record is None:
        return [_score("0", None, "the trainer's own words were not kept with this version; tune it again", arm)], []
    prompts: list[Prompt] = record["prompts"]
    limit = int(record["limit"])
    reloaded_as = "adapter reloaded" if (folder / ADAPTER).is_file() else "model reloaded"
    model, tokenizer = merge.adapted(chat, folder, record["dtype"])
    reloaded = said.say(model, tokenizer, prompts, limit=limit)
    found = differences(
        f"{reloaded_as} ({record['dtype']})",
        reloaded,
        "trainer",
        record["tokens"],
        tokenizer.decode,
        margin_of(model, tokenizer, prompts, record["tokens"]),
    )
    if record["dtype"] != "float32":
        model, tokenizer = merge.adapted(chat, folder, "float32")
        reloaded = said.say(model, tokenizer, prompts, limit=limit)
    if reloaded_as == "model reloaded":
        # Full tuning leaves whole weights: there is nothing to merge, and their float32 form is what exports are made of.
        return _scores(found, prompts, arm), found
    plain = merge.merged(model)
    said_merged = said.say(plain, tokenizer, prompts, limit=limit)
    found += differences(
        "merged (float32)",
        said_merged,
        f"{reloaded_as} (float32)",
        reloaded,
        tokenizer.decode,
        margin_of(plain, tokenizer, prompts, reloaded),
    )
    return _scores(found, prompts, arm), found


def _scores(found: Sequence[Difference], prompts: Sequence[Prompt], arm: str) -> list[Score]:
    wrong = {item.prompt: item for item in found}
    return [
        _score(str(number), 0.0 if number in wrong else 1.0, f"{wrong[number].form} differs" if number in wrong else "all forms agree", arm)
        for number in range(len(prompts))
    ]


def _score(example: str, value: float | None, reason: str, arm: str) -> Score:
    return Score(
        answer_id=f"{METRIC}:{example}:{arm}",
        example_id=f"prompt:{example}",
        arm=arm,
        metric=METRIC,
        value=value,
        reason=reason,
        signature=f"parity|limit:{said.LIMIT}|v1",
    )
