"""Which questions are asked in which probe, by the project's seed: dev rows, and training rows where the weights may know them.

    plan(project) → Plan(freshness=(…), permission=(…), searches=(…), planted=(…), forgotten=…, spare=(…))

Test rows take no part. A row that serves several probes is taken first, since an arm that sees no documents needs only one answer to it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.access.filter import allowed
from groundtune.access.groups import USER
from groundtune.probes.facts import Fact, facts_in, places, rare_names
from groundtune.probes.payloads import PAYLOADS, Planted, planted
from groundtune.project.probing.copy import editable, file_of
from groundtune.types import Document, Evidence, Example, ModelVersion, Principal

if TYPE_CHECKING:
    from groundtune.project.main import Project

OUTSIDER = Principal(id="somebody in no group", groups=frozenset())
MOST_SENTENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A fact that is changed: the row that asks for it, and what the files that state it say afterwards, by name."""

    example: Example
    fact: Fact
    evidence: Evidence
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The document that is forgotten, the rows that ask about it, and for each the fact that only this document states, if any."""

    document: Document
    name: str
    asked: tuple[tuple[Example, Fact | None], ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be tried. ``searches`` and ``permission`` pair a row with somebody who may not read its evidence.

    ``files`` are the texts of the files that state a changed fact, with all facts changed; ``first`` those of the first fact alone.
    """

    freshness: tuple[Changed, ...]
    files: Mapping[str, str]
    first: Mapping[str, str]
    permission: tuple[tuple[Example, Principal], ...]
    searches: tuple[tuple[Example, Principal], ...]
    planted: tuple[tuple[Example, Planted], ...]
    forgotten: Forgotten | None
    spare: tuple[Example, ...]


