"""Two versions → what the second has that the first has not, and the other way round.

diff(A, B)   added document:new.md (3 chunks); changed document:a.md (2 chunks new, 1 gone); readers of document:b.md: hr → hr, legal
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.chunks.manifest import IndexVersion, readers_in
from groundtune.chunks.store import Readers, Store, strictest, widest


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A document that is in both, with another text or other chunks. Ids of chunks are ``None`` where another engine has one of the two."""

    document: str
    text: bool
    chunks_before: int
    chunks_after: int
    chunks_added: tuple[str, ...] | None
    chunks_removed: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``settings`` holds [before, after] of a splitter or embedder that differs; ``readers`` the same by document; counts are of chunks."""

    before: str
    after: str
    settings: Mapping[str, tuple[Any, Any]]
    added: Mapping[str, int]
    removed: Mapping[str, int]
    changed: tuple[Changed, ...]
    readers: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    unchanged: int


def diff(before: IndexVersion, after: IndexVersion, engine: Store) -> Difference:
    """Compare two versions by their manifests, and by their stored rows for the documents that changed."""
    old, new = before.contents, after.contents
    both = sorted(old.keys() & new.keys())
    # An id holds its chunk's place and text; other chunks of the same text come of another splitter.
    other = [name for name in both if _kind(old[name]) != _kind(new[name])]
    readers = {
        name: (_shown(readers_in(old[name])), _shown(readers_in(new[name])))
        for name in both
        if readers_in(old[name]) != readers_in(new[name])
    }
    ids_before, ids_after = _ids(before, engine, other), _ids(after, engine, other)
    settings = {
        name: (getattr(before, name), getattr(after, name))
        for name in ("splitter", "embedder_name", "embedder", "engine")
        if getattr(before, name) != getattr(after, name)
    }
    changed = tuple(
        Changed(
            document=name,
            text=old[name]["hash"] != new[name]["hash"],
            chunks_before=old[name]["chunks"],
            chunks_after=new[name]["chunks"],
            chunks_added=None if ids_before is None or ids_after is None else tuple(sorted(ids_after[name] - ids_before[name])),
            chunks_removed=None if ids_before is None or ids_after is None else tuple(sorted(ids_before[name] - ids_after[name])),
        )
        for name in other
    )
    return Difference(
        before=before.id,
        after=after.id,
        settings=settings,
        added={name: new[name]["chunks"] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name]["chunks"] for name in sorted(old.keys() - new.keys())},
        changed=changed,
        readers=readers,
        unchanged=len(both) - len({*other, *readers}),
    )


def _shown(readers: Readers) -> tuple[str, ...]:
    """Return who may read all of a document, then who may read some of it."""
    whole = strictest(readers)
    return (*sorted(whole), *(f"{name} (in part)" for name in sorted(widest(readers) - whole)))


def _kind(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return item["hash"], item["chunks"], item.get("rows")


def _ids(version: IndexVersion, engine: Store, names: list[str]) -> dict[str, set[str]] | None:
    if version.engine != engine.place:
        return None
    found: dict[str, set[str]] = {name: set() for name in names}
    if names:
        for row in engine.rows(version.table, version.tag, names):
            found[row.document_id].add(row.id)
    return found
