"""Sources → what changed → the live index version. What is gone is hidden first; what cannot be read is told, and stops nothing.

    list  →  hide what is gone  →  read and parse what is new  →  commit to the catalogue  →  hide what cannot be read any more
          →  readers as before, or accepted?  →  embed, commit, tag

What is hidden does not wait for the steps after it: a mass change of readers that nobody accepts, or an embedder that does not answer.

Killed anywhere, the same command ends at the same place: the index is a function of the catalogue, and the catalogue of the sources.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from groundtune.access.directory import Directory
from groundtune.documents import alike, changes, limits
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.loaded import NONE_HINT
from groundtune.errors import GroundtuneError, Problems, StateError
from groundtune.files import SeldomCollecting, fingerprint
from groundtune.project import readers
from groundtune.project.check_models import REMOTE
from groundtune.project.content import CATALOGUE, identity_of, limits_of, signatures_in
from groundtune.project.origins import origins
from groundtune.project.people import directory_of
from groundtune.project.permissions import effective
from groundtune.records.ledger import now
from groundtune.types import Document

if TYPE_CHECKING:
    from groundtune.chunks.build import IndexVersion
    from groundtune.chunks.contexts import Contexts
    from groundtune.project.main import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the new text takes: ``tokens`` to embed, and ``calls`` of the chat model where it writes lines of context.

    ``seconds`` is ``None`` where it cannot be known before; ``money`` is by the prices in groundtune.toml, and 0 without any.
    """

    documents: int
    chunks: int
    tokens: int
    calls: int
    seconds: float | None
    money: float
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingestion found and did. ``version`` is ``None`` for a plan, ``cost`` for what was carried out.

    ``names`` holds, by kind of change, the full names of the items; moved ones as ``old → new``. ``problems`` are (message, hint), and
    ``states`` says of each what kind of trouble it is (``DocumentError.state``); empty for what is wrong with a source or a rule.
    """

    version: IndexVersion | None
    counts: Mapping[str, int]
    names: Mapping[str, Sequence[str]]
    sources: Mapping[str, str]
    problems: tuple[tuple[str, str], ...]
    states: tuple[str, ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    superseded: tuple[tuple[str, str], ...]
    cost: Cost | None = None


@SeldomCollecting()
def ingest(
    project: Project,
    *,
    strict: bool = True,
    fetch: bool = True,
    retry: bool = False,
    reread: bool = False,
    drop: Collection[str] = (),
    emptied: Collection[str] = (),
    promote: bool = True,
    rebuild: bool = False,
    accept: bool = False,
    catalogue: Catalogue | None = None,
) -> Ingested:
    """Sync the index with the sources and record what it was made from. A mass change of readers has to be accepted.

    ``strict`` raises where anything cannot be read, before anything is changed. Otherwise that is in the result, and the rest goes on.
    Without ``fetch``, only the documents folder is listed. ``promote`` and ``rebuild`` are those of ``chunks.build.sync``. Where nothing
    can be served any more, the version that is made holds nothing: what was live is not left live for want of something else.
    """
    directory = directory_of(project.folder, project.settings)
    named = origins(project.folder, project.settings, fetch=fetch, rules=directory.rules)
    _known_sources(emptied, [origin.name for origin in named])
    if strict and not (fetch and project.settings.sources):
        _ = project.content  # raises for anything else of the project that is not as it should be, examples included
    serving = _live(project)
    kept = catalogue
    catalogue = kept or Catalogue(project.state / CATALOGUE)
    try:
        looked = changes.look(named, catalogue, emptied)
        # A version that waits for its promotion must not change what is live on its way.
        if not strict and promote:
            left = changes.gone_first(named, catalogue, looked)
            if left is not None:
                project.index.hide(left)
        with limits.using(limits_of(project.settings)):
            found = changes.survey(named, catalogue, retry=retry, reread=reread, drop=drop, progress=project.progress, looked=looked)
        problems = found.problems
        if strict and problems:
            raise problems[0] if len(problems) == 1 else Problems(problems)
        changes.commit(found, catalogue, now())
    finally:
        if kept is None:
            catalogue.close()
    project.__dict__.pop("content", None)
    project.__dict__.pop("served", None)
    documents, marks, wrong = _effective(project, directory, found)
    problems = [*problems, *wrong]
    if strict and wrong:
        raise wrong[0] if len(wrong) == 1 else Problems(wrong)
    if not documents and (serving is None or not serving.contents):
        raise (Problems(problems) if len(problems) > 1 else problems[0] if problems else _empty(project))
    if promote:
        project.index.hide(documents)
    readers.guard(project, readers.moved(_contents(project), documents), "ingest", accept=accept)
    version = synced(project, documents, "ingest", promote=promote, rebuild=rebuild, since=serving)
    return _result(found, problems, marks, version, None)


def plan(
    project: Project, *, retry: bool = False, reread: bool = False, drop: Collection[str] = (), emptied: Collection[str] = ()
) -> Ingested:
    """Return what ``ingest`` would do and what it would cost. Sources are listed, and what is new is read; nothing is written."""
    directory = directory_of(project.folder, project.settings)
    named = origins(project.folder, project.settings, fetch=True, rules=directory.rules)
    _known_sources(emptied, [origin.name for origin in named])
    catalogue = Catalogue(project.state / CATALOGUE, read_only=True)
    try:
        with limits.using(limits_of(project.settings)):
            found = changes.survey(named, catalogue, retry=retry, reread=reread, drop=drop, emptied=emptied, progress=project.progress)
        documents, marks, wrong = _effective(project, directory, found)
        try:
            readers.guard(project, readers.moved(_contents(project), documents), "ingest", accept=False)
        except StateError as error:
            wrong.append(error)
        return _result(found, [*found.problems, *wrong], marks, None, _cost(project, documents))
    finally:
        catalogue.close()


def _live(project: Project) -> IndexVersion | None:
    from groundtune.chunks import manifest

    return manifest.live(project.state / "index")


def _contents(project: Project) -> Mapping[str, Mapping[str, Any]]:
    """Return what the live version has of each document."""
    live = _live(project)
    return {} if live is None else live.contents


def _effective(
    project: Project, directory: Directory, found: changes.Survey
) -> tuple[dict[str, Document], alike.Alike, list[GroundtuneError]]:
    return effective(changes.documents_of(found).values(), signatures_in(found), directory, project.settings)


def synced(
    project: Project,
    documents: Mapping[str, Document],
    verb: str,
    *,
    promote: bool = True,
    rebuild: bool = False,
    readers_only: bool = False,
    since: IndexVersion | None = None,
) -> IndexVersion:
    """Make the version of these documents, which have the readers that hold, and record what it was made from."""
    from groundtune.chunks.build import sync

    before = _live(project)
    ordered = sorted(documents.values(), key=attrgetter("id"))
    contents = identity_of(ordered)
    key = fingerprint(contents, project.embed.fingerprint, project.splitter)
    run = project.ledger.begin(verb, key, {"documents": contents}, project.settings.project.seed)
    lines = contexts_of(project)
    try:
        version = sync(
            ordered,
            embed=project.embed,
            splitter=project.splitter,
            store=project.state / "index",
            progress=project.progress,
            engine=project.store,
            promote=promote,
            rebuild=rebuild,
            describe=lines.describe if lines else None,
            readers_only=readers_only,
            since=since,
        )
    finally:
        if lines:
            lines.close()
    spent = _spent(project)
    if run.status != "done":
        if before is None:
            project.ledger.link(run.id, [(version.id, document) for document in documents])
        else:
            project.ledger.link_step(run.id, version.id, before.id, documents.keys(), before.contents.keys())
        wrote = {"context": asdict(lines.spent)} if lines else {}
        project.ledger.end(run.id, "done", {"index": version.id, **spent, **wrote})
    project.index.settle()
    if spent:
        project.progress.note(f"embedding: {spent['embed_requests']} requests, {spent['embed_tokens']} tokens, {spent['embed_cost']}")
    return version


def _spent(project: Project) -> dict[str, str]:
    """Return what a remote embedder took; nothing for a local one."""
    usage = getattr(project.embed, "usage", None)
    if usage is None:
        return {}
    about = " (estimated in part)" if usage.estimated else ""
    price = f"{usage.cost:.4f} {project.settings.costs.currency}"
    return {"embed_requests": str(usage.requests), "embed_tokens": f"{usage.tokens}{about}", "embed_cost": price}


def contexts_of(project: Project) -> Contexts | None:
    """Return what writes the chunks' lines of context, or ``None`` where the project does not ask for them."""
    if project.settings.chunks.context != "model":
        return None
    from groundtune.chunks.contexts import LINES, Contexts

    return Contexts(project.state / "index" / LINES, project.chat)


