"""A document of the catalogue of which the text stays on disk until somebody asks for it.

    in memory   id, source, title, hash, readers, metadata    what differences, permissions and the ids of versions are made of
    on disk     text, places                                  what is split and embedded, and only where it is new

It is a ``Document`` like any other to whoever takes one. ``but()`` is ``dataclasses.replace`` for both kinds, and fetches no text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from groundtune.types import Document, Place

# Takes a document's id and hash, and returns it whole. Raises ``StorageError`` where it is not there any more as it was.
Fetch = Callable[[str, str], Document]

_FIELDS = tuple(field.name for field in fields(Document))
_HERE = ("id", "source", "title", "content_hash", "readers", "metadata", "unnamed", "sections")


class Kept(Document):
    """A document whose text and places are fetched the first time that they are asked for, and kept from then on."""

    __slots__ = ("_body", "_fetch", "_read_hash")
    _body: Document | None
    _fetch: Fetch
    _read_hash: str

    def __new__(cls, **fields: Any) -> Document:  # type: ignore[misc]
        """Return a whole document: what ``dataclasses.replace`` makes of one that is kept."""
        return Document(**fields)

    @property
    def text(self) -> str:
        """The normalised text."""
        return self._whole().text

    @property
    def places(self) -> tuple[Place, ...]:
        """Where in the source the parts of the text stand."""
        return self._whole().places

    def _whole(self) -> Document:
        body = self._body
        if body is None:
            body = self._fetch(self.id, self._read_hash)
            _PUT["_body"](self, body)
        return body

    @property
    def fetched(self) -> bool:
        """Whether the text is in memory."""
        return self._body is not None

    def fill(self, body: Document) -> None:
        """Take the text from where it was fetched already; that of another hash is not taken."""
        if body.content_hash == self._read_hash:
            _PUT["_body"](self, body)

    def __eq__(self, other: object) -> bool:
        """Compare as documents: field by field."""
        if not isinstance(other, Document):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _FIELDS)

    __hash__ = Document.__hash__


# A frozen class is filled through its slots; the usual way takes five times as long, for each of all documents at each ingestion.
_PUT: dict[str, Callable[[Any, Any], None]] = {
    name: getattr(Document if name in _HERE else Kept, name).__set__ for name in (*_HERE, *Kept.__slots__)
}
_ID, _SOURCE, _TITLE, _HASH, _READERS, _METADATA, _UNNAMED, _SECTIONS = (_PUT[name] for name in _HERE)
_BODY, _FETCH, _READ_HASH = (_PUT[name] for name in Kept.__slots__)


def kept(
    fetch: Fetch, name: str, source: str, title: str, content_hash: str, readers: frozenset[str], metadata: Mapping[str, str], unnamed: bool
) -> Kept:
    """Return a document of which ``fetch`` has the rest."""
    made: Kept = object.__new__(Kept)
    _ID(made, name)
    _SOURCE(made, source)
    _TITLE(made, title)
    _HASH(made, content_hash)
    _READERS(made, readers)
    _METADATA(made, metadata)
    _UNNAMED(made, unnamed)
    _SECTIONS(made, ())
    _BODY(made, None)
    _FETCH(made, fetch)
    _READ_HASH(made, content_hash)
    return made


def but(document: Document, **changes: Any) -> Document:
    """Return the document with other readers, sections, metadata or hash. Raises ``TypeError`` for any other field."""
    if not changes.keys() <= {"readers", "sections", "metadata", "content_hash"}:
        raise TypeError(f"only readers, sections, metadata and content_hash can change, not {', '.join(sorted(changes))}")
    if not isinstance(document, Kept):
        return replace(document, **changes)
    made: Kept = object.__new__(Kept)
    for name, put in _PUT.items():
        put(made, changes[name] if name in changes else getattr(document, name))
    return made
