"""Who is using an index folder right now: one writer at a time, and any number of readers of each version.

    index/write.lock            held by a build, promote, rollback or gc for as long as it works
    index/readers/3f2a.lock     held, shared, by every process that has that version open; gc asks for it alone before it removes one

These are advisory locks of the operating system (``flock``): when a process ends, however it ends, they are gone. So there is nothing to
expire and nothing to repair. They reach as far as the file system does: processes of other machines count only where it carries locks.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from groundtune.errors import StateError
from groundtune.files import storing

PATIENCE = 30.0  # seconds that a writer waits for the one before it
STEP = 0.05


@contextmanager
def writing(store: Path, patience: float | None = None, *, taken: str = "") -> Iterator[None]:
    """Be the only writer of this folder meanwhile. Raises ``StateError`` naming the other, or saying ``taken``, after ``patience``."""
    path = store / "write.lock"
    with storing(path):
        store.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + (PATIENCE if patience is None else patience)
        while not _take(handle, fcntl.LOCK_EX):
            if time.monotonic() >= until:
                who = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise StateError(taken or f"process {who} is writing the index in {store}", f"wait for it, or see what it is: ps -p {who}")
            time.sleep(STEP)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def hold(store: Path, version_id: str, by: Any) -> bool:
    """Hold a version open for as long as the object ``by`` lives. Return ``False`` where it is being removed at this moment."""
    path = _path(store, version_id)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    # The file may have been removed, with its version, between opening and locking it: such a lock holds nothing.
    if not _take(handle, fcntl.LOCK_SH) or not _same(handle, path):
        os.close(handle)
        return False
    weakref.finalize(by, os.close, handle)
    return True


@contextmanager
def alone(store: Path, version_id: str) -> Iterator[bool]:
    """Say whether nobody has a version open, and let nobody open it meanwhile."""
    path = _path(store, version_id)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _take(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def held(store: Path, version_id: str) -> bool:
    """Return whether some process has a version open."""
    if not _path(store, version_id).is_file():
        return False
    with alone(store, version_id) as free:
        return not free


def forget(store: Path, version_id: str) -> None:
    """Remove the lock file of a version that is gone; call it while holding it ``alone``."""
    _path(store, version_id).unlink(missing_ok=True)


def _path(store: Path, version_id: str) -> Path:
    return store / "readers" / f"{version_id.removeprefix('index:')}.lock"


def _take(handle: int, kind: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        return True
    return False


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
