"""Export files: a zip archive as items, JSON and CSV as records; all with limits, none trusted.

space.zip  →  ("pages/start.html", read → its bytes), …      tickets.jsonl  →  {"id": 1, …}, {"id": 2, …}
"""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.documents.decode import decode
from groundtune.documents.load import HINT, MOST_BYTES, most_bytes, too_large
from groundtune.errors import DocumentError, GroundtuneError, SourceError

MOST_EXPORT = 1_000_000_000  # bytes of a JSON or CSV export
MOST_UNPACKED = 20_000_000_000  # bytes that an archive says it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of an archive. ``problem`` is why it must not be read."""

    name: str
    stamp: str
    read: Callable[[], bytes]
    problem: GroundtuneError | None = None


def path_of(settings: Mapping[str, Any], folder: Path) -> Path:
    """Return the export file that a ``[[sources]]`` table names. Raises ``SourceError`` where there is none."""
    name = settings["name"]
    if not settings.get("path"):
        raise SourceError(f"source {name}: names no path", 'add path = "FILE" to its [[sources]] table')
    path = folder / str(settings["path"])
    if not path.is_file():
        raise SourceError(f"source {name}: {path}: no such file", "correct its path, then type: groundtune ingest")
    return path


def entries(source: str, path: Path, *, most_items: int, part: Callable[[], bytes] | None = None) -> list[Entry]:
    """List the files of a zip archive, or of one that is ``part`` of it.

    Raises ``SourceError`` for what is no whole archive, and for one that says it holds more than the limits.
    """
    hint = "export it again, then type: groundtune ingest"
    try:
        archive = zipfile.ZipFile(path if part is None else io.BytesIO(part()))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise SourceError(f"source {source}: {path}: is no whole zip archive: {error}", hint) from None
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > most_items or sum(info.file_size for info in infos) > MOST_UNPACKED:
        raise SourceError(
            f"source {source}: {path}: holds more than {most_items:,} files or {MOST_UNPACKED:,} bytes", "raise its most_items"
        )
    found = []
    for info in infos:
        name = info.filename.replace("\\", "/")
        told: DocumentError | None = None
        if info.flag_bits & 0x1:
            told = DocumentError(f"{path}!/{name}: is encrypted", HINT, state="encrypted")
        elif stat.S_ISLNK(info.external_attr >> 16):
            told = DocumentError(f"{path}!/{name}: is a link", HINT, state="unsupported")
        elif info.file_size > most_bytes(name):
            told = too_large(f"{path}!/{name}", name, info.file_size)
        found.append(Entry(name=name, stamp=f"{info.CRC:08x}-{info.file_size}", read=_reading(path, info, part), problem=told))
    return found


def _reading(path: Path, info: zipfile.ZipInfo, part: Callable[[], bytes] | None) -> Callable[[], bytes]:
    def read() -> bytes:
        shown = f"{path}!/{info.filename}"
        try:
            with zipfile.ZipFile(path if part is None else io.BytesIO(part())) as archive, archive.open(info) as stream:
                # What the archive says of a size is a claim: never more than the limit is unpacked.
                raw = stream.read(most_bytes(info.filename) + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise DocumentError(f"{shown}: cannot be unpacked: {error}", HINT) from None
        if len(raw) > most_bytes(info.filename):
            raise too_large(shown, info.filename)
        return raw

    return read


def records(source: str, path: Path, *, inside: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON export: a list, an object with a list called ``inside``, one record, or one a line (JSONL).

    Raises ``SourceError`` naming the line for what is not JSON, and for a record that is no object.
    """
    text = _text(source, path)
    hint = "export it again, then type: groundtune ingest"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise SourceError(f"source {source}: {path}: is not JSON: {_said(error)}", hint) from None
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError) as wrong:
                raise SourceError(f"source {source}: {path}:{number}: is not JSON: {_said(wrong)}", hint) from None
    if isinstance(found, dict):
        found = found.get(inside, [found])
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise SourceError(f"source {source}: {path}: holds no list of {inside}", hint)
    yield from found


def rows(source: str, path: Path) -> Iterator[dict[str, list[str]]]:
    """Yield the rows of a CSV export: lists by column, in small letters, since a column may be there several times; no empty cells.

    Raises ``SourceError`` for a row with more cells than there are columns, which is how a broken quote shows.
    """
    text = _text(source, path)
    before = csv.field_size_limit(MOST_BYTES)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [cell.strip().lower() for cell in next(reader, [])]
        for row in reader:
            if len(row) > len(header):
                raise SourceError(
                    f"source {source}: {path}:{reader.line_num}: {len(row)} cells under {len(header)} columns", "export it again as CSV"
                )
            found: dict[str, list[str]] = {}
            for name, cell in zip(header, row, strict=False):
                if cell.strip():
                    found.setdefault(name, []).append(cell)
            if found:
                yield found
    except csv.Error as error:
        raise SourceError(f"source {source}: {path}:{reader.line_num}: is not CSV: {error}", "export it again as CSV") from None
    finally:
        csv.field_size_limit(before)


def _text(source: str, path: Path) -> str:
    try:
        if path.stat().st_size > MOST_EXPORT:
            raise SourceError(f"source {source}: {path}: more than {MOST_EXPORT:,} bytes", "export it in parts, as several sources")
        return decode(path, path.read_bytes())
    except DocumentError as error:
        raise SourceError(f"source {source}: {error.message}", error.hint) from None
    except OSError as error:
        raise SourceError(f"source {source}: {path}: cannot be read: {error.strerror}", f"see: ls -ld {path}") from None


def _said(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
