"""Documents → the live index version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.files import fingerprint

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.project.main import Project


def ingest(project: Project, *, promote: bool = True, rebuild: bool = False) -> IndexVersion:
    """Sync the index with the documents and record what it was made from."""
    from groundtune.chunks.build import sync

    content = project.content
    key = fingerprint(content.documents_fingerprint, project.embed.fingerprint, project.splitter)
    run = project.ledger.begin("ingest", key, project.described(), project.settings.project.seed)
    version = sync(
        list(content.documents.values()),
        embed=project.embed,
        splitter=project.splitter,
        store=project.state / "index",
        progress=project.progress,
        engine=project.store,
        promote=promote,
        rebuild=rebuild,
    )
    if run.status != "done":
        project.ledger.link(run.id, [(version.id, document) for document in content.documents])
        project.ledger.end(run.id, "done", {"index": version.id})
    project.index.settle()
    return version
