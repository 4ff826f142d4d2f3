"""Small things about files that several folders need: atomic writes, fingerprints, JSON lines."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

from groundtune.errors import StorageError


def plain(value: Any) -> Any:
    """Turn dataclasses, sets, tuples, paths and dates into what JSON knows. Raises ``TypeError`` on anything else."""
    # The usual kinds first: versions of an index are fingerprinted over all of their documents.
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) is str else plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Path | date):
        return str(value)
    raise TypeError(f"cannot fingerprint or store a {type(value).__name__}")


def fingerprint(*parts: Any, length: int = 16) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of the parts' canonical JSON. Refuses what it cannot hash."""
    canonical = json.dumps(plain(parts), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn "no space left" and "not allowed" from the system into a ``StorageError`` that names the path."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"no space left while writing {path}", f"free some space, then see: df -h {path.parent}") from error
        if error.errno == errno.EFBIG:
            raise StorageError(f"{path} is larger than a file may be here", f"write to another disk; see: df -hT {path.parent}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(f"not allowed to write {path}", f"mend the permissions; see: ls -ld {path.parent}") from error
        raise


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write the whole file or nothing: a temporary file beside it, flushed to disk, then renamed over it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, json.dumps(plain(value), indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomic(path, "".join(json.dumps(plain(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows))
