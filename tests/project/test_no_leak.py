"""Random documents, groups in groups, grants, denials, filters and queries, from the rules to what is shown: against an oracle, no leak.

The oracle knows of each paragraph under which headings it was put and asks, for one person at a time, what the rules say of that place; it
shares nothing with the product but the rules. A filter shows of all this exactly what is in the documents that meet it.
``GROUNDTUNE_CASES=10000`` sets how many cases are drawn.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from groundtune.access.conditions import Filter, matches
from groundtune.access.directory import Directory, member
from groundtune.access.groups import closed
from groundtune.access.rules import Rule
from groundtune.chunks import build
from groundtune.chunks.store_memory import MemoryStore
from groundtune.chunks.verify import verify_version
from groundtune.files import fingerprint
from groundtune.models.hashed import open as hashed
from groundtune.passages.retrieve import retrieve
from groundtune.project.permissions import permitted
from groundtune.types import Document, Principal

CASES = int(os.environ.get("GROUNDTUNE_CASES", "40"))
EMBED = hashed({})
GROUPS = ("a", "b", "c", "d")
TITLES = ("Handbook", "Salaries", "Directors", "Leave")
SOURCES = ("hr/a.md", "hr/in/b.md", "c.md")
# Each pattern, what it is for, and how specific it is: said here once more, by hand.
MATCHES: Mapping[str, tuple[frozenset[str], tuple[int, int]]] = {
    "": (frozenset(SOURCES), (0, 0)),
    "hr/": (frozenset(SOURCES[:2]), (1, 0)),
    "hr/a.md": (frozenset(SOURCES[:1]), (2, 0)),
    "hr/*.md": (frozenset(SOURCES[:1]), (1, 1)),
    "hr/**/b.md": (frozenset(SOURCES[1:2]), (2, 0)),
    "*.md": (frozenset(SOURCES[2:]), (0, 1)),
}


@dataclass(frozen=True)
class Paragraph:
    marker: str
    headings: tuple[str, ...]


groups = st.frozensets(st.sampled_from([*GROUPS, "everyone"]), max_size=3)
readers = st.frozensets(st.sampled_from([*GROUPS, "everyone", "user:x", "user:y"]), max_size=3)
nestings = st.fixed_dictionaries({g: st.sets(st.sampled_from(GROUPS[i + 1 :] or ("d",)), max_size=2) for i, g in enumerate(GROUPS[:-1])})
rules = st.lists(
    st.builds(
        Rule,
        number=st.integers(1, 9),
        match=st.sampled_from(sorted(MATCHES)),
        section=st.sampled_from([(), (), ("Salaries",), ("salaries", "Directors"), ("Leave",)]),
        allow=st.none() | readers,
        deny=readers | st.just(frozenset()),
        overrides=st.booleans(),
    ),
    max_size=6,
)
labels = st.dictionaries(st.sampled_from(["version", "audience"]), st.sampled_from(["4", "5.1", "staff"]), max_size=2)
conditions = st.one_of(
    st.sampled_from(["4", "5.1", "none such"]),
    st.lists(st.sampled_from(["4", "staff"]), max_size=2),
    st.sampled_from([{"not": "4"}, {"not": ["5.1", "staff"]}, {"from": "4.5"}, {"to": "5"}, {"from": "4", "to": "4"}]),
)
filters = st.dictionaries(st.sampled_from(["version", "audience", "absent"]), conditions, min_size=1, max_size=2)
# A heading with its level, or a paragraph of so many words.
blocks = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(TITLES)) | st.integers(1, 30), min_size=1, max_size=10)


def made(
    source: str, given: Sequence[tuple[int, str] | int], named: frozenset[str] | None, metadata: Mapping[str, str]
) -> tuple[Document, list[Paragraph]]:
    """Return a document, and its paragraphs with the headings that each was put under."""
    path: list[tuple[int, str]] = []
    paragraphs: list[Paragraph] = []
    parts = []
    for block in given:
        if isinstance(block, tuple):
            path = [*(item for item in path if item[0] < block[0]), block]
            parts.append("#" * block[0] + " " + block[1])
        else:
            marker = f"m{SOURCES.index(source)}x{len(paragraphs)}q"
            paragraphs.append(Paragraph(marker, tuple(title for _, title in path)))
            parts.append(f"The {marker} " + " ".join(["crane"] * block) + ".")
    text = "\n\n".join([*parts, "The end."])
    document = Document(
        id=f"document:{source}",
        source=source,
        title=source,
        text=text,
        content_hash=fingerprint(source, text, metadata),
        readers=frozenset({"everyone"}) if named is None else named,
        unnamed=named is None,
        metadata=metadata,
    )
    return document, paragraphs


def may_read(person: Principal, written: Sequence[Rule], document: Document, headings: tuple[str, ...]) -> bool:
    """The oracle."""
    folded = [heading.casefold() for heading in headings]
    here = []
    for rule in written:
        fitting, specific = MATCHES[rule.match]
        wanted = [heading.casefold() for heading in rule.section]
        if document.source in fitting and (not wanted or wanted in [folded[i : i + len(wanted)] for i in range(len(folded))]):
            here.append(((len(wanted), *specific), rule))
    for level in sorted({level for level, _ in here}, reverse=True):
        said = [rule for at, rule in here if at == level]
        if any(person.groups & rule.deny for rule in said):
            return False
        allowing = [rule for rule in said if rule.allow is not None]
        if allowing:
            bound = not document.unnamed and "everyone" not in document.readers and not all(rule.overrides for rule in allowing)
            allowed = all(person.groups & (rule.allow or frozenset()) for rule in allowing)
            return allowed and (not bound or bool(person.groups & document.readers))
    return bool(person.groups & document.readers)


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.fixed_dictionaries({source: blocks for source in SOURCES}),
    named=st.fixed_dictionaries({source: st.none() | readers for source in SOURCES}),
    nested=nestings,
    members=st.fixed_dictionaries({name: groups for name in ("x", "y", "z")}),
    service=groups,
    histories=st.lists(rules, min_size=1, max_size=3),
    unit=st.sampled_from(["packed", "child", "sentence"]),
    query=st.sampled_from(["crane", "what is under Salaries", "m0x1q m1x0q", "the end"]),
    metadata=st.fixed_dictionaries({source: labels for source in SOURCES}),
    filter=filters,
)
def test_nobody_is_shown_a_paragraph_that_the_rules_hide(
    texts: dict[str, list[tuple[int, str] | int]],
    named: dict[str, frozenset[str] | None],
    nested: dict[str, set[str]],
    members: dict[str, frozenset[str]],
    service: frozenset[str],
    histories: list[list[Rule]],
    unit: str,
    query: str,
    metadata: dict[str, dict[str, str]],
    filter: Filter,
) -> None:
    written = [made(source, texts[source], named[source], metadata[source]) for source in SOURCES]
    meeting = {document.id for document, _ in written if matches(filter, document.metadata)}
    above = closed(nested)
    people = {name: member(name, mine, above) for name, mine in {**members, "bot": service}.items()}
    splitter = {"max_tokens": 24, "min_tokens": 4, "unit": unit, **({"parent_tokens": 80} if unit == "child" else {})}
    splitter |= {"window": 2, "min_tokens": 0} if unit == "sentence" else {}
    engine = MemoryStore()
    with tempfile.TemporaryDirectory() as place:
        for number, current in enumerate(histories):
            directory = Directory(
                principals=people,
                services=frozenset({"bot"}),
                nested={name: tuple(sorted(over)) for name, over in nested.items()},
                rules=tuple(current),
                read=(("here", datetime.now(UTC)),),
            )
            served, _ = permitted([document for document, _ in written], directory)
            version = build.sync(served, embed=EMBED, splitter=splitter, store=Path(place), engine=engine)
            assert verify_version(version, engine, documents=served).differences == ()
            index, live = build.open_live(Path(place), embed=EMBED, splitter=splitter, engine=engine)
            assert live.id == version.id
            allowed = shown = 0
            for person in people.values():
                found = retrieve(query, person, index=index, embed=EMBED, limit=60, candidates=200)
                text = "\n".join(passage.chunk.text for passage in found)
                seen = set(re.findall(r"m\dx\d+q", text))
                narrowed = retrieve(query, person, index=index, embed=EMBED, limit=60, candidates=200, filter=filter)
                wanted = {(item.chunk.document_id, item.chunk.text) for item in found if item.chunk.document_id in meeting}
                mine_alone = {(item.chunk.document_id, item.chunk.text) for item in narrowed}
                assert mine_alone == wanted, "a filter that widens, or loses what meets it"
                for document, paragraphs in written:
                    mine = {item.marker for item in paragraphs if may_read(person, current, document, item.headings)}
                    theirs = {item.marker for item in paragraphs} & seen
                    assert theirs <= mine, (person, number, document.source, [rule.name for rule in current])
                    allowed, shown = allowed + len(mine), shown + len(theirs)
            event("something was shown" if shown else "nothing was shown")
            event("all that may be read was shown" if shown == allowed else "a chunk took the strictest")
