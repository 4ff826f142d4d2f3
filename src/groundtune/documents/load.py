"""A file's bytes → documents, by the loader that its suffix names; and a folder of such files.

    documents/product/v5/slots.md  →  Document(id="document:product/v5/slots.md", readers={"everyone"}, …)
    exports/wiki.zip               →  Document(id="document:exports/wiki.zip!/start.md", …), one for each file within

A file that cannot be read is a problem with a name and a reason, and all problems of a folder are returned together.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groundtune import plugins
from groundtune.documents import magic, sandbox
from groundtune.documents.code import LANGUAGES
from groundtune.documents.decode import decode
from groundtune.documents.loaded import HINT, NONE_HINT, Loaded, Loader, readers_of
from groundtune.documents.places import composed
from groundtune.errors import DocumentError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.types import Document

__all__ = [
    "HINT", "LOADERS", "MOST_BYTES", "Loaded", "Loader", "Reading", "decode", "documents_from", "most_bytes", "read", "readers_of",
    "too_large",
]  # fmt: skip

MOST_BYTES = 40_000_000
# Of one file with all that is packed in it, at any depth: an archive in an archive in an archive … is a bomb.
MOST_DEPTH = 4
MOST_PARTS = 20_000
MOST_UNPACKED = 1_000_000_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Of what has pictures in it, or is packed; a text is read whole, and one of forty megabytes is a dump.
MOST_BYTES_PACKED = 200_000_000
_PACKED = frozenset({"pdf", "docx", "pptx", "sheet", "epub", "eml", "mbox", "zip"})
LOADERS = {
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html", ".txt": "text", ".pdf": "pdf",
    ".docx": "docx", ".docm": "docx", ".pptx": "pptx", ".pptm": "pptx", ".xlsx": "sheet", ".xlsm": "sheet", ".xlsb": "sheet",
    ".xls": "sheet", ".ods": "sheet", ".csv": "csv", ".tsv": "csv", ".eml": "eml", ".mbox": "mbox", ".epub": "epub", ".json": "json",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".zip": "zip", **{f".{suffix}": "code" for suffix in LANGUAGES},
}  # fmt: skip


# What programs can save files as that have no loader.
_SAVED_AS = {
    **dict.fromkeys((".doc", ".dot", ".rtf", ".odt", ".pages", ".wpd"), ".docx"),
    **dict.fromkeys((".ppt", ".pps", ".odp", ".key"), ".pptx"),
    **dict.fromkeys((".numbers", ".xlw"), ".xlsx"), **dict.fromkeys((".msg", ".pst"), ".eml"),
    **dict.fromkeys((".mobi", ".azw3", ".fb2"), ".epub"), **dict.fromkeys((".ps", ".eps", ".djvu", ".xps", ".vsd", ".vsdx"), ".pdf"),
    **dict.fromkeys((".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz"), ".zip"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The documents of a folder, sorted by path, and what could not be read."""

    documents: tuple[Document, ...]
    problems: tuple[GroundtuneError, ...]


