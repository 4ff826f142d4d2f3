"""Training set + recipe → tuned weights on disk with their making beside them → ``ModelVersion``.

models/hybrid-3f2a9c1e/
  adapter_model.safetensors  adapter_config.json   what PEFT, vLLM and others load; after full tuning
  model.safetensors  config.json  tokenizer…       a whole model in their place
  README.md                                        the model card
  rows.jsonl                                       the rows as they were trained on
  said.json                                        what the trainer's own model said to a few prompts
  version.json                                     written last: without it there is no such version
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import StateError, WeightsError
from groundtune.files import file_sha256, fingerprint, storing, write_atomic, write_json, write_lines
from groundtune.models.tuned import ADAPTER, RECORD, ROWS
from groundtune.progress import Progress
from groundtune.records.ledger import now
from groundtune.tables import TuningTable
from groundtune.tuning import said
from groundtune.tuning.card import card
from groundtune.tuning.checkpoints import State, saving, weights_in
from groundtune.tuning.origin import origin_of
from groundtune.tuning.rows import AnyRow, TrainSet
from groundtune.types import ModelVersion

SCHEMA = 1
SAID_PROMPTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that one tuned model is made from.

    ``chat`` is the [chat] table; ``sources`` says where each setting of the recipe is from; ``start`` is the job whose adapter
    it begins from.
    """

    name: str
    key: str
    recipe: TuningTable
    rows: TrainSet
    dev_rows: Sequence[AnyRow]
    chat: Mapping[str, Any]
    prompt_hash: str
    seed: int
    sources: Mapping[str, str] = field(default_factory=dict)
    start: Job | None = None

    @property
    def version_id(self) -> str:
        """The id of the version that it makes."""
        return f"model:{self.name}-{self.key[:8]}"


def version_key(
    *,
    name: str,
    recipe: TuningTable,
    rows: TrainSet,
    dev_rows: Sequence[AnyRow],
    base: str,
    prompt_hash: str,
    seed: int,
    start: str | None = None,
) -> str:
    """Return the fingerprint of all that an adapter is made from; the same key is the same adapter. ``start`` is the key it begins from."""
    # What was tuned before there was a key, or an objective, keeps its identity.
    unused = set() if recipe.objective == "kto" else {"desirable_weight", "undesirable_weight"}
    settings = recipe.model_dump(exclude_none=True, exclude=unused)
    parts = [name, settings, rows.fingerprint, rows.readers, fingerprint(dev_rows), base, prompt_hash, seed]
    return fingerprint(*parts, *([] if start is None else [start]))


def folder_of(store: Path, name: str, key: str) -> Path:
    """Return where the adapter of this key lives."""
    return store / f"{name}-{key[:8]}"


def read_version(folder: Path) -> ModelVersion | None:
    """Return the version in a folder, or ``None`` where none was finished. Raises ``WeightsError`` when its weights were changed since."""
    path = folder / RECORD
    if not path.is_file():
        return None
    row = json.loads(path.read_text(encoding="utf-8"))
    held = weights_in(folder)
    found = file_sha256(held) if held else "no file"
    if found != row["sha256"]:
        raise WeightsError(
            f"{held or folder / ADAPTER}: sha256 {found[:16]}…, expected {row['sha256'][:16]}…",
            f"the adapter was changed after training; remove it (rm -r {folder}), then type: groundtune tune",
        )
    version = row["version"]
    return ModelVersion(
        **{
            **version,
            "readers": None if version["readers"] is None else frozenset(version["readers"]),
            "document_ids": tuple(version["document_ids"]),
            "adapter_path": str(folder),
        }
    )


def make(job: Job, *, store: Path, progress: Progress) -> ModelVersion:
    """Train the model of this job's key, or return it when it is there already. A broken-off run goes on from its last checkpoint.

    Started by accelerate, several processes train it together; all return when it is there. Raises ``StateError`` where it would not fit
    into the memory, before anything is read; and what loading and training raise.
    """
    final = folder_of(store, job.name, job.key)
    work = store / ".work" / f"{job.name}-{job.key[:8]}"
    finished = read_version(final)
    if finished is not None:
        # There when a run was killed after its last word and before it had tidied up.
        shutil.rmtree(work, ignore_errors=True)
        return finished
    from groundtune.tuning.several import world as all_processes

    world = all_processes()
    asked = planned(job)
    progress.note(f"tune {job.name}: {asked.told()}")
    with storing(work):
        work.mkdir(parents=True, exist_ok=True)
    state, base, finish = _trained(
        job, work, progress, world, None if job.start is None else folder_of(store, job.start.name, job.start.key)
    )
    if world.rank == 0:
        if state.best_loss is None or weights_in(work / "best") is None:
            raise StateError(f"tuning {job.name} ended without weights", "type: groundtune tune")
        version = _version(job, base, state, asked)
        best = work / "best"
        finish(best)
        write_lines(best / ROWS, job.rows.rows)
        write_json(best / "history.json", state.history)
        write_atomic(best / "README.md", card(version, job.rows, str(job.chat.get("model"))))
        with saving(final):
            shutil.rmtree(final, ignore_errors=True)
            shutil.copytree(best, final)
        _write_version(job, version, final)
    world.wait()
    if world.rank == 0:
        shutil.rmtree(work, ignore_errors=True)
    made = read_version(final)
    if made is None:
        raise StateError(f"{final}: the model was written but cannot be read back", "type: groundtune tune")
    return made


