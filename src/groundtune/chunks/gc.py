"""Old versions → disk space. What is live, what was last, what something names and what somebody has open stays.

    plan(...)      keep   index:9c… live          remove  index:3f… 1,204 chunks
                   keep   index:7a… a reader has it open
    collect(...)   manifest moved to gone/ → the engine gives the rows up → recorded → the moved manifest goes

A version ceases to exist with the first of these steps; a run that was killed after it is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from groundtune.chunks import holding, manifest
from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import Store
from groundtune.errors import StateError


@runtime_checkable
class Reclaims(Protocol):
    """A store whose tables leave something behind when nothing is dropped, too."""

    def reclaim(self, table: str) -> None:
        """Give back the space of what no published version of the table shows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``keep`` maps versions to why they stay; ``remove`` lists those that go, oldest first; ``orphans`` are (table, tag) of no version."""

    keep: Mapping[str, str]
    remove: tuple[IndexVersion, ...]
    leaving: tuple[IndexVersion, ...]
    orphans: tuple[tuple[str, str], ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.remove or self.leaving or self.orphans)


def plan(store: Path, engine: Store, *, last: int, named: Mapping[str, str]) -> Plan:
    """Return what would stay and what would go. ``last``: how many of the newest stay beside the live one; ``named``: id → by what."""
    if last < 0:
        raise StateError(f"--keep is {last}; expected 0 or more", "type: groundtune index gc --keep 3")
    now = manifest.state(store)
    there = manifest.versions(store)
    keep: dict[str, str] = {}
    if now is not None:
        keep[now.id] = "live"
        back = next((name for name in reversed(now.before) if manifest.read(store, name) is not None), None)
        if back is not None:
            keep.setdefault(back, "a rollback goes to it")
    others = [version for version in there if now is None or version.id != now.id]
    for version in others[len(others) - min(last, len(others)) :]:
        keep.setdefault(version.id, f"one of the {last} last")
    for version in there:
        if version.id in named:
            keep.setdefault(version.id, named[version.id])
        elif version.engine != engine.place:
            keep.setdefault(version.id, f"kept in {version.engine}, and the project now names {engine.place}")
        elif version.id not in keep and holding.held(store, version.id):
            keep[version.id] = "a reader has it open"
    leaving = tuple(version for version in manifest.leaving(store) if version.engine == engine.place)
    known = {(version.table, version.tag) for version in (*there, *leaving)}
    tables = sorted({version.table for version in (*there, *leaving) if version.engine == engine.place})
    found = [(table, tag) for table in tables for tag in engine.tags(table) if (table, tag) not in known]
    # Rows that were replaced under the same id may still be read by who opened them before.
    orphans = tuple((table, tag) for table, tag in found if not holding.held(store, f"index:{tag.split('-')[1]}"))
    return Plan(
        keep={name: why for name, why in keep.items() if manifest.path_of(store, name).is_file()},
        remove=tuple(version for version in there if version.id not in keep),
        leaving=leaving,
        orphans=orphans,
    )


def collect(store: Path, engine: Store, planned: Plan, *, record: Callable[[IndexVersion], None]) -> tuple[list[str], list[str]]:
    """Do what was planned; return the ids that are gone, and those that stay since a reader opened them meanwhile.

    ``record`` is called once for each version, after its rows are gone; twice where the run was killed right after it. Call it while
    ``writing``.
    """
    gone, stayed = [], []
    for version in planned.remove:
        with holding.alone(store, version.id) as free:
            if not free:
                stayed.append(version.id)
                continue
            target = manifest.path_of_gone(store, version.id)
            target.parent.mkdir(parents=True, exist_ok=True)
            manifest.path_of(store, version.id).replace(target)
            _finish(store, engine, version, record)
            holding.forget(store, version.id)
            gone.append(version.id)
    for version in planned.leaving:
        _finish(store, engine, version, record)
        gone.append(version.id)
    for table, tag in planned.orphans:
        engine.drop(table, tag)
    dropped = {item.table for item in (*planned.remove, *planned.leaving)} | {table for table, _ in planned.orphans}
    if isinstance(engine, Reclaims):
        for table in sorted({version.table for version in manifest.versions(store) if version.engine == engine.place} | dropped):
            engine.reclaim(table)
    return gone, stayed


def _finish(store: Path, engine: Store, version: IndexVersion, record: Callable[[IndexVersion], None]) -> None:
    # Built again since its removal began, it is a version like any other, and these rows are its own.
    if not manifest.path_of(store, version.id).is_file():
        engine.drop(version.table, version.tag)
    record(version)
    manifest.path_of_gone(store, version.id).unlink(missing_ok=True)


def named_in(texts: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """Return which of the ``known`` ids stand in these texts (name → text), and the name of the first that has them."""
    found: dict[str, str] = {}
    for name, text in texts.items():
        for item in known:
            if item in text:
                found.setdefault(item, f"named by {name}")
    return found
