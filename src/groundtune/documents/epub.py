"""EPUB books → the chapters of their spine as Markdown; places are "chapter 2"."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from groundtune.documents import archive
from groundtune.documents.decode import decode
from groundtune.documents.html import checked, markdown
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer
from groundtune.errors import DocumentError

PRELOAD = ("html_to_markdown",)
_CONTAINER = "META-INF/container.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
# Fonts may be scrambled in a book that is open to all: https://www.w3.org/TR/epub-33/#sec-container-metainf-encryption.xml
_FONTS = (".otf", ".ttf", ".woff", ".woff2")


def load(path: Path, raw: bytes) -> Loaded:
    """Read an EPUB. Raises ``DocumentError``, also for one whose chapters are encrypted; a chapter that cannot be read is in ``unread``."""
    book = archive.opened(path, raw)
    if _CONTAINER not in book.namelist():
        raise DocumentError(f"{path}: a zip archive without {_CONTAINER}: it is no EPUB", HINT, state="wrong type")
    root = _xml(path, book, _CONTAINER)
    package = next((item.get("full-path", "") for item in root.iter() if item.tag.endswith("}rootfile")), "")
    _refuse_encrypted(path, book)
    opf = _xml(path, book, package)
    files = {item.get("id"): item for item in opf.iter(f"{_OPF}item")}
    spine = [files.get(item.get("idref")) for item in opf.iter(f"{_OPF}itemref")]
    if len(spine) > current().pages:
        raise DocumentError(f"{path}: {len(spine):,} chapters; at most {current().pages:,} are read", HINT, state="too large")
    writer = Writer()
    unread: list[tuple[str, str]] = []
    for number, item in enumerate(spine, start=1):
        if item is None:
            unread.append(("unreadable", f"chapter {number} is not in the list of the book's files"))
            continue
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(item.get("href", ""))))
        writer.at(f"chapter {number}")
        try:
            inner = Path(f"{path}!/{name}")
            page = checked(inner, decode(inner, archive.content(path, book, name)))
            writer.add(markdown(inner, "".join(page.pieces)))
        except DocumentError as error:
            unread.append((error.state, f"chapter {number}: {error.message}"))
    title = next((item.text for item in opf.iter("{http://purl.org/dc/elements/1.1/}title") if item.text), "")
    return Loaded(title=title.strip()[:300] or path.stem, text=writer.text, places=writer.places, unread=tuple(unread))


def _refuse_encrypted(path: Path, book: zipfile.ZipFile) -> None:
    name = "META-INF/encryption.xml"
    if name in book.namelist():
        named = [item.get("URI", "") for item in _xml(path, book, name).iter() if item.tag.endswith("}CipherReference")]
        if any(not item.lower().endswith(_FONTS) for item in named):
            raise DocumentError(f"{path}: its chapters are encrypted (DRM)", HINT, state="encrypted")


def _xml(path: Path, book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    data = archive.content(path, book, name)
    if archive.declares(data, "<!ENTITY"):
        raise DocumentError(f"{path}: {name} declares entities", HINT)
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - without entities there is nothing to expand or to fetch
    except ElementTree.ParseError as error:
        raise DocumentError(f"{path}: {name} is not XML: {error}", HINT) from None
