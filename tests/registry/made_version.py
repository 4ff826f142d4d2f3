"""A version's folder as tuning leaves it, around an adapter that was made on the spot: no training, but everything in it is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from made_model import make_adapter

from groundtune.files import file_sha256, write_json, write_lines
from groundtune.models.local.template import template_hash
from groundtune.models.tuned import ADAPTER
from groundtune.registry import merge
from groundtune.tuning import said
from groundtune.tuning.adapter import read_version
from groundtune.tuning.rows import Row
from groundtune.types import ModelVersion

QUESTIONS = [
    "How long?", "Who waits for the next tide?", "What does the warranty cover?", "Slots?", "When is the brake checked?", "Who pays?",
    "Is the crane there?", "What is a rope?", "Yes or no?", "How many weeks ahead?", "Two years or three?", "Who comes late?",
]  # fmt: skip


def chat_of(model: Path) -> dict[str, Any]:
    return {"use": "local", "model": str(model), "dtype": "float32"}


def prompts() -> list[list[dict[str, str]]]:
    return [[{"role": "system", "content": "Answer."}, {"role": "user", "content": question}] for question in QUESTIONS]


def make_version(model: Path, store: Path, name: str = "closed", *, seed: int = 1, **changed: Any) -> ModelVersion:
    """Write ``store/NAME-0000000{seed}`` and return its version."""
    folder = store / f"{name}-{seed:08d}"
    make_adapter(model, folder, seed=seed)
    for path in folder.iterdir():
        if path.name not in (ADAPTER, "adapter_config.json"):
            path.unlink()
    wrapped, tokenizer = merge.adapted(chat_of(model), folder, "float32")
    asked = prompts()
    write_json(
        folder / said.FILE,
        {"schema": 1, "limit": 12, "dtype": "float32", "prompts": asked, "tokens": said.say(wrapped, tokenizer, asked, limit=12)},
    )
    rows = [
        Row(example_id=f"e{n}", messages=tuple(prompt), completion=f"{n} years", document_ids=("document:a.md",))
        for n, prompt in enumerate(asked)
    ]
    write_lines(folder / "rows.jsonl", rows)
    version = ModelVersion(
        id=f"model:{folder.name}",
        name=name,
        base=merge.base_of(chat_of(model)),
        adapter_path=None,
        trained_on="rows0001",
        prompt_hash="prompt01",
        recipe={"rank": 4, "alpha": 16, "passages": False},
        readers=frozenset(["everyone"]),
        document_ids=("document:a.md",),
        metrics={"dev_loss": 1.0, "rows": len(rows)},
        base_name=str(model),
        revision="files 1234",
        template_hash=template_hash(tokenizer),
        licence="Apache-2.0",
        made_at="2026-11-21T10:00:00+00:00",
    )
    seal(folder, replace(version, **changed))
    found = read_version(folder)
    assert found is not None
    return found


def seal(folder: Path, version: ModelVersion) -> None:
    """Write ``version.json`` for what lies in the folder."""
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != "version.json"}
    write_json(folder / "version.json", {"schema": 1, "sha256": files[ADAPTER], "files": files, "version": version})
