"""Small things about files that several folders need: atomic writes, fingerprints, JSON lines.

log.jsonl  →  text_of(path, tell, again)  →  objects(path, text, tell, again)  →  (1, {"question": …}), (3, {…})
and for line 2 it calls tell("log.jsonl:2: not JSON at column 14: …", "mend that line, then type: groundtune check")
"""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ContextDecorator, contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

from groundtune.errors import StorageError

# Takes what is wrong, and what to do or type next.
Tell = Callable[[str, str], None]
# Two writes within one tick of the clock leave the same times, so a file that changed this lately is not known by them.
SETTLED_NANOSECONDS = 2_000_000_000
# Path → what identified the file when it was hashed, and its SHA-256.
_hashed: dict[Path, tuple[tuple[int, ...], str]] = {}


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
    return fingerprint_plain(*(plain(part) for part in parts), length=length)


def fingerprint_plain(*parts: Any, length: int = 16) -> str:
    """Return what ``fingerprint`` does, for parts that are what JSON knows already: ten times as fast, which large lists need."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


class Sorted(dict[frozenset[str], list[str]]):
    """Sets of names as sorted lists, each sorted once: many documents have the same readers. The lists are not to be changed."""

    def __missing__(self, names: frozenset[str]) -> list[str]:
        """Sort a set that was not asked for before."""
        found = self[names] = sorted(names)
        return found


class SeldomCollecting(ContextDecorator):
    """Look for garbage in cycles less often while something lists or reads many small things, none of which is garbage.

    Python looks after each seven hundred objects that are made, and now and then through all that there are: a third of the time of listing
    some ten thousand files. It goes on looking, after each hundred thousand. Several threads may do so at once; the last one sets it back.
    """

    _lock, _inside, _usual = Lock(), 0, (0, 0, 0)

    def __enter__(self) -> None:
        """Begin it."""
        with SeldomCollecting._lock:
            if not SeldomCollecting._inside:
                SeldomCollecting._usual = gc.get_threshold()
                first, *others = SeldomCollecting._usual
                if first:
                    gc.set_threshold(max(first, 100_000), *others)
            SeldomCollecting._inside += 1

    def __exit__(self, *_: object) -> None:
        """Go back to what was usual."""
        with SeldomCollecting._lock:
            SeldomCollecting._inside -= 1
            if not SeldomCollecting._inside:
                gc.set_threshold(*SeldomCollecting._usual)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hashed once in this process while it stays the same file.

    Same means: device, inode, size, and the times of change of content and of status (which nobody sets back), older than two seconds.
    """
    stat = path.stat()
    mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    place = path.absolute()
    if (held := _hashed.get(place)) is not None and held[0] == mark:
        return held[1]
    # The mark is older than the bytes: a file that changes in between is hashed once too often, never once too seldom.
    settled = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NANOSECONDS
    found = file_sha256(path)
    if settled:
        _hashed[place] = (mark, found)
    return found


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


def text_of(path: Path, tell: Tell, again: str, most_bytes: int | None = None) -> str | None:
    """Return a file's text without its byte order mark; or tell why there is none. ``again`` is the command to type once it is mended."""
    try:
        if most_bytes is not None and path.is_file() and (size := path.stat().st_size) > most_bytes:
            tell(f"{path}: {size:,} bytes; at most {most_bytes:,} are read", f"split it: split -C {most_bytes * 4 // 5} {path}")
            return None
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        tell(f"{path}: not UTF-8 at byte {error.start:,}", f"save it as UTF-8, then type: {again}")
    except FileNotFoundError:
        tell(f"{path}: no such file", f"name another; see: ls {path.parent}")
    except IsADirectoryError:
        tell(f"{path}: is a folder, expected a file", f"name one of its files; see: ls {path}")
    except OSError as error:
        tell(f"{path}: cannot be read: {error.strerror}", f"mend it; see: ls -l {path}")
    return None


def objects(path: Path, text: str, tell: Tell, again: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line from 1, and the object on it; tell about every line that holds none, or none that can be stored again.

    Empty lines are passed over. Only a line feed ends a line: other separators of Unicode may stand in a text.
    """
    hint = f"mend that line, then type: {again}"
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = strict_json(line)
        except ValueError as error:
            tell(f"{path}:{number}: {error}", hint)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            tell(f"{path}:{number}: expected a JSON object, found {type(row).__name__}", hint)


def strict_json(text: str) -> Any:
    """Return a JSON value. Raises ``ValueError``, in words for a user, for what is none, or holds what no JSON can.

    That is a field that stands twice in one object, NaN and the infinities, half of a surrogate pair, and nesting that is too deep to read.
    """
    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
        storable(value)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(why_no_json(error)) from None
    return value


def why_no_json(error: Exception, *, by_line: bool = False) -> str:
    """Return in words why a text is no JSON. ``by_line``: where is told by line and column, for a text of several lines."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, json.JSONDecodeError):
        where = f"line {error.lineno} column {error.colno}" if by_line else f"column {error.colno}"
        return f"not JSON at {where}: {error.msg}"
    return str(error)


def storable(value: Any) -> None:
    """Make sure that a value can be written again as UTF-8. Raises ``ValueError``."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object's fields. Raises ``ValueError`` where one stands twice."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return row


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON."""
    raise ValueError(f"{name} is not JSON")
