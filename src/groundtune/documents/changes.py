"""What sources list now, against what was read before → what is new, changed, moved, gone, unchanged or failed.

    before {a, b, c}   now {a, b', d = c under another name}   →   a unchanged, b changed, d moved from c

A set difference, not "changed since": what a source does not list any more is gone. But a source that cannot be reached lists nothing
and loses nothing, and one that suddenly lists nothing at all has to be confirmed. Only what has a new stamp is read, only what has new
bytes (or other readers or metadata given) is parsed; whatever goes wrong with an item stays with that item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from groundtune.documents.catalogue import Catalogue, Known, reason_of, remembered
from groundtune.documents.given import Policy, Silent
from groundtune.documents.item import Ask, Change, Kind, Origin, change_of, mark_of
from groundtune.documents.kept import but
from groundtune.documents.look import Look, Looked, look
from groundtune.documents.sources.folder import Item
from groundtune.errors import DocumentError, GroundtuneError, SourceError
from groundtune.progress import Progress
from groundtune.progress import Silent as Quiet
from groundtune.types import Document

__all__ = ["Change", "Listed", "Looked", "Origin", "Survey", "commit", "documents_of", "gone_first", "look", "survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A source and its items; ``problem`` is why it could not be listed, and then every item is as it was.

    ``found`` has an item that is as the catalogue has it, in order and not looked into, as ``Known``; every other as ``Change``.
    """

    origin: Origin
    found: tuple[Change | Known, ...]
    others: tuple[Change, ...]
    problem: GroundtuneError | None = None

    @classmethod
    def of(cls, origin: Origin, found: Sequence[Change | Known], problem: GroundtuneError | None = None) -> Listed:
        """Pick out of what was found ``others``: what is not simply as it was."""
        return cls(origin=origin, found=tuple(found), others=tuple(one for one in found if type(one) is Change), problem=problem)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every item as a change, in order."""
        return tuple(_same(self.origin, one) if isinstance(one, Known) else one for one in self.found)

    @property
    def served(self) -> tuple[Known, ...]:
        """What is there, in order, without what is gone."""
        if not self.others:
            return self.found  # type: ignore[return-value]
        return tuple(one if type(one) is Known else one.known for one in self.found if type(one) is Known or one.kind != "gone")  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All sources, in their order, and what the project does not name any more."""

    listed: tuple[Listed, ...]
    removed: tuple[str, ...] = ()
    removed_items: tuple[str, ...] = ()

    @property
    def changes(self) -> Iterator[Change]:
        """Every item of every source, as a change."""
        return (change for listed in self.listed for change in listed.changes)

    @property
    def others(self) -> Iterator[Change]:
        """Every item that is not simply as it was."""
        return (change for listed in self.listed for change in listed.others)

    @property
    def counts(self) -> Counter[str]:
        """How many items of each kind; those of a source that is not named any more are gone."""
        counts: Counter[str] = Counter(change.kind for change in self.others)
        same = sum(len(listed.found) - len(listed.others) for listed in self.listed)
        if same:
            counts["unchanged"] += same
        counts["gone"] += len(self.removed_items)
        return counts

    @property
    def problems(self) -> list[GroundtuneError]:
        """What is wrong: sources out of reach first, then items."""
        items = [error for change in self.others for error in change.problems]
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
    looked: Looked | None = None,
) -> Survey:
    """Compare what the sources list with the catalogue, reading what is new. Nothing is written. ``looked`` is what ``look`` returned.

    ``reread`` reads and parses every item, whatever its stamp and the hash of its bytes say: for a file system whose times are not to be
    trusted, or a parser that was replaced beneath the same version.
    ``retry`` tries failed items again whose bytes are as they were; ``drop`` holds full names of items not to hear of again, until they
    change: failed ones, and those that could be read in part (that part is served). ``emptied`` names sources of which it is right that
    they list nothing any more. Raises ``DocumentError`` for a name in ``drop`` that no such item has.
    """
    looked = looked or look(origins, catalogue, emptied)
    ask = Ask(retry, reread, frozenset(drop))
    listed = tuple(_listed(origin, catalogue, ask, looked[origin.name], progress or Quiet()) for origin in origins)
    names = {origin.name for origin in origins}
    removed = tuple(sorted(name for name in catalogue.sources() if name not in names))
    found = Survey(listed=_unique(listed), removed=removed, removed_items=tuple(item for name in removed for item in catalogue.known(name)))
    could = {change.name for change in found.others if change.kind in ("failed", "dropped") or change.accepted}
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
        document.id: _defaulted(document, listed.origin.policy) if document.unnamed else document
        for listed in found.listed
        for known in listed.served
        for document in known.documents
    }


def _defaulted(document: Document, policy: Policy) -> Document:
    return but(document, readers=policy.readers or frozenset()) if document.unnamed else document


