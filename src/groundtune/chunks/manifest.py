"""An index version as its manifest has it: what it was made from, where its rows are, and how many there have to be.

index/versions/3f2a9c1e77aa.json   written last, so a version without one does not exist
index/live.json                    {"id": "index:3f2a9c1e77aa"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import StaleIndex
from groundtune.files import write_json

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVersion:
    """One immutable version. ``contents`` maps document ids to their hash, readers and number of chunks.

    ``added`` to ``unchanged`` count documents, against the version before it. ``tag`` is the table's own name for its state.
    """

    id: str
    table: str
    tag: str
    splitter: Mapping[str, Any]
    embedder: str
    embedder_name: str
    contents: Mapping[str, Mapping[str, Any]]
    added: int = 0
    changed: int = 0
    restamped: int = 0
    gone: int = 0
    unchanged: int = 0

    @property
    def documents(self) -> int:
        """How many documents it holds."""
        return len(self.contents)

    @property
    def chunks(self) -> int:
        """How many chunks it holds."""
        return sum(item["chunks"] for item in self.contents.values())


def path_of(store: Path, version_id: str) -> Path:
    """Return where the manifest of a version is."""
    return store / "versions" / f"{version_id.removeprefix('index:')}.json"


def write(store: Path, version: IndexVersion) -> None:
    """Write a version's manifest, then make it the live one."""
    write_json(path_of(store, version.id), {"schema": SCHEMA, "version": version})
    write_json(store / "live.json", {"id": version.id})


def read(store: Path, version_id: str) -> IndexVersion | None:
    """Return a finished version, or ``None`` where there is none of that id. Raises ``StaleIndex`` for a manifest that cannot be read."""
    path = path_of(store, version_id)
    if not path.is_file():
        return None
    try:
        return IndexVersion(**json.loads(path.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise StaleIndex(f"{path}: not a manifest: {error!r}", f"remove it (rm {path}), then type: groundtune ingest") from None


def live(store: Path) -> IndexVersion | None:
    """Return the live version, or ``None`` before the first ingestion."""
    path = store / "live.json"
    if not path.is_file():
        return None
    try:
        version_id = str(json.loads(path.read_text(encoding="utf-8"))["id"])
    except (ValueError, KeyError, TypeError):
        raise StaleIndex(f"{path}: does not name an index version", f"remove it (rm {path}), then type: groundtune ingest") from None
    return read(store, version_id)


def versions(store: Path) -> list[IndexVersion]:
    """Return the finished versions, oldest first."""
    paths = sorted((store / "versions").glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    found = [read(store, f"index:{path.stem}") for path in paths]
    return [version for version in found if version is not None]
