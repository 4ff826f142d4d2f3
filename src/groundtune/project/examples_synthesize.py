"""``groundtune examples synthesize``: excerpts of documents → drafts, by the project's chat model, resumable at every request.

What the model wrote is kept in ``.groundtune/examples/``, one line a request, before the next batch is asked; a run that was killed asks
nothing twice. The sieve is applied afterwards to all of it, so a stricter sieve needs no new request.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.access.filter import allowed
from groundtune.errors import StateError, UnknownName
from groundtune.examples import synthetic
from groundtune.examples.findings import shown
from groundtune.examples.rows import append, sources_of
from groundtune.examples.synthetic import Excerpt, Sieve, Style, Task
from groundtune.files import fingerprint, storing
from groundtune.project.examples import Curation
from groundtune.records.ledger import now
from groundtune.types import HELD

FILE = "synthetic.jsonl"
MOST_TOKENS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be asked: tasks, how many of them are answered already, and tokens to read."""

    tasks: tuple[Task, ...]
    answered: int
    prompt_tokens: int
    completion_tokens: int
    money: float
    currency: str
    held_back: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesized:
    """How many drafts were written and where, and why the other texts were not kept."""

    asked: int
    kept: int
    unanswerable: int
    dropped: Mapping[str, int]
    present: int
    path: str
    samples: tuple[tuple[str, str], ...]


def style_of(curation: Curation) -> Style:
    """Return what a reply of the project looks like."""
    answers = curation.settings.answers
    return Style(
        answer_field=answers.answer_field,
        quote_field=answers.quote_field,
        schema=curation.schema,
        refusal={**(answers.fallback_reply if curation.schema is not None else {}), answers.answer_field: answers.fallback},
        near=curation.settings.examples.near,
    )


def plan(curation: Curation, *, count: int, asker: str, unanswerable: float, match: Sequence[str] = ()) -> Plan:
    """Choose the excerpts and count what asking costs; nothing is asked. Raises ``StateError`` where there is nothing to ask about.

    Documents that dev, test or holdout questions rest on are held back: a training row from one of them would be a leak.
    """
    from groundtune.chunks.split import split
    from groundtune.documents.given import matches

    if asker not in curation.principals:
        raise UnknownName.of("principal", asker, list(curation.principals), "name a known one with --as")
    project, settings = curation.project, curation.settings
    may = allowed(curation.principals[asker])
    held = {
        part.document_id
        for item in curation.rows().rows
        if item.split in HELD and item.example is not None
        for part in item.example.evidence
    }
    excerpts = []
    for document in curation.documents.values():
        wanted = not match or any(matches(pattern, document.id.removeprefix("document:")) for pattern in match)
        if document.id in held or not wanted or not may.permits(document.readers):
            continue
        for chunk in split(document, project.embed.count, **project.splitter):
            heading = " › ".join(dict.fromkeys((chunk.title, *chunk.heading_path)))
            excerpts.append(Excerpt(document=document.id.removeprefix("document:"), heading=heading, text=chunk.text))
    if not excerpts:
        why = f"; {len(held)} documents are held back for dev and test" if held else ""
        raise StateError(f"{asker} may read no document to ask about{why}", "name another asker with --as, or add documents")
    tasks = synthetic.plan(excerpts, count, unanswerable, settings.project.seed)
    style = style_of(curation)
    done = _answered(curation)
    open_tasks = [task for task in tasks if _key(curation, task, style) not in done]
    read = sum(project.chat.count(synthetic.request(task, style).messages) for task in open_tasks)
    written = len(open_tasks) * MOST_TOKENS
    costs = settings.costs
    return Plan(
        tasks=tasks,
        answered=len(tasks) - len(open_tasks),
        prompt_tokens=read,
        completion_tokens=written,
        money=(costs.prompt_million * read + costs.completion_million * written) / 1e6,
        currency=costs.currency,
        held_back=tuple(sorted(name.removeprefix("document:") for name in held)),
    )


