"""What weights learned from a document: their own rows, and those of what they began with, counted from the files that tuning leaves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundtune.files import file_sha256, write_json, write_lines
from groundtune.models.tuned import ADAPTER
from groundtune.project.probing.trained import Rows, catch_up, learned, lineage, rows_on
from groundtune.tuning.adapter import read_version
from groundtune.types import Evidence, Example, ModelVersion

A, B, C = "document:a.md", "document:b.md", "document:c.md"


def example(name: str, document: str) -> Example:
    evidence = (Evidence(document_id=document, quote="x", start=0, end=1),)
    return Example(
        id=name, question="?", asker="ana", reply={}, evidence=evidence, answerable=True, split="train", split_group=name
    )  # fmt: skip


def version(store: Path, name: str, rows: list[tuple[str, list[str]]], *, start: str | None = None, **metrics: float) -> ModelVersion:
    """Write a version as tuning leaves it, around weights that nobody reads, and return it as it is read."""
    folder = store / f"{name}-1"
    folder.mkdir(parents=True)
    (folder / ADAPTER).write_bytes(name.encode())
    write_lines(folder / "rows.jsonl", [{"example_id": row, "document_ids": documents, "messages": []} for row, documents in rows])
    made = ModelVersion(
        id=f"model:{name}-1", name=name, base="b", adapter_path=None, trained_on="t", prompt_hash="p", recipe={}, readers=None,
        document_ids=(), metrics=metrics, started_from=start,
    )  # fmt: skip
    write_json(folder / "version.json", {"schema": 1, "sha256": file_sha256(folder / ADAPTER), "version": made})
    found = read_version(folder)
    assert found is not None
    return found


@pytest.fixture
def project(tmp_path: Path) -> Any:
    examples = (example("one", A), example("two", B), example("three", C))
    return SimpleNamespace(state=tmp_path, content=SimpleNamespace(examples=examples))


def test_rows_of_what_an_adapter_began_with_are_in_its_weights_too(project: Any) -> None:
    store = project.state / "models"
    closed = version(store, "closed", [("one", [A]), ("two", [B])], seconds=100.0, tokens=2000.0)
    reader = version(store, "reader", [("three", [C, A])], start=closed.id, seconds=60.0, tokens=500.0)
    assert [item.id for item in lineage(project, reader)] == [reader.id, closed.id]
    assert learned(project, reader, A) == (
        "0 of 1 training rows rest on it, 1 more show it; of closed, which it began with, 1 of 2 training rows rest on it"
    )
    assert learned(project, closed, C) == "0 of 2 training rows rest on it"
    both = catch_up(project, reader, [A])
    assert both.startswith(
        "160 s and 2,500 tokens, as its last training took, with that of closed, which it began with; 1 of its 3 training"
    )
    # What it began with need not be trained again where nothing of it rests on the change.
    alone = catch_up(project, reader, [C])
    assert alone == "60 s and 500 tokens, as its last training took; 1 of its 3 training rows rest on the changed documents"


def test_a_row_whose_example_is_gone_counts_by_the_documents_that_were_written_with_it(project: Any) -> None:
    made = version(project.state / "models", "closed", [("gone", [A]), ("two", [B])])
    assert rows_on(project, made, [A]) == Rows(resting=1, showing=1, total=2)
    assert catch_up(project, made, [A]).startswith("its last training did not say what it took; 1 of its 2")


def test_a_version_that_is_gone_or_leads_back_ends_the_line(project: Any) -> None:
    made = version(project.state / "models", "closed", [], start="model:gone-1")
    assert lineage(project, made) == (made,)
    round_ = version(project.state / "models", "round", [], start="model:round-1")
    assert lineage(project, round_) == (round_,)
    bare = SimpleNamespace(adapter_path=None)
    assert rows_on(project, bare, [A]) == Rows(resting=0, showing=0, total=0)  # type: ignore[arg-type]
