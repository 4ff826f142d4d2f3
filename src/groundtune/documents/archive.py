"""Zip archives, in memory: nothing is written to a disk, and nothing is unpacked before its size is known.

    wiki.zip  →  parts ("start.md", …), each then read by the loader of its own suffix

Office files and EPUBs are zip archives too: ``opened`` holds the checks for all of them.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.errors import DocumentError

MOST_MEMBERS = 20_000


def load(path: Path, raw: bytes) -> Loaded:
    """Read the members of an archive, but hidden ones. Raises ``DocumentError`` for an archive that is a bomb or points out of itself."""
    archive = opened(path, raw)
    parts: list[tuple[str, bytes]] = []
    unread: list[tuple[str, str]] = []
    for member in archive.infolist():
        name = member.filename
        if member.is_dir() or any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts):
            continue
        if not name.isprintable():
            # Such as the file "Icon\r" of a folder's picture, which macOS packs without being asked.
            unread.append(("unsupported", f"{name!r} is a name that cannot be shown"))
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            unread.append(("unsupported", f"{name} is a link; links in archives are not followed"))
            continue
        try:
            parts.append((name, content(path, archive, member)))
        except DocumentError as error:
            unread.append((error.state, error.message.removeprefix(f"{path}: ")))
    if not parts and not unread:
        raise DocumentError(f"{path}: holds no files", HINT)
    if not parts:
        raise DocumentError(f"{path}: {unread[0][1]}", HINT, state=unread[0][0])
    return Loaded(title=path.stem, text="", parts=tuple(parts), unread=tuple(unread))


def opened(path: Path, raw: bytes) -> zipfile.ZipFile:
    """Open an archive after looking at its list of members.

    Raises ``DocumentError`` for one that is corrupt or cut off, holds too many members or, by their own account, unpacks to too much, and
    for members named out of the archive. No member can give more than its account says: unpacking stops there.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise DocumentError(f"{path}: a corrupt or cut off zip archive: {error}", HINT) from None
    members = archive.infolist()
    limits = current()
    if len(members) > MOST_MEMBERS:
        raise DocumentError(f"{path}: {len(members):,} files; at most {MOST_MEMBERS:,} are unpacked", HINT, state="too large")
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.unpacked:
        raise DocumentError(f"{path}: unpacks to {unpacked:,} bytes; at most {limits.unpacked:,} are read", HINT, state="too large")
    for member in members:
        name = member.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
            raise DocumentError(f"{path}: holds a file named {name!r}, which points out of the archive", HINT)
    return archive


def content(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> bytes:
    """Return one member's bytes, checked against its checksum. Raises ``DocumentError``."""
    name = member if isinstance(member, str) else member.filename
    try:
        info = archive.getinfo(member) if isinstance(member, str) else member
        if info.flag_bits & 1:
            raise DocumentError(f"{path}: {name} has a password", HINT, state="encrypted")
        return archive.read(info)
    except KeyError:
        raise DocumentError(f"{path}: holds no {name}", HINT) from None
    except NotImplementedError:
        raise DocumentError(f"{path}: {name} is packed in a way that cannot be read here", HINT, state="unsupported") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise DocumentError(f"{path}: {name} is corrupt: {error}", HINT) from None


def office(path: Path, raw: bytes, main: str) -> zipfile.ZipFile:
    """Open an Office file: ``main`` is a part that its format must have. Raises ``DocumentError``, also for XML that declares entities."""
    archive = opened(path, raw)
    names = archive.namelist()
    if main not in names:
        raise DocumentError(f"{path}: a zip archive without {main}: it is no {path.suffix} file", HINT, state="wrong type")
    for name in names:
        if name.endswith((".xml", ".rels")):
            found = content(path, archive, name)
            if declares(found, "<!DOCTYPE") or declares(found, "<!ENTITY"):
                raise DocumentError(f"{path}: {name} declares a DOCTYPE or entities, which no Office program writes", HINT)
    return archive


def declares(xml: bytes, mark: str) -> bool:
    """Return whether XML holds a mark, in any of the encodings that a parser finds out by itself."""
    return any(mark.encode(encoding) in xml for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
