import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from groundtune.errors import StateError
from groundtune.models.local.chat import load_base
from groundtune.progress import Silent
from groundtune.tables import TuningTable
from groundtune.tuning.adapter import linear_names
from groundtune.tuning.train import Encoded, batch_loss, encode, parts_of, rate_at, schedule, train
from groundtune.tuning.trainset import Row

RECIPE = TuningTable(rank=2, alpha=4, epochs=2, batch=2, evaluate_every=3, checkpoint_every=2, patience=9)


def rows(count: int) -> list[Row]:
    return [
        Row(
            example_id=f"e{n}",
            messages=({"role": "system", "content": "S"}, {"role": "user", "content": f"warranty {'of the crane ' * (n % 4)}{n}?"}),
            completion=f'{{"answer": "{n} years"}}',
            document_ids=(),
        )
        for n in range(count)
    ]


def adapted(tiny: Path) -> tuple[Any, Any]:
    model, tokenizer, _ = load_base({"model": str(tiny)})
    torch.manual_seed(5)
    return get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=linear_names(model), task_type="CAUSAL_LM")), tokenizer


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 8), st.integers(0, 3))
def test_an_epoch_has_every_row_once_in_an_order_that_only_the_seed_decides(lengths: list[int], batch: int, epoch: int) -> None:
    batches = schedule(lengths, batch=batch, epoch=epoch, seed=7)
    assert sorted(index for part in batches for index in part) == list(range(len(lengths)))
    assert all(1 <= len(part) <= batch for part in batches)
    assert batches == schedule(lengths, batch=batch, epoch=epoch, seed=7)


@given(st.lists(st.integers(2, 400), min_size=1, max_size=12), st.integers(1, 1000))
def test_parts_hold_every_row_and_fit_the_memory_where_a_row_does(lengths: list[int], memory: int) -> None:
    batch = [Encoded(prompt=(1,) * (n - 1), completion=(2,)) for n in lengths]
    parts = parts_of(batch, memory)
    assert sorted(len(row) for part in parts for row in part) == sorted(lengths)
    assert all(len(part) == 1 or len(part) * max(map(len, part)) <= memory for part in parts)


def test_the_rate_warms_up_and_ends_at_a_tenth() -> None:
    rates = [rate_at(step, 100, TuningTable(learning_rate=1.0, warmup=0.1)) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates.index(max(rates)) in (9, 10)
    assert rates[100] == pytest.approx(0.1)


def test_the_loss_is_that_of_the_library_on_completions_alone(tiny: Path) -> None:
    model, tokenizer, _ = load_base({"model": str(tiny)})
    encoded = encode(rows(3), tokenizer, 500)
    mine, carrying = batch_loss(model, encoded, tokenizer.pad_token_id, contextlib.nullcontext)
    assert carrying == sum(len(row.completion) for row in encoded)
    total = 0.0
    for row in encoded:
        ids = torch.tensor([row.prompt + row.completion])
        labels = torch.tensor([(-100,) * len(row.prompt) + row.completion])
        total += float(model(input_ids=ids, labels=labels).loss) * len(row.completion)
    assert float(mine) == pytest.approx(total, rel=1e-4)


def test_the_gradient_of_the_parts_is_that_of_the_whole(tiny: Path) -> None:
    model, tokenizer = adapted(tiny)
    encoded = encode(rows(4), tokenizer, 500)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)

    def gradient(parts: list[list[Encoded]]) -> torch.Tensor:
        model.zero_grad()
        for part in parts:
            batch_loss(model, part, tokenizer.pad_token_id, contextlib.nullcontext)[0].backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    whole, parts = gradient([encoded]), gradient(parts_of(encoded, max(map(len, encoded))))
    assert torch.allclose(whole, parts, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


class StopsAfter(Silent):
    """Breaks a run off after some steps, as a person would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Any]:
        owner = self

        class Task:
            def advance(self, amount: int = 1, **shown: str) -> None:
                owner.steps -= 1
                if owner.steps < 0:
                    raise KeyboardInterrupt

        yield Task()


def run(tiny: Path, folder: Path, progress: Any) -> None:
    model, tokenizer = adapted(tiny)
    train(model, tokenizer, rows=rows(9), dev_rows=rows(2), recipe=RECIPE, seed=3, folder=folder, progress=progress, name="x")


def test_a_run_that_is_broken_off_ends_in_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    run(tiny, tmp_path / "whole", Silent())
    for steps in (3, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tiny, tmp_path / "broken", StopsAfter(steps))
    assert list((tmp_path / "broken").glob("checkpoint-*/state.json"))
    run(tiny, tmp_path / "broken", Silent())
    whole, broken = (load_file(str(tmp_path / name / "best/adapter_model.safetensors")) for name in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all(torch.equal(whole[key], broken[key]) for key in whole)
    assert any(float(value.abs().max()) > 0 for key, value in whole.items() if "lora_B" in key)


def test_a_half_written_checkpoint_does_not_count(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoint-000099").mkdir(parents=True)
    (tmp_path / "run/checkpoint-000099/state.safetensors").write_bytes(b"torn")
    run(tiny, tmp_path / "run", Silent())
    assert (tmp_path / "run/best/adapter_model.safetensors").is_file()


def test_rows_that_do_not_fit_and_empty_masks_are_refused(tiny: Path) -> None:
    model, tokenizer, _ = load_base({"model": str(tiny)})
    with pytest.raises(StateError, match="max_tokens is 5"):
        encode(rows(1), tokenizer, 5)
    with pytest.raises(StateError, match="an empty or a full loss mask"):
        batch_loss(model, [Encoded(prompt=(), completion=(3, 4))], 0, contextlib.nullcontext)


def test_only_layers_inside_the_blocks_are_adapted(tiny: Path) -> None:
    model, _, _ = load_base({"model": str(tiny)})
    assert linear_names(model) == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
