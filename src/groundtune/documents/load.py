"""A folder of files → documents, by the loader that its suffix names.

    documents/product/v5/slots.md  →  Document(id="document:product/v5/slots.md", readers={"everyone"}, …)

A file that cannot be read is a problem with a name and a reason, and all problems of a folder are returned together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from groundtune import plugins
from groundtune.errors import DocumentError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.types import Document

MOST_BYTES = 40_000_000
LOADERS = {".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".txt": "text"}
HINT = "mend or remove the file, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a loader makes of a file. ``readers`` is ``None`` where the file names none, which is not the same as nobody."""

    title: str
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None


class Loader(Protocol):
    """A file format. Raises ``DocumentError`` with a message that begins with the path."""

    def __call__(self, path: Path, raw: bytes) -> Loaded:
        """Read the bytes of a file; ``path`` is for messages."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The documents of a folder, sorted by id, and what could not be read."""

    documents: tuple[Document, ...]
    problems: tuple[GroundtuneError, ...]


def read(folder: Path, *, defaults: Mapping[str, Any] | None = None) -> Reading:
    """Read every file below ``folder``. ``defaults`` may hold ``readers`` for files that name none.

    Files whose suffix has no loader are problems, not silently skipped; hidden files are not looked at.
    """
    if not folder.is_dir():
        raise DocumentError(f"{folder}: no such folder of documents", "correct [documents] path, then type: groundtune check")
    base = folder.resolve()
    documents: list[Document] = []
    problems: list[GroundtuneError] = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file() or item.is_symlink()):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts):
            continue
        try:
            if not path.resolve().is_relative_to(base):
                raise DocumentError(f"{path}: is a link out of the documents folder", HINT)
            documents.append(_document(path, relative.as_posix(), defaults or {}))
        except GroundtuneError as error:
            problems.append(error)
    if not documents and not problems:
        problems.append(DocumentError(f"{folder}: holds no documents", "add .md, .html or .txt files, then type: groundtune check"))
    return Reading(documents=tuple(documents), problems=tuple(problems))


def _document(path: Path, name: str, defaults: Mapping[str, Any]) -> Document:
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise DocumentError(f"{path}: no loader for {path.suffix or 'a file without a suffix'}; known: {', '.join(sorted(LOADERS))}", HINT)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DocumentError(f"{path}: {size:,} bytes, at most {MOST_BYTES:,} are read", HINT)
        raw = path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}", HINT) from None
    loaded: Loaded = plugins.load("loader", loader)(path, raw)
    if not loaded.text.strip():
        raise DocumentError(f"{path}: holds no text", HINT)
    readers = loaded.readers
    if readers is None and defaults.get("readers") is not None:
        readers = frozenset(defaults["readers"])
    if readers is None:
        raise DocumentError(f"{path}: names no readers", "add readers: [everyone] to its front matter, then type: groundtune check")
    metadata = dict(sorted(loaded.metadata.items()))
    return Document(
        id=f"document:{name}",
        source=name,
        title=loaded.title,
        text=loaded.text,
        content_hash=fingerprint(loaded.title, loaded.text, metadata),
        readers=readers,
        metadata=metadata,
    )


def decode(path: Path, raw: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 where it begins with that mark; line ends become ``\\n``. Raises ``DocumentError``."""
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not {encoding.removesuffix('-sig').upper()} at byte {error.start}", "save it as UTF-8, then type: groundtune check") from None
    if "\x00" in text:
        raise DocumentError(f"{path}: holds a NUL character at {text.index(chr(0))}; it is not a text file", HINT)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def readers_of(path: Path, value: Any) -> frozenset[str]:
    """Return the readers that a file names: a list of groups, or one string with commas. Raises ``DocumentError``."""
    groups = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(groups, list) or not all(isinstance(group, str) and group.strip() for group in groups):
        raise DocumentError(f"{path}: readers is {value!r}; expected a list of group names", HINT)
    return frozenset(group.strip() for group in groups)
