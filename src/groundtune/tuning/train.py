"""One readable LoRA run: rows → adapter. Only completions carry loss; a run that is broken off goes on where it stopped.

    loss(row) = mean over its batch's completion tokens of -log p(token | everything before it)

Rows are padded on the left, as in serving, so the completions of a batch line up at the end and logits are computed for those columns only:
of a vocabulary of 49,152 that is most of the memory. Checkpoints hold the adapter, the optimiser's moments and the step, as
safetensors and JSON; the order of the rows is a function of the seed and the epoch, so resumed and unbroken runs take the same steps.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.files import storing, write_json
from groundtune.models.batches import shared_prefix
from groundtune.progress import Progress
from groundtune.tables import TuningTable
from groundtune.tuning.trainset import Row

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label that torch's cross entropy leaves out


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as token ids: ``prompt`` carries no loss, ``completion`` (with its end token) carries all of it."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


@dataclass(slots=True)
class State:
    """Where a run stands; all of it is in every checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int = 0
    looks_without_gain: int = 0
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def encode(rows: Sequence[Row], tokenizer: Any, max_tokens: int) -> list[Encoded]:
    """Turn rows into token ids by the model's own chat template. Raises ``StateError`` for a row that does not fit or has no completion."""
    end = tokenizer.eos_token_id
    encoded = []
    for row in rows:
        prompt = tokenizer.apply_chat_template(list(row.messages), add_generation_prompt=True, tokenize=False)
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        completion_ids = [*tokenizer(row.completion, add_special_tokens=False)["input_ids"], end]
        if len(completion_ids) < 2:
            raise StateError(
                f"example {row.example_id}: its reply is empty, so nothing could be learned",
                "mend it, then type: groundtune check",
            )
        if len(prompt_ids) + len(completion_ids) > max_tokens:
            raise StateError(
                f"example {row.example_id}: {len(prompt_ids) + len(completion_ids)} tokens, but max_tokens is {max_tokens}",
                "raise max_tokens or lower distractors in its [tuning.*] table, then type: groundtune tune",
            )
        encoded.append(Encoded(prompt=tuple(prompt_ids), completion=tuple(completion_ids)))
    return encoded


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


def parts_of(batch: Sequence[Encoded], memory_tokens: int) -> list[list[Encoded]]:
    """Cut a batch into parts of at most ``memory_tokens`` tokens, padding included, so that one part at a time is in memory.

    The gradients of the parts add up to the batch's, so the cut changes memory and not what is learned.
    """
    parts: list[list[Encoded]] = [[]]
    for row in sorted(batch, key=len):
        if parts[-1] and (len(parts[-1]) + 1) * len(row) > memory_tokens:
            parts.append([])
        parts[-1].append(row)
    return parts


