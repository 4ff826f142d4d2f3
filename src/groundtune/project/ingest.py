"""Documents → the live index version."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from groundtune.files import fingerprint

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.chunks.contexts import Contexts
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
    lines = contexts_of(project)
    try:
        version = sync(
            list(content.documents.values()),
            embed=project.embed,
            splitter=project.splitter,
            store=project.state / "index",
            progress=project.progress,
            engine=project.store,
            promote=promote,
            rebuild=rebuild,
            describe=lines.describe if lines else None,
        )
    finally:
        if lines:
            lines.close()
    spent = _spent(project)
    if run.status != "done":
        project.ledger.link(run.id, [(version.id, document) for document in content.documents])
        wrote = {"context": asdict(lines.spent)} if lines else {}
        project.ledger.end(run.id, "done", {"index": version.id, **spent, **wrote})
    project.index.settle()
    if spent:
        project.progress.note(f"embedding: {spent['embed_requests']} requests, {spent['embed_tokens']} tokens, {spent['embed_cost']}")
    return version


def contexts_of(project: Project) -> Contexts | None:
    """Return what writes the chunks' lines of context, or ``None`` where the project does not ask for them."""
    if project.settings.chunks.context != "model":
        return None
    from groundtune.chunks.contexts import Contexts

    return Contexts(project.state / "index" / "contexts.sqlite", project.chat)
