"""What sources list now, against what was read before → what is new, changed, moved, gone, unchanged or failed.

    before {a, b, c}   now {a, b', d = c under another name}   →   a unchanged, b changed, d moved from c

A set difference, not "changed since": what a source does not list any more is gone. But a source that cannot be reached lists nothing
and loses nothing, and one that suddenly lists nothing at all has to be confirmed. Only what has a new stamp is read, only what has new
bytes (or other readers or metadata given) is parsed; whatever goes wrong with an item stays with that item.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.documents.catalogue import Catalogue, Known, reason_of, remembered
from groundtune.documents.given import SIDECAR, Policy
from groundtune.documents.item import Ask, Change, Kind, Origin, change_of
from groundtune.documents.load import HINT
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import DocumentError, GroundtuneError, SourceError
from groundtune.progress import Progress, Silent
from groundtune.types import Document

__all__ = ["Change", "Listed", "Origin", "Survey", "commit", "documents_of", "survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A source and its changes; ``problem`` is why it could not be listed, and then every item is as it was."""

    origin: Origin
    changes: tuple[Change, ...]
    problem: GroundtuneError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All sources, in their order, and what the project does not name any more."""

    listed: tuple[Listed, ...]
    removed: tuple[str, ...] = ()
    removed_items: tuple[str, ...] = ()

    @property
    def changes(self) -> Iterator[Change]:
        """Every change of every source."""
        return (change for listed in self.listed for change in listed.changes)

    @property
    def counts(self) -> Counter[str]:
        """How many items of each kind; those of a source that is not named any more are gone."""
        counts: Counter[str] = Counter(change.kind for change in self.changes)
        counts["gone"] += len(self.removed_items)
        return counts

    @property
    def problems(self) -> list[GroundtuneError]:
        """What is wrong: sources out of reach first, then items."""
        items = [error for change in self.changes for error in change.problems]
        return [listed.problem for listed in self.listed if listed.problem] + items


def survey(
    origins: Sequence[Origin],
    catalogue: Catalogue,
    *,
    retry: bool = False,
    reread: bool = False,
    drop: Collection[str] = (),
    emptied: Collection[str] = (),
    progress: Progress | None = None,
) -> Survey:
    """Compare what the sources list with the catalogue, reading what is new. Nothing is written.

    ``reread`` reads and parses every item, whatever its stamp and the hash of its bytes say: for a file system whose times are not to be
    trusted, or a parser that was replaced beneath the same version.
    ``retry`` tries failed items again whose bytes are as they were; ``drop`` holds full names of items not to hear of again, until they
    change: failed ones, and those that could be read in part (that part is served). ``emptied`` names sources of which it is right that
    they list nothing any more. Raises ``DocumentError`` for a name in ``drop`` that no such item has.
    """
    listed = tuple(_listed(origin, catalogue, Ask(retry, reread, frozenset(drop)), emptied, progress or Silent()) for origin in origins)
    names = {origin.name for origin in origins}
    removed = tuple(sorted(name for name in catalogue.sources() if name not in names))
    found = Survey(listed=_unique(listed), removed=removed, removed_items=tuple(item for name in removed for item in catalogue.known(name)))
    could = {change.name for change in found.changes if change.kind in ("failed", "dropped") or change.accepted}
    for name in drop:
        if name not in could:
            known = ", ".join(sorted(could)) or "none"
            raise DocumentError(
                f"{name!r} is no failed document, nor one that was read in part; failed: {known}", "type: groundtune ingest --dry-run"
            )
    return found


def documents_of(found: Survey) -> dict[str, Document]:
    """Return the documents that are served after the survey, by id; those that name no readers with their source's default."""
    return {
        document.id: _defaulted(document, listed.origin.policy)
        for listed in found.listed
        for change in listed.changes
        if change.kind != "gone"
        for document in change.known.documents
    }


def _defaulted(document: Document, policy: Policy) -> Document:
    return replace(document, readers=policy.readers or frozenset()) if document.unnamed else document


def commit(found: Survey, catalogue: Catalogue, at: str) -> None:
    """Write a survey to the catalogue, in one transaction. ``at`` is the present time."""
    with catalogue.writing():
        for listed in found.listed:
            if listed.problem is not None:
                catalogue.listed(listed.origin.name, at, listed.problem.message)
                continue
            if listed.origin.source is None:
                continue
            catalogue.forget(listed.origin.name, [change.known.name for change in listed.changes if change.kind == "gone"])
            catalogue.keep(change.known for change in listed.changes if not change.stored and change.kind != "gone")
            catalogue.listed(listed.origin.name, at)
        for name in found.removed:
            catalogue.forget_source(name)


def gone_first(origins: Sequence[Origin], catalogue: Catalogue, emptied: Collection[str] = ()) -> set[str] | None:
    """Return the ids of the documents in the catalogue, less what the sources do not list any more: by listing alone, nothing is read.

    ``None`` where nothing is gone.
    """
    left: set[str] = set()
    gone = bool(catalogue.sources().keys() - {origin.name for origin in origins})
    for origin in origins:
        before = catalogue.known(origin.name)
        try:
            items, _ = _items(origin, before, emptied)
        except Exception:
            # Why is told by the survey that follows; here it is enough that not being listed is not being gone.
            items = None
        for name, known in before.items():
            if items is None or name in items or _below(name, items):
                left |= {document.id for document in known.documents}
            else:
                gone = True
    return left if gone else None


