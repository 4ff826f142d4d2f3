"""What reading one file may cost. A loader asks ``current()``; whoever reads sets it with ``using``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``seconds`` of wall-clock time, ``memory`` and ``unpacked`` in bytes, ``pages`` (slides, sheets, chapters) and ``rows`` of one file.

    Three gigabytes of address space are what the largest honest files of the formats here need, with half as much to spare: the native
    readers map their input more than once.
    """

    seconds: float = 120.0
    memory: int = 3_000_000_000
    unpacked: int = 400_000_000
    pages: int = 5_000
    rows: int = 1_000_000


_CURRENT: ContextVar[Limits] = ContextVar("limits")


def current() -> Limits:
    """Return the limits that hold for the file being read."""
    return _CURRENT.get(Limits())


@contextmanager
def using(limits: Limits) -> Iterator[None]:
    """Let these limits hold for what is read within."""
    token = _CURRENT.set(limits)
    try:
        yield
    finally:
        _CURRENT.reset(token)
