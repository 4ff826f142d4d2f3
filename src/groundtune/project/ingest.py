"""Documents → the live index version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.files import fingerprint

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.project.main import Project


def _spent(project: Project) -> dict[str, str]:
    """Return what a remote embedder took; nothing for a local one."""
    usage = getattr(project.embed, "usage", None)
    if usage is None:
        return {}
    about = " (estimated in part)" if usage.estimated else ""
    price = f"{usage.cost:.4f} {project.settings.costs.currency}"
    return {"embed_requests": str(usage.requests), "embed_tokens": f"{usage.tokens}{about}", "embed_cost": price}


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
    spent = _spent(project)
    if run.status != "done":
        project.ledger.link(run.id, [(version.id, document) for document in content.documents])
        project.ledger.end(run.id, "done", {"index": version.id, **spent})
    project.index.settle()
    if spent:
        project.progress.note(f"embedding: {spent['embed_requests']} requests, {spent['embed_tokens']} tokens, {spent['embed_cost']}")
    return version
