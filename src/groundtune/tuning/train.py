"""One readable training run: rows → weights. Only completions carry loss; a run that is broken off goes on where it stopped.

    for each step:  batch → (its rows for this process) → parts that fit the memory → gradients, summed → AdamW

What is minimised is in ``losses``, what is trained in ``methods``, what is kept in ``checkpoints``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.files import storing, write_json
from groundtune.models import memory
from groundtune.progress import Progress
from groundtune.tables import TuningTable
from groundtune.tuning.batches import packs_of, parts_of, rate_at, schedule
from groundtune.tuning.checkpoints import State, resume, save_checkpoint, save_tensors, save_tuned
from groundtune.tuning.encode import Encoded, EncodedPair, EncodedRating, context_of, encode_any
from groundtune.tuning.losses import batch_loss, dpo, kto, odds_ratio, packed_loss, reply_logps, require_apart, token_losses
from groundtune.tuning.rows import AnyRow
from groundtune.tuning.several import Alone

if TYPE_CHECKING:
    import torch

LOOK_ROWS = 8


def train(
    model: Any,
    tokenizer: Any,
    *,
    rows: Sequence[AnyRow],
    dev_rows: Sequence[AnyRow],
    recipe: TuningTable,
    seed: int,
    folder: Path,
    progress: Progress,
    name: str,
    compute: Any = None,
    world: Alone | None = None,
) -> State:
    """Train ``model`` (its parameters with ``requires_grad``) and leave the best weights in ``folder/best``.

    ``folder`` keeps the checkpoints of an unfinished run; calling again with the same arguments goes on from the newest whole one.
    ``compute`` is the torch dtype of the products; without it, that of the weights.
    """
    import torch

    world = world or Alone()
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    context = context_of(model.config)
    data: Sequence[Any] = encode_any(rows, tokenizer, recipe.max_tokens, context)
    dev: Sequence[Any] = encode_any(dev_rows, tokenizer, recipe.max_tokens, context, beside=rows)
    lengths = [len(row) for row in data]
    steps = [batch for epoch in range(recipe.epochs) for batch in schedule(lengths, batch=recipe.batch, epoch=epoch, seed=seed)]
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=recipe.learning_rate, weight_decay=0.0)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    objective = _Objective(model, recipe, pad, _autocast(model, compute))
    objective.begin(data, dev, folder, world)
    state = resume(folder, trained, optimiser)
    began, before = time.monotonic(), state.seconds
    with progress.start(f"tune {name}", total=sum(sum(lengths[i] for i in batch) for batch in steps), unit="tokens") as task:
        task.advance(state.tokens)
        while state.step < len(steps) and not state.stopped:
            for group in optimiser.param_groups:
                group["lr"] = rate_at(state.step, len(steps), recipe)
            torch.manual_seed(seed + state.step)
            model.train()
            numbers = steps[state.step]
            value = objective.descend([data[index] for index in numbers], world)
            value = world.add_up(list(trained.values()), value)
            if not math.isfinite(value):
                raise StateError(
                    f"tuning {name}: the loss of step {state.step + 1} is {value}",
                    "lower learning_rate in its [tuning.*] table, then type: groundtune tune",
                )
            torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            state.step += 1
            seen = sum(lengths[index] for index in numbers)
            state.tokens += seen
            state.history.append({"step": state.step, "loss": round(value, 6)})
            last = state.step == len(steps)
            shown = {"loss": f"{value:.3f}"}
            if state.step % recipe.evaluate_every == 0 or last:
                _look(model, objective, dev, state, recipe, folder, world)
                shown["dev"] = f"{state.history[-1]['dev_loss']:.3f}"
            state.seconds = before + time.monotonic() - began
            state.peak = max(state.peak, memory.peak())
            if (state.step % recipe.checkpoint_every == 0 or last or state.stopped) and world.rank == 0:
                save_checkpoint(folder, trained, optimiser, state)
            task.advance(seen, **shown)
    world.wait()
    return state


class _Objective:
    """What is minimised: the loss of a batch, cut into parts whose gradients add up to the batch's."""

    def __init__(self, model: Any, recipe: TuningTable, pad: int, autocast: Callable[[], Any]) -> None:
        self._model, self._recipe, self._pad, self._autocast = model, recipe, pad, autocast
        # With checkpointing, layers are computed a second time, when the cache of the shared beginning has moved on.
        self._share = not recipe.gradient_checkpointing
        self._reference: dict[EncodedPair | EncodedRating, tuple[float, float]] = {}

    def begin(self, data: Sequence[Any], dev: Sequence[Any], folder: Path, world: Alone) -> None:
        """Do what must be done while the model is as it was before its first step."""
        if self._recipe.packing:
            require_apart(self._model, data, self._autocast)
        if self._recipe.objective in ("dpo", "kto"):
            self._reference = self._before([*data, *dev], folder, world)

    def descend(self, batch: Sequence[Any], world: Alone) -> float:
        """Add the gradient of this process's share of a batch, and return its part of the batch's loss."""
        import torch

        cut = packs_of if self._recipe.packing else parts_of
        tokens = sum(len(item.learned[0].completion) for item in batch)
        mine = world.mine(batch)
        distance = self._distance(mine, len(batch), world)
        total = 0.0
        for part in cut(mine, self._recipe.memory_tokens):
            loss = self._loss(part, tokens, len(batch), distance)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        return total

    def look(self, dev: Sequence[Any]) -> dict[str, float]:
        """Return the mean loss over dev rows, and of pairs and rated replies the share that the model now takes as people did.

        Of a pair, the chosen reply is the likelier one; of a rating, the reply's own likelihood rose or fell as it should, beside z.
        """
        tokens = sum(len(item.learned[0].completion) for item in dev)
        total, right = 0.0, 0
        distance = self._distance(dev, len(dev), Alone())
        for begin in range(0, len(dev), LOOK_ROWS):
            part = sorted(dev, key=len)[begin : begin + LOOK_ROWS]
            loss = self._loss(part, tokens, len(dev), distance)
            total += float(loss)
            if isinstance(part[0], EncodedPair):
                logps, counts = reply_logps(self._model, part, self._pad, self._autocast, share=self._share)
                mean = logps / counts
                right += int((mean[0] > mean[1]).sum())
            elif isinstance(part[0], EncodedRating):
                risen = self._own(part) - self._reference_of(part)[0] - distance
                right += sum((float(value) > 0) is item.desirable for value, item in zip(risen, part, strict=True))
        preferred = {} if isinstance(dev[0], Encoded) else {"dev_preferred": round(right / len(dev), 4)}
        return {"dev_loss": round(total, 6), **preferred}

    def _distance(self, mine: Sequence[Any], items: int, world: Alone) -> float:
        """Return z of KTO for a batch of ``items``, of which this process has ``mine``: how far the model has moved, in nats a reply."""
        import torch

        if self._recipe.objective != "kto":
            return 0.0
        moved = 0.0
        with torch.no_grad():
            for begin in range(0, len(mine), LOOK_ROWS):
                part = mine[begin : begin + LOOK_ROWS]
                losses = token_losses(self._model, [item.other for item in part], self._pad, self._autocast, share=self._share)
                moved += float((-losses.sum(dim=1) - self._reference_of(part)[1]).sum())
        return max(0.0, world.total(moved) / items)

    def _own(self, part: Sequence[EncodedRating]) -> torch.Tensor:
        """Return the summed log-probabilities of rated replies, shape (replies,)."""
        return -token_losses(self._model, [item.own for item in part], self._pad, self._autocast, share=self._share).sum(dim=1)

    def _reference_of(self, part: Sequence[EncodedPair | EncodedRating]) -> torch.Tensor:
        """Return the log-probabilities before the first step, shape (2, items)."""
        import torch

        device = next(self._model.parameters()).device
        return torch.tensor([self._reference[item] for item in part], dtype=torch.float32, device=device).T

    def _loss(self, part: Sequence[Any], tokens: int, items: int, distance: float) -> torch.Tensor:
        """Return a part's share of the loss of a batch of ``items`` rows or pairs, whose learned replies have ``tokens`` tokens."""
        if self._recipe.objective == "sft":
            if self._recipe.packing:
                return packed_loss(self._model, part, self._autocast)[0] / tokens
            return batch_loss(self._model, part, self._pad, self._autocast, share=self._share)[0] / tokens
        if self._recipe.objective == "kto":
            logps = self._own(part)
            desirable = logps.new_tensor([item.desirable for item in part]).bool()
            weights = (self._recipe.desirable_weight, self._recipe.undesirable_weight)
            return kto(logps, self._reference_of(part)[0], desirable, distance, self._recipe.beta, weights).sum() / items
        logps, counts = reply_logps(self._model, part, self._pad, self._autocast, share=self._share)
        if self._recipe.objective == "dpo":
            return dpo(logps, self._reference_of(part), self._recipe.beta).sum() / items
        return -logps[0].sum() / tokens + self._recipe.beta * odds_ratio(logps, counts).sum() / items

    def _before(self, pairs: Sequence[Any], folder: Path, world: Alone) -> dict[EncodedPair | EncodedRating, tuple[float, float]]:
        """Return the log-probabilities of all replies under the model before its first step; kept, as a resumed run has no such model."""
        import torch
        from safetensors.torch import load_file

        place = folder / "reference.safetensors"
        whole = folder / "reference.json"
        if world.rank == 0 and not whole.is_file():
            self._model.eval()
            rows: list[torch.Tensor] = []
            with torch.inference_mode():
                for begin in range(0, len(pairs), LOOK_ROWS):
                    part = pairs[begin : begin + LOOK_ROWS]
                    rows.append(reply_logps(self._model, part, self._pad, self._autocast, share=self._share)[0].T.float().cpu())
            save_tensors(place, {"logps": torch.cat(rows).contiguous()})
            write_json(whole, {"pairs": len(pairs)})
        world.wait()
        held = load_file(str(place))["logps"].tolist()
        return {pair: (row[0], row[1]) for pair, row in zip(pairs, held, strict=True)}


def _autocast(model: Any, compute: Any = None) -> Callable[[], Any]:
    """Return a context maker: bf16 autocast where products are bf16 (the hardware has it), nothing where they are fp32."""
    import contextlib

    import torch

    parameter = next(iter(model.parameters()))
    if (compute or parameter.dtype) == torch.bfloat16:
        return lambda: torch.autocast(parameter.device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext


def _look(model: Any, objective: _Objective, dev: Sequence[Any], state: State, recipe: TuningTable, folder: Path, world: Alone) -> None:
    """Measure the dev loss, keep the weights if they are the best so far, and say stop when they have long not been."""
    import torch

    model.eval()
    looked: dict[str, float] = {"dev_loss": state.history[-1]["loss"]}
    if dev and world.rank == 0:
        with torch.inference_mode():
            looked = objective.look(dev)
    looked["dev_loss"] = value = world.from_first(looked["dev_loss"])
    state.history[-1].update(looked)
    if state.best_loss is None or value < state.best_loss:
        state.best_loss, state.best_step, state.looks_without_gain = value, state.step, 0
        if world.rank == 0:
            save_tuned(model, folder / "best")
    else:
        state.looks_without_gain += 1
        state.stopped = state.looks_without_gain >= recipe.patience