def rate_at(step: int, total: int, recipe: TuningTable) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then a cosine down to a tenth."""
    warm = max(1, round(total * recipe.warmup))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return recipe.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))


def batch_loss(model: Any, rows: Sequence[Encoded], pad: int, autocast: Any) -> tuple[torch.Tensor, int]:
    """Return the summed loss over the completions of a batch, and how many tokens carry it.

    What all prompts begin with (the instructions) is read once, and every row attends to it: the same loss and the same gradients for
    fewer tokens.
    """
    import torch
    from transformers import DynamicCache

    from groundtune.models.local.cache import attends_fully

    prompts = [row.prompt for row in rows]
    shared = shared_prefix(prompts) if len(rows) > 1 and attends_fully(model.config) else 0
    width = max(len(row) for row in rows) - shared
    columns = max(len(row.completion) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), shared + width), dtype=torch.long)
    mask[:, :shared] = 1
    labels = torch.full((len(rows), columns), IGNORED, dtype=torch.long)
    for number, row in enumerate(rows):
        rest = len(row) - shared
        ids[number, width - rest :] = torch.tensor((row.prompt + row.completion)[shared:])
        mask[number, shared + width - rest :] = 1
        labels[number, columns - len(row.completion) :] = torch.tensor(row.completion)
    carrying = int((labels != IGNORED).sum())
    if carrying == 0 or carrying == int(mask.sum()):
        raise StateError("a training batch has an empty or a full loss mask", "see what is masked: groundtune tune --preview")
    device = next(model.parameters()).device
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:]
    with autocast():
        cache = None
        if shared:
            cache = DynamicCache(config=model.config)
            beginning = torch.tensor([prompts[0][:shared]], device=device)
            model(input_ids=beginning, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(len(rows))
        logits = model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            # A completion token is predicted one column before it stands.
            logits_to_keep=columns + 1,
            use_cache=cache is not None,
        ).logits[:, :-1]
    flat = logits.reshape(-1, logits.shape[-1]).float()
    loss = torch.nn.functional.cross_entropy(flat, labels.reshape(-1).to(device), ignore_index=IGNORED, reduction="sum")
    return loss, carrying


def train(
    model: Any,
    tokenizer: Any,
    *,
    rows: Sequence[Row],
    dev_rows: Sequence[Row],
    recipe: TuningTable,
    seed: int,
    folder: Path,
    progress: Progress,
    name: str,
) -> State:
    """Train ``model`` (a base model with LoRA layers) and leave the best adapter in ``folder/best``.

    ``folder`` keeps the checkpoints of an unfinished run; calling again with the same arguments goes on from the newest whole one.
    """
    import torch

    data = encode(rows, tokenizer, recipe.max_tokens)
    dev = encode(dev_rows, tokenizer, recipe.max_tokens)
    lengths = [len(row) for row in data]
    steps = [batch for epoch in range(recipe.epochs) for batch in schedule(lengths, batch=recipe.batch, epoch=epoch, seed=seed)]
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=recipe.learning_rate, weight_decay=0.0)
    autocast = _autocast(model)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    state = _resume(folder, trained, optimiser)
    began, before = time.monotonic(), state.seconds
    with progress.start(f"tune {name}", total=sum(sum(lengths[i] for i in batch) for batch in steps), unit="tokens") as task:
        task.advance(state.tokens)
        while state.step < len(steps) and not state.stopped:
            for group in optimiser.param_groups:
                group["lr"] = rate_at(state.step, len(steps), recipe)
            torch.manual_seed(seed + state.step)
            model.train()
            batch = [data[index] for index in steps[state.step]]
            carrying = sum(len(row.completion) for row in batch)
            value = 0.0
            for part in parts_of(batch, recipe.memory_tokens):
                loss, _ = batch_loss(model, part, pad, autocast)
                torch.autograd.backward(loss / carrying)
                value += float(loss.detach())
            if not math.isfinite(value):
                raise StateError(
                    f"tuning {name}: the loss of step {state.step + 1} is {value}",
                    "lower learning_rate in its [tuning.*] table, then type: groundtune tune",
                )
            torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            state.step += 1
            seen = sum(len(row) for row in batch)
            state.tokens += seen
            state.history.append({"step": state.step, "loss": round(value / carrying, 6)})
            last = state.step == len(steps)
            shown = {"loss": f"{state.history[-1]['loss']:.3f}"}
            if state.step % recipe.evaluate_every == 0 or last:
                _look(model, dev, pad, autocast, state, recipe, folder)
                shown["dev"] = f"{state.history[-1]['dev_loss']:.3f}"
            state.seconds = before + time.monotonic() - began
            if state.step % recipe.checkpoint_every == 0 or last or state.stopped:
                _checkpoint(folder, trained, optimiser, state)
            task.advance(seen, **shown)
    return state


def _autocast(model: Any) -> Any:
    """Return a context maker: bf16 autocast where the weights are bf16 (the hardware has it), nothing where they are fp32."""
    import contextlib

    import torch

    parameter = next(iter(model.parameters()))
    if parameter.dtype == torch.bfloat16:
        return lambda: torch.autocast(parameter.device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext


def _look(model: Any, dev: Sequence[Encoded], pad: int, autocast: Any, state: State, recipe: TuningTable, folder: Path) -> None:
    """Measure the dev loss, keep the adapter if it is the best so far, and say stop when it has long not been."""
    import torch

    model.eval()
    total, count = 0.0, 0
    order = sorted(range(len(dev)), key=lambda index: len(dev[index]))
    with torch.inference_mode():
        for begin in range(0, len(order), 8):
            loss, carrying = batch_loss(model, [dev[index] for index in order[begin : begin + 8]], pad, autocast)
            total, count = total + float(loss), count + carrying
    value = total / count if count else float(state.history[-1]["loss"])
    state.history[-1]["dev_loss"] = round(value, 6)
    if state.best_loss is None or value < state.best_loss:
        state.best_loss, state.best_step, state.looks_without_gain = value, state.step, 0
        save_adapter(model, folder / "best")
    else:
        state.looks_without_gain += 1
        state.stopped = state.looks_without_gain >= recipe.patience


def save_adapter(model: Any, folder: Path) -> None:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json``; an older adapter there is replaced in one rename."""
    temporary = folder.with_name(folder.name + ".tmp")
    with storing(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(str(temporary), safe_serialization=True)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)


def _checkpoint(folder: Path, trained: Mapping[str, Any], optimiser: Any, state: State) -> None:
    """Write a whole checkpoint, then drop the ones before it. The JSON is written last: without it a checkpoint does not count."""
    from safetensors.torch import save_file

    target = folder / f"checkpoint-{state.step:06d}"
    tensors = {f"parameter/{name}": value.detach().contiguous() for name, value in trained.items()}
    for name, value in trained.items():
        for key, moment in optimiser.state[value].items():
            tensors[f"{key}/{name}"] = moment.detach().reshape(-1).contiguous() if moment.ndim == 0 else moment.detach().contiguous()
    with storing(target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        save_file(tensors, str(target / "state.safetensors"))
        write_json(
            target / "state.json",
            {name: getattr(state, name) for name in State.__dataclass_fields__},
        )
    for other in folder.glob("checkpoint-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def _resume(folder: Path, trained: Mapping[str, Any], optimiser: Any) -> State:
    """Load the newest whole checkpoint into the model and the optimiser, or begin at step 0."""
    import torch
    from safetensors.torch import load_file

    whole = sorted(path.parent for path in folder.glob("checkpoint-*/state.json"))
    if not whole:
        return State()
    tensors = load_file(str(whole[-1] / "state.safetensors"))
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(tensors[f"parameter/{name}"])
            moments = {
                key.split("/", 1)[0]: tensor
                for key, tensor in tensors.items()
                if key.split("/", 1)[1] == name and not key.startswith("parameter/")
            }
            optimiser.state[value] = {
                key: tensor.reshape(()) if key == "step" else tensor.to(value.device) for key, tensor in moments.items()
            }
    return State(**json.loads((whole[-1] / "state.json").read_text(encoding="utf-8")))