def _cost(project: Project, documents: Mapping[str, Document]) -> Cost:
    """Split what the live index does not hold as it is now, and count; vectors and lines that are kept already count all the same."""
    from groundtune.chunks import manifest
    from groundtune.chunks.split import split
    from groundtune.project.estimate import EMBEDDING_TOKENS_SECOND, context_tokens

    live = manifest.live(project.state / "index")
    held = {} if live is None or live.embedder != project.embed.fingerprint else live.contents
    new = [document for key, document in documents.items() if key not in held or held[key]["hash"] != document.content_hash]
    chunks = tokens = 0
    for document in new:
        made = split(document, project.embed.count, **project.splitter)
        chunks += len(made)
        tokens += sum(chunk.tokens for chunk in made)
    settings, costs = project.settings, project.settings.costs
    here = settings.embed.use in ("minilm", "hashed") and settings.chunks.context != "model"
    money = (settings.embed.million or (costs.embedding_million if settings.embed.use in REMOTE else 0.0)) * tokens / 1e6
    calls = chunks if settings.chunks.context == "model" else 0
    if calls:
        read, written = context_tokens(calls, tokens)
        money += costs.prompt_million * read / 1e6 + costs.completion_million * written / 1e6
    return Cost(
        documents=len(new),
        chunks=chunks,
        tokens=tokens,
        calls=calls,
        seconds=round(tokens / EMBEDDING_TOKENS_SECOND, 1) if here else None,
        money=money,
        currency=costs.currency,
    )


