"""One item that a source lists, against what is known of it → what became of it: unchanged, changed, new, failed, dropped or kept.

    stamp as before             unchanged, unread
    stamp new, bytes as before  unchanged, and the new stamp is kept
    bytes new                   parsed: changed, or unchanged where the same documents come of it
    cannot be read or parsed    failed: nothing of it is served, since what it said before is not what it says now
    cannot be fetched now       kept as it was

Whatever else its documents hang on (readers and metadata given, releases of the parsers) is in the mark that is compared beside the stamp.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from groundtune import __version__, plugins
from groundtune.documents.alike import signature
from groundtune.documents.catalogue import Known, State, reason_of, remembered
from groundtune.documents.given import Given, Policy, given, made
from groundtune.documents.load import HINT
from groundtune.documents.sources.folder import Item, Source
from groundtune.errors import DocumentError, GroundtuneError, SourceError
from groundtune.files import fingerprint
from groundtune.types import Document

Kind = Literal["new", "changed", "moved", "gone", "unchanged", "failed", "dropped", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A source as a project names it. ``prefix`` stands before its items' names; ``source`` is ``None`` where it is not to be asked now."""

    name: str
    prefix: str
    source: Source | None
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one item.

    ``name`` is its full name, prefix included; ``moved_from`` the full name that its bytes had before.
    ``stored``: the catalogue has it exactly so. ``accepted``: somebody said just now that what could not be read of it is not missed.
    """

    name: str
    kind: Kind
    known: Known
    moved_from: str | None = None
    problems: tuple[GroundtuneError, ...] = ()
    stored: bool = False
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for beside the usual."""

    retry: bool
    reread: bool
    drop: frozenset[str]

    def trusts(self, before: Known) -> bool:
        """Return whether what is known of an item may stand in for reading it. Who dropped an item did not ask to hear of it again."""
        if before.state == "dropped":
            return not self.retry
        return not self.reread and not (self.retry and before.state in ("failed", "partly"))


def mark_of(weighed: Given) -> str:
    """Return the identity of all that the documents of an item hang on beside its bytes."""
    return _mark(weighed.fingerprint)


@lru_cache(maxsize=4096)
def _mark(given_fingerprint: str) -> str:
    """Return what documents hang on beside the bytes: what is given for them, and the releases of all that reads them."""
    return fingerprint(__version__, plugins.releases("loader"), given_fingerprint)


def change_of(origin: Origin, name: str, item: Item, sidecar: Item | None, before: Known | None, ask: Ask) -> Change:
    """Return what became of the item called ``name``. Whatever goes wrong with it is in the result."""
    full = origin.prefix + name
    try:
        beside = None if sidecar is None else sidecar.read()
        weighed = given(full, item, origin.policy, beside)
        mark = mark_of(weighed)
        again = before is not None and before.given == mark and ask.trusts(before)
        if again and before is not None and item.stamp and before.stamp == item.stamp and before.state != "unread":
            return _as_before(full, before, ask.drop, stored=True)
        raw = item.read()
        digest = hashlib.sha256(raw).hexdigest()
        if again and before is not None and before.raw == digest:
            state: State = "ok" if before.state == "unread" else before.state
            known = replace(before, stamp=item.stamp, state=state, reasons=() if state == "ok" else before.reasons)
            return _as_before(full, known, ask.drop, stored=(known.stamp, known.state) == (before.stamp, before.state))
        documents, problems = made(full, raw, weighed, item.shown)
    except SourceError as error:
        return _not_fetched(full, origin, name, before, error)
    except GroundtuneError as error:
        return _failed(full, origin, name, before, error, ask)
    except Exception as error:
        told = DocumentError(f"{full}: cannot be read: {type(error).__name__}: {error}", HINT)
        return _failed(full, origin, name, before, told, ask)
    return _read(full, origin, name, item, mark, digest, documents, problems, before, ask.drop)


def _read(
    full: str,
    origin: Origin,
    name: str,
    item: Item,
    mark: str,
    digest: str,
    documents: tuple[Document, ...],
    problems: tuple[GroundtuneError, ...],
    before: Known | None,
    drop: frozenset[str],
) -> Change:
    state: State = "ok" if not problems else "partly" if documents else "failed"
    dropped = state == "failed" and full in drop
    accepted = state == "partly" and full in drop
    if accepted:
        state, problems = "ok", ()
    known = Known(
        source=origin.name,
        name=name,
        stamp=item.stamp,
        given=mark,
        raw=digest,
        state="dropped" if dropped else state,
        reasons=tuple(reason_of(error) for error in problems),
        documents=documents,
        signatures={document.id: signature(document.text) for document in documents},
    )
    if state == "failed":
        return Change(name=full, kind="dropped" if dropped else "failed", known=known, problems=() if dropped else problems)
    if before is None or not before.documents:
        return Change(name=full, kind="new", known=known, problems=problems, accepted=accepted)
    same = {d.id: (d.content_hash, d.readers) for d in before.documents} == {d.id: (d.content_hash, d.readers) for d in documents}
    return Change(name=full, kind="unchanged" if same else "changed", known=known, problems=problems, accepted=accepted)


def _as_before(full: str, known: Known, drop: frozenset[str], *, stored: bool = False) -> Change:
    """Return an item that is as it was; ``stored`` where the catalogue has it with this very stamp."""
    if known.state == "failed" and full in drop:
        return Change(name=full, kind="dropped", known=replace(known, state="dropped"))
    if known.state == "dropped":
        return Change(name=full, kind="dropped", known=known, stored=stored)
    if known.state == "partly" and full in drop:
        return Change(name=full, kind="unchanged", known=replace(known, state="ok", reasons=()), accepted=True)
    problems = remembered(known.reasons)
    return Change(name=full, kind="failed" if known.state == "failed" else "unchanged", known=known, problems=problems, stored=stored)


def _not_fetched(full: str, origin: Origin, name: str, before: Known | None, error: GroundtuneError) -> Change:
    """Keep an item as it was: it is there, but cannot be fetched now."""
    reasons = (reason_of(error),)
    if before is None:
        known = Known(source=origin.name, name=name, stamp="", given="", raw="", state="unread", reasons=reasons)
        return Change(name=full, kind="failed", known=known, problems=(error,))
    return Change(name=full, kind="kept", known=replace(before, stamp="", state="unread", reasons=reasons), problems=(error,))


def _failed(full: str, origin: Origin, name: str, before: Known | None, error: GroundtuneError, ask: Ask) -> Change:
    """Serve nothing of an item that cannot be read: what it said before is not what it says now, and neither are its readers."""
    was_dropped = before is not None and before.state == "dropped" and before.reasons == (reason_of(error),) and not ask.retry
    dropped = full in ask.drop or was_dropped
    known = Known(
        source=origin.name,
        name=name,
        stamp="",
        given="",
        raw="",
        state="dropped" if dropped else "failed",
        reasons=(reason_of(error),),
    )
    return Change(name=full, kind="dropped" if dropped else "failed", known=known, problems=() if dropped else (error,))