@dataclass(slots=True)
class _Unpacked:
    """What was unpacked so far of one outermost file."""

    parts: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What holds for a file whatever is in it: the readers of its source, its metadata, and the defaults of the project."""

    readers: frozenset[str] | None
    metadata: Mapping[str, str]
    defaults: Mapping[str, Any]
    may_name_readers: bool = True
    may_be_unnamed: bool = False


def documents_from(
    name: str,
    raw: bytes,
    *,
    readers: frozenset[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    shown: Path | None = None,
    unnamed: bool = False,
) -> tuple[tuple[Document, ...], tuple[GroundtuneError, ...]]:
    """Return the documents of one file, sorted by name, and what of it could not be read.

    ``name`` is the path that ids are made of (``policies/a.pdf``); its suffix chooses the loader. A file of files gives one document for
    each of them, named ``mail.eml!/offer.pdf``. Readers that a file names itself win over ``readers``, these over ``defaults["readers"]``;
    metadata likewise. An attachment of a mail cannot name its readers. ``shown`` is how messages call the file, ``name`` unless told.
    Where nothing says who reads a document, that is an error; with ``unnamed`` it is read by nobody, and marked so.
    """
    given = _Given(readers=readers, metadata=metadata or {}, defaults=defaults or {}, may_be_unnamed=unnamed)
    documents: dict[str, Document] = {}
    problems: list[GroundtuneError] = []
    for found in _walked(unicodedata.normalize("NFC", name), shown or Path(name), raw, given, _Unpacked(), 0):
        if isinstance(found, GroundtuneError):
            problems.append(found)
        elif found.id in documents:
            problems.append(DocumentError(f"{shown or name}: holds two files named {found.source!r}", HINT))
        else:
            documents[found.id] = found
    return tuple(documents[key] for key in sorted(documents)), tuple(problems)


def _walked(name: str, path: Path, raw: bytes, given: _Given, unpacked: _Unpacked, depth: int) -> Iterator[Document | GroundtuneError]:
    """Yield the document of a file and those of its parts, each trouble in its place."""
    try:
        loaded = _loaded(name, path, raw)
        if loaded.text.strip() or not loaded.parts:
            yield _made(path, name, loaded, given)
        for state, reason in loaded.unread:
            yield DocumentError(f"{path}: {reason}", HINT, state=state)
        if not loaded.parts:
            return
        if depth >= MOST_DEPTH:
            raise DocumentError(f"{path}: files within files, more than {MOST_DEPTH} deep", HINT, state="too large")
        unpacked.parts += len(loaded.parts)
        unpacked.bytes += sum(len(part) for _, part in loaded.parts)
        if unpacked.parts > MOST_PARTS or unpacked.bytes > MOST_UNPACKED:
            raise DocumentError(
                f"{path}: holds more than {MOST_PARTS:,} files or {MOST_UNPACKED:,} bytes with what is packed in it",
                HINT,
                state="too large",
            )
    except GroundtuneError as error:
        yield error
        return
    inner = _Given(
        readers=loaded.readers if loaded.readers is not None else given.readers,
        metadata={**given.metadata, **loaded.metadata},
        defaults=given.defaults,
        may_name_readers=given.may_name_readers and loaded.parts_name_readers,
        may_be_unnamed=given.may_be_unnamed,
    )
    for part, data in loaded.parts:
        yield from _walked(f"{name}!/{unicodedata.normalize('NFC', part)}", Path(f"{path}!/{part}"), data, inner, unpacked, depth + 1)


def _loaded(name: str, path: Path, raw: bytes) -> Loaded:
    """Read a file by the loader of its suffix. Raises ``DocumentError``, or ``MissingExtra`` where the format's package is not there."""
    if not name.isprintable():
        raise DocumentError(f"{str(path)!r}: its name holds characters that cannot be shown", "rename it, then type: groundtune check")
    if len(raw) > most_bytes(name):
        raise too_large(path, name, len(raw))
    suffix = PurePosixPath(name).suffix.lower()
    loader = LOADERS.get(suffix, suffix.removeprefix("."))
    if loader not in plugins.known("loader"):
        known = ", ".join(sorted(end for end, by in LOADERS.items() if by != "code")) + " and source code"
        instead = f"save it as {_SAVED_AS[suffix]}, or remove it, then type: groundtune check" if suffix in _SAVED_AS else HINT
        raise DocumentError(f"{path}: no loader for {suffix or 'a file without a suffix'}; known: {known}", instead, state="unsupported")
    magic.check(path, loader, raw)
    try:
        return sandbox.load(loader, path, raw)
    except GroundtuneError:
        raise
    except Exception as error:
        # A loader is a stranger's code: one file that it stumbles over must not hide what is wrong with the others.
        raise DocumentError(f"{path}: the {loader} loader failed: {type(error).__name__}: {error}", HINT) from error