def synthesize(curation: Curation, made: Plan, *, asker: str) -> Synthesized:
    """Ask for what was not asked yet, and write the texts that pass the sieve as drafts. Asked again, nothing is written twice."""
    project, style = curation.project, style_of(curation)
    model = project.chat
    answers = _asked(curation, made.tasks, style)
    stored = curation.rows().rows
    names = {task.id(model.fingerprint, project.settings.project.seed) for task in made.tasks}
    asked = [str(item.row.get("question", "")) for item in stored if item.id not in names]
    sieve = Sieve(style, asked, synthetic.vocabulary([document.text for document in curation.documents.values()]))
    ids = {item.id for item in stored}
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    samples: list[tuple[str, str]] = []
    present = 0
    for task in made.tasks:
        name = task.id(model.fingerprint, project.settings.project.seed)
        text = answers[_key(curation, task, style)]
        if text.startswith("failed: "):
            dropped["the model failed"] += 1
            samples.append(("the model failed", shown(text)))
            continue
        row, why = sieve.row(task, text)
        if row is None:
            kind = why.split(":")[0]
            dropped[kind] += 1
            samples.append((kind, shown(text)))
        elif name in ids:
            present += 1
        else:
            ids.add(name)
            rows.append(_row(row, task, name, curation, asker))
    path = curation.place / FILE if curation.is_folder() else curation.place
    if rows:
        append(path, rows)
    return Synthesized(
        asked=len(made.tasks),
        kept=len(rows),
        unanswerable=sum(row["kind"] == "refuse" for row in rows),
        dropped=dict(dropped.most_common()),
        present=present,
        path=str(path),
        samples=tuple(dict(samples).items()),
    )


def _row(row: Mapping[str, Any], task: Task, name: str, curation: Curation, asker: str) -> dict[str, Any]:
    chat = curation.project.chat
    whole = {
        "id": name,
        **row,
        "asker": asker,
        "split": "train",
        "split_group": task.excerpt.document,
        "status": "draft",
        "reason": "written by a model, not looked at yet",
        "origin": {"form": "synthetic", "model": chat.name, "fingerprint": chat.fingerprint, "at": now()},
    }
    # A question without an answer has no evidence, but it too is old when the document that it was made beside changes.
    sources = sources_of({"evidence": [{"document": task.excerpt.document}]}, curation.documents)
    return {**whole, "made_from": sources}


def _key(curation: Curation, task: Task, style: Style) -> str:
    """Return what a request depends on: the model, the seed, the words and the form of the reply."""
    asked = synthetic.request(task, style).messages
    return fingerprint(curation.project.chat.fingerprint, curation.settings.project.seed, asked, synthetic.schema_for(task.sort, style))


def _log(curation: Curation) -> Path:
    return curation.project.state / "examples" / "asked.jsonl"


def _answered(curation: Curation) -> dict[str, str]:
    """Return request → text of what was asked before; a line that a kill cut short is asked again."""
    path = _log(curation)
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        try:
            key, text = json.loads(line)
        except ValueError:
            continue
        found[str(key)] = str(text)
    return found


def _asked(curation: Curation, tasks: Sequence[Task], style: Style) -> dict[str, str]:
    project = curation.project
    done = _answered(curation)
    path = _log(curation)
    path.parent.mkdir(parents=True, exist_ok=True)
    with project.progress.start("synthesize", total=len(tasks), unit="requests") as progress, storing(path), path.open("ab") as log:
        progress.advance(sum(_key(curation, task, style) in done for task in tasks))
        for sort in ("answerable", "unanswerable"):
            here = [task for task in tasks if task.sort == sort and _key(curation, task, style) not in done]
            requests = [synthetic.request(task, style) for task in here]
            if not requests:
                continue
            schema = synthetic.schema_for(here[0].sort, style)
            for batch in project.chat.plan(requests):
                completions = project.chat.complete(
                    [requests[place] for place in batch], limit=MOST_TOKENS, schema=schema, seed=project.settings.project.seed
                )
                for place, completion in zip(batch, completions, strict=True):
                    key = _key(curation, here[place], style)
                    done[key] = f"failed: {completion.failure}" if completion.failure else completion.text
                    if completion.failure is None:
                        # The leading line end parts it from a line that a kill cut short.
                        log.write(b"\n" + json.dumps([key, completion.text]).encode())
                log.flush()
                os.fsync(log.fileno())
                progress.advance(len(batch))
    return done
