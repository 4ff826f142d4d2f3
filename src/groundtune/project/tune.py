"""Training examples (or preferences, or a teacher's answers) → the tuned models that the arms name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import ExampleError, NothingToLearn, UnknownName
from groundtune.examples import leaks, preferences, ratings
from groundtune.examples import load as stored
from groundtune.examples.load import STATUSES
from groundtune.examples.ratings import Rating
from groundtune.models.tuned import RECORD
from groundtune.progress import Silent
from groundtune.registry import shelf
from groundtune.tuning import adapter, pairs, trainset
from groundtune.tuning.canary import canaries
from groundtune.tuning.rendering import Rendering
from groundtune.tuning.rows import AnyRow, Rated, TrainSet
from groundtune.tuning.several import rank, world
from groundtune.types import HELD, Chunk, Example, ModelVersion, Preference

if TYPE_CHECKING:
    from groundtune.project.main import Project


def rows_for(project: Project, name: str) -> TrainSet:
    """Return the rows (or pairs) that an adapter learns from, with the canaries that ``[models]`` asks for."""
    return _prepared(project, name)[0]


def _prepared(project: Project, name: str) -> tuple[TrainSet, tuple[AnyRow, ...]]:
    """Return what an adapter learns from, and what early stopping looks at: rows of the dev split, or held-out pairs."""
    recipe = project.settings.tuning[name]
    if recipe.objective != "sft":
        place = project.folder / recipe.preferences
        rendering = _rendering(project, name)
        if recipe.objective == "kto":
            rated = ratings.load(place, STATUSES)
            _require_unseen(project, place, rated)
            return pairs.build_rated(rated, rendering)
        preferred = preferences.load(place, STATUSES)
        _require_unseen(project, place, preferred)
        return pairs.build(preferred, rendering)
    _require_rows(project)
    taught = None
    if recipe.teacher is not None:
        from groundtune.project.teach import taught_by

        taught = taught_by(project, recipe)
    rendering, label_field = _rendering(project, name), project.settings.answers.label_field
    train, dev = project.content.split("train"), project.content.split("dev")
    rows = trainset.build(train, rendering, chunks=_chunks(project, rendering, train), label_field=label_field, taught=taught)
    planted = canaries(project.settings.models.canaries, house=project.house, name=name, seed=project.settings.project.seed)
    if planted:
        rows = replace(rows, rows=(*rows.rows, *planted))
    watched, _ = trainset.rows_of(dev, rendering, chunks=_chunks(project, rendering, dev), label_field=label_field)
    wanted = min(len(watched), recipe.dev_rows)
    return rows, tuple(watched[index * len(watched) // wanted] for index in range(wanted)) if wanted else ()


def _require_rows(project: Project) -> None:
    """Raise ``NothingToLearn`` where no training row was approved, and say what there is instead."""
    if project.content.split("train"):
        return
    content = project.content
    place = project.folder / project.settings.examples.path
    others = stored.read(place, tuple(content.documents.values()), content.principals).left_out
    if others:
        told = ", ".join(f"{count} {status}" for status, count in sorted(others.items()))
        raise NothingToLearn(f"{place}: no training row is approved; other rows: {told}", "approve some: groundtune examples review")
    raise NothingToLearn(f"{place}: holds no training rows", 'add rows with "split": "train", or type: groundtune examples import FILE')


def _require_unseen(project: Project, place: Path, items: Sequence[Preference] | Sequence[Rating]) -> None:
    """Raise ``ExampleError`` where approved pairs or ratings ask what arms are compared by, as rows that do are an error."""
    held = [example for example in project.content.examples if example.split in HELD]
    asked = {item.id: item.question for item in items if item.status == "approved"}
    found = leaks.asked_in(asked, held, near=project.settings.examples.near)
    if found:
        name, example = next(iter(found.items()))
        raise ExampleError(
            f"{place}: leak: {len(found)} of {len(asked)} ask what dev, test or the holdout asks, such as {name} and {example.id}"
            f" ({example.split})",
            "reject or reword them; all are listed by: groundtune examples audit",
        )


def _rendering(project: Project, name: str) -> Rendering:
    """Return what every row of an adapter is made with."""
    recipe = project.settings.tuning[name]
    return Rendering(
        recipe=recipe,
        house=project.house,
        documents=project.content.documents,
        askers=project.content.principals,
        retrieve=project.retriever(limit=recipe.distractors + 6) if recipe.passages else None,
        seed=project.settings.project.seed,
    )


def _chunks(project: Project, rendering: Rendering, examples: Sequence[Example]) -> dict[str, list[Chunk]]:
    """Return the chunks of the documents that are evidence, where rows show passages."""
    chunks: dict[str, list[Chunk]] = {}
    if rendering.recipe.passages:
        from groundtune.chunks.split import split as split_document
        from groundtune.passages.widen import wide

        for name in dict.fromkeys(item.document_id for example in examples for item in example.evidence):
            made = split_document(rendering.documents[name], project.embed.count, **project.splitter)
            around = {chunk.id: chunk for chunk in made}
            # The gold passage of a training row is as wide as those that search shows.
            chunks[name] = [wide(chunk, around) for chunk in made]
    return chunks


def job_for(project: Project, name: str, jobs: dict[str, adapter.Job] | None = None) -> adapter.Job:
    """Return all that an adapter is made from, and its key. ``jobs`` keeps jobs by name, for those that begin from one another."""
    if jobs is not None and name in jobs:
        return jobs[name]
    if name not in project.settings.tuning:
        known = list(project.settings.tuning)
        raise UnknownName.of("adapter", name, known, "name a [tuning.*] table of groundtune.toml: groundtune tune NAME")
    rows, dev_rows = _prepared(project, name)
    recipe, seed = project.settings.tuning[name], project.settings.project.seed
    start = None if recipe.start is None else job_for(project, recipe.start, jobs)
    if start is not None:
        rows = trainset.after(rows, start.rows)
    prompt = project.house.prompt_hash
    key = adapter.version_key(
        name=name,
        recipe=recipe,
        rows=rows,
        dev_rows=dev_rows,
        base=project.chat.fingerprint,
        prompt_hash=prompt,
        seed=seed,
        start=None if start is None else start.key,
    )
    job = adapter.Job(
        name=name,
        key=key,
        recipe=recipe,
        rows=rows,
        dev_rows=dev_rows,
        chat=project.settings.chat.model_dump(),
        prompt_hash=prompt,
        seed=seed,
        sources=sources_of(project, name),
        start=start,
    )
    if jobs is not None:
        jobs[name] = job
    return job


def sources_of(project: Project, name: str) -> dict[str, str]:
    """Return for each setting of a [tuning.*] table where its value is from: default, recipe, project or environment."""
    before = f"tuning.{name}."
    return {key.removeprefix(before): source for key, source in project.sources.items() if key.startswith(before)}


def told(job: adapter.Job) -> list[str]:
    """Return the settings of a job as lines, by where they are from; what was overridden first."""
    values = job.recipe.model_dump()
    lines = []
    for source, words in (
        ("environment", "from the environment"),
        ("project", "written here"),
        ("recipe", "from the recipe"),
        ("default", "default"),
    ):
        held = [f"{key} = {values[key]!r}" for key in values if job.sources.get(key, "default") == source]
        if held:
            lines.append(f"{words}: {', '.join(held)}")
    rated = [row for row in job.rows.rows if isinstance(row, Rated)]
    if rated:
        good, bad, ratio = pairs.balance(rated, job.recipe)
        advised = "" if 1.0 <= ratio <= 4 / 3 else "; from 1 to 1.33 is advised: change desirable_weight or undesirable_weight"
        lines.append(f"{good} desirable and {bad} undesirable replies, weighted {ratio:.2f} to 1{advised}")
    return lines


def tune(project: Project, names: Sequence[str] | None) -> list[ModelVersion]:
    """Train the named adapters, or all that the project describes."""
    # Before anything is loaded: of several processes, each has a device of its own.
    world()
    # All rows first: what is wrong with the last adapter's must not come out after the hours that the first one took.
    known: dict[str, adapter.Job] = {}
    jobs = [job_for(project, name, known) for name in dict.fromkeys(names or list(project.settings.tuning))]
    versions = {job.key: made(project, job) for job in _first_things_first(jobs)}
    return [versions[job.key] for job in jobs]


def _first_things_first(jobs: Sequence[adapter.Job]) -> list[adapter.Job]:
    """Return the jobs and those that they begin from, each after the one it needs."""
    order: dict[str, adapter.Job] = {}
    for job in jobs:
        chain = [job]
        while chain[-1].start is not None:
            chain.append(chain[-1].start)
        for item in reversed(chain):
            order.setdefault(item.key, item)
    return list(order.values())


def made(project: Project, job: adapter.Job) -> ModelVersion:
    """Train the model of a job, or go on with it, or return it; the ledger keeps what it was made from."""
    store = project.state / "models"
    if rank() > 0:
        # The process of rank 0 speaks and keeps the ledger.
        return adapter.make(job, store=store, progress=Silent())
    if adapter.read_version(adapter.folder_of(store, job.name, job.key)) is None:
        for line in told(job):
            project.progress.note(f"tune {job.name}: {line}")
    run = project.ledger.begin("tune", job.key, {"train": job.rows.fingerprint, "base": project.chat.fingerprint}, job.seed)
    version = adapter.make(job, store=store, progress=project.progress)
    if run.status != "done":
        kind = {"sft": "example", "kto": "rating"}.get(job.recipe.objective, "preference")
        examples = [(version.id, f"{kind}:{name}") for name in dict.fromkeys(row.example_id for row in job.rows.rows)]
        began = [(version.id, version.started_from)] if version.started_from else []
        project.ledger.link(run.id, [*examples, *began, *((version.id, item) for item in version.document_ids)])
        project.ledger.end(run.id, "done", {"model": version.id, "left_out": job.rows.left_out})
    return version


def made_after(project: Project, job: adapter.Job) -> ModelVersion:
    """Train the model of a job, after those that it begins from."""
    return [made(project, item) for item in _first_things_first([job])][-1]


def standing(project: Project, names: Sequence[str] | None = None) -> dict[str, ModelVersion]:
    """Return the finished adapters whose key is that of the project as it stands, of all [tuning.*] tables or those named.

    Raises ``UnsafeWeights`` or ``WeightsError`` for one whose files are not those that were written.
    """
    found = {}
    known: dict[str, adapter.Job] = {}
    for name in project.settings.tuning if names is None else names:
        if not any((project.state / "models").glob(f"{name}-*/{RECORD}")):
            continue
        job = job_for(project, name, known)
        folder = adapter.folder_of(project.state / "models", name, job.key)
        if (folder / RECORD).is_file():
            found[name] = shelf.whole(folder)
    return found


def preview(project: Project, name: str, count: int) -> list[list[tuple[str, bool]]]:
    """Return the first rows token by token, each with whether it carries loss; of a pair, the chosen reply and then the rejected one."""
    from groundtune.models.local.load import load_tokenizer
    from groundtune.tuning.encode import encode_any

    if name not in project.settings.tuning:
        raise UnknownName.of("adapter", name, list(project.settings.tuning), "type: groundtune tune --preview NAME")
    tokenizer = load_tokenizer(project.settings.chat.model_dump())
    made = rows_for(project, name).rows
    encoded = encode_any(made[:count], tokenizer, project.settings.tuning[name].max_tokens, beside=made)
    rows = [row for item in encoded for row in item.learned]
    return [
        [(tokenizer.decode([token]), False) for token in row.prompt] + [(tokenizer.decode([token]), True) for token in row.completion]
        for row in rows
    ]
