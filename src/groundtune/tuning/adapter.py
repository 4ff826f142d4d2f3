"""Training set + recipe → an adapter on disk with its making beside it → ``ModelVersion``.

models/hybrid-3f2a9c1e/
  adapter_model.safetensors  adapter_config.json   what PEFT, vLLM and others load
  README.md                                        the model card
  rows.jsonl                                       the rows as they were trained on
  said.json                                        what the trainer's own model said to a few prompts
  version.json                                     written last: without it there is no such version
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import MissingExtra, StateError, WeightsError
from groundtune.files import file_sha256, fingerprint, storing, write_atomic, write_json, write_lines
from groundtune.progress import Progress
from groundtune.records.ledger import now
from groundtune.tables import TuningTable
from groundtune.tuning import said
from groundtune.tuning.origin import origin_of
from groundtune.tuning.trainset import Row, TrainSet
from groundtune.types import ModelVersion

SCHEMA = 1
WEIGHTS = "adapter_model.safetensors"
SAID_PROMPTS = 12


def version_key(*, name: str, recipe: TuningTable, rows: TrainSet, dev_rows: Sequence[Row], base: str, prompt_hash: str, seed: int) -> str:
    """Return the fingerprint of all that an adapter is made from; the same key is the same adapter."""
    return fingerprint(name, recipe.model_dump(), rows.fingerprint, rows.readers, fingerprint(dev_rows), base, prompt_hash, seed)


def folder_of(store: Path, name: str, key: str) -> Path:
    """Return where the adapter of this key lives."""
    return store / f"{name}-{key[:8]}"


def read_version(folder: Path) -> ModelVersion | None:
    """Return the version in a folder, or ``None`` where none was finished. Raises ``WeightsError`` when its weights were changed since."""
    path = folder / "version.json"
    if not path.is_file():
        return None
    row = json.loads(path.read_text(encoding="utf-8"))
    found = file_sha256(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "no file"
    if found != row["sha256"]:
        raise WeightsError(
            f"{folder / WEIGHTS}: sha256 {found[:16]}…, expected {row['sha256'][:16]}…",
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


def make(
    *,
    name: str,
    key: str,
    recipe: TuningTable,
    rows: TrainSet,
    dev_rows: Sequence[Row],
    chat: Mapping[str, Any],
    prompt_hash: str,
    seed: int,
    store: Path,
    progress: Progress,
) -> ModelVersion:
    """Train the adapter of this key, or return it when it is there already. A broken-off run goes on from its last checkpoint."""
    final = folder_of(store, name, key)
    work = store / ".work" / f"{name}-{key[:8]}"
    finished = read_version(final)
    if finished is not None:
        # There when a run was killed after its last word and before it had tidied up.
        shutil.rmtree(work, ignore_errors=True)
        return finished
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "peft", "local") from error
    import torch

    from groundtune.models.local.chat import load_base
    from groundtune.tuning.train import train

    model, tokenizer, base = load_base(chat)
    with storing(work):
        work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    depth = model.config.num_hidden_layers
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=linear_names(model),
        layers_to_transform=None if recipe.layers is None else list(range(max(0, depth - recipe.layers), depth)),
        task_type="CAUSAL_LM",
    )
    # Base weights may be bf16; the adapter's own stay fp32, as small updates are lost in bf16.
    with warnings.catch_warnings():
        # PEFT asks transformers for an attribute by its old name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    state = train(
        adapted,
        tokenizer,
        rows=rows.rows,
        dev_rows=dev_rows,
        recipe=recipe,
        seed=seed,
        folder=work,
        progress=progress,
        name=name,
    )
    if state.best_loss is None or not (work / "best" / WEIGHTS).is_file():
        raise StateError(f"tuning {name} ended without an adapter", "type: groundtune tune")
    origin = origin_of(chat, tokenizer)
    version = ModelVersion(
        id=f"model:{name}-{key[:8]}",
        name=name,
        base=base,
        adapter_path=None,
        trained_on=rows.fingerprint,
        prompt_hash=prompt_hash,
        recipe=recipe.model_dump(),
        readers=rows.readers,
        document_ids=rows.document_ids,
        metrics={
            "dev_loss": state.best_loss,
            "best_step": state.best_step,
            "steps": state.step,
            "tokens": state.tokens,
            "rows": len(rows.rows),
            "seconds": round(state.seconds, 1),
        },
        base_name=origin.base_name,
        revision=origin.revision,
        template_hash=origin.template_hash,
        licence=origin.licence,
        made_at=now(),
    )
    best = work / "best"
    said.keep(adapted, tokenizer, [row.messages for row in said.spread([*dev_rows, *rows.rows], SAID_PROMPTS)], best)
    write_lines(best / "rows.jsonl", rows.rows)
    write_json(best / "history.json", state.history)
    write_atomic(best / "README.md", card(version, rows, str(chat.get("model"))))
    with storing(final):
        shutil.rmtree(final, ignore_errors=True)
        shutil.copytree(best, final)
    files = {path.name: file_sha256(path) for path in sorted(final.iterdir()) if path.is_file()}
    write_json(final / "version.json", {"schema": SCHEMA, "sha256": files[WEIGHTS], "files": files, "version": version})
    shutil.rmtree(work, ignore_errors=True)
    made = read_version(final)
    if made is None:
        raise StateError(f"{final}: the adapter was written but cannot be read back", "type: groundtune tune")
    return made


def linear_names(model: Any) -> list[str]:
    """Return the names of the linear layers inside the model's blocks: attention and MLP projections, never the output layer."""
    import torch

    output = model.get_output_embeddings()
    return sorted(
        {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not output}
    )


def card(version: ModelVersion, rows: TrainSet, base_name: str) -> str:
    """Return the model card: what it is for, what it was made from, what it was measured at."""
    recipe = "\n".join(f"| {key} | {value} |" for key, value in version.recipe.items())
    left_out = "\n".join(f"- {count} rows left out: {reason}" for reason, count in sorted(rows.left_out.items())) or "- none left out"
    documents = "\n".join(f"- {item}" for item in version.document_ids)
    readers = ", ".join(sorted(version.readers or ())) or "nobody"
    loss = f"{version.metrics['dev_loss']:.4f} at step {version.metrics['best_step']} of {version.metrics['steps']}"
    return f"""# {version.id}

LoRA adapter for `{base_name}` (weights fingerprint `{version.base}`). Made by Groundtune for one project and its prompt; on another
prompt it is not this model (prompt hash `{version.prompt_hash}`).

**Who may be answered by it:** {readers}: the intersection of the readers of every document below.

**What it should not be used for:** facts. It learned form, tone and routing; facts in its weights go stale and cannot be withdrawn.

## Training rows

{len(rows.rows)} rows, fingerprint `{version.trained_on}`, listed in `rows.jsonl`.

{left_out}

## Recipe

| setting | value |
|---|---|
{recipe}

## Measured while training

| | |
|---|---|
| loss on dev rows, per completion token (nats) | {loss} |
| tokens read | {version.metrics["tokens"]} |
| seconds | {version.metrics["seconds"]} |

## Documents whose text is in the rows

{documents}
"""
