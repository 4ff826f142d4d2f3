"""A source → all that it lists, by name: items with their sidecars, and what must not be read, as items that cannot be.

    hr/leave.pdf, hr/leave.pdf.meta.toml, ../up.md   →   items {"hr/leave.pdf", "../up.md" (refused)}, sidecars {"hr/leave.pdf"}

Each source is listed once for a run: what is gone at the first look, and what is new at the second, are then of one list.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.documents.catalogue import Catalogue
from groundtune.documents.given import SIDECAR
from groundtune.documents.item import Origin
from groundtune.documents.load import HINT
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import DocumentError, GroundtuneError, SourceError


@dataclass(frozen=True, slots=True)
class Look:
    """What a source lists: its items, and the sidecars of some of them, by the items' names. ``unlisted``: folders that could not be."""

    items: Mapping[str, Item]
    sidecars: Mapping[str, Item]
    unlisted: tuple[str, ...] = ()

    def missing(self, before: Iterable[str]) -> list[str]:
        """Return which of the names that were there before are gone: not listed, and not below a folder that could not be listed."""
        names = [name for name in before if name not in self.items]
        return [name for name in names if not any(name.startswith(f"{folder}/") for folder in self.unlisted)]


# By the name of the source; ``None`` for one that is not to be asked now, and the error of one that could not be listed.
Looked = Mapping[str, Look | GroundtuneError | None]


def look(origins: Sequence[Origin], catalogue: Catalogue, emptied: Collection[str] = ()) -> Looked:
    """List every source; what is wrong with one is in its place. ``emptied``: those of which it is right that they list nothing."""
    return {origin.name: _look(origin, catalogue, emptied) for origin in origins}


def _look(origin: Origin, catalogue: Catalogue, emptied: Collection[str]) -> Look | GroundtuneError | None:
    if origin.source is None:
        return None
    try:
        return _listed(origin, len(catalogue.known(origin.name)), emptied)
    except GroundtuneError as error:
        return error
    except Exception as error:
        # A source is a stranger's code: what it stumbles over must neither stop the others nor make its documents look gone.
        reason = f"source {origin.name}: cannot be listed: {type(error).__name__}: {error}"
        return SourceError(reason, "mend it, then type: groundtune ingest")


def _listed(origin: Origin, before: int, emptied: Collection[str]) -> Look:
    """List a source that had so many items before."""
    assert origin.source is not None  # noqa: S101
    found: dict[str, Item] = {}
    beside: list[str] = []
    for item in origin.source.items():
        name = item.name if item.name.isascii() else unicodedata.normalize("NFC", item.name)
        bad = _bad_name(name)
        told: DocumentError | None = None
        if bad:
            name = repr(name)[1:-1] or "(no name)"
            told = DocumentError(f"{origin.prefix}{name}: {bad}", "rename it, then type: groundtune ingest")
        elif name in found:
            told = DocumentError(f"{origin.prefix}{name}: another item has the same name, or but for its Unicode form", HINT)
        found[name] = item if told is None else Item(name=name, read=refused(told))
        if name.endswith(SIDECAR):
            beside.append(name)
    if before and not found and origin.name not in emptied:
        raise SourceError(
            f"source {origin.name}: lists nothing any more, and held {before:,} items before; they are kept as they were",
            f"if that is right, type: groundtune ingest --emptied {shlex.quote(origin.name)}",
        )
    sidecars: dict[str, Item] = {}
    for name in beside:
        about = name.removesuffix(SIDECAR)
        if name not in found:
            continue
        if about in found:
            sidecars[about] = found.pop(name)
        else:
            told = DocumentError(f"{origin.prefix}{name}: describes a file that is not there", f"add {about}, or remove it")
            found[name] = Item(name=name, read=refused(told))
    return Look(found, sidecars, tuple(folder for folder, item in found.items() if item.below))


def _bad_name(name: str) -> str:
    if not name.isprintable():
        return "its name holds characters that cannot be shown"
    # Split only where a part can be one of these at all.
    suspicious = not name or name[0] == "/" or name[-1] == "/" or "//" in name or name[0] == "." or "/." in name
    if suspicious and not {"", ".", ".."}.isdisjoint(name.split("/")):
        return "its name is no path within its source"
    return "its name is longer than 1,000 characters" if len(name) > 1000 else ""
