"""The run of a [tuning.*] table, written for another trainer; and the hosted job, where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groundtune.errors import StateError
from groundtune.project.tune import job_for
from groundtune.tuning import exported
from groundtune.tuning.hosted import Hosted

if TYPE_CHECKING:
    from groundtune.project.main import Project

Form = Literal["axolotl", "openai"]
HOSTED_MODEL = "gpt-4.1-mini-2025-04-14"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The files that were written, and what a person should know before using them."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def export(project: Project, name: str, form: Form, *, model: str = HOSTED_MODEL) -> Exported:
    """Write the run into ``exports/NAME-FORM`` of the project folder; nothing is sent anywhere."""
    job = job_for(project, name)
    if job.start is not None:
        raise StateError(
            f"tuning {name} begins from {job.start.name}, which an export cannot",
            f"export one of them, or remove start; to tune here, type: groundtune tune {name}",
        )
    folder = project.folder / "exports" / f"{name}-{form}"
    if form == "openai":
        readers = ", ".join(sorted(job.rows.readers)) or "nobody"
        files = exported.openai(job, folder, model=model)
        count, texts = len(job.rows.rows), len(job.rows.document_ids)
        sent = f"submitting sends {count} rows with text of {texts} documents, readable by {readers}, to the service"
        return Exported(name=name, folder=folder, files=tuple(files), warnings=(exported.WITHDRAWN, sent))
    from groundtune.models.local.template import end_of_turn
    from groundtune.tuning.cost import shape_of

    shape, _, tokenizer = shape_of(job.chat)
    end = end_of_turn(tokenizer)
    files = exported.axolotl(
        job,
        folder,
        target_modules=shape.target_modules,
        end_token=None if end == tokenizer.eos_token_id else tokenizer.decode([end]),
    )
    return Exported(name=name, folder=folder, files=tuple(files), warnings=tuple(exported.left_behind(job)))


def submit(
    project: Project, name: str, *, base_url: str, key_env: str, poll_seconds: float = 10.0, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Run the export that was written as a hosted job, and return what came of it; broken off, the same call goes on."""
    folder = project.folder / "exports" / f"{name}-openai"
    if not (folder / "job.json").is_file():
        raise StateError(f"{folder}: holds no export", f"type: groundtune tune {name} --export openai")
    return Hosted(base_url=base_url, key_env=key_env, poll_seconds=poll_seconds, say=say or project.progress.note).run(folder)
