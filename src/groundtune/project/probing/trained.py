"""What an adapter's weights learned from documents: its own training rows, and those of the versions that it began with.

    reader ← closed        3 of reader's 64 rows and 5 of closed's 100 rest on the document: 8 of 164

Weights that another training began with are still in there, so its rows count, and where they have to be trained again, so does its time.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.models.tuned import ROWS
from groundtune.registry.shelf import folder_of
from groundtune.tuning.adapter import read_version
from groundtune.types import ModelVersion

if TYPE_CHECKING:
    from groundtune.project.main import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Training rows of one version: ``resting`` have one of the documents as evidence, ``showing`` have one in their prompt at all."""

    resting: int
    showing: int
    total: int


def lineage(project: Project, version: ModelVersion) -> tuple[ModelVersion, ...]:
    """Return the version, the one that it began with, and so on, as far as they are at hand."""
    found = [version]
    while (start := found[-1].started_from) is not None and start not in {item.id for item in found}:
        before = read_version(folder_of(project.state / "models", start))
        if before is None:
            break
        found.append(before)
    return tuple(found)


def rows_on(project: Project, version: ModelVersion, documents: Collection[str]) -> Rows:
    """Count a version's own rows on some documents. A row whose example is gone counts by the documents that were written with it."""
    path = Path(version.adapter_path or "") / ROWS
    if not version.adapter_path or not path.is_file():
        return Rows(resting=0, showing=0, total=0)
    wanted = set(documents)
    held = {example.id: {item.document_id for item in example.evidence} for example in project.content.examples}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    shown = [set(row.get("document_ids", ())) for row in rows]
    own = [held.get(row.get("example_id", ""), said) for row, said in zip(rows, shown, strict=True)]
    return Rows(
        resting=sum(bool(item & wanted) for item in own),
        showing=sum(bool((item | said) & wanted) for item, said in zip(own, shown, strict=True)),
        total=len(rows),
    )


def catch_up(project: Project, version: ModelVersion, documents: Collection[str]) -> str:
    """Return what it takes an adapter to learn changed documents: its last training, and those before it that rest on them too."""
    chain = lineage(project, version)
    counts = [rows_on(project, item, documents) for item in chain]
    last = max((place for place, count in enumerate(counts) if count.resting), default=0)
    again = chain[: last + 1]
    took = "its last training did not say what it took"
    if all({"seconds", "tokens"} <= item.metrics.keys() for item in again):
        seconds, tokens = (sum(item.metrics[name] for item in again) for name in ("seconds", "tokens"))
        took = f"{seconds:,.0f} s and {tokens:,.0f} tokens, as its last training took"
        took += "".join(f", with that of {item.name}, which it began with" for item in again[1:])
    resting, total = (sum(getattr(count, name) for count in counts) for name in ("resting", "total"))
    return f"{took}; {resting} of its {total:,} training rows rest on the changed documents"


def learned(project: Project, version: ModelVersion, document: str) -> str:
    """Return how many training rows of an adapter have a document as evidence, and how many more have it in their prompt."""
    told = []
    for item in lineage(project, version):
        count = rows_on(project, item, [document])
        more = f", {count.showing - count.resting} more show it" if count.showing > count.resting else ""
        rows = f"{count.resting} of {count.total:,} training rows rest on it{more}"
        told.append(rows if item.id == version.id else f"of {item.name}, which it began with, {rows}")
    return "; ".join(told)
