"""A folder of files → documents, by the loader that its suffix names.

    documents/product/v5/slots.md  →  Document(id="document:product/v5/slots.md", readers={"everyone"}, …)

A file that cannot be read is a problem with a name and a reason, and all problems of a folder are returned together.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from groundtune import plugins
from groundtune.documents.decode import decode
from groundtune.errors import DocumentError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.types import Document

__all__ = ["HINT", "LOADERS", "MOST_BYTES", "Loaded", "Loader", "Reading", "decode", "documents_from", "read", "readers_of"]

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
    """A file format: an entry point of ``groundtune.loader``, named after its suffix (``csv`` reads ``.csv``)."""

    def __call__(self, path: Path, raw: bytes) -> Loaded:
        """Read the bytes of a file; ``path`` is for messages. Raises ``DocumentError`` with a message that begins with the path."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The documents of a folder, sorted by path, and what could not be read."""

    documents: tuple[Document, ...]
    problems: tuple[GroundtuneError, ...]


def documents_from(
    name: str,
    raw: bytes,
    *,
    readers: frozenset[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    shown: Path | None = None,
) -> tuple[tuple[Document, ...], tuple[GroundtuneError, ...]]:
    """Return the documents of one file, and what of it could not be read.

    ``name`` is the path that ids are made of; its suffix chooses the loader. Readers that a file names itself win over ``readers``, these
    over ``defaults["readers"]``; metadata likewise. ``shown`` is how messages call the file.
    """
    fields = {key: value for key, value in (defaults or {}).items() if key != "readers"} | dict(metadata or {})
    who = readers if readers is not None else (defaults or {}).get("readers")
    path = shown or Path(name)
    try:
        if len(raw) > MOST_BYTES:
            raise DocumentError(f"{path}: {len(raw):,} bytes; at most {MOST_BYTES:,} are read", HINT.replace("mend", "split"))
        loaded = _loaded(path, raw, Path(name).suffix)
        return (_made(path, unicodedata.normalize("NFC", name), loaded, {**fields, "readers": who}),), ()
    except GroundtuneError as error:
        return (), (error,)


def read(folder: Path, *, defaults: Mapping[str, Any] | None = None) -> Reading:
    """Read every file below ``folder``. ``defaults`` may hold ``readers`` for files that name none, and metadata for all.

    Hidden files and folders (``.git``) are not looked at. Everything else is either a document or a problem: a suffix without a loader,
    a link that leaves the folder, something that is no file. Raises ``DocumentError`` when there is no such folder.
    """
    if not folder.is_dir():
        raise DocumentError(f"{folder}: no such folder of documents", "correct [documents] path, then type: groundtune check")
    documents: dict[str, Document] = {}
    problems: list[GroundtuneError] = []
    for path in _files(folder, problems):
        try:
            document = _document(folder, path, defaults or {})
            if document.id in documents:
                raise DocumentError(f"{path}: another file has the same name but for its Unicode form", HINT)
            documents[document.id] = document
        except GroundtuneError as error:
            problems.append(error)
    if not documents and not problems:
        problems.append(DocumentError(f"{folder}: holds no documents", "add .md, .html or .txt files, then type: groundtune check"))
    return Reading(documents=tuple(documents.values()), problems=tuple(problems))


def _files(folder: Path, problems: list[GroundtuneError]) -> Iterator[Path]:
    """Yield what is below the folder, sorted by path; add folders that cannot be listed, and links to folders, to ``problems``."""

    def unlistable(error: OSError) -> None:
        problems.append(DocumentError(f"{error.filename}: cannot be listed: {error.strerror}", f"mend it; see: ls -ld {error.filename}"))

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found += [Path(place) / name for name in (*names, *links) if not name.startswith(".")]
    yield from sorted(found, key=lambda path: path.relative_to(folder).parts)


def _document(folder: Path, path: Path, defaults: Mapping[str, Any]) -> Document:
    name = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
    if not name.isprintable():
        raise DocumentError(f"{str(path)!r}: its name holds characters that cannot be shown", "rename it, then type: groundtune check")
    return _made(path, name, _loaded(path, _raw(folder, path), path.suffix), defaults)


def _loaded(path: Path, raw: bytes, suffix: str) -> Loaded:
    loader = LOADERS.get(suffix.lower(), suffix.lower().removeprefix("."))
    if loader not in plugins.known("loader"):
        known = ", ".join(sorted(LOADERS))
        raise DocumentError(f"{path}: no loader for {suffix or 'a file without a suffix'}; known: {known}", HINT)
    try:
        loaded: Loaded = plugins.load("loader", loader)(path, raw)
        return loaded
    except GroundtuneError:
        raise
    except Exception as error:
        # A loader is a stranger's code: one file that it stumbles over must not hide what is wrong with the others.
        raise DocumentError(f"{path}: the {loader} loader failed: {type(error).__name__}: {error}", HINT) from error


def _raw(folder: Path, path: Path) -> bytes:
    """Return a file's bytes. Refuses links out of the folder, what is no regular file, and what is too large."""
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise DocumentError(f"{path}: is a link out of the documents folder", HINT)
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise DocumentError(f"{path}: is a link to a folder", "remove it: files are read where they are; then type: groundtune check")
        if not stat.S_ISREG(found.st_mode):
            raise DocumentError(f"{path}: is no regular file", HINT)
        if found.st_size > MOST_BYTES:
            raise DocumentError(f"{path}: {found.st_size:,} bytes; at most {MOST_BYTES:,} are read", HINT.replace("mend", "split"))
        return path.read_bytes()
    except FileNotFoundError:
        raise DocumentError(f"{path}: is a link to a file that is not there", HINT) from None
    except (OSError, RuntimeError) as error:
        raise DocumentError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", HINT) from None


def _made(path: Path, name: str, loaded: Loaded, defaults: Mapping[str, Any]) -> Document:
    text = unicodedata.normalize("NFC", loaded.text)
    if not text.strip():
        raise DocumentError(f"{path}: holds no text", HINT)
    given = {key: str(value) for key, value in defaults.items() if key != "readers"} | dict(loaded.metadata)
    for key in given:
        if "=" in key:
            raise DocumentError(f"{path}: the name of metadata {key!r} holds =, which filters cannot ask for", HINT)
    readers = loaded.readers
    if readers is None and defaults.get("readers") is not None:
        readers = readers_of(path, list(defaults["readers"]))
    if readers is None:
        raise DocumentError(
            f"{path}: names no readers, and [documents] readers has no default for it",
            "add readers: [everyone] to its front matter ([] means nobody), then type: groundtune check",
        )
    metadata = dict(sorted(given.items()))
    title = unicodedata.normalize("NFC", " ".join(loaded.title.split())) or path.stem
    return Document(
        id=f"document:{name}",
        source=name,
        title=title,
        text=text,
        content_hash=fingerprint(title, text, metadata),
        readers=readers_of(path, sorted(readers)),
        metadata=metadata,
    )


def readers_of(path: Path, value: Any) -> frozenset[str]:
    """Return the readers that a file names: a list of groups, or one string with commas; empty means nobody. Raises ``DocumentError``."""
    groups = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(groups, list | tuple) or not all(isinstance(group, str) and group.strip() and "\0" not in group for group in groups):
        raise DocumentError(
            f"{path}: readers is {value!r}; expected a list of group names",
            "write readers: [everyone], or [] for nobody, then type: groundtune check",
        )
    return frozenset(unicodedata.normalize("NFC", group.strip()) for group in groups)
