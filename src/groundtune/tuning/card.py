"""The model card: what a tuned model is for, what it was made from, what it was measured at."""

from __future__ import annotations

from groundtune.tuning.replay import GENERAL
from groundtune.tuning.rows import TrainSet
from groundtune.types import ModelVersion

KINDS = {
    "lora": "LoRA adapter for",
    "dora": "DoRA adapter for",
    "qlora": "LoRA adapter, trained on the 4-bit form of and made for",
    "full": "All weights, tuned from",
}


def card(version: ModelVersion, rows: TrainSet, base_name: str) -> str:
    """Return the card as Markdown."""
    recipe = "\n".join(f"| {key} | {value} |" for key, value in version.recipe.items())
    left_out = "\n".join(f"- {count} rows left out: {reason}" for reason, count in sorted(rows.left_out.items())) or "- none left out"
    documents = "\n".join(f"- {item}" for item in version.document_ids)
    readers = ", ".join(sorted(version.readers or ())) or "nobody"
    metrics = version.metrics
    loss = f"{metrics['dev_loss']:.4f} at step {metrics['best_step']} of {metrics['steps']}"
    general = sum(row.example_id.startswith(GENERAL) for row in rows.rows)
    replayed = f" {general} of them are general rows of the package, against forgetting." if general else ""
    memory = "unknown"
    if metrics.get("peak_bytes"):
        memory = f"{metrics['peak_bytes'] / 1e9:.2f} GB, estimated {metrics['estimated_bytes'] / 1e9:.2f}"
    began = f" It began with the weights of {version.started_from}, whose documents are listed here too." if version.started_from else ""
    kind = KINDS[version.recipe.get("method", "lora")]
    return f"""# {version.id}

{kind} `{base_name}` (weights fingerprint `{version.base}`). Made by Groundtune for one project and its prompt; on another
prompt it is not this model (prompt hash `{version.prompt_hash}`).

**Who may be answered by it:** {readers}: the intersection of the readers of every document below.

**What it should not be used for:** facts. It learned form, tone and routing; facts in its weights go stale and cannot be withdrawn.

## Training rows

{len(rows.rows)} rows, fingerprint `{version.trained_on}`, listed in `rows.jsonl`.{replayed}{began}

{left_out}

## Recipe

| setting | value |
|---|---|
{recipe}

## Measured while training

| | |
|---|---|
| loss on dev rows | {loss} |
| tokens read | {metrics["tokens"]} |
| seconds | {metrics["seconds"]} |
| most memory | {memory} |

## Documents whose text is in the rows

{documents}
"""