def planned(job: Job) -> Any:
    """Return the ``cost.Plan`` of a job; no weights are read. Raises ``StateError`` for rows that do not fit and for too little memory."""
    import torch

    from groundtune.tuning import cost
    from groundtune.tuning.encode import context_of, encode_any
    from groundtune.tuning.methods import compute_dtype

    shape, config, tokenizer = cost.shape_of(job.chat)
    data = encode_any(job.rows.rows, tokenizer, job.recipe.max_tokens, context_of(config))
    half = compute_dtype(job.chat) == torch.bfloat16
    found = cost.plan(shape, job.recipe, data, seed=job.seed, half=half, flops=cost.machine_flops(half))
    cost.require_room(job.name, found, shape, job.recipe, data, seed=job.seed, half=half)
    return found


def _trained(job: Job, work: Path, progress: Progress, world: Any, start: Path | None) -> tuple[State, str, Callable[[Path], None]]:
    """Train in ``work``, from the adapter in ``start`` if there is one.

    Return where the run stands, the base's fingerprint, and what is still to be done to the folder of the best.
    """
    import torch

    from groundtune.models import memory
    from groundtune.tuning import methods
    from groundtune.tuning.train import train

    memory.begin()
    model, tokenizer, base = methods.load(job.chat, job.recipe)
    torch.manual_seed(job.seed)
    trained = methods.prepare(model, job.recipe)
    if start is not None:
        _begin_from(trained, start)
    state = train(
        trained,
        tokenizer,
        rows=job.rows.rows,
        dev_rows=job.dev_rows,
        recipe=job.recipe,
        seed=job.seed,
        folder=work,
        progress=progress,
        name=job.name,
        compute=methods.compute_dtype(job.chat),
        world=world,
    )

    def finish(best: Path) -> None:
        said.keep(trained, tokenizer, said.shorter([row.messages for row in (*job.dev_rows, *job.rows.rows)], SAID_PROMPTS), best)
        if job.recipe.method == "full":
            # A whole model is loaded by others from its folder alone.
            with saving(best):
                tokenizer.save_pretrained(str(best))

    return state, base, finish


def _begin_from(trained: Any, start: Path) -> None:
    """Put the weights of a finished adapter into a fresh one. Raises ``StateError`` where there is none or it does not fit."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if read_version(start) is None:
        raise StateError(f"{start}: the adapter to begin from is not there", "type: groundtune tune")
    loaded = set_peft_model_state_dict(trained, load_file(str(start / ADAPTER)))
    missing = [name for name in loaded.missing_keys if "lora_" in name]
    if missing or loaded.unexpected_keys:
        wrong = (missing or loaded.unexpected_keys)[0]
        raise StateError(f"{start}: does not fit the adapter that begins from it ({wrong})", "type: groundtune check")


def _version(job: Job, base: str, state: State, asked: Any) -> ModelVersion:
    from groundtune.models.local.load import load_tokenizer

    origin = origin_of(job.chat, load_tokenizer(job.chat))
    return ModelVersion(
        id=job.version_id,
        name=job.name,
        base=base,
        adapter_path=None,
        trained_on=job.rows.fingerprint,
        prompt_hash=job.prompt_hash,
        recipe=job.recipe.model_dump(),
        readers=job.rows.readers,
        document_ids=job.rows.document_ids,
        metrics={
            "dev_loss": state.best_loss if state.best_loss is not None else float("nan"),
            "best_step": state.best_step,
            "steps": state.step,
            "tokens": state.tokens,
            "rows": len(job.rows.rows),
            "seconds": round(state.seconds, 1),
            "peak_bytes": state.peak,
            "estimated_bytes": asked.bytes,
            "estimated_seconds": round(asked.seconds, 1),
        },
        base_name=origin.base_name,
        revision=origin.revision,
        template_hash=origin.template_hash,
        licence=origin.licence,
        made_at=now(),
        started_from=None if job.start is None else job.start.version_id,
    )


def _write_version(job: Job, version: ModelVersion, final: Path) -> None:
    held = weights_in(final)
    if held is None:
        raise StateError(f"{final}: holds no weights", "type: groundtune tune")
    files = {path.name: file_sha256(path) for path in sorted(final.iterdir()) if path.is_file()}
    row = {"schema": SCHEMA, "weights": held.name, "sha256": files[held.name], "files": files, "sources": dict(job.sources)}
    write_json(final / RECORD, {**row, "version": version})
