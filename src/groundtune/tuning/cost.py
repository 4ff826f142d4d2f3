"""What a run will take, before it starts: memory from the model's shape and the rows, time from a product timed on this machine.

    Plan(memory=3.1 GB of which weights 0.5, optimiser 0.1, activations 1.7, …; free=7.9 GB; seconds=510)

Memory is that of the largest part of a batch. Activations are counted as the numbers that a block of a Llama-like model keeps for its
gradient, per token: KEPT_HIDDEN × hidden size + KEPT_INNER × inner size + 2 × keys and values, checked against measured peaks
(docs/guides/tuning.md). A run that does not fit is refused, with the first setting that would make it fit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import StateError
from groundtune.models import memory
from groundtune.progress import clock_text
from groundtune.tables import TuningTable
from groundtune.tuning.batches import packs_of, parts_of, schedule
from groundtune.tuning.encode import Encoded, EncodedPair, EncodedRating

KEPT_HIDDEN, KEPT_INNER = 16, 6
FOUR_BIT_BYTES = 0.56  # half a byte a weight, and the constants of its block
TRAINING_SHARE = 0.6  # of the speed of a timed product that a training step reaches
GIGA = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a model is made of: numbers of weights and sizes.

    ``linear`` are the weights of layers that can be held in 4 bits; ``adapted`` those layers as (block, inputs, outputs).
    """

    parameters: int
    linear: int
    adapted: tuple[tuple[int, int, int], ...]
    layers: int
    hidden: int
    inner: int
    keys_values: int
    vocabulary: int
    target_modules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Bytes by what they are for, what is free (``None``: nobody knows) and where, seconds, tokens a run reads, and its steps."""

    memory: Mapping[str, int]
    free: int | None
    where: str
    seconds: float
    tokens: int
    steps: int
    trained: int
    parameters: int

    @property
    def bytes(self) -> int:
        """All of it together."""
        return sum(self.memory.values())

    @property
    def more(self) -> int:
        """What is not in use yet."""
        return self.bytes - self.memory["in use now"]

    def told(self) -> str:
        """Return it as a line for people."""
        parts = ", ".join(f"{name} {value / GIGA:.2f}" for name, value in self.memory.items())
        room = "unknown" if self.free is None else f"{self.free / GIGA:.1f} GB"
        return (
            f"{self.steps:,} steps, {self.tokens:,} tokens, {self.trained:,} of {self.parameters:,} weights trained;"
            f" about {self.bytes / GIGA:.1f} GB {self.where} ({parts}), {room} free; about {clock_text(self.seconds)}"
        )


def shape_of(chat: Mapping[str, Any]) -> tuple[Shape, Any, Any]:
    """Return the shape of a model, its configuration and its tokenizer; its weights are not read. Raises ``WeightsError``."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from groundtune.errors import WeightsError
    from groundtune.models.local import load
    from groundtune.tuning.methods import linear_names

    folder, _ = load.resolve(str(chat.get("model") or load.EMBEDDED))
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{folder}: is no language model that can be tuned ({error})", load.CHECK) from error
    text = model.config.get_text_config()
    names = set(linear_names(model))
    adapted = tuple(
        (int(next((part for part in name.split(".") if part.isdigit()), -1)), part.in_features, part.out_features)
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and name.rsplit(".", 1)[-1] in names
    )
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    shape = Shape(
        parameters=sum(value.numel() for value in model.parameters()),
        linear=sum(wide * long for _, wide, long in adapted),
        adapted=adapted,
        layers=text.num_hidden_layers,
        hidden=max(text.hidden_size, heads * size),
        inner=text.intermediate_size,
        keys_values=(getattr(text, "num_key_value_heads", None) or heads) * size,
        vocabulary=text.vocab_size,
        target_modules=tuple(sorted(names)),
    )
    return shape, config, load.tokenizer_of(folder)


def plan(
    shape: Shape,
    recipe: TuningTable,
    data: Sequence[Encoded] | Sequence[EncodedPair] | Sequence[EncodedRating],
    *,
    seed: int,
    half: bool,
    flops: float,
) -> Plan:
    """Return what a run takes. ``half``: products are in bf16; ``flops``: multiply-adds a second that this machine does, times two."""
    items: list[Any] = list(data)
    lengths = [len(item) for item in items]
    first = schedule(lengths, batch=recipe.batch, epoch=0, seed=seed)
    cut = packs_of if recipe.packing else parts_of
    parts = [part for numbers in first for part in cut([items[number] for number in numbers], recipe.memory_tokens)]
    free, where = memory.free()
    trained = trained_weights(shape, recipe)
    tokens = sum(lengths) * recipe.epochs
    # Two operations a weight to read, two more to find the gradient of what was read, two more for that of the weight itself.
    depth = 1.0 if recipe.layers is None else min(1.0, recipe.layers / shape.layers)
    passes = 2 + 2 * depth + (2 * depth if recipe.method == "full" else 0) + (2 if recipe.gradient_checkpointing else 0)
    # Read without a gradient: all replies before the first step, and with kto those to other questions in every epoch too.
    once = 2 * sum(lengths) if recipe.objective in ("dpo", "kto") else 0
    once += sum(2 * (1 + recipe.epochs) * len(item.other) for item in items if isinstance(item, EncodedRating))
    return Plan(
        memory=_memory(shape, recipe, parts, trained, half=half),
        free=free,
        where=where,
        seconds=shape.parameters * (tokens * passes + once) / (flops * TRAINING_SHARE),
        tokens=tokens,
        steps=len(first) * recipe.epochs,
        trained=trained,
        parameters=shape.parameters,
    )


