"""lm-eval over a base model and its adapter, as a subprocess that reaches nothing but local files.

    tasks_folder/*.yaml  →  python -m lm_eval run --model hf --model_args pretrained=…,peft=…  →  samples_*.jsonl  →  Score

The harness is large and brings many packages, so it is an extra, and nothing of it is imported here. Both models answer the same items
in the same order, so their marks are paired item by item.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError, MissingExtra, ModelError
from groundtune.models.tuned import WHOLE
from groundtune.tuning.checkpoints import weights_in
from groundtune.types import Score

PREFIX = "lm-eval:"
# Marks of one item between 0 and 1, the first that a task has.
MARKS = ("acc_norm", "acc", "exact_match", "f1")
SECONDS = 24 * 3600


def command(
    *, model: Path, adapter: Path | None, dtype: str, tasks: Sequence[str], folder: Path | None, limit: int | None, out: Path
) -> list[str]:
    """Return the command line that runs the tasks."""
    # A version of full tuning is a whole model in the base's place; its prompts are the base's.
    held = None if adapter is None else weights_in(adapter)
    whole = held is not None and held.name == WHOLE
    named = {"pretrained": adapter if whole else model, "dtype": dtype, "tokenizer": model}
    named |= {"peft": adapter} if adapter and not whole else {}
    # -P: a module that lies in the folder of the tasks is not taken for one of the harness's own.
    parts = [sys.executable, "-P", "-m", "lm_eval", "run", "--model", "hf", "--model_args", ",".join(f"{k}={v}" for k, v in named.items())]
    parts += ["--tasks", ",".join(tasks), "--output_path", str(out), "--log_samples", "--batch_size", "4"]
    parts += ["--include_path", str(folder)] if folder else []
    parts += ["--limit", str(limit)] if limit is not None else []
    return parts


def run(
    *, model: Path, adapter: Path | None, dtype: str, tasks: Sequence[str], folder: Path | None, limit: int | None, arm: str
) -> list[Score]:
    """Run the tasks and return one score an item, metric ``lm-eval:TASK``. Raises ``MissingExtra``, ``ConfigError`` or ``ModelError``."""
    if importlib.util.find_spec("lm_eval") is None:
        raise MissingExtra.of("lm_eval", "lm-eval")
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"models.tasks_folder is {folder}: no such folder", "mend groundtune.toml, then type: groundtune check")
    for path in (model, adapter):
        # The harness takes "key=value,key=value", and has no way to quote a comma.
        if path is not None and ("," in str(path) or "=" in str(path)):
            raise ConfigError(
                f"{path}: lm-eval cannot be given a path with , or = in it", "move the project, then type: groundtune models compare"
            )
    # The harness must neither fetch nor run code that came with a data set; a task that needs either fails with its reason.
    closed = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_TRUST_REMOTE_CODE": "0", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory(prefix="groundtune-lm-eval-") as place:
        line = command(model=model, adapter=adapter, dtype=dtype, tasks=tasks, folder=folder, limit=limit, out=Path(place))
        done = subprocess.run(  # noqa: S603 - no shell; names come from groundtune.toml
            line, capture_output=True, text=True, timeout=SECONDS, check=False, env={**os.environ, **closed}, cwd=folder or place
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["it gave no reason"])[-1]
            raise ModelError(f"lm-eval ended with {done.returncode}: {said}", "mend models.tasks, then type: groundtune models compare")
        return [score for task in tasks for score in read(Path(place), task, arm)]


def read(out: Path, task: str, arm: str) -> list[Score]:
    """Read the samples that the harness logged for one task. Raises ``ModelError`` when there are none, or none with a known mark."""
    found = sorted(out.rglob(f"samples_{task}_*.jsonl"))
    rows: list[dict[str, Any]] = [json.loads(line) for path in found for line in path.read_text(encoding="utf-8").splitlines() if line]
    hint = f"name tasks with one of the metrics {', '.join(MARKS)}, then type: groundtune models compare"
    if not rows:
        raise ModelError(f"lm-eval logged no items for {task}; a group of tasks must be named by its parts", hint)
    metric = next((name for name in MARKS if all(isinstance(row.get(name), int | float) for row in rows)), None)
    if metric is None:
        raise ModelError(f"lm-eval task {task} marks its items by none of {', '.join(MARKS)}", hint)
    # A task with several filters logs an item once for each; the first is the one that it reports first.
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(str(row["doc_id"]), row)
    return [
        Score(
            answer_id=f"{PREFIX}{task}:{number}:{arm}",
            example_id=f"{task}:{number}",
            arm=arm,
            metric=f"{PREFIX}{task}",
            value=float(row[metric]),
            reason=f"{metric} of lm-eval",
            signature=f"lm-eval|{task}|{metric}|{row.get('filter', '-')}",
        )
        for number, row in first.items()
    ]