def _made(path: Path, name: str, loaded: Loaded, given: _Given) -> Document:
    text, places = composed(_storable(loaded.text), loaded.places)
    if not text.strip():
        raise DocumentError(f"{path}: holds no text", HINT)
    fields = {key: str(value) for key, value in given.defaults.items() if key != "readers"} | dict(given.metadata) | dict(loaded.metadata)
    fields = {_storable(key): _storable(value) for key, value in fields.items()}
    for key in fields:
        if "=" in key:
            raise DocumentError(f"{path}: the name of metadata {key!r} holds =, which filters cannot ask for", HINT)
    readers = loaded.readers if given.may_name_readers and loaded.readers is not None else given.readers
    if readers is None and given.defaults.get("readers") is not None:
        readers = readers_of(path, list(given.defaults["readers"]))
    if readers is None and not given.may_be_unnamed:
        raise DocumentError(
            f"{path}: names no readers, and [documents] readers has no default for it",
            _how_to_name_readers(name),
            state="no readers",
        )
    metadata = dict(sorted(fields.items()))
    title = unicodedata.normalize("NFC", " ".join(_storable(loaded.title).split())) or path.stem
    # Without places the hash is what it was before there were any, so that nothing is embedded anew.
    written = (title, text, metadata, [(place.start, place.name) for place in places]) if places else (title, text, metadata)
    return Document(
        id=f"document:{name}",
        source=name,
        title=title,
        text=text,
        content_hash=fingerprint(*written),
        readers=readers_of(path, sorted(readers or ())),
        metadata=metadata,
        places=places,
        unnamed=readers is None,
    )


def _how_to_name_readers(name: str) -> str:
    """Return what to do for a document that nobody names the readers of; most formats have no place for it themselves."""
    loader, packed = LOADERS.get(PurePosixPath(name).suffix.lower()), "!/" in name
    if loader == "markdown":
        return "add readers: [everyone] to its front matter ([] means nobody), then type: groundtune check"
    if loader == "html":
        return 'add <meta name="readers" content="everyone"> to its head, then type: groundtune check'
    beside = "" if packed else f" into {PurePosixPath(name).name}.meta.toml beside it, or for all of a folder"
    return f'write readers = ["everyone"]{beside} into [documents] or a [[documents.rules]] table, then type: groundtune check'


def _storable(text: str) -> str:
    """Return text with what no database takes, NUL and halves of surrogate pairs, replaced one for one."""
    return _UNSTORABLE.sub("\ufffd", text)


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
            found, troubles = documents_from(path.relative_to(folder).as_posix(), _raw(folder, path), defaults=defaults, shown=path)
        except GroundtuneError as error:
            problems.append(error)
            continue
        problems += troubles
        for document in found:
            if document.id in documents:
                problems.append(DocumentError(f"{path}: another file has the same name but for its Unicode form", HINT))
            else:
                documents[document.id] = document
    if not documents and not problems:
        problems.append(DocumentError(f"{folder}: holds no documents", NONE_HINT))
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
        if found.st_size > most_bytes(path.name):
            raise too_large(path, path.name, found.st_size)
        return path.read_bytes()
    except FileNotFoundError:
        raise DocumentError(f"{path}: is a link to a file that is not there", HINT) from None
    except (OSError, RuntimeError) as error:
        raise DocumentError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", HINT) from None


def most_bytes(name: str) -> int:
    """Return how many bytes a file of that name may have."""
    return MOST_BYTES_PACKED if LOADERS.get(PurePosixPath(name).suffix.lower()) in _PACKED else MOST_BYTES


def too_large(shown: object, name: str, size: int | None = None) -> DocumentError:
    """Return the error of a file that is larger than one of that ``name`` may be; ``size`` in bytes is ``None`` where nobody knows it."""
    said = f"more than {most_bytes(name):,} bytes" if size is None else f"{size:,} bytes; at most {most_bytes(name):,} are read"
    return DocumentError(f"{shown}: {said}", HINT.replace("mend", "split"), state="too large")
