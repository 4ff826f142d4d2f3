"""Documents as they were read + the rules → documents with the readers that hold, and why.

effective(documents, …)              readers and sections by the rules, then the marks of versions and near-duplicates
explain(document, person, directory) which rule lets somebody read which part
report(project)                      freshness and coverage

The only way from what was read to what is indexed: nothing else gives a document its readers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from groundtune.access.directory import Directory
from groundtune.access.groups import USER
from groundtune.access.paths import fitting, parts_of
from groundtune.access.rules import People, Rule, Ruling, ruling, spread
from groundtune.documents import alike
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.kept import but
from groundtune.errors import ConfigError, GroundtuneError
from groundtune.project.origins import versions
from groundtune.tables import Settings
from groundtune.types import Chunk, Document, Passage, Principal, Section

if TYPE_CHECKING:
    from groundtune.project.main import Project

HINT = "mend the rule or the document, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``text[start:end]`` of a document, the headings above it, and the ruling on it."""

    start: int
    end: int
    headings: tuple[str, ...]
    ruling: Ruling


def parts(document: Document, rules: Sequence[Rule], people: People) -> tuple[Part, ...]:
    """Return the parts of a document as it was read that have one ruling each, in order; one for all of it without rules of sections."""
    mine = [rule for rule in rules if rule.of(document.source)]
    if not any(rule.section for rule in mine):
        return (Part(start=0, end=len(document.text), headings=(), ruling=ruling(mine, document, (), people)),)
    from groundtune.chunks.blocks import units

    known: dict[tuple[str, ...], Ruling] = {}
    found: list[Part] = []
    for unit in units(document.text):
        if unit.path not in known:
            known[unit.path] = ruling(mine, document, unit.path, people)
        if found and found[-1].headings == unit.path:
            found[-1] = replace(found[-1], end=unit.end)
        else:
            found.append(Part(start=unit.start, end=unit.end, headings=unit.path, ruling=known[unit.path]))
    return tuple(found)


def permitted(documents: Sequence[Document], directory: Directory) -> tuple[tuple[Document, ...], list[GroundtuneError]]:
    """Return the documents with the readers that the rules give them, and what is wrong with them.

    Where parts differ, ``sections`` has each, and ``readers`` those who may read all: what takes a document whole takes it strictly. A
    document that a rule names with a heading that it does not have is left out: what the rule was to protect is somewhere in it.
    """
    problems: list[GroundtuneError] = []
    people = directory.people
    if directory.declared:
        wrong = {reader: directory.unknown(reader) for reader in frozenset().union(*(document.readers for document in documents))}
        if any(wrong.values()):
            for document in documents:
                strange = [reader for reader in sorted(document.readers) if wrong[reader]]
                problems += [ConfigError(f"{document.source}: readers: {wrong[reader]}", HINT) for reader in strange]
    fit = fitting([rule.match for rule in directory.rules])
    # Without rules of sections, the ruling hangs on the rules and on what the document says of its readers, and many agree in both.
    known: dict[tuple[tuple[int, ...], frozenset[str], bool], Ruling] = {}
    made: list[Document] = []
    for document in documents:
        places = fit(document.source)
        if not places:
            made.append(document)
            continue
        mine = [directory.rules[place] for place in places]
        if not any(rule.section for rule in mine):
            of = (places, document.readers, document.unnamed)
            if of not in known:
                known[of] = ruling(mine, document, (), people)
            made.append(but(document, readers=known[of].readers, sections=()))
            continue
        found = parts(document, directory.rules, people)
        missing = [rule for rule in directory.rules if _names(rule, document) and not any(rule.holds(part.headings) for part in found)]
        if missing:
            told = f"{missing[0].name}: {document.source} has no such heading, so the rule would protect nothing; it is not served"
            problems.append(ConfigError(told, HINT))
            continue
        distinct = {part.ruling.readers for part in found}
        if len(distinct) == 1:
            made.append(but(document, readers=found[0].ruling.readers, sections=()))
            continue
        named = frozenset().union(*distinct)
        sections = tuple(Section(part.start, part.end, spread(part.ruling.readers, named, people)) for part in found)
        made.append(but(document, readers=frozenset.intersection(*(item.readers for item in sections)), sections=sections))
    return tuple(made), problems


def _names(rule: Rule, document: Document) -> bool:
    return bool(rule.section) and parts_of(rule.match) == parts_of(document.source)


def effective(
    documents: Collection[Document], signatures: Mapping[str, bytes], directory: Directory, settings: Settings
) -> tuple[dict[str, Document], alike.Alike, list[GroundtuneError]]:
    """Return documents as they are served, by id: readers by the rules, then marks, which hang on readers; and what is wrong with them."""
    found, problems = permitted(list(documents), directory)
    near, order = settings.documents.duplicates, versions(settings)
    marked, marks = alike.marked({document.id: document for document in found}, signatures, near=near, versions=order)
    return marked, marks, problems


