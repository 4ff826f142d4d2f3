"""Documents → the live index version."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from groundtune.files import fingerprint

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.chunks.contexts import Contexts
    from groundtune.project.main import Project


def ingest(project: Project) -> IndexVersion:
    """Sync the index with the documents and record what it was made from."""
    from groundtune.chunks.build import sync

    content = project.content
    key = fingerprint(content.documents_fingerprint, project.embed.fingerprint, project.splitter)
    run = project.ledger.begin("ingest", key, project.described(), project.settings.project.seed)
    lines = contexts_of(project)
    try:
        version = sync(
            list(content.documents.values()),
            embed=project.embed,
            splitter=project.splitter,
            store=project.state / "index",
            progress=project.progress,
            describe=lines.describe if lines else None,
        )
    finally:
        if lines:
            lines.close()
    if run.status != "done":
        project.ledger.link(run.id, [(version.id, document) for document in content.documents])
        project.ledger.end(run.id, "done", {"index": version.id, **({"context": asdict(lines.spent)} if lines else {})})
    return version


def contexts_of(project: Project) -> Contexts | None:
    """Return what writes the chunks' lines of context, or ``None`` where the project does not ask for them."""
    if project.settings.chunks.context != "model":
        return None
    from groundtune.chunks.contexts import Contexts

    return Contexts(project.state / "index" / "contexts.sqlite", project.chat)
