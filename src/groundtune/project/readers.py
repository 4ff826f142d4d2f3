"""A change of readers → the alarm that it may be, and its way into the index without a text being read or embedded.

alarm(live, documents)   "the readers of 40 documents with 63% of all chunks would change; opened to all: hr/book.md"
guard(…)                 an error, unless the change is accepted
apply(project)           a new version of the same texts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from groundtune.chunks import manifest
from groundtune.chunks.build import sections_of
from groundtune.chunks.store import widest
from groundtune.errors import StateError
from groundtune.files import Sorted
from groundtune.tables import AccessTable
from groundtune.types import Document

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.project.main import Project

HINT = "look at it with: groundtune access report; if it is meant, type: groundtune {} --accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who may read all of a document, who may read some of it, and the fingerprint of its sections; by ``name``, as people call it."""

    name: str
    whole: frozenset[str]
    some: frozenset[str]
    sections: str

    @classmethod
    def of(cls, document: Document) -> Readers:
        """Return those of a document as it would be indexed."""
        return cls(name=document.source, whole=document.readers, some=document.any_readers, sections=sections_of(document))

    @classmethod
    def kept(cls, name: str, item: Mapping[str, Any]) -> Readers:
        """Return those that an index version has for a document."""
        some = widest(manifest.readers_in(item))
        return cls(name=name.removeprefix("document:"), whole=frozenset(item["readers"]), some=some, sections=item.get("sections", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A change of readers that is too large to be applied without being looked at. ``share`` is of the chunks that are in the index."""

    changed: tuple[str, ...]
    opened: tuple[str, ...]
    share: float

    def said(self) -> str:
        """Return it in words."""
        text = f"the readers of {len(self.changed)} documents with {self.share:.0%} of all chunks would change"
        return text + (f"; opened to all: {', '.join(self.opened[:5])}{' …' if len(self.opened) > 5 else ''}" if self.opened else "")


def alarm(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Readers], table: AccessTable) -> Alarm | None:
    """Compare with what the live version has; ``None`` where no alarm is due: little changes, and nothing is opened to all.

    New documents are not counted: nobody has said before who reads them. Closing counts as well: a mass change is as often a mistake.
    """
    total = sum(int(item["chunks"]) for item in before.values())
    changed: dict[str, str] = {}
    opened = []
    everyone = frozenset(table.open_groups)
    for name, now in after.items():
        if name not in before:
            continue
        old = Readers.kept(name, before[name])
        if (now.whole, now.sections) != (old.whole, old.sections):
            changed[name] = now.name
        if any(not mine.isdisjoint(everyone) and had.isdisjoint(everyone) for mine, had in ((now.some, old.some), (now.whole, old.whole))):
            opened.append(now.name)
    part = sum(int(before[name]["chunks"]) for name in changed) / total if total else 0.0
    if (part <= table.alarm_share or total < table.alarm_chunks) and not opened:
        return None
    return Alarm(changed=tuple(changed.values()), opened=tuple(opened), share=part)


def guard(project: Project, after: Mapping[str, Readers], what: str, *, accept: bool) -> None:
    """Compare readers with those of the live index. Raises ``StateError`` where the change is an alarm and was not accepted.

    What is accepted is an audit line of the ledger.
    """
    before = manifest.live(project.state / "index")
    found = None if before is None else alarm(before.contents, after, project.settings.access)
    if before is None or found is None:
        return
    if not accept:
        raise StateError(f"not applied: {found.said()}", HINT.format(what))
    from groundtune.records.ledger import now

    at = now()
    details = {"changed": len(found.changed), "share": found.share, "opened": list(found.opened[:50])}
    project.ledger.audit(f"readers accepted {before.id} {at}", f"{what} --accept", before.id, details, at)


def moved(before: Mapping[str, Mapping[str, Any]], documents: Mapping[str, Document]) -> dict[str, Readers]:
    """Return the readers of the documents that a version has with other ones, or that have sections: no others can raise an alarm."""
    named = Sorted()
    found: dict[str, Readers] = {}
    for name, document in documents.items():
        old = before.get(name)
        if old is not None and (document.sections or "sections" in old or "parts" in old or old["readers"] != named[document.readers]):
            found[name] = Readers.of(document)
    return found


def of(documents: Sequence[Document]) -> dict[str, Readers]:
    """Return the readers of documents, by id."""
    return {document.id: Readers.of(document) for document in documents}


def apply(project: Project, *, accept: bool) -> IndexVersion:
    """Give what is in the live index the readers that hold now, and leave its texts as they are; nothing is read anew or embedded.

    A document whose text changed since keeps its indexed text and takes the readers that hold for all of it: where its sections stood then
    is not known. One that is gone is read by nobody. Raises ``StateError`` for a mass change that was not accepted.
    """
    from groundtune.project.ingest import synced

    before = manifest.live(project.state / "index")
    if before is None:
        raise StateError("there is no index yet", "type: groundtune ingest")
    now = project.served.documents
    documents: dict[str, Document] = {}
    for name, item in before.contents.items():
        document = now.get(name)
        if document is None:
            source = name.removeprefix("document:")
            document = Document(id=name, source=source, title=source, text="", content_hash=item["hash"], readers=frozenset())
        elif document.content_hash != item["hash"]:
            document = replace(document, content_hash=item["hash"], sections=())
        documents[name] = document
    guard(project, of(list(documents.values())), "access apply", accept=accept)
    return synced(project, documents, "access", readers_only=True)