def commit(found: Survey, catalogue: Catalogue, at: str) -> None:
    """Write a survey to the catalogue, in one transaction. ``at`` is the present time."""
    with catalogue.writing():
        for listed in found.listed:
            if listed.problem is not None:
                catalogue.listed(listed.origin.name, at, listed.problem.message)
                continue
            if listed.origin.source is None:
                continue
            catalogue.forget(listed.origin.name, [change.known.name for change in listed.others if change.kind == "gone"])
            catalogue.keep(change.known for change in listed.others if not change.stored and change.kind != "gone")
            catalogue.listed(listed.origin.name, at)
        for name in found.removed:
            catalogue.forget_source(name)


def gone_first(origins: Sequence[Origin], catalogue: Catalogue, looked: Looked | None = None) -> set[str] | None:
    """Return the ids of the documents in the catalogue, less what the sources do not list any more: by listing alone, nothing is read.

    ``None`` where nothing is gone. A source that is not listed loses nothing; why it is not is told by the survey that follows.
    """
    looked = looked or look(origins, catalogue)
    gone: dict[str, set[str]] = {}
    for origin in origins:
        at = looked[origin.name]
        gone[origin.name] = set(at.missing(catalogue.known(origin.name))) if isinstance(at, Look) else set()
    if not any(gone.values()) and not catalogue.sources().keys() - gone.keys():
        return None
    return {
        document.id
        for origin in origins
        for name, known in catalogue.known(origin.name).items()
        if name not in gone[origin.name]
        for document in known.documents
    }


def _listed(origin: Origin, catalogue: Catalogue, ask: Ask, at: Look | GroundtuneError | None, progress: Progress) -> Listed:
    before = catalogue.known(origin.name)
    if not isinstance(at, Look):
        kept = tuple(Change(name=origin.prefix + name, kind="kept", known=known) for name, known in sorted(before.items()))
        if at is not None:
            return Listed.of(origin, kept, at)
        problem = None
        if origin.name not in catalogue.sources():
            problem = SourceError(f"source {origin.name}: was never read", "type: groundtune ingest")
        return Listed.of(origin, [replace(change, problems=_remembered(change)) for change in kept], problem)
    found: list[Change | Known] = []
    as_it_was = _as_it_was(origin, ask)
    with progress.start("read", total=len(at.items), unit="items") as task:
        passed = 0
        for name, item in at.items.items():
            known, sidecar = before.get(name), at.sidecars.get(name)
            if known is not None and sidecar is None and as_it_was(name, known, item):
                found.append(known)
                passed += 1
                continue
            found.append(change_of(origin, name, item, sidecar, known, ask))
            task.advance(passed + 1)
            passed = 0
        task.advance(passed)
    gone = set(at.missing(before))
    for name in sorted(before.keys() - at.items.keys()):
        kind: Kind = "gone" if name in gone else "kept"
        found.append(Change(name=origin.prefix + name, kind=kind, known=before[name], stored=True))
    return Listed.of(origin, _moved(found))


def _as_it_was(origin: Origin, ask: Ask) -> Callable[[str, Known, Item], bool]:
    """Return what says whether an item without a sidecar is, stamp and all, as it is known, so that ``change_of`` need not be asked.

    Said of what has nothing wrong with it alone; all others have something to be told.
    """
    mark, prefix = Silent(origin.policy, mark_of).mark, origin.prefix

    def same(name: str, known: Known, item: Item) -> bool:
        return (
            known.stamp == item.stamp != ""
            and known.state == "ok"
            and not known.reasons
            and item.readers is None
            and item.title is None
            and not item.metadata
            and known.given == mark(prefix + name)
        )

    return same if not ask.reread else lambda *_: False


def _same(origin: Origin, known: Known) -> Change:
    return Change(name=origin.prefix + known.name, kind="unchanged", known=known, stored=True)


def _remembered(change: Change) -> tuple[GroundtuneError, ...]:
    if change.known.state in ("ok", "dropped"):
        return ()
    return remembered(change.known.reasons)


def _moved(found: Sequence[Change | Known]) -> tuple[Change | Known, ...]:
    """Tell what is new from what was there under another name. Of several with the same bytes, each gone one goes with one new one."""
    gone: dict[str, list[Change]] = {}
    for change in found:
        if isinstance(change, Change) and change.kind == "gone" and change.known.raw and change.known.documents:
            gone.setdefault(change.known.raw, []).append(change)
    if not gone:
        return tuple(found)
    told = []
    for change in found:
        if isinstance(change, Change) and change.kind == "new" and gone.get(change.known.raw):
            change = replace(change, kind="moved", moved_from=gone[change.known.raw].pop(0).name)
        told.append(change)
    return tuple(told)


def _unique(listed: Sequence[Listed]) -> tuple[Listed, ...]:
    """Let one item of two with documents of one id fail: names of two sources, or of a file and a part of an archive, may coincide."""
    there = [document.id for one in listed for known in one.served for document in known.documents]
    if len(set(there)) == len(there):
        return tuple(listed)
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
        result.append(Listed.of(one.origin, changes, one.problem))
    return tuple(result)
