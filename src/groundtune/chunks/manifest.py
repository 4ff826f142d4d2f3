"""An index version as its manifest has it: what it was made from, where its rows are, and how many there have to be.

index/versions/3f2a9c1e77aa.json   written last, so a version without one does not exist
index/gone/3f2a9c1e77aa.json       moved there first when it is removed, so a removal that was broken off is found again
index/live.json                    {"id": "index:3f2a9c1e77aa", "before": ["index:…"], "switches": [{…each change of what is live…}]}

What is live changes by one atomic write of ``live.json``, which holds the record of the change too: there is no change without its record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from groundtune.chunks.store import Readers, strictest
from groundtune.errors import StaleIndex
from groundtune.files import write_atomic, write_json

SCHEMA = 1
MOST_SWITCHES = 500  # records that live.json keeps; the ledger has had the older ones for long
MOST_BEFORE = 50  # steps that can be rolled back, one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVersion:
    """One immutable version. ``contents`` maps document ids to their hash, readers, number of chunks and the digest of these.

    ``readers`` of a document are those who may read all of it; where its chunks have different ones, ``parts`` holds those of each chunk,
    and ``sections`` the fingerprint of the document's sections that they come from.

    ``added`` to ``unchanged`` count documents, against the version before it. ``tag`` is the table's own name for its state, and
    ``engine`` the store that keeps it.
    """

    id: str
    table: str
    tag: str
    splitter: Mapping[str, Any]
    embedder: str
    embedder_name: str
    contents: Mapping[str, Mapping[str, Any]]
    engine: str = "lance"
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


def readers_in(item: Mapping[str, Any]) -> Readers:
    """Return the readers that a version's contents have for a document."""
    return tuple(frozenset(part) for part in item["parts"]) if item.get("parts") else frozenset(item["readers"])


def readers_kept(readers: Readers, sections: str) -> dict[str, Any]:
    """Return readers as a version's contents have them; ``sections`` is empty for a document without any."""
    kept: dict[str, Any] = {"readers": sorted(strictest(readers))}
    if not isinstance(readers, frozenset):
        kept["parts"] = [sorted(part) for part in readers]
    return {**kept, "sections": sections} if sections else kept


def path_of(store: Path, version_id: str) -> Path:
    """Return where the manifest of a version is."""
    return store / "versions" / f"{version_id.removeprefix('index:')}.json"


def write(store: Path, version: IndexVersion) -> None:
    """Write a version's manifest; from then on the version exists."""
    # Its contents are plain already, and a hundred thousand documents are too many to be turned into that one by one.
    row = {field.name: getattr(version, field.name) for field in fields(version)}
    path = path_of(store, version.id)
    write_atomic(path, json.dumps({"schema": SCHEMA, "version": row}, ensure_ascii=False) + "\n")
    _remember(path, _stamp(path.stat()), version)


def read(store: Path, version_id: str) -> IndexVersion | None:
    """Return a finished version, or ``None`` where there is none of that id. Raises ``StaleIndex`` for a manifest that cannot be read."""
    path = path_of(store, version_id)
    try:
        stamp = _stamp(path.stat())
    except FileNotFoundError:
        return None
    known = _RECENT.get(path)
    return known[1] if known is not None and known[0] == stamp else _remember(path, stamp, _parsed(path))


# Manifests that were read or written last, by path: one is written as a new file or not at all, and that of a large index is long.
_RECENT: dict[Path, tuple[tuple[int, ...], IndexVersion]] = {}
MOST_RECENT = 4
_LOCK = Lock()


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _remember(path: Path, stamp: tuple[int, ...], version: IndexVersion) -> IndexVersion:
    with _LOCK:
        _RECENT.pop(path, None)
        while len(_RECENT) >= MOST_RECENT:
            del _RECENT[next(iter(_RECENT))]
        _RECENT[path] = (stamp, version)
    return version


def _parsed(path: Path) -> IndexVersion:
    try:
        return IndexVersion(**json.loads(path.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise StaleIndex(f"{path}: not a manifest: {error!r}", f"remove it (rm {path}), then type: groundtune ingest") from None


@dataclass(frozen=True, slots=True)
class Live:
    """What is live, the versions that a rollback goes back to (nearest last), and every switch there has been, oldest first."""

    id: str
    before: tuple[str, ...] = ()
    switches: tuple[Mapping[str, Any], ...] = ()


def state(store: Path) -> Live | None:
    """Return what ``live.json`` says, or ``None`` before the first ingestion. Raises ``StaleIndex`` where it cannot be read."""
    path = store / "live.json"
    if not path.is_file():
        return None
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return Live(str(row["id"]), tuple(map(str, row.get("before", ()))), tuple(dict(item) for item in row.get("switches", ())))
    except (ValueError, KeyError, TypeError):
        raise StaleIndex(f"{path}: does not name an index version", f"remove it (rm {path}), then type: groundtune ingest") from None


def switch(store: Path, verb: str, version_id: str, before: Sequence[str] | None = None) -> Live:
    """Make a version the live one. ``before``: where a rollback goes from there; otherwise the versions until now and the one live now."""
    now = state(store)
    old = now or Live("")
    known = [item for item in (*old.before, old.id) if item and item != version_id] if before is None else list(before)
    number = old.switches[-1]["number"] + 1 if old.switches else 1
    record = {"number": number, "verb": verb, "id": version_id, "from": old.id or None, "at": _now()}
    made = Live(version_id, tuple(known[-MOST_BEFORE:]), (*old.switches[1 - MOST_SWITCHES :], record))
    write_json(store / "live.json", made)
    return made


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def live(store: Path) -> IndexVersion | None:
    """Return the live version, or ``None`` before the first ingestion."""
    now = state(store)
    return None if now is None else read(store, now.id)


def versions(store: Path) -> list[IndexVersion]:
    """Return the finished versions, oldest first."""
    paths = sorted((store / "versions").glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    found = [read(store, f"index:{path.stem}") for path in paths]
    return [version for version in found if version is not None]


def path_of_gone(store: Path, version_id: str) -> Path:
    """Return where the manifest of a version is while the version is removed."""
    return store / "gone" / f"{version_id.removeprefix('index:')}.json"


def leaving(store: Path) -> list[IndexVersion]:
    """Return the versions whose removal was begun."""
    return [_parsed(path) for path in sorted((store / "gone").glob("*.json"))]
