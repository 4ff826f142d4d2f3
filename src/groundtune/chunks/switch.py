"""Which version is live: promote one that is whole, or go back to the one before.

    live B, before [A]      promote C    →  live C, before [A, B]
    live C, before [A, B]   rollback     →  live B, before [A]       again: live A
    live B, before [A]      hide         →  live B', before [A]      B' is B without what is gone, and stands where B stood

One atomic write of ``live.json`` is the whole change. Processes that have the other version open go on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.chunks import manifest
from groundtune.chunks.build import id_without
from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import Store
from groundtune.chunks.verify import Verified, verify_version
from groundtune.errors import StaleIndex, StateError
from groundtune.models.embed import Embed
from groundtune.types import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """The outcome: ``done`` is false where verification found differences, and nothing was changed then."""

    id: str
    was: str | None
    done: bool
    verified: Verified


def refuse_other_settings(version: IndexVersion, embed: Embed, splitter: Mapping[str, object], engine: Store, hint: str) -> None:
    """Raise ``StaleIndex`` where searches of this project could not use the version: another embedder, splitter or engine."""
    if version.embedder != embed.fingerprint:
        raise StaleIndex(
            f"{version.id} was built by the embedder {version.embedder_name} ({version.embedder}); the project now names {embed.name}"
            f" ({embed.fingerprint})",
            hint,
        )
    if dict(version.splitter) != dict(splitter):
        raise StaleIndex(f"{version.id} was split by {dict(version.splitter)}; the project now asks for {dict(splitter)}", hint)
    if version.engine != engine.place:
        raise StaleIndex(f"{version.id} was built in {version.engine}; the project now names {engine.place}", hint)


def promote(
    store: Path,
    version: IndexVersion,
    engine: Store,
    *,
    documents: Sequence[Document] = (),
    recorded: Collection[str] | None = None,
) -> Switched:
    """Make a version live, if it is whole. What is live already stays so, without a new record. Call it while ``writing``."""
    now = manifest.state(store)
    verified = verify_version(version, engine, documents=documents, recorded=recorded)
    was = None if now is None else now.id
    if not verified.differences and was != version.id:
        manifest.switch(store, "promote", version.id)
    return Switched(id=version.id, was=was, done=not verified.differences, verified=verified)


def hide(store: Path, version: IndexVersion) -> None:
    """Make the live version without what is gone live in its stead: no rollback goes back to that one. Call it while ``writing``."""
    now = manifest.state(store)
    manifest.switch(store, "hide", version.id, [] if now is None else [item for item in now.before if item != version.id])


def rollback_target(store: Path, gone: Callable[[IndexVersion], Collection[str]]) -> tuple[IndexVersion, Collection[str]]:
    """Return the version that a rollback goes to, and which of its documents must not come back: those that ``gone`` names.

    It is the nearest before the live one that still exists and, without these, is another than the live one. Raises ``StateError``.
    """
    now = manifest.state(store)
    if now is None:
        raise StaleIndex("there is no index yet", "type: groundtune ingest")
    for name in reversed(now.before):
        version = manifest.read(store, name)
        if version is not None:
            missing = gone(version)
            if not missing or id_without(version, missing) != now.id:
                return version, missing
    raise StateError(f"there is no version before {now.id} to go back to", "see what there is: groundtune index list")


def rollback(store: Path, target: IndexVersion, version: IndexVersion, engine: Store) -> Switched:
    """Make ``version`` live, if it is whole: the target, or what is left of it. Texts are not read for it, so that it is quick in need."""
    now = manifest.state(store)
    verified = verify_version(version, engine, rows=False)
    if now is not None and not verified.differences:
        manifest.switch(store, "rollback", version.id, now.before[: now.before.index(target.id)])
    return Switched(id=version.id, was=None if now is None else now.id, done=not verified.differences, verified=verified)
