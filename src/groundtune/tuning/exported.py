"""A job → the same run for other trainers: rows in their form, settings under their names.

    exports/reader-axolotl/  axolotl.yml  train.jsonl  dev.jsonl        axolotl train axolotl.yml
    exports/reader-openai/   job.json     train.jsonl  dev.jsonl        groundtune tune reader --export openai --submit

The rows are those that our own run would learn, rendered by the one prompt builder.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import StateError
from groundtune.files import write_atomic, write_json, write_lines
from groundtune.tuning.adapter import Job
from groundtune.tuning.rows import AnyRow, Rated, Row

# What an embedded model is called by trainers that fetch from the hub: the same model before it was quantised for its package.
UPSTREAM = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
WITHDRAWN = (
    "hosted tuning can be withdrawn: its owner can retire the base model, the tuned model or the service, and its weights cannot be"
    " taken away; keep the local run as the fallback"
)
LEAST_ROWS = 10  # what the hosted service asks for


def axolotl(job: Job, folder: Path, *, target_modules: Sequence[str], end_token: str | None) -> list[Path]:
    """Write the run for Axolotl and return the files. ``end_token`` is what ends a turn, where it is not the tokenizer's end token.

    Raises ``StateError`` for an objective that Axolotl does not take under the model's own template.
    """
    from ruamel.yaml import YAML

    buffer = io.StringIO()
    yaml = YAML()
    yaml.width = 140
    yaml.dump(axolotl_settings(job, target_modules=target_modules, end_token=end_token), buffer)
    base = str(job.chat.get("model"))
    note = f"# {base} as this project runs it is a quantised copy; the hub has the original.\n" if base in UPSTREAM else ""
    head = f"# The run of [tuning.{job.name}], key {job.key}, for Axolotl. Start it in this folder: axolotl train axolotl.yml\n{note}"
    files = [folder / "axolotl.yml", folder / "train.jsonl", folder / "dev.jsonl"]
    write_lines(files[1], [_axolotl_row(row, job.recipe.objective) for row in job.rows.rows])
    write_lines(files[2], [_axolotl_row(row, job.recipe.objective) for row in job.dev_rows])
    write_atomic(files[0], head + buffer.getvalue())
    return files


def axolotl_settings(job: Job, *, target_modules: Sequence[str], end_token: str | None) -> dict[str, Any]:
    """Return the settings of a run under Axolotl's names. Batches have the same rows' number; their order is Axolotl's own."""
    recipe, base = job.recipe, str(job.chat.get("model"))
    if recipe.objective == "kto":
        raise StateError(
            "Axolotl takes KTO rows as ChatML or Llama 3 only, so the prompt would not be the one that is served",
            'set objective = "dpo" or "orpo" in its [tuning.*] table, then type: groundtune tune --export axolotl',
        )
    # The largest number of rows that divides the batch and stays within memory_tokens.
    fitting = max(1, recipe.memory_tokens // recipe.max_tokens)
    micro = max(number for number in range(1, recipe.batch + 1) if recipe.batch % number == 0 and number <= max(1, fitting))
    settings: dict[str, Any] = {
        "base_model": UPSTREAM.get(base, base),
        "strict": False,
        "chat_template": "tokenizer_default",
    }
    if end_token is not None:
        settings["eot_tokens"] = [end_token]
    if recipe.method != "full":
        settings |= {
            "adapter": "qlora" if recipe.method == "qlora" else "lora",
            "load_in_4bit": recipe.method == "qlora",
            "lora_r": recipe.rank,
            "lora_alpha": recipe.alpha,
            "lora_dropout": 0.0,
            "lora_target_modules": list(target_modules),
        }
        if recipe.method == "dora":
            settings["peft_use_dora"] = True
    shape: dict[str, Any] = {"ds_type": "json", "field_messages": "messages"}
    if recipe.objective == "sft":
        shape |= {"type": "chat_template", "roles_to_train": ["assistant"], "train_on_eos": "turn"}
    elif recipe.objective == "dpo":
        settings |= {"rl": "dpo", "rl_beta": recipe.beta}
        shape |= {"type": "chat_template.default", "field_chosen": "chosen", "field_rejected": "rejected"}
    else:
        settings |= {"rl": "orpo", "orpo_alpha": recipe.beta, "remove_unused_columns": False}
        shape = {"ds_type": "json", "type": "chat_template.argilla"}
    settings["datasets"] = [{"path": "train.jsonl", "split": "train", **shape}]
    if job.dev_rows:
        settings["test_datasets"] = [{"path": "dev.jsonl", "split": "train", **shape}]
        settings["early_stopping_patience"] = recipe.patience
        settings["eval_steps"] = recipe.evaluate_every
    return settings | {
        "val_set_size": 0,
        "sequence_len": recipe.max_tokens,
        "sample_packing": recipe.packing,
        "pad_to_sequence_len": False,
        "micro_batch_size": micro,
        "gradient_accumulation_steps": recipe.batch // micro,
        "num_epochs": recipe.epochs,
        "optimizer": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": "cosine",
        "cosine_min_lr_ratio": 0.1,
        "warmup_ratio": recipe.warmup,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": "auto",
        "save_steps": recipe.evaluate_every,
        "save_total_limit": 2,
        "seed": job.seed,
        "output_dir": f"out/{job.name}",
    }


def left_behind(job: Job) -> list[str]:
    """Return what of a run Axolotl does not do as it is done here, in words."""
    notes = []
    if job.recipe.layers is not None:
        notes.append(f"layers = {job.recipe.layers} is not exported: all layers are trained")
    if job.recipe.objective == "orpo":
        notes.append("its ORPO counts the likelihood of the prompt too; here only the reply's")
    return notes


def openai(job: Job, folder: Path, *, model: str) -> list[Path]:
    """Write the run as a hosted fine-tuning job and return the files. Raises ``StateError`` for what hosted tuning does not take."""
    recipe = job.recipe
    hint = "correct its [tuning.*] table, then type: groundtune tune --export openai"
    if recipe.objective not in ("sft", "dpo"):
        raise StateError(f"hosted tuning knows sft and dpo, and the objective is {recipe.objective}", hint)
    if len(job.rows.rows) < LEAST_ROWS:
        raise StateError(f"hosted tuning takes {LEAST_ROWS} rows or more, and there are {len(job.rows.rows)}", hint)
    files = [folder / "train.jsonl", folder / "dev.jsonl", folder / "job.json"]
    write_lines(files[0], [openai_row(row) for row in job.rows.rows])
    write_lines(files[1], [openai_row(row) for row in job.dev_rows])
    hyper: dict[str, Any] = {"n_epochs": recipe.epochs, "batch_size": recipe.batch}
    kind = "supervised" if recipe.objective == "sft" else "dpo"
    if kind == "dpo":
        hyper["beta"] = recipe.beta
    body = {"model": model, "seed": job.seed, "suffix": job.name[:18], "method": {"type": kind, kind: {"hyperparameters": hyper}}}
    write_json(files[2], {"key": job.key, "request": body, "warning": WITHDRAWN})
    return files


def openai_row(row: AnyRow) -> Mapping[str, Any]:
    """Return a row in the hosted service's form: a conversation, or a conversation with a preferred and another reply."""
    messages = [dict(message) for message in row.messages]
    if isinstance(row, Row | Rated):
        return {"messages": [*messages, {"role": "assistant", "content": row.completion}]}
    return {
        "input": {"messages": messages},
        "preferred_output": [{"role": "assistant", "content": row.chosen}],
        "non_preferred_output": [{"role": "assistant", "content": row.rejected}],
    }


def _axolotl_row(row: AnyRow, objective: str) -> Mapping[str, Any]:
    messages = [dict(message) for message in row.messages]
    if isinstance(row, Row | Rated):
        return {"messages": [*messages, {"role": "assistant", "content": row.completion}]}
    chosen, rejected = ({"role": "assistant", "content": text} for text in (row.chosen, row.rejected))
    if objective == "dpo":
        return {"messages": messages, "chosen": chosen, "rejected": rejected}
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    turns = [message for message in messages if message["role"] != "system"]
    return {"system": system, "chosen": [*turns, chosen], "rejected": [*turns, rejected]}
