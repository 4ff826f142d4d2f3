"""``groundtune probe``: the plan, the states of the copy, every arm's answers, and the report that a decision takes up.

    .groundtune/probes/<key>/shown.json       what search found in every state; the copy is gone by then
    .groundtune/probes/<key>/answers.sqlite   batches of answers, so that a run that is broken off goes on
    .groundtune/probes/<key>/answers.jsonl    every answer, for people
    .groundtune/probes/<key>/report.json      written last; with it, there is nothing left to do

The key is a fingerprint of all that the answers hang on. The project's own index, ledger and documents are read and never written to.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import allowed
from groundtune.chunks import holding, manifest
from groundtune.chunks.cache import VECTORS
from groundtune.decisions.drill import mentions
from groundtune.errors import StateError
from groundtune.files import fingerprint, write_atomic, write_lines
from groundtune.probes import tally
from groundtune.probes.report import ArmFound, Count, Report, from_text, to_text
from groundtune.project.arms import tools_for, why_not_run
from groundtune.project.calibrations import with_switches
from groundtune.project.evaluate import arm_key, context_of
from groundtune.project.probing import plan as plans
from groundtune.project.probing.answer import Item, answers_of
from groundtune.project.probing.copy import EMBEDDED
from groundtune.project.probing.trained import catch_up, learned
from groundtune.project.probing.worlds import Shown, shown
from groundtune.records.ledger import RECORDS, Ledger
from groundtune.scores.scorer import Context
from groundtune.scores.shingles import Shingles
from groundtune.tuning.adapter import read_version
from groundtune.types import Answer, Arm, Document, ModelVersion

if TYPE_CHECKING:
    from groundtune.answers.respond import Tools
    from groundtune.project.main import Project

VERSION = 2  # of the report: 2 counts the rows of versions that an adapter began with
FOLDER, REPORT = "probes", "report.json"


def probe(project: Project) -> Report:
    """Probe every arm, or return the report that there is. Raises ``StateError`` where nothing is to be probed, tuned or indexed."""
    if not project.settings.probes.questions:
        raise StateError("[probes] questions is 0: nothing is probed", "set it to 6 in groundtune.toml, then type: groundtune probe")
    tools = _tools(project)
    key = key_of(project, tools)
    folder = project.state / FOLDER / key
    if (folder / REPORT).is_file():
        return _read(folder / REPORT)
    with holding.writing(project.state / FOLDER, patience=1.0, taken="another process probes this project"):
        _tidy(project.state / FOLDER, key)
        return _probed(project, tools, key, folder)


def standing(project: Project) -> Report | None:
    """Return the report of the project as it stands, ``None`` where there is none."""
    if not project.settings.probes.questions or not (project.state / FOLDER).is_dir():
        return None
    path = project.state / FOLDER / key_of(project, _tools(project)) / REPORT
    return _read(path) if path.is_file() else None


def key_of(project: Project, tools: Mapping[str, Tools]) -> str:
    """Return the fingerprint of all that the probes' answers depend on."""
    content = project.content
    index = _index(project)
    # What was probed before there was this switch stays probed.
    table = {name: value for name, value in project.settings.probes.model_dump().items() if name != "fill" or value}
    return fingerprint(
        VERSION,
        table,
        project.settings.project.seed,
        content.documents_fingerprint,
        content.split_fingerprint("train"),
        [arm_key(project, arm, tools[arm.name], index, "dev") for arm in project.arms],
    )


def _index(project: Project) -> str:
    if not any(arm.retrieves for arm in project.arms):
        return "none"
    live = manifest.live(project.state / "index")
    if live is None:
        raise StateError("there is no index yet", "type: groundtune ingest")
    return live.id


def _tools(project: Project) -> dict[str, Tools]:
    versions = project.versions() if any(arm.adapter for arm in project.arms) else {}
    found = {}
    for arm in project.arms:
        made = tools_for(arm, chat=project.chat, house=project.house, content=project.content, retrieve=None, versions=versions)
        found[arm.name] = with_switches(project, arm, made)
    return found


def _tidy(folder: Path, key: str) -> None:
    """Remove what a run of another key left behind, that was broken off."""
    for other in folder.iterdir():
        if other.is_dir() and other.name != key and not (other / REPORT).is_file():
            shutil.rmtree(other, ignore_errors=True)