def trained_weights(shape: Shape, recipe: TuningTable) -> int:
    """Return how many weights a method trains."""
    first = 0 if recipe.layers is None else max(0, shape.layers - recipe.layers)
    inside = [(wide, long) for layer, wide, long in shape.adapted if layer >= first]
    if recipe.method == "full":
        return shape.parameters if not first else sum(wide * long for wide, long in inside)
    return sum(recipe.rank * (wide + long) + (long if recipe.method == "dora" else 0) for wide, long in inside)


def require_room(name: str, asked: Plan, shape: Shape, recipe: TuningTable, data: Sequence[Any], *, seed: int, half: bool) -> None:
    """Raise ``StateError`` where the run does not fit, naming the first setting that would make it fit."""
    if asked.free is None or asked.more <= asked.free:
        return
    longest = max(map(len, data))
    for words, other in _smaller(recipe, longest):
        if plan(shape, other, data, seed=seed, half=half, flops=1.0).more <= asked.free:
            advice = f"set {words} in [tuning.{name}], then type: groundtune tune {name}"
            break
    else:
        advice = "no setting makes it fit: take a smaller model in [chat], or a machine with more memory, then type: groundtune tune"
    raise StateError(
        f"tuning {name} needs about {asked.more / GIGA:.1f} GB more, and {asked.free / GIGA:.1f} GB are free {asked.where}:"
        f" {', '.join(f'{key} {value / GIGA:.2f}' for key, value in asked.memory.items())}",
        advice,
    )


def machine_flops(half: bool) -> float:
    """Return the operations a second of a matrix product where models run here, timed for some hundredths of a second."""
    import torch

    from groundtune.models.local.load import device

    place = device()
    size = 4096 if place.type == "cuda" else 768
    left = torch.ones((size, size), dtype=torch.bfloat16 if half else torch.float32, device=place)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        (left @ left).sum().item()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def _memory(shape: Shape, recipe: TuningTable, parts: Sequence[Sequence[Any]], trained: int, *, half: bool) -> dict[str, int]:
    word = 2 if half else 4
    weights = shape.parameters * (4 if recipe.method == "full" else word)
    if recipe.method == "qlora":
        weights = int(shape.linear * FOUR_BIT_BYTES) + (shape.parameters - shape.linear) * word
    layer = (KEPT_HIDDEN * shape.hidden + KEPT_INNER * shape.inner + 2 * shape.keys_values) * word
    # Layers below the lowest trained one keep nothing for a gradient, but one of them is there while it is computed.
    deep = shape.layers if recipe.layers is None else min(shape.layers, recipe.layers + 1)
    kept = shape.layers * shape.hidden * word + layer if recipe.gradient_checkpointing else deep * layer
    activations = logits = 0
    for part in parts:
        tokens, columns = _size(part, packing=recipe.packing)
        activations = max(activations, tokens * kept)
        # Logits in their own format, in fp32, and their gradient.
        logits = max(logits, columns * shape.vocabulary * (word + 8))
    moments = trained * (12 if recipe.method == "full" else 16)
    return {
        "in use now": 0 if memory.free()[1] == "on the GPU" else memory.used(),
        "weights": int(weights),
        "trained": int(moments),
        "activations": int(activations),
        "logits": int(logits),
    }


def _size(part: Sequence[Any], *, packing: bool) -> tuple[int, int]:
    """Return the tokens of a part in memory, padding included, and the columns of its rows for which logits are computed."""
    rows = [row for item in part for row in item.learned]
    if packing:
        return sum(map(len, rows)), sum(len(row.completion) for row in rows)
    return len(rows) * max(map(len, rows)), len(rows) * (max(len(row.completion) for row in rows) + 1)


def _smaller(recipe: TuningTable, longest: int) -> Iterator[tuple[str, TuningTable]]:
    """Yield changes that cost memory least in quality, the mildest first: what it says, and the recipe with it."""
    memory = recipe.memory_tokens
    least = recipe
    while memory > longest:
        memory = max(longest, memory // 2)
        least = recipe.model_copy(update={"memory_tokens": memory})
        yield f"memory_tokens = {memory}", least
    if not recipe.gradient_checkpointing:
        least = least.model_copy(update={"gradient_checkpointing": True})
        yield "gradient_checkpointing = true", recipe.model_copy(update={"gradient_checkpointing": True})
        yield f"memory_tokens = {least.memory_tokens} and gradient_checkpointing = true", least
    if recipe.method == "full":
        least = least.model_copy(update={"method": "lora"})
        yield 'method = "lora"', recipe.model_copy(update={"method": "lora"})
        yield f'method = "lora", memory_tokens = {least.memory_tokens} and gradient_checkpointing = true', least
    if recipe.method in ("full", "lora"):
        least = least.model_copy(update={"method": "qlora"})
        yield f'method = "qlora", memory_tokens = {least.memory_tokens} and gradient_checkpointing = true', least
