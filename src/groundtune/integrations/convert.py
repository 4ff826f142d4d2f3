"""What the adapters share: other libraries' texts with metadata → ``Document``s and ``Chunk``s, readers included.

    {"source": "slots.md", "title": "Slots", "readers": ["everyone"], "version": "5"} + text  →  Document(id="document:slots.md", …)

Readers that are not supplied are an error, never "everybody": what nobody wrote down is not permission.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groundtune.access.conditions import Filter, matches
from groundtune.access.filter import allowed
from groundtune.errors import DocumentError
from groundtune.files import fingerprint
from groundtune.types import Chunk, Document, Passage, Principal

if TYPE_CHECKING:
    from groundtune.answers.respond import Retrieve
    from groundtune.project import Project

# Where another index ranks before permission is asked, this many are looked through before giving up.
DEEPEST = 10_000

READERS = "readers"
SOURCES = ("source", "file_path", "file_name", "url")
TITLES = ("title", "file_name")


def document_of(text: str, metadata: Mapping[str, Any], *, readers: Iterable[str] | None, number: int) -> Document:
    """Return a text and its metadata as a document. ``readers`` is for texts whose metadata has none.

    Metadata is kept where it is text, a number or a truth value, as text. Raises ``DocumentError`` without readers.
    """
    source = next((str(metadata[name]) for name in SOURCES if metadata.get(name)), f"text-{number}")
    given = metadata.get(READERS, readers)
    if given is None or isinstance(given, str) or not all(isinstance(item, str) for item in given):
        said = "names no readers" if given is None else f"has readers {given!r}, expected a list of group names"
        raise DocumentError(
            f"{source}: its metadata {said}", 'set metadata["readers"] to a list of groups, or pass readers=[...] for those that have none'
        )
    title = next((str(metadata[name]) for name in TITLES if metadata.get(name)), source)
    kept = {
        str(name): str(value)
        for name, value in metadata.items()
        if name not in (READERS, "title") and isinstance(value, str | int | float | bool) and "\0" not in f"{name}{value}"
    }
    clean = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", ""))
    return Document(
        id=f"document:{source}",
        source=source,
        title=title,
        text=clean,
        content_hash=fingerprint(clean, title, kept),
        readers=frozenset(unicodedata.normalize("NFC", item) for item in given),
        metadata=kept,
    )


def documents_of(rows: Iterable[tuple[str, Mapping[str, Any]]], *, readers: Iterable[str] | None = None) -> tuple[Document, ...]:
    """Return texts with metadata as documents. Raises ``DocumentError`` where two have one source: an id is of one document."""
    default = None if readers is None else tuple(readers)
    found: dict[str, Document] = {}
    for number, (text, metadata) in enumerate(rows):
        made = document_of(text, metadata, readers=default, number=number)
        if made.id in found:
            raise DocumentError(
                f"{made.source}: two texts have this source", 'give each its own metadata["source"], such as the file and its page'
            )
        found[made.id] = made
    return tuple(found.values())


def chunk_of(text: str, metadata: Mapping[str, Any], *, readers: Iterable[str] | None, number: int) -> Chunk:
    """Return a text that another index found as a chunk: the whole of a document of its own, since its place there is not known."""
    made = document_of(text, metadata, readers=readers, number=number)
    return Chunk(
        id=f"chunk:{made.source}#{fingerprint(made.text, length=8)}",
        document_id=made.id,
        document_hash=made.content_hash,
        ordinal=0,
        text=made.text,
        start=0,
        end=len(made.text),
        heading_path=(),
        title=made.title,
        readers=made.readers,
        tokens=len(made.text) // 4 + 1,
        metadata=made.metadata,
    )


def metadata_of(chunk: Chunk) -> dict[str, Any]:
    """Return a chunk's metadata as another library carries it beside the text: source, place, headings and the document's own."""
    return {
        **chunk.metadata,
        "source": chunk.document_id.removeprefix("document:"),
        "title": chunk.title,
        "headings": list(chunk.heading_path),
        "place": chunk.place,
        "start": chunk.start,
        "end": chunk.end,
        "chunk_id": chunk.id,
    }


class Live:
    """Search over the version of a project's index that is live when it is asked, whoever made it live; a ``Retrieve``.

    A retriever is kept for days: what was hidden since it was made is not to be shown by it. Raises ``StaleIndex`` before the first
    ingestion.
    """

    def __init__(self, project: Project, limit: int | None) -> None:
        self._project, self._limit = project, limit
        # One value, so that no thread takes the search of one version for that of another.
        self._opened = project.index.live(), project.retriever(limit)

    def __call__(self, question: str, principal: Principal, filter: Filter) -> tuple[Passage, ...]:
        """Return the passages that this principal may see now, best first."""
        live = self._project.index.live()
        known, search = self._opened
        if live != known:
            search = self._project.retriever(self._limit)
            self._opened = live, search
        return search(question, principal, filter)


def somebody(project: Project, principal: str | Principal) -> Principal:
    """Return who asks: by a name of the access file, or as ``Project.verified`` returned them."""
    return project.principal(principal) if isinstance(principal, str) else principal


def permitted(
    fetch: Callable[[str, int], Sequence[tuple[str, Mapping[str, Any]]]], *, name: str, limit: int, readers: Iterable[str] | None
) -> Retrieve:
    """Return search by an index that knows nothing of permissions: ``fetch(question, n)`` gives its best ``n`` texts with metadata.

    Such an index ranks before anybody can ask. So more and more is fetched until ``limit`` permitted passages are found or there is
    no more: hidden rows neither show nor use up the limit, but they cost time.
    """
    default = None if readers is None else tuple(readers)

    def search(question: str, principal: Principal, filter: Filter) -> tuple[Passage, ...]:
        may = allowed(principal)
        wanted = 4 * limit
        while True:
            rows = fetch(question, wanted)
            chunks = [chunk_of(text, metadata, readers=default, number=number) for number, (text, metadata) in enumerate(rows)]
            kept = [
                (rank, chunk)
                for rank, chunk in enumerate(chunks, start=1)
                if may.permits(chunk.readers) and matches(filter, chunk.metadata)
            ]
            if len(kept) >= limit or len(rows) < wanted or wanted >= DEEPEST:
                break
            wanted = min(2 * wanted, DEEPEST)
        return tuple(
            Passage(
                chunk=chunk,
                rank=place,
                # What another index calls its score may be a distance; the rank is what all of them mean alike.
                score=1.0 / rank,
                similarity=None,
                found_by={name: rank},
                allowed_by=may.reason(chunk.readers),
            )
            for place, (rank, chunk) in enumerate(kept[:limit], start=1)
        )

    return search
