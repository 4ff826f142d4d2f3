"""Where a run stands, on disk: the trained parameters, the optimiser's moments and the step, as safetensors and JSON.

    .work/reader-3f2a9c1e/checkpoint-000040/state.safetensors   parameter/…  exp_avg/…  exp_avg_sq/…  step/…
                                            state.json          written last: without it the checkpoint does not count

The order of the rows is a function of the seed and the epoch, so resumed and unbroken runs take the same steps.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import StateError, StorageError
from groundtune.files import file_sha256, storing, write_json
from groundtune.models.tuned import ADAPTER, WHOLE

FULL_DISK = {"27", "28", "122"}  # EFBIG, ENOSPC, EDQUOT: what the writer of safetensors says in words


@dataclass(slots=True)
class State:
    """Where a run stands; all of it is in every checkpoint. ``peak`` is the most memory that any part of the run took, in bytes."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int = 0
    looks_without_gain: int = 0
    stopped: bool = False
    peak: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def save_tuned(model: Any, folder: Path) -> None:
    """Write the adapter, or the whole model where all of it was trained; an older one there is replaced in one rename."""
    temporary = folder.with_name(folder.name + ".tmp")
    with saving(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        if hasattr(model, "peft_config"):
            model.save_pretrained(str(temporary), safe_serialization=True)
        else:
            # One file, so that one digest stands for the model.
            model.save_pretrained(str(temporary), max_shard_size="100TB")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)


def weights_in(folder: Path) -> Path | None:
    """Return the file of trained weights in a folder, be it an adapter's or a whole model's."""
    return next((folder / name for name in (ADAPTER, WHOLE) if (folder / name).is_file()), None)


def save_checkpoint(folder: Path, trained: Mapping[str, Any], optimiser: Any, state: State) -> None:
    """Write a whole checkpoint, then drop the ones before it. The JSON is written last: without it a checkpoint does not count."""
    target = folder / f"checkpoint-{state.step:06d}"
    tensors = {f"parameter/{name}": value.detach().contiguous() for name, value in trained.items()}
    for name, value in trained.items():
        for key, moment in optimiser.state[value].items():
            tensors[f"{key}/{name}"] = moment.detach().reshape(-1).contiguous() if moment.ndim == 0 else moment.detach().contiguous()
    with storing(target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    save_tensors(target / "state.safetensors", tensors)
    values = {name: getattr(state, name) for name in State.__dataclass_fields__}
    write_json(target / "state.json", {"sha256": file_sha256(target / "state.safetensors"), "state": values})
    for other in folder.glob("checkpoint-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def resume(folder: Path, trained: Mapping[str, Any], optimiser: Any) -> State:
    """Load the newest whole checkpoint into the model and the optimiser, or begin at step 0.

    One that was not finished does not count. Raises ``StateError`` for one that was finished and is not as it was written.
    """
    import torch
    from safetensors.torch import load_file

    whole = sorted(path.parent for path in folder.glob("checkpoint-*/state.json"))
    if not whole:
        return State()
    place = whole[-1]
    hint = f"type: rm -r {place} && groundtune tune (it begins anew)"
    try:
        row = json.loads((place / "state.json").read_text(encoding="utf-8"))
        state, wanted = State(**row["state"]), row["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise StateError(f"{place / 'state.json'}: is no checkpoint of this version ({error})", hint) from error
    file = place / "state.safetensors"
    found = file_sha256(file) if file.is_file() else "no file"
    if found != wanted:
        raise StateError(f"{file}: sha256 {found[:16]}…, expected {wanted[:16]}…: the checkpoint is damaged", hint)
    tensors = load_file(str(file))
    of: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        kind, name = key.split("/", 1)
        of.setdefault(name, {})[kind] = tensor
    with torch.no_grad():
        for name, value in trained.items():
            moments = of.get(name, {})
            value.copy_(moments.pop("parameter"))
            optimiser.state[value] = {
                key: tensor.reshape(()) if key == "step" else tensor.to(value.device) for key, tensor in moments.items()
            }
    return state


def save_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write tensors as safetensors. Raises ``StorageError`` when the disk is full."""
    from safetensors.torch import save_file

    with saving(path):
        save_file(dict(tensors), str(path))


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """As ``storing``, also for what the writer of safetensors and the copying of folders say of a full disk.

    Their errors carry the system's number in their text alone.
    """
    from safetensors import SafetensorError

    try:
        with storing(path):
            yield
    except (SafetensorError, OSError) as error:
        number = re.search(r"(?:os error |\[Errno )(\d+)", str(error))
        if number and number[1] in FULL_DISK:
            raise StorageError(f"no space left while writing {path}", f"free some space, then see: df -h {path.parent}") from error
        raise
