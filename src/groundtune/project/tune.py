"""Training examples (or preferences, or a teacher's answers) → the tuned models that the arms name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groundtune.errors import UnknownName
from groundtune.examples import preferences
from groundtune.examples.load import STATUSES
from groundtune.progress import Silent
from groundtune.tuning import adapter, pairs, trainset
from groundtune.tuning.canary import canaries
from groundtune.tuning.rows import Pair, Row, TrainSet
from groundtune.tuning.several import rank, world
from groundtune.types import Chunk, ModelVersion, Split

if TYPE_CHECKING:
    from groundtune.project.main import Project


def rows_for(project: Project, name: str) -> TrainSet:
    """Return the rows (or pairs) that an adapter learns from, with the canaries that ``[models]`` asks for."""
    return _prepared(project, name)[0]


def _prepared(project: Project, name: str) -> tuple[TrainSet, tuple[Row | Pair, ...]]:
    """Return what an adapter learns from, and what early stopping looks at: rows of the dev split, or held-out pairs."""
    recipe = project.settings.tuning[name]
    if recipe.objective != "sft":
        found = preferences.load(project.folder / recipe.preferences, STATUSES)
        given = _given(project, name, "train")
        return pairs.build(found, **{key: given[key] for key in ("recipe", "house", "documents", "askers", "retrieve", "seed")})
    taught = None
    if recipe.teacher is not None:
        from groundtune.project.teach import taught_by

        taught = taught_by(project, recipe)
    rows = trainset.build(project.content.split("train"), **_given(project, name, "train"), taught=taught)
    planted = canaries(project.settings.models.canaries, house=project.house, name=name, seed=project.settings.project.seed)
    if planted:
        rows = replace(rows, rows=(*rows.rows, *planted))
    dev, _ = trainset.rows_of(project.content.split("dev"), **_given(project, name, "dev"))
    wanted = min(len(dev), recipe.dev_rows)
    return rows, tuple(dev[index * len(dev) // wanted] for index in range(wanted)) if wanted else ()


def _given(project: Project, name: str, split: Split) -> dict[str, Any]:
    """Return what rows are made with, besides the examples."""
    recipe = project.settings.tuning[name]
    content = project.content
    chunks: dict[str, list[Chunk]] = {}
    retrieve = None
    if recipe.passages:
        from groundtune.chunks.split import split as split_document
        from groundtune.passages.widen import wide

        retrieve = project.retriever(limit=recipe.distractors + 6)
        for example in content.split(split):
            for item in example.evidence:
                if item.document_id not in chunks:
                    made = split_document(content.documents[item.document_id], project.embed.count, **project.splitter)
                    around = {chunk.id: chunk for chunk in made}
                    # The gold passage of a training row is as wide as those that search shows.
                    chunks[item.document_id] = [wide(chunk, around) for chunk in made]
    return {
        "recipe": recipe,
        "house": project.house,
        "documents": content.documents,
        "askers": content.principals,
        "retrieve": retrieve,
        "chunks": chunks,
        "label_field": project.settings.answers.label_field,
        "seed": project.settings.project.seed,
    }


def job_for(project: Project, name: str) -> adapter.Job:
    """Return all that an adapter is made from, and its key."""
    if name not in project.settings.tuning:
        known = list(project.settings.tuning)
        raise UnknownName.of("adapter", name, known, "name a [tuning.*] table of groundtune.toml: groundtune tune NAME")
    rows, dev_rows = _prepared(project, name)
    recipe, seed = project.settings.tuning[name], project.settings.project.seed
    prompt = project.house.prompt_hash
    key = adapter.version_key(
        name=name, recipe=recipe, rows=rows, dev_rows=dev_rows, base=project.chat.fingerprint, prompt_hash=prompt, seed=seed
    )
    return adapter.Job(
        name=name,
        key=key,
        recipe=recipe,
        rows=rows,
        dev_rows=dev_rows,
        chat=project.settings.chat.model_dump(),
        prompt_hash=prompt,
        seed=seed,
        sources=sources_of(project, name),
    )


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
    return lines


def tune(project: Project, names: Sequence[str] | None) -> list[ModelVersion]:
    """Train the named adapters, or all that the project describes."""
    # Before anything is loaded: of several processes, each has a device of its own.
    world()
    # All rows first: what is wrong with the last adapter's must not come out after the hours that the first one took.
    jobs = [job_for(project, name) for name in dict.fromkeys(names or list(project.settings.tuning))]
    return [_made(project, job) for job in jobs]


def _made(project: Project, job: adapter.Job) -> ModelVersion:
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
        kind = "preference" if job.recipe.objective != "sft" else "example"
        examples = [(version.id, f"{kind}:{row.example_id}") for row in job.rows.rows]
        project.ledger.link(run.id, [*examples, *((version.id, item) for item in version.document_ids)])
        project.ledger.end(run.id, "done", {"model": version.id, "left_out": job.rows.left_out})
    return version


def standing(project: Project, names: Sequence[str] | None = None) -> dict[str, ModelVersion]:
    """Return the finished adapters whose key is that of the project as it stands, of all [tuning.*] tables or those named."""
    found = {}
    for name in project.settings.tuning if names is None else names:
        if not any((project.state / "models").glob(f"{name}-*/version.json")):
            continue
        job = job_for(project, name)
        version = adapter.read_version(adapter.folder_of(project.state / "models", name, job.key))
        if version is not None:
            found[name] = version
    return found


def preview(project: Project, name: str, count: int) -> list[list[tuple[str, bool]]]:
    """Return the first rows token by token, each with whether it carries loss; of a pair, the chosen reply and then the rejected one."""
    from groundtune.models.local.load import load_tokenizer
    from groundtune.tuning.encode import EncodedPair, encode_any

    if name not in project.settings.tuning:
        raise UnknownName.of("adapter", name, list(project.settings.tuning), "type: groundtune tune --preview NAME")
    tokenizer = load_tokenizer(project.settings.chat.model_dump())
    encoded = encode_any(rows_for(project, name).rows[:count], tokenizer, project.settings.tuning[name].max_tokens)
    rows = [row for item in encoded for row in ((item.chosen, item.rejected) if isinstance(item, EncodedPair) else (item,))]
    return [
        [(tokenizer.decode([token]), False) for token in row.prompt] + [(tokenizer.decode([token]), True) for token in row.completion]
        for row in rows
    ]