def explain(document: Document, person: Principal, directory: Directory) -> list[dict[str, Any]]:
    """Return for each part of a document, as it was read, whether this principal may read it, and which rule says so."""
    found = []
    for part in parts(document, directory.rules, directory.people):
        through = sorted(person.groups & part.ruling.readers)
        found.append(
            {
                "section": " › ".join(part.headings),
                "characters": [part.start, part.end],
                "allowed": bool(through),
                "through": through,
                "readers": sorted(part.ruling.readers),
                "rule": part.ruling.why(),
            }
        )
    return found


def told(
    passages: Sequence[Passage], read: Mapping[str, Document], served: Mapping[str, Document], directory: Directory
) -> tuple[Passage, ...]:
    """Return the passages with the rule that let each through, in words, by documents as they were read and as they are served."""
    people = directory.people
    return tuple(replace(passage, rule=_rule(passage.chunk, read, served, directory.rules, people)) for passage in passages)


def _rule(chunk: Chunk, read: Mapping[str, Document], served: Mapping[str, Document], rules: Sequence[Rule], people: People) -> str:
    now = served.get(chunk.document_id)
    if now is None or now.readers_of(chunk.start, chunk.end) != chunk.readers or now.content_hash != chunk.document_hash:
        return "the readers that the index has, which are older than the rules or the text; to renew them: groundtune access apply"
    touched = [part for part in parts(read[chunk.document_id], rules, people) if part.start < chunk.end and chunk.start < part.end]
    return "; ".join(dict.fromkeys(part.ruling.why() for part in touched))


def report(project: Project) -> dict[str, Any]:
    """Return how fresh membership, documents and the applied readers are, and what the rules do not cover."""
    from groundtune.chunks import manifest
    from groundtune.project.content import CATALOGUE

    content = project.served
    directory, documents = content.directory, list(content.documents.values())
    people = directory.principals.values()
    held = frozenset().union(*(person.groups for person in people))
    used = frozenset().union(*(document.any_readers for document in documents), directory.groups)
    named = frozenset().union(*(document.any_readers for document in documents))
    state, live = manifest.state(project.state / "index"), manifest.live(project.state / "index")
    waiting = [] if live is None else pending(live.contents, documents)
    catalogue = Catalogue(project.state / CATALOGUE, read_only=True)
    try:
        listed = {name: {"listed_at": at or None, "reason": reason} for name, (at, reason) in catalogue.sources().items()}
    finally:
        catalogue.close()
    now = datetime.now(UTC)
    ruled = {document.id for document in documents if any(rule.allow is not None and rule.of(document.source) for rule in directory.rules)}
    sources = [document.source for document in documents]
    return {
        "membership": [
            {"from": place, "read_at": at.isoformat(timespec="seconds"), "days_old": max(0, (now - at).days)}
            for place, at in directory.read
        ],
        "tokens": directory.tokens,
        "applied_at": next((item["at"] for item in reversed(state.switches) if item["id"] == state.id), None) if state else None,
        "not_applied": waiting,
        "sources": listed,
        "documents": len(documents),
        "by_rule": len(ruled),
        "by_themselves": sum(document.id not in ruled and not document.unnamed for document in documents),
        "by_default": sum(document.id not in ruled and document.unnamed for document in documents),
        "with_sections": sum(bool(document.sections) for document in documents),
        "principals": len(directory.principals) - len(directory.services),
        "services": sorted(directory.services),
        "without_rule": [document.source for document in documents if document.id not in ruled],
        "read_by_nobody": [] if directory.tokens else [document.source for document in documents if document.any_readers.isdisjoint(held)],
        "principals_who_read_nothing": sorted(person.id for person in people if person.groups.isdisjoint(named)),
        "groups_nobody_is_in": sorted(group for group in used if not group.startswith(USER) and group not in held),
        "rules_that_fit_nothing": [rule.name for rule in directory.rules if not any(rule.of(source) for source in sources)],
        "rules_whose_heading_is_nowhere": _nowhere(directory.rules, content.as_read),
        "problems": [error.message for error in content.problems],
    }


def pending(contents: Mapping[str, Mapping[str, Any]], documents: Sequence[Document]) -> list[str]:
    """Return the documents whose readers in an index version are not those that hold now, gone ones among them."""
    from groundtune.chunks import manifest
    from groundtune.chunks.build import sections_of
    from groundtune.chunks.store import widest

    now = {document.id: document for document in documents}
    late = [
        document.source
        for name, document in now.items()
        if name in contents
        and (list(contents[name]["readers"]), contents[name].get("sections", "")) != (sorted(document.readers), sections_of(document))
    ]
    gone = [name for name, item in contents.items() if name not in now and widest(manifest.readers_in(item))]
    return late + [name.removeprefix("document:") for name in gone]


def _nowhere(rules: Sequence[Rule], read: Mapping[str, Document]) -> list[str]:
    """Return the rules of sections that no heading of the documents they are for has."""
    wanted = [rule for rule in rules if rule.section and any(rule.of(document.source) for document in read.values())]
    if not wanted:
        return []
    from groundtune.chunks.blocks import units

    there: set[int] = set()
    for document in read.values():
        mine = [place for place, rule in enumerate(wanted) if place not in there and rule.of(document.source)]
        paths = {unit.path for unit in units(document.text)} if mine else set()
        there |= {place for place in mine if any(wanted[place].holds(path) for path in paths)}
    return [rule.name for place, rule in enumerate(wanted) if place not in there]
