"""The plan, carried out on the copy: every state of the documents, what search finds in it, and how long a change takes to be found.

    as it is → facts changed → instructions planted → a document forgotten → thrown away

All of it, or nothing: what was found is written when the last state was searched, so a run that was killed begins with a new copy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import allowed
from groundtune.answers.prompt import Block
from groundtune.answers.respond import Retrieve
from groundtune.answers.stored import passage_from
from groundtune.files import plain, write_json
from groundtune.project.arms import corpus_for
from groundtune.project.content import Content
from groundtune.project.probing.answer import Item
from groundtune.project.probing.copy import Copy
from groundtune.project.probing.plan import OUTSIDER, Changed, Forgotten, Plan
from groundtune.project.probing.retune import retuned
from groundtune.types import Arm, Document, Example, Principal

if TYPE_CHECKING:
    from groundtune.project.main import Project

LIVE, CHANGED, PLANTED, FORGOTTEN = "as it is", "facts changed", "instructions planted", "a document forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What search found. ``hidden`` counts the searches that returned something the asker may not read; ``leaked`` are their row ids.

    ``one`` and ``all`` are seconds from the first written file to a search that shows the new text, of one fact and of all; ``None`` where
    it was never shown. ``still`` and ``before`` count the searches with the forgotten document's own sentences that return it.
    ``left_out`` are rows whose fact was not changed by changing its file, with why. ``retuned`` maps adapters that were tuned again on the
    changed facts to their folders.
    """

    items: tuple[Item, ...]
    corpora: Mapping[str, Mapping[str, tuple[Block, ...]]]
    searched: int
    leaked: tuple[str, ...]
    one: float | None
    all: float | None
    before: int
    still: int
    sentences: int
    left_out: Mapping[str, str]
    retuned: Mapping[str, str]


def shown(project: Project, plan: Plan, arms: Sequence[Arm], folder: Path) -> Shown:
    """Return what search finds in every state, from the file of an earlier run or by making the copy and changing it."""
    path = folder / "shown.json"
    if path.is_file():
        return _read(path)
    found = _made(project, plan, arms, folder / "copy")
    write_json(path, _row(found))
    return found


def _made(project: Project, plan: Plan, arms: Sequence[Arm], folder: Path) -> Shown:
    searching = any(arm.retrieves for arm in arms)
    whole = any(arm.whole_corpus for arm in arms)
    items: list[Item] = []
    corpora: dict[str, dict[str, tuple[Block, ...]]] = {}

    def put(world: str, probe: str, asked: Sequence[tuple[Example, Principal]], search: Retrieve | None, content: Content | None) -> None:
        readable = corpus_for(content) if whole and content is not None else None
        for number, (example, asker) in enumerate(asked):
            made = Item(
                id=f"{probe}-{number:03d}",
                probe=probe,
                example_id=example.id,
                question=example.question,
                asker=asker,
                filter=dict(example.filter),
                world=world,
            )
            items.append(_searched(made, search) if search else made)
            if readable is not None:
                corpora.setdefault(world, {})[asker.id] = readable(asker)

    people = project.content.principals
    live = project.retriever() if searching else None
    leaked = _hidden(project, plan.searches, live) if live else []
    put(LIVE, "permission", plan.permission, live, project.content)
    one = every = None
    before = still = 0
    left_out: dict[str, str] = {}
    tuned = project.settings.probes.retune and any(arm.adapter for arm in arms)
    needed = searching or whole or tuned
    again: dict[str, str] = {}
    copy = Copy(project, folder) if needed else None
    try:
        if copy:
            copy.ingest()
            before = _returned(plan.forgotten, copy.search()) if searching and plan.forgotten else 0
        kept: Sequence[Changed] = plan.freshness
        changed: Content | None = None
        if copy and kept:
            one = _timed(copy, plan.first, kept[:1], searching)
            every = _timed(copy, plan.files, kept, searching)
            changed = copy.content()
            left_out = {item.example.id: why for item in kept if (why := _not_changed(item, changed.documents))}
        asked = [(item.example, people[item.example.asker]) for item in kept if item.example.id not in left_out]
        put(CHANGED, "freshness", asked, _search(copy, searching), changed)
        if copy and changed and tuned and asked:
            copy.project.progress = project.progress
            again = retuned(copy.project, changed, kept, arms, folder.parent / "models")
        if copy and plan.planted:
            copy.change({item.name: item.text for _, item in plan.planted})
            copy.ingest()
            rows = [(example, people[example.asker]) for example, _ in plan.planted]
            put(PLANTED, "injection", rows, _search(copy, searching), copy.content() if whole else None)
        if plan.forgotten:
            if copy:
                copy.change({plan.forgotten.name: None})
                copy.ingest()
                still = _returned(plan.forgotten, copy.search()) if searching else 0
            rows = [(example, people[example.asker]) for example, _ in plan.forgotten.asked]
            put(FORGOTTEN, "deletion", rows, _search(copy, searching), copy.content() if copy and whole else None)
    finally:
        if copy:
            copy.close()
    spare = [(example, people[example.asker]) for example in plan.spare]
    wanted = sum(set(project.settings.probes.callers))
    put(LIVE, "load", spare[:wanted], live, project.content)
    return Shown(
        items=tuple(items),
        corpora=corpora,
        searched=len(plan.searches) if live else 0,
        leaked=tuple(leaked),
        one=one,
        all=every,
        before=before,
        still=still,
        sentences=len(plan.forgotten.sentences) if plan.forgotten and searching else 0,
        left_out=left_out,
        retuned=again,
    )


