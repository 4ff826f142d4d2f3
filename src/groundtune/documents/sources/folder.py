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
from pathlib import Path
from typing import Any, Protocol

from groundtune.documents.load import HINT, MOST_BYTES
from groundtune.errors import DocumentError, SourceError

__all__ = ["Folder", "Item", "Source", "open"]

# A file that changed this shortly ago may change again within one tick of its clock, so its stamp says nothing yet.
SETTLED_NANOSECONDS = 2_000_000_000


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
        unlisted: list[OSError] = []
        found: list[tuple[tuple[str, ...], Path]] = []
        for place, folders, names in os.walk(self.folder, onerror=unlisted.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = Path(place)
            links = [name for name in folders if (here / name).is_symlink()]
            found += [((here / name).relative_to(self.folder).parts, here / name) for name in (*names, *links) if not name.startswith(".")]
            if len(found) > self.most_items:
                raise SourceError(f"{self.folder}: more than {self.most_items:,} files", "raise most_items, or name a smaller folder")
        resolved = self.folder.resolve()
        for error in unlisted:
            path = Path(error.filename)
            if path == self.folder:
                raise SourceError(f"{path}: cannot be listed: {error.strerror}", f"mend it; see: ls -ld {path}")
            told = DocumentError(f"{path}: cannot be listed: {error.strerror}", f"mend it; see: ls -ld {path}")
            yield Item(name=path.relative_to(self.folder).as_posix(), read=refused(told), below=True)
        for parts, path in sorted(found):
            yield self._item("/".join(parts), path, resolved)

    def _item(self, name: str, path: Path, resolved: Path) -> Item:
        try:
            if path.is_symlink() and not path.resolve(strict=True).is_relative_to(resolved):
                raise DocumentError(f"{path}: is a link out of the documents folder", HINT)
            found = path.stat()
            if stat.S_ISDIR(found.st_mode):
                raise DocumentError(
                    f"{path}: is a link to a folder", "remove it: files are read where they are; then type: groundtune check"
                )
            if not stat.S_ISREG(found.st_mode):
                raise DocumentError(f"{path}: is no regular file", HINT)
            if found.st_size > MOST_BYTES:
                raise DocumentError(f"{path}: {found.st_size:,} bytes; at most {MOST_BYTES:,} are read", HINT.replace("mend", "split"))
        except DocumentError as error:
            return Item(name=name, read=refused(error))
        except FileNotFoundError:
            return Item(name=name, read=refused(DocumentError(f"{path}: is a link to a file that is not there", HINT)))
        except (OSError, RuntimeError) as error:
            told = DocumentError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", HINT)
            return Item(name=name, read=refused(told))
        settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED_NANOSECONDS
        stamp = f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_size}-{found.st_ino}" if settled else ""
        return Item(name=name, stamp=stamp, shown=str(path), read=lambda: self._bytes(path))

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DocumentError(f"{path}: cannot be read: {error.strerror}", HINT) from None
