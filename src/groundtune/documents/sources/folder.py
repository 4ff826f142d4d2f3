r"""What a source is, and the first of them: a folder.

    folder documents/  →  Item("hr/leave.md", stamp="1732180000000000000-412-77-…", read → b"---\nreaders: …")

Listing is cheap and whole; reading happens item by item, and only where the stamp is new. A source that cannot be listed raises
``SourceError``, so that its documents are kept: not being seen is not being gone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from groundtune.documents.load import HINT, MOST_BYTES, most_bytes, too_large
from groundtune.errors import DocumentError, SourceError
from groundtune.files import SETTLED_NANOSECONDS

__all__ = ["Folder", "Item", "Once", "Source", "open"]

_NAME = attrgetter("name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a source lists.

    ``name`` is its path within the source, with ``/``; ``read`` returns its bytes or raises ``DocumentError`` (it cannot be read as it is)
    or ``SourceError`` (it cannot be reached now). ``stamp`` is the same only while the bytes are the same; empty where the source has no
    such thing. ``readers`` is ``None`` where the source names none, which is not the same as nobody. ``below`` marks a folder that could
    not be listed: what was known below it is kept. ``shown`` is how messages call it, where its name is not what a user would look for.
    """

    name: str
    read: Callable[[], bytes]
    stamp: str = ""
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    below: bool = False
    shown: str = ""


class Source(Protocol):
    """A place that documents come from: an entry point of ``groundtune.source``, a function ``(settings, folder) → Source``.

    ``settings`` is the ``[[sources]]`` table as a dictionary, ``folder`` the project folder that relative paths start from.
    """

    def items(self) -> Iterator[Item]:
        """List everything there is. Raises ``SourceError`` when it cannot be listed whole."""
        ...


def refused(error: Exception) -> Callable[[], bytes]:
    """Return a ``read`` that raises: for an item which is there, but must not or cannot be read."""

    def read() -> bytes:
        raise error

    return read


def open(settings: Mapping[str, Any], folder: Path) -> Folder:
    """Open a folder source. Raises ``SourceError`` where the table names no path."""
    if not settings.get("path"):
        raise SourceError(f"source {settings['name']}: names no path", 'add path = "FOLDER" to its [[sources]] table')
    return Folder(folder / settings["path"], most_items=settings.get("most_items", 1_000_000))


class Folder:
    """Every file below a folder but hidden ones; links must stay within it."""

    def __init__(self, folder: Path, *, most_items: int = 1_000_000) -> None:
        self.folder = folder
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """List the files, sorted by path. Raises ``SourceError`` when there is no such folder, or it cannot be listed."""
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder}: no such folder of documents", "correct its path, then type: groundtune check")
        found, unlisted = self._walked()
        resolved = self.folder.resolve()
        for error in sorted(unlisted, key=lambda error: str(error.filename)):
            path = Path(error.filename)
            if path == self.folder:
                raise SourceError(f"{path}: cannot be listed: {error.strerror}", f"mend it; see: ls -ld {path}")
            told = DocumentError(f"{path}: cannot be listed: {error.strerror}", f"mend it; see: ls -ld {path}")
            yield Item(name=path.relative_to(self.folder).as_posix(), read=refused(told), below=True)
        # Before any file is looked at: what is written after this moment is young.
        before = time.time_ns() - SETTLED_NANOSECONDS
        for name, entry in found:
            yield self._item(name, entry, resolved, before)

    def stamps(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the path of every file below the folder with its times, size and number: a look, which opens nothing.

        A link has those of what it points at. What cannot be looked at is left out here; whoever lists the folder is told of it.
        """
        found, unlisted = self._walked()
        for error in unlisted:
            yield str(error.filename), ()
        for _, entry in found:
            try:
                one = entry.stat()
            except OSError:
                yield entry.path, ()
            else:
                yield entry.path, (one.st_mtime_ns, one.st_ctime_ns, one.st_size, one.st_ino)

    def _walked(self) -> tuple[list[tuple[str, os.DirEntry[str]]], list[OSError]]:
        """Return what is below the folder, links to folders included, as (path, entry) in the order of paths; and what was not listed."""
        found: list[tuple[str, os.DirEntry[str]]] = []
        unlisted: list[OSError] = []

        def listed(place: str) -> Iterator[os.DirEntry[str]]:
            try:
                with os.scandir(place) as entries:
                    return iter(sorted([entry for entry in entries if entry.name[0] != "."], key=_NAME))
            except OSError as error:
                error.filename = place
                unlisted.append(error)
                return iter(())

        open_folders = [("", listed(str(self.folder)))]
        while open_folders:
            above, entries = open_folders[-1]
            for entry in entries:
                if _is_folder(entry):
                    open_folders.append((f"{above}{entry.name}/", listed(entry.path)))
                    break
                found.append((above + entry.name, entry))
            else:
                open_folders.pop()
                if len(found) > self.most_items:
                    raise SourceError(f"{self.folder}: more than {self.most_items:,} files", "raise most_items, or name a smaller folder")
        return found, unlisted

    def _item(self, name: str, entry: os.DirEntry[str], resolved: Path, before: int) -> Item:
        path = entry.path
        try:
            if entry.is_symlink():
                if not Path(path).resolve(strict=True).is_relative_to(resolved):
                    raise DocumentError(f"{path}: is a link out of the documents folder", HINT)
                found = entry.stat()
            else:
                found = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                if stat.S_ISDIR(found.st_mode):
                    raise DocumentError(
                        f"{path}: is a link to a folder", "remove it: files are read where they are; then type: groundtune check"
                    )
                raise DocumentError(f"{path}: is no regular file", HINT)
            if found.st_size > MOST_BYTES and found.st_size > most_bytes(name):
                raise too_large(path, name, found.st_size)
        except DocumentError as error:
            return Item(name=name, read=refused(error))
        except FileNotFoundError:
            return Item(name=name, read=refused(DocumentError(f"{path}: is a link to a file that is not there", HINT)))
        except (OSError, RuntimeError) as error:
            told = DocumentError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", HINT)
            return Item(name=name, read=refused(told))
        changed, status = found.st_mtime_ns, found.st_ctime_ns
        stamp = f"{changed}-{status}-{found.st_size}-{found.st_ino}" if changed < before and status < before else ""
        return Item(name=name, stamp=stamp, shown=path, read=partial(_bytes, path))


class Once:
    """A source that is listed once, however often it is asked: what is gone at one look and what is new at the next are of one list.

    Stamps are then older than the bytes that are read later, never newer: a file that changes in between is read again the next time.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._listed: list[Item] | None = None

    def items(self) -> Iterator[Item]:
        """List the source, or what it listed the first time. Raises ``SourceError`` as it does, each time anew."""
        if self._listed is None:
            self._listed = list(self.source.items())
        return iter(self._listed)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}", HINT) from None