def _search(copy: Copy | None, searching: bool) -> Retrieve | None:
    return copy.search() if copy and searching else None


def _searched(item: Item, search: Retrieve) -> Item:
    began = time.perf_counter()
    passages = search(item.question, item.asker, item.filter)
    return replace(item, passages=passages, seconds=time.perf_counter() - began)


def _hidden(project: Project, searches: Sequence[tuple[Example, Principal]], search: Retrieve) -> list[str]:
    """Search the live index for every row as somebody who may not see its evidence; return the rows for which anything hidden came back."""
    documents = project.content.documents
    found = []
    with project.progress.start("probe searches", total=len(searches), unit="questions") as task:
        for example, asker in searches:
            may = allowed(asker)
            for passage in search(example.question, asker, example.filter):
                document = documents.get(passage.chunk.document_id)
                if document is None or not may.permits(document.readers_of(passage.chunk.start, passage.chunk.end)):
                    found.append(example.id)
                    break
            task.advance(1)
    return found


def _timed(copy: Copy, files: Mapping[str, str], facts: Sequence[Changed], searching: bool) -> float | None:
    """Return the seconds from writing the files to a search that shows the new values; ``None`` where it never does.

    The question that finds a fact best is its own new sentence, put by somebody who may read everything that its reader may.
    """
    began = time.perf_counter()
    copy.change(files)
    copy.ingest()
    if not searching:
        return time.perf_counter() - began
    search = copy.search()
    people = copy.original.content.principals
    for item in facts:
        asked = item.evidence.quote.replace(item.fact.old, item.fact.new)
        passages = search(asked, people[item.example.asker], {})
        if not any(item.fact.new in passage.chunk.text for passage in passages):
            return None
    return time.perf_counter() - began


def _not_changed(item: Changed, documents: Mapping[str, Document]) -> str:
    """Return why a fact does not count as changed, or nothing."""
    document = documents.get(item.evidence.document_id)
    if document is None:
        return f"{item.evidence.document_id} could not be read after the change"
    if item.evidence.quote.replace(item.fact.old, item.fact.new) not in document.text:
        return f"{item.evidence.document_id} does not state {item.fact.new!r} after the change of its file"
    return ""


def _returned(forgotten: Forgotten, search: Retrieve) -> int:
    """Return how many searches with a document's own sentences return it, by somebody in every group that reads some of it."""
    asker = Principal(id=OUTSIDER.id, groups=forgotten.document.any_readers)
    return sum(
        any(passage.chunk.document_id == forgotten.document.id for passage in search(sentence, asker, {}))
        for sentence in forgotten.sentences
    )


# ── kept between runs ──


def _row(found: Shown) -> dict[str, Any]:
    return {item.name: plain(getattr(found, item.name)) for item in fields(Shown)}


def _read(path: Path) -> Shown:
    row = json.loads(path.read_text(encoding="utf-8"))
    items = tuple(
        Item(
            **{
                **item,
                "asker": Principal(id=item["asker"]["id"], groups=frozenset(item["asker"]["groups"])),
                "passages": tuple(passage_from(passage) for passage in item["passages"]),
            }
        )
        for item in row["items"]
    )
    corpora = {
        world: {asker: tuple(Block(**block) for block in blocks) for asker, blocks in by_asker.items()}
        for world, by_asker in row["corpora"].items()
    }
    return Shown(**{**row, "items": items, "corpora": corpora, "leaked": tuple(row["leaked"])})
