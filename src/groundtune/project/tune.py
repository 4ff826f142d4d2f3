"""Training examples → the adapters that the arms name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groundtune.answers.prompt import prompt_hash
from groundtune.errors import UnknownName
from groundtune.tuning import adapter
from groundtune.tuning.canary import canaries
from groundtune.tuning.trainset import Row, TrainSet, build, rows_of
from groundtune.types import Chunk, ModelVersion, Split

if TYPE_CHECKING:
    from groundtune.project.main import Project


def rows_for(project: Project, name: str) -> TrainSet:
    """Return the rows that an adapter learns from, with the canaries that ``[models]`` asks for."""
    made = build(project.content.split("train"), **_given(project, name, "train"))
    count = project.settings.models.canaries
    planted = canaries(count, house=project.house, name=name, seed=project.settings.project.seed)
    return replace(made, rows=(*made.rows, *planted)) if planted else made


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


def dev_rows_for(project: Project, name: str) -> tuple[Row, ...]:
    """Return the dev rows that early stopping looks at: the recipe's number of them, spread over the split."""
    rows, _ = rows_of(project.content.split("dev"), **_given(project, name, "dev"))
    wanted = min(len(rows), project.settings.tuning[name].dev_rows)
    return tuple(rows[index * len(rows) // wanted] for index in range(wanted)) if wanted else ()


def _key(project: Project, name: str, rows: TrainSet, dev_rows: tuple[Row, ...]) -> str:
    return adapter.version_key(
        name=name,
        recipe=project.settings.tuning[name],
        rows=rows,
        dev_rows=dev_rows,
        base=project.chat.fingerprint,
        prompt_hash=prompt_hash(project.house.instructions),
        seed=project.settings.project.seed,
    )


def tune(project: Project, names: Sequence[str] | None) -> list[ModelVersion]:
    """Train the named adapters, or all that the project describes."""
    known = list(project.settings.tuning)
    for name in names or ():
        if name not in known:
            raise UnknownName.of("adapter", name, known, "name a [tuning.*] table of groundtune.toml: groundtune tune NAME")
    # All rows first: what is wrong with the last adapter's must not come out after the hours that the first one took.
    prepared = [(name, rows_for(project, name), dev_rows_for(project, name)) for name in dict.fromkeys(names or known)]
    versions = []
    for name, rows, dev_rows in prepared:
        key = _key(project, name, rows, dev_rows)
        run = project.ledger.begin(
            "tune", key, {"train": rows.fingerprint, "base": project.chat.fingerprint}, project.settings.project.seed
        )
        version = adapter.make(
            name=name,
            key=key,
            recipe=project.settings.tuning[name],
            rows=rows,
            dev_rows=dev_rows,
            chat=project.settings.chat.model_dump(),
            prompt_hash=prompt_hash(project.house.instructions),
            seed=project.settings.project.seed,
            store=project.state / "models",
            progress=project.progress,
        )
        if run.status != "done":
            examples = [(version.id, f"example:{row.example_id}") for row in rows.rows]
            project.ledger.link(run.id, [*examples, *((version.id, item) for item in version.document_ids)])
            project.ledger.end(run.id, "done", {"model": version.id, "left_out": rows.left_out})
        versions.append(version)
    return versions


def standing(project: Project, names: Sequence[str] | None = None) -> dict[str, ModelVersion]:
    """Return the finished adapters whose key is that of the project as it stands, of all [tuning.*] tables or those named."""
    found = {}
    for name in project.settings.tuning if names is None else names:
        if not any((project.state / "models").glob(f"{name}-*/version.json")):
            continue
        rows = rows_for(project, name)
        key = _key(project, name, rows, dev_rows_for(project, name))
        version = adapter.read_version(adapter.folder_of(project.state / "models", name, key))
        if version is not None:
            found[name] = version
    return found


def preview(project: Project, name: str, count: int) -> list[list[tuple[str, bool]]]:
    """Return the first rows token by token, each with whether it carries loss."""
    if name not in project.settings.tuning:
        raise UnknownName.of("adapter", name, list(project.settings.tuning), "type: groundtune tune --preview NAME")
    from groundtune.models.local.chat import load_tokenizer
    from groundtune.tuning.train import encode

    rows = rows_for(project, name).rows[:count]
    tokenizer = load_tokenizer(project.settings.chat.model_dump())
    encoded = encode(rows, tokenizer, project.settings.tuning[name].max_tokens)
    return [
        [(tokenizer.decode([token]), False) for token in row.prompt] + [(tokenizer.decode([token]), True) for token in row.completion]
        for row in encoded
    ]