def _listed(origin: Origin, catalogue: Catalogue, ask: Ask, emptied: Collection[str], progress: Progress) -> Listed:
    before = catalogue.known(origin.name)
    kept = tuple(Change(name=origin.prefix + name, kind="kept", known=known) for name, known in sorted(before.items()))
    if origin.source is None:
        problem = None
        if origin.name not in catalogue.sources():
            problem = SourceError(f"source {origin.name}: was never read", "type: groundtune ingest")
        told = tuple(replace(change, problems=_remembered(change)) for change in kept)
        return Listed(origin=origin, changes=told, problem=problem)
    try:
        items, sidecars = _items(origin, before, emptied)
    except GroundtuneError as error:
        return Listed(origin=origin, changes=kept, problem=error)
    except Exception as error:
        # A source is a stranger's code: what it stumbles over must neither stop the others nor make its documents look gone.
        reason = f"source {origin.name}: cannot be listed: {type(error).__name__}: {error}"
        return Listed(origin=origin, changes=kept, problem=SourceError(reason, "mend it, then type: groundtune ingest"))
    changes: list[Change] = []
    with progress.start("read", total=len(items), unit="items") as task:
        for name, item in items.items():
            changes.append(change_of(origin, name, item, sidecars.get(name), before.get(name), ask))
            task.advance(1)
    for name, known in sorted(before.items()):
        if name not in items:
            kind: Kind = "kept" if _below(name, items) else "gone"
            changes.append(Change(name=origin.prefix + name, kind=kind, known=known, stored=True))
    return Listed(origin=origin, changes=_moved(changes))


def _items(origin: Origin, before: Mapping[str, Known], emptied: Collection[str]) -> tuple[dict[str, Item], dict[str, Item]]:
    """List a source whole: its items and their sidecars, by name, bad names as items that cannot be read."""
    assert origin.source is not None  # noqa: S101
    found: dict[str, Item] = {}
    for item in origin.source.items():
        name = unicodedata.normalize("NFC", item.name)
        bad = _bad_name(name)
        told: DocumentError | None = None
        if bad:
            name = repr(name)[1:-1] or "(no name)"
            told = DocumentError(f"{origin.prefix}{name}: {bad}", "rename it, then type: groundtune ingest")
        elif name in found:
            told = DocumentError(f"{origin.prefix}{name}: another item has the same name, or but for its Unicode form", HINT)
        found[name] = item if told is None else Item(name=name, read=refused(told))
    if before and not found and origin.name not in emptied:
        raise SourceError(
            f"source {origin.name}: lists nothing any more, and held {len(before):,} items before; they are kept as they were",
            f"if that is right, type: groundtune ingest --emptied {shlex.quote(origin.name)}",
        )
    sidecars: dict[str, Item] = {}
    for name in [name for name in found if name.endswith(SIDECAR)]:
        about = name.removesuffix(SIDECAR)
        if about in found:
            sidecars[about] = found.pop(name)
        else:
            told = DocumentError(f"{origin.prefix}{name}: describes a file that is not there", f"add {about}, or remove it")
            found[name] = Item(name=name, read=refused(told))
    return found, sidecars


def _bad_name(name: str) -> str:
    if not name.isprintable():
        return "its name holds characters that cannot be shown"
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "" in parts or "." in parts:
        return "its name is no path within its source"
    return "its name is longer than 1,000 characters" if len(name) > 1000 else ""


def _below(name: str, items: Mapping[str, Item]) -> bool:
    """Return whether a name is below a folder that could not be listed."""
    return any(item.below and name.startswith(f"{folder}/") for folder, item in items.items() if item.below)


def _remembered(change: Change) -> tuple[GroundtuneError, ...]:
    if change.known.state in ("ok", "dropped"):
        return ()
    return remembered(change.known.reasons)


def _moved(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Tell what is new from what was there under another name. Of several with the same bytes, each gone one goes with one new one."""
    gone: dict[str, list[Change]] = {}
    for change in changes:
        if change.kind == "gone" and change.known.raw and change.known.documents:
            gone.setdefault(change.known.raw, []).append(change)
    told = []
    for change in changes:
        if change.kind == "new" and gone.get(change.known.raw):
            change = replace(change, kind="moved", moved_from=gone[change.known.raw].pop(0).name)
        told.append(change)
    return tuple(told)


def _unique(listed: Sequence[Listed]) -> tuple[Listed, ...]:
    """Let one item of two with documents of one id fail: names of two sources, or of a file and a part of an archive, may coincide."""
    owners: dict[str, tuple[str, str]] = {}
    result = []
    for one in listed:
        changes = []
        for change in one.changes:
            me = (one.origin.name, change.name)
            mine = () if change.kind == "gone" else change.known.documents
            clash = next((document.id for document in mine if owners.get(document.id, me) != me), None)
            if clash is not None:
                told = DocumentError(
                    f"{change.name}: {owners[clash][1]} of {owners[clash][0]} gives a document of the same name",
                    "rename one of them, then type: groundtune ingest",
                )
                known = replace(change.known, state="failed", stamp="", given="", documents=(), signatures={}, reasons=(reason_of(told),))
                change = replace(change, kind="failed", known=known, problems=(told,), stored=False)
            if change.kind != "gone":
                owners |= {document.id: me for document in change.known.documents}
            changes.append(change)
        result.append(replace(one, changes=tuple(changes)))
    return tuple(result)