def _probed(project: Project, tools: Mapping[str, Tools], key: str, folder: Path) -> Report:
    began = time.monotonic()
    content = project.content
    versions = {arm.adapter: version for arm in project.arms if arm.adapter and (version := tools[arm.name].adapter)}
    plan = plans.plan(project, versions)
    askers = [*content.principals.values()]
    not_run = {arm.name: why for arm in project.arms if (why := why_not_run(tools[arm.name], askers))}
    arms = [arm for arm in project.arms if arm.name not in not_run]
    found = shown(project, plan, arms, folder)
    ledger = Ledger(folder / "answers.sqlite")
    try:
        given: dict[str, dict[str, Answer]] = {}
        again: dict[str, tuple[dict[str, Answer], ModelVersion]] = {}
        for arm in arms:
            sees = arm.retrieves or arm.whole_corpus
            items = [item for item in found.items if item.probe != "load" and (sees or item.probe != "injection")]
            spare = [item for item in found.items if item.probe == "load"]
            given[arm.name] = answers_of(project, arm, items, spare, tools[arm.name], found.corpora, ledger, f"{key} {arm.name}")
            version = read_version(Path(found.retuned[arm.adapter])) if arm.adapter and arm.adapter in found.retuned else None
            if version is not None:
                fresh = [item for item in items if item.probe == "freshness"]
                newer = replace(tools[arm.name], adapter=version)
                name = f"{key} {arm.name} {version.id}"
                again[arm.name] = (answers_of(project, arm, fresh, (), newer, found.corpora, ledger, name), version)
    finally:
        ledger.close()
    changed = {item.evidence.document_id for item in plan.freshness}
    rested = {name: catch_up(project, version, changed) for name, version in versions.items()}
    everyone = {**content.principals, plans.OUTSIDER.id: plans.OUTSIDER}
    context = replace(context_of(project), permits=lambda asker, document: allowed(everyone[asker]).permits(document.readers))
    said: dict[str, list[str]] = {}
    forgotten = plan.forgotten.document.id if plan.forgotten else None
    others = Shingles({name: item.text for name, item in content.documents.items() if forgotten and name != forgotten})
    made = [_arm_found(project, arm, plan, found, given[arm.name], context, others, tools[arm.name], said) for arm in arms]
    made = [replace(item, catch_up=rested.get(arm.adapter or "", "")) for arm, item in zip(arms, made, strict=True)]
    made = [_with_retuned(arm, plan, found, *again[arm.name]) if arm.name in again else arm for arm in made]
    report = Report(
        key=key,
        questions=project.settings.probes.questions,
        seconds=round(time.monotonic() - began, 1),
        arms=tuple(made),
        not_run=not_run,
        said={name: tuple(lines) for name, lines in {**_said(project, plan, found), **{f"{k} hits": v for k, v in said.items()}}.items()},
        facts=tuple(
            (item.example.id, item.fact.old, item.fact.new, ", ".join(item.names), _train_rows(project, item.evidence.document_id))
            for item in plan.freshness
            if item.example.id not in found.left_out
        ),
        kept=tuple(_kept(project, plan, found, versions)) if plan.forgotten else (),
    )
    write_lines(
        folder / "answers.jsonl",
        [_line(item, answers[item.id]) for answers in given.values() for item in found.items if item.id in answers],
    )
    write_atomic(folder / REPORT, to_text(report))
    for name in ("shown.json", "answers.sqlite", "answers.sqlite-wal", "answers.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    # What was tuned on made-up facts is of no use to anybody.
    shutil.rmtree(folder / "models", ignore_errors=True)
    return report


def _line(item: Item, answer: Answer) -> dict[str, Any]:
    return {
        "probe": item.probe,
        "documents": item.world,
        "arm": answer.arm,
        "example": item.example_id,
        "asker": item.asker.id,
        "question": item.question,
        "text": answer.text,
        "failure": answer.failure,
        "passages": [passage.chunk.id for passage in answer.passages],
        "batch": answer.seconds.batch,
        "seconds": answer.seconds.total,
    }


def _arm_found(
    project: Project,
    arm: Arm,
    plan: plans.Plan,
    found: Shown,
    answers: Mapping[str, Answer],
    context: Context,
    others: Shingles,
    tools: Tools,
    said: dict[str, list[str]],
) -> ArmFound:
    examples = {example.id: example for example in project.content.examples}
    by_probe: dict[str, list[tuple[Item, Answer]]] = {}
    for item in found.items:
        if item.id in answers:
            by_probe.setdefault(item.probe, []).append((item, answers[item.id]))
    facts = {item.example.id: item.fact for item in plan.freshness}
    sees = arm.retrieves or arm.whole_corpus
    counts, more = tally.freshness(
        [(facts[item.example_id], answer) for item, answer in by_probe.get("freshness", [])], searches=arm.retrieves
    )
    counts["found_hidden"] = (
        Count(hits=len(found.leaked), n=found.searched, reason="" if found.searched else "no row has evidence")
        if arm.retrieves
        else Count(reason="it does not search")
    )
    counts["leak"], leaking = tally.leaks([(examples[item.example_id], answer) for item, answer in by_probe.get("permission", [])], context)
    said.setdefault("permission", []).extend(f"{arm.name}, {name}: {why}" for name, why in leaking)
    kinds: dict[str, Count] = {}
    counts["obeyed"] = Count(reason="its prompt has no documents")
    if sees:
        planted = [plant for _, plant in plan.planted]
        asked = [(planted[int(item.id.rpartition("-")[2])], answer) for item, answer in by_probe.get("injection", [])]
        counts["obeyed"], more["reached the prompt"], kinds, copies = tally.injections(asked, _prompt_of)
        more |= copies
    if plan.forgotten:
        own = {example.id: fact for example, fact in plan.forgotten.asked}
        counts["remembered"], still = tally.remembered(
            [(own[item.example_id], answer) for item, answer in by_probe.get("deletion", [])], plan.forgotten.document.text, others
        )
        said.setdefault("deletion", []).extend(f"{arm.name}, {line}" for line in still)
    else:
        counts["remembered"] = Count(reason="no document of the documents folder has rows that ask about it")
    unique = {answer.id: answer for answer in answers.values()}
    asked_for = [answer for answer in unique.values() if not answer.fallback]
    counts["failed"] = Count(hits=sum(_broken(answer, tools) for answer in asked_for), n=len(asked_for))
    return ArmFound(
        name=arm.name,
        sees_documents=sees,
        counts=counts,
        more=more,
        kinds=kinds,
        load=tally.load(asked_for, project.settings.probes.callers),
    )


def _with_retuned(arm: ArmFound, plan: plans.Plan, found: Shown, answers: Mapping[str, Answer], version: ModelVersion) -> ArmFound:
    """Return an arm's findings with what it says of the changed facts after its adapter was tuned again."""
    facts = {item.example.id: item.fact for item in plan.freshness}
    asked = [(facts[item.example_id], answers[item.id]) for item in found.items if item.id in answers]
    counts, _ = tally.freshness(asked, searches=False)
    took = f"tuned again in {version.metrics.get('seconds', 0):,.0f} s, {version.metrics.get('tokens', 0):,.0f} tokens"
    told = f"{took}: says the new fact {counts['fresh'].told()}, the old one {counts['stale'].told()}"
    more = {**arm.more, "new, tuned again": counts["fresh"], "old, tuned again": counts["stale"]}
    return replace(arm, more=more, catch_up=f"{told} (before: {arm.catch_up})")


def _broken(answer: Answer, tools: Tools) -> bool:
    """Return whether an answer failed; an adapter that is not for its asker is no failure but a permission."""
    return answer.failure is not None and not (tools.adapter and answer.failure.startswith(f"adapter {tools.adapter.id}"))


def _prompt_of(answer: Answer) -> list[str]:
    return [str(message["content"]) for message in answer.messages if message["role"] == "user"][-1:]


def _train_rows(project: Project, document: str) -> int:
    return sum(any(item.document_id == document for item in example.evidence) for example in project.content.split("train"))


# ── in words ──


def _said(project: Project, plan: plans.Plan, found: Shown) -> dict[str, list[str]]:
    engine = project.settings.index.engine
    said: dict[str, list[str]] = {"freshness": [], "permission": [], "deletion": [], "injection": [], "load": []}
    splits = [item.example.split for item in plan.freshness if item.example.id not in found.left_out]
    if splits:
        said["freshness"].append(
            f"{len(splits)} facts were changed, of {splits.count('dev')} dev and {splits.count('train')} training rows."
        )
        if found.one is not None:
            said["freshness"].append(f"One changed document was found by search after {found.one:.1f} s.")
        if found.all is not None:
            said["freshness"].append(f"All {len(plan.files)} changed documents were found by search after {found.all:.1f} s.")
        elif found.searched:
            said["freshness"].append("Search with its own new sentence did not show every changed fact.")
    said["freshness"] += [f"{name} is left out: {why}." for name, why in found.left_out.items()]
    outside = sum(asker is plans.OUTSIDER for _, asker in plan.searches)
    if found.searched:
        said["permission"].append(
            f"{found.searched} dev and training questions were searched for by somebody who may not see their evidence"
            f" ({outside} of them by somebody in no group, as everybody in the project may see it);"
            f" {len(found.leaked)} searches returned anything hidden."
        )
    asked = sum(asker is plans.OUTSIDER for _, asker in plan.permission)
    if plan.permission:
        said["permission"].append(f"{len(plan.permission)} dev questions were answered to such askers ({asked} of them in no group).")
    if engine != EMBEDDED:
        said["freshness"].append(f"The copy is indexed in LanceDB; the project's own engine, {engine}, was asked for permissions only.")
    if plan.forgotten:
        said["deletion"].append(
            f"{plan.forgotten.name} was forgotten. Of {found.sentences} searches with its own sentences, {found.before} returned it"
            f" before and {found.still} after."
        )
        said["deletion"].append(f"Asked were {len(plan.forgotten.asked)} {plan.forgotten.asked[0][0].split} rows that rest on it.")
    local = project.settings.chat.use == "local"
    said["load"].append(
        "The model is on this machine and answers one batch at a time: several callers are one batch, and whoever comes next waits for it."
        if local
        else "The callers' requests were sent to the server at the same time."
    )
    return said


def _kept(project: Project, plan: plans.Plan, found: Shown, versions: Mapping[str, ModelVersion]) -> list[tuple[str, str, str]]:
    """Return what still holds the forgotten document: where, how much, and how it goes."""
    assert plan.forgotten is not None  # noqa: S101
    document = plan.forgotten.document
    searched = f"{found.still} of {found.sentences} searches, {found.before} before"
    rows = [("the copy's index after forgetting, by search", searched, "ingest hides what is gone before it reads anything")]
    older = [version for version in project.index_versions() if document.id in version.contents]
    rows.append(
        (
            "index versions that are kept",
            str(len(older)),
            "groundtune index gc; a rollback leaves out what is gone, but the rows are there until then",
        )
    )
    rows.append(
        ("stored answers that show it", str(_stored(project, document)), "they are in the ledger and the runs' folders until removed")
    )
    name = document.id.removeprefix("document:")
    pages = sum(mentions(path.read_text(encoding="utf-8", errors="replace"), name) for path in _pages(project))
    rows.append(
        (
            "pages of decisions made before this one that quote it",
            str(pages),
            "remove the pages, or keep them where only its readers come; the page of this decision may be one more",
        )
    )
    for name, version in versions.items():
        rows.append((f"weights of {name}", learned(project, version, document.id), "tune again without them, then retire the version"))
    vectors = project.state / "index" / VECTORS
    rows.append(("cache of vectors", "its texts' vectors" if vectors.is_file() else "none", "a vector without its text; remove the file"))
    return rows


def _pages(project: Project) -> list[Path]:
    folder = project.folder / "decisions"
    return sorted(folder.glob("*.html")) if folder.is_dir() else []


def _stored(project: Project, document: Document) -> int:
    """Return how many stored answers show a passage of a document; the ledger is opened for reading only."""
    path = project.state / RECORDS
    if not path.is_file():
        return 0
    prefix = f"chunk:{document.id.removeprefix('document:')}#"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as ledger:
            query = "SELECT count(DISTINCT child) FROM lineage WHERE substr(parent, 1, ?) = ? AND child LIKE 'answer:%'"
            count: int = ledger.execute(query, (len(prefix), prefix)).fetchone()[0]
            return count
    except sqlite3.DatabaseError as error:
        raise StateError(f"{path}: cannot be read: {error}", "type: groundtune check") from None


def _read(path: Path) -> Report:
    return from_text(path.read_text(encoding="utf-8"), str(path))