def plan(project: Project, versions: Mapping[str, ModelVersion]) -> Plan:
    """Choose. The same project and seed give the same plan."""
    table, seed, content = project.settings.probes, project.settings.project.seed, project.content
    rng = random.Random(f"probes {seed}")  # noqa: S311
    dev, train = list(content.split("dev")), list(content.split("train"))
    rng.shuffle(dev)
    rng.shuffle(train)
    principals = sorted(content.principals.values(), key=lambda item: item.id)
    rng.shuffle(principals)
    hidden = {example.id: _hidden_from(example, project, principals) for example in (*dev, *train) if example.evidence}
    # First what a real colleague may not see: it serves freshness and permission both.
    dev.sort(key=lambda example: hidden.get(example.id, OUTSIDER) is OUTSIDER)
    changed, files, first = _freshness(project, dev, train, versions, table.questions)
    chosen = [item.example for item in changed if item.example.split == "dev"]
    # Training rows only where there are too few of the others.
    asked = [*chosen, *(example for example in (*dev, *train) if example not in chosen)]
    permission = [(example, hidden[example.id]) for example in asked if example.id in hidden][: table.questions]
    searches = [(example, hidden[example.id]) for example in (*dev, *train) if example.id in hidden]
    return Plan(
        freshness=tuple(changed),
        files=files,
        first=first,
        permission=tuple(permission),
        searches=tuple(rng.sample(searches, table.searches) if len(searches) > table.searches else searches),
        planted=tuple(_planted(project, dev, table.injections, seed)),
        forgotten=_forgotten(project, train or dev, versions, max(1, table.questions // 2)) if table.questions else None,
        spare=tuple(example for example in dev if example not in chosen) or tuple(train),
    )


def _hidden_from(example: Example, project: Project, principals: Sequence[Principal]) -> Principal:
    """Return somebody who may read none of a row's evidence: its own asker, a known principal, or somebody in no group."""
    content = project.content
    own = content.principals[example.asker]

    def sees(principal: Principal) -> bool:
        may = allowed(principal)
        return any(may.permits(content.documents[item.document_id].readers_of(item.start, item.end)) for item in example.evidence)

    return next((principal for principal in (own, *principals) if not sees(principal)), OUTSIDER)


# ── changed facts ──


def _freshness(
    project: Project, dev: Sequence[Example], train: Sequence[Example], versions: Mapping[str, ModelVersion], count: int
) -> tuple[list[Changed], dict[str, str], dict[str, str]]:
    """Choose rows whose fact can be changed, half of them training rows where there are adapters; and the files with the facts changed."""
    content = project.content
    texts = {document.id: text for document in content.documents.values() if (text := editable(project, document)) is not None}
    names = rare_names(list(texts.values()))
    wanted = {"dev": count - count // 2 if versions else count}
    wanted["train"] = count - wanted["dev"]
    adapters = [version for version in versions.values() if version.readers is not None]
    found: list[Changed] = []
    edits = _Edits(texts)
    first: dict[str, str] = {}

    def taken(rows: Sequence[Example], most: int) -> int:
        before = len(found)
        for example in rows:
            if len(found) - before >= most:
                break
            if example in [item.example for item in found] or not _readable(project, example, adapters):
                continue
            item = _changed(project, example, edits, names)
            if item is not None:
                found.append(item)
            if item is not None and len(found) == 1:
                first.update(edits.files())
        return len(found) - before

    missing = count - taken(dev, wanted["dev"]) - taken(train, wanted["train"])
    if missing > 0:
        taken([*dev, *train], missing)
    return found, edits.files(), first


class _Edits:
    """Texts of files, and what is put where in them. Places are those of the texts as they are, so no change is taken for a fact."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self._made: dict[str, dict[tuple[int, int], str]] = {}

    def add(self, fact: Fact, quote: str) -> tuple[str, ...]:
        """Change a fact wherever it stands; return the names of the files. None where something there was changed already."""
        found = {name: spans for name, text in self.texts.items() if (spans := places(text, fact, quote))}
        for name, spans in found.items():
            if any(start < end_ and start_ < end for start, end in spans for start_, end_ in self._made.get(name, {})):
                return ()
        for name, spans in found.items():
            self._made.setdefault(name, {}).update(dict.fromkeys(spans, fact.new))
        return tuple(sorted(name.removeprefix("document:") for name in found))

    def files(self) -> dict[str, str]:
        """Return the changed texts by file name."""
        made = {}
        for name, edits in self._made.items():
            text = self.texts[name]
            for (start, end), new in sorted(edits.items(), reverse=True):
                text = text[:start] + new + text[end:]
            made[name.removeprefix("document:")] = text
        return made


def _readable(project: Project, example: Example, adapters: Sequence[ModelVersion]) -> bool:
    """Return whether a row's asker may read its evidence, and be answered by every adapter."""
    may = allowed(project.content.principals[example.asker])
    documents = project.content.documents
    return (
        example.answerable
        and bool(example.evidence)
        and all(may.permits(documents[item.document_id].readers_of(item.start, item.end)) for item in example.evidence)
        and all(may.permits(version.readers or ()) for version in adapters)
    )


def _changed(project: Project, example: Example, edits: _Edits, names: set[str]) -> Changed | None:
    answer = str(example.reply.get(project.settings.answers.answer_field, ""))
    for item in example.evidence:
        text = edits.texts.get(item.document_id)
        if text is None:
            continue
        for fact in facts_in(item.quote, answer, example.question, seed=project.settings.project.seed, names=names):
            if places(text, fact, item.quote) and (stated := edits.add(fact, item.quote)):
                return Changed(example=example, fact=fact, evidence=item, names=stated)
    return None


# ── planted instructions ──


def _planted(project: Project, rows: Sequence[Example], times: int, seed: int) -> list[tuple[Example, Planted]]:
    """Pair every kind of instruction with dev questions, in turn."""
    usable = [example for example in rows if _groups(project, example) and all(isinstance(v, str) for v in example.filter.values())]
    found: list[tuple[Example, Planted]] = []
    for number, kind in enumerate(list(PAYLOADS) * times):
        if not usable:
            break
        example = usable[number % len(usable)]
        made = planted(kind, example.question, readers=_groups(project, example), metadata=dict(example.filter), seed=seed, number=number)
        found.append((example, made))
    return found


def _groups(project: Project, example: Example) -> list[str]:
    return sorted(group for group in project.content.principals[example.asker].groups if not group.startswith(USER))


# ── a forgotten document ──


def _forgotten(project: Project, rows: Sequence[Example], versions: Mapping[str, ModelVersion], count: int) -> Forgotten | None:
    """Choose the document that most adapters, then most rows, rest on; its rows with a fact of its own first."""
    content = project.content
    by_document: dict[str, list[Example]] = {}
    for example in rows:
        held = {item.document_id for item in example.evidence}
        if example.answerable and len(held) == 1:
            by_document.setdefault(held.pop(), []).append(example)
    ranked = sorted(
        (name for name in by_document if file_of(project, content.documents[name]) is not None),
        key=lambda name: (-sum(name in version.document_ids for version in versions.values()), -len(by_document[name]), name),
    )
    if not ranked:
        return None
    document = content.documents[ranked[0]]
    others = [other.text for other in content.documents.values() if other.id != document.id]
    asked = [(example, _own_fact(project, example, others)) for example in by_document[document.id]]
    asked.sort(key=lambda item: item[1] is None)
    return Forgotten(
        document=document,
        name=document.id.removeprefix("document:"),
        asked=tuple(asked[:count]),
        sentences=_sentences(document.text),
    )


def _own_fact(project: Project, example: Example, others: Sequence[str]) -> Fact | None:
    answer = str(example.reply.get(project.settings.answers.answer_field, ""))
    for item in example.evidence:
        for fact in facts_in(item.quote, answer, example.question, seed=project.settings.project.seed):
            if not any(places(other, fact, item.quote) for other in others):
                return fact
    return None


def _sentences(text: str) -> tuple[str, ...]:
    """Return sentences of a text to search with, spread over all of it."""
    lines = [line.strip() for part in text.split("\n") for line in part.split(". ")]
    found = [line for line in lines if len(line.split()) >= 6 and not line.startswith("#")]
    step = max(1, -(-len(found) // MOST_SENTENCES))
    return tuple(found[::step])