def _result(
    found: changes.Survey, problems: Sequence[GroundtuneError], marks: alike.Alike, version: IndexVersion | None, cost: Cost | None
) -> Ingested:
    names: dict[str, list[str]] = {}
    for change in found.others:
        if change.kind != "unchanged":
            shown = change.name if change.moved_from is None else f"{change.moved_from} → {change.name}"
            names.setdefault(change.kind, []).append(shown)
    moved = {change.moved_from for change in found.others}
    gone = [name for name in names.get("gone", []) if name not in moved]
    gone += [f"{source}/…" for source in found.removed]
    counts = {**found.counts, "gone": found.counts["gone"] - len(moved - {None})}
    return Ingested(
        version=version,
        counts={kind: count for kind, count in counts.items() if count},
        names={**{kind: items for kind, items in names.items() if kind != "gone"}, **({"gone": gone} if gone else {})},
        sources={one.origin.name: "" if one.problem is None else one.problem.message for one in found.listed},
        problems=tuple((error.message, error.hint) for error in problems),
        states=tuple(getattr(error, "state", "") for error in problems),
        near_duplicates=marks.duplicates,
        superseded=marks.superseded,
        cost=cost,
    )


def _known_sources(given: Collection[str], known: Sequence[str]) -> None:
    from groundtune.errors import UnknownName

    for name in given:
        if name not in known:
            raise UnknownName.of("source", name, known, "correct the name, then type: groundtune ingest")


def _empty(project: Project) -> GroundtuneError:
    return StateError(f"{project.folder}: its sources hold no documents", NONE_HINT)
