import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_training import RECIPE, StopsAfter, made
from safetensors.torch import load_file

from groundtune.errors import StateError, StorageError
from groundtune.progress import Silent
from groundtune.tables import TuningTable
from groundtune.tuning import methods
from groundtune.tuning.batches import packs_of, parts_of, rate_at, schedule
from groundtune.tuning.checkpoints import save_tuned, weights_in
from groundtune.tuning.encode import Encoded
from groundtune.tuning.train import train


def tuned(tiny: Path, folder: Path, recipe: TuningTable = RECIPE, progress: Any = None, count: int = 9) -> dict[str, torch.Tensor]:
    """Run a recipe on the tiny model and return the best weights."""
    chat = {"model": str(tiny), "dtype": "float32"}
    model, tokenizer, _ = methods.load(chat, recipe)
    torch.manual_seed(5)
    train(
        methods.prepare(model, recipe), tokenizer, rows=made(recipe.objective, count), dev_rows=made(recipe.objective, 2), recipe=recipe,
        seed=3, folder=folder, progress=progress or Silent(), name="x",
    )  # fmt: skip
    held = weights_in(folder / "best")
    assert held is not None
    return load_file(str(held))


def distance(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[key] - right[key]).abs().max()) for key in left)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 8), st.integers(0, 3))
def test_an_epoch_has_every_row_once_in_an_order_that_only_the_seed_decides(lengths: list[int], batch: int, epoch: int) -> None:
    batches = schedule(lengths, batch=batch, epoch=epoch, seed=7)
    assert sorted(index for part in batches for index in part) == list(range(len(lengths)))
    assert all(1 <= len(part) <= batch for part in batches)
    assert batches == schedule(lengths, batch=batch, epoch=epoch, seed=7)


@given(st.lists(st.integers(2, 400), min_size=1, max_size=12), st.integers(1, 1000))
def test_parts_and_packs_hold_every_row_and_fit_the_memory_where_a_row_does(lengths: list[int], memory: int) -> None:
    batch = [Encoded(prompt=(1,) * (n - 1), completion=(2,)) for n in lengths]
    parts, packs = parts_of(batch, memory), packs_of(batch, memory)
    for cut in (parts, packs):
        assert sorted(len(row) for part in cut for row in part) == sorted(lengths)
    assert all(len(part) == 1 or len(part) * max(map(len, part)) <= memory for part in parts)
    assert all(len(pack) == 1 or sum(map(len, pack)) <= memory for pack in packs)


def test_the_rate_warms_up_and_ends_at_a_tenth() -> None:
    rates = [rate_at(step, 100, TuningTable(learning_rate=1.0, warmup=0.1)) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates.index(max(rates)) in (9, 10)
    assert rates[100] == pytest.approx(0.1)


@pytest.mark.parametrize("objective", ["sft", "dpo", "orpo", "kto"])
def test_equal_effective_batches_take_the_same_way(tiny: Path, tmp_path: Path, objective: str) -> None:
    recipe = RECIPE.model_copy(update={"objective": objective, "batch": 4, "learning_rate": 1e-3})
    whole = tuned(tiny, tmp_path / "whole", recipe.model_copy(update={"memory_tokens": 4096}))
    cut = tuned(tiny, tmp_path / "cut", recipe.model_copy(update={"memory_tokens": 1}))
    assert distance(whole, cut) < 2e-5
    assert max(float(value.abs().max()) for key, value in whole.items() if "lora_B" in key) > 1e-3


def test_packing_and_checkpointing_take_the_same_way(tiny: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"batch": 4, "learning_rate": 1e-3})
    plain = tuned(tiny, tmp_path / "plain", recipe)
    assert distance(plain, tuned(tiny, tmp_path / "packed", recipe.model_copy(update={"packing": True}))) < 2e-5
    assert distance(plain, tuned(tiny, tmp_path / "twice", recipe.model_copy(update={"gradient_checkpointing": True}))) < 2e-5


@pytest.mark.parametrize(
    "change",
    [{}, {"objective": "dpo"}, {"method": "full", "learning_rate": 1e-3}, {"method": "full", "objective": "kto", "learning_rate": 1e-3}],
    ids=["lora", "dpo", "full", "full kto"],
)
def test_a_run_that_is_broken_off_ends_in_the_same_weights(tiny: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    recipe = RECIPE.model_copy(update=change)
    whole = tuned(tiny, tmp_path / "whole", recipe)
    for steps in (3, 3):
        with pytest.raises(KeyboardInterrupt):
            tuned(tiny, tmp_path / "broken", recipe, StopsAfter(steps))
    assert list((tmp_path / "broken").glob("checkpoint-*/state.json"))
    assert distance(whole, tuned(tiny, tmp_path / "broken", recipe)) == 0.0


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3].split(os.pathsep)
from contextlib import contextmanager
from pathlib import Path
from made_training import RECIPE
from groundtune.progress import Silent
from test_train import tuned

class Kills(Silent):
    @contextmanager
    def start(self, step, total=None, unit=""):
        class Task:
            left = 5
            def advance(self, amount=1, **shown):
                Task.left -= 1
                if Task.left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        yield Task()

tuned(Path(sys.argv[1]), Path(sys.argv[2]), RECIPE.model_copy(update={"objective": "dpo"}), Kills())
"""


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(tiny: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"objective": "dpo"})
    whole = tuned(tiny, tmp_path / "whole", recipe)
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    here = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent / "models")])
    killed = subprocess.run(
        [sys.executable, str(script), str(tiny), str(tmp_path / "killed"), here],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
        },
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert distance(whole, tuned(tiny, tmp_path / "killed", recipe)) < 1e-6


def test_a_half_written_checkpoint_does_not_count(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoint-000099").mkdir(parents=True)
    (tmp_path / "run/checkpoint-000099/state.safetensors").write_bytes(b"torn")
    assert tuned(tiny, tmp_path / "run")


def test_a_damaged_checkpoint_is_named_and_not_used(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tuned(tiny, tmp_path / "run", progress=StopsAfter(4))
    [file] = (tmp_path / "run").glob("checkpoint-*/state.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StateError, match=r"state\.safetensors: sha256 .* damaged") as raised:
        tuned(tiny, tmp_path / "run")
    assert f"rm -r {file.parent}" in raised.value.hint
    (file.parent / "state.json").write_text('{"step": 3}')
    with pytest.raises(StateError, match="is no checkpoint of this version"):
        tuned(tiny, tmp_path / "run")


def test_a_full_disk_is_told_as_one_and_the_older_weights_stay(tiny: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    recipe = RECIPE.model_copy(update={"method": "full"})
    model, _, _ = methods.load({"model": str(tiny), "dtype": "float32"}, recipe)
    save_tuned(model, tmp_path / "best")
    before = (tmp_path / "best/model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match="no space left while writing"):
            save_tuned(model, tmp_path / "best")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "best/model.safetensors").read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run(tiny: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"method": "full", "learning_rate": 1e30})
    with pytest.raises(StateError, match="the loss of step .* is (nan|inf)"):
        tuned(tiny, tmp_path, recipe)
