"""A project whose index follows its sources: looked at again and again, and brought in step whenever something is other than it was.

    look → other than before → ingest → look → …          one process: the embedder, the engine and the catalogue stay open
    look → as before → …                                  every ``others`` seconds ingested all the same, for what cannot be looked at

A look takes names, times and sizes of the files below the folders that the project reads, and of the files that say who may read them. All
other sources (web, storage, databases, exports) are asked every ``others`` seconds. What is wrong is told and stops nothing; it is tried
again when something changes, and by itself after a while. While groundtune.toml is not as it should be, nothing is ingested.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from groundtune.config import FILE
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.sources.folder import Folder
from groundtune.errors import GroundtuneError
from groundtune.files import SETTLED_NANOSECONDS
from groundtune.project.content import CATALOGUE

if TYPE_CHECKING:
    from groundtune.project.ingest import Ingested
    from groundtune.project.main import Project

FIRST_WAIT, LONGEST_WAIT = 2.0, 120.0  # seconds until what failed is tried again by itself: doubled each time
CALM, LOOKS = 0.1, 10  # seconds between two looks at what is being written, and how many there are at most
HERE = ("minilm", "local", "hashed")  # embedders that cost nothing to ask
SETTLED = SETTLED_NANOSECONDS / 1e9 + 0.5

Stamps = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One ingestion: what it did, or why it could not; ``seconds`` is how long it took, and ``late`` how old the youngest change was then.

    ``late`` is ``None`` where no file had changed, and for an error.
    """

    done: Ingested | None
    error: GroundtuneError | None
    seconds: float
    late: float | None = None


def watch(project: Project, *, stop: Event, told: Callable[[Step], None], every: float = 0.5, others: float = 300.0) -> None:
    """Ingest now, and whenever something changes, until ``stop`` is set; an ingestion that has begun is ended first.

    ``told`` hears of every ingestion that changed something or went wrong, and of the first. Raises ``GroundtuneError`` only where the
    project cannot be opened at the start.
    """
    from groundtune.project.main import Project

    catalogue = Catalogue(project.state / CATALOGUE)
    seen: Stamps | None = None
    due, wait, heard = 0.0, FIRST_WAIT, ""
    try:
        while not stop.is_set():
            now = _settled(project, seen, stop)
            if now != seen or time.monotonic() >= due:
                if seen is not None and now.get(FILE) != seen.get(FILE):
                    try:
                        project = _again(project, Project)
                    except GroundtuneError as error:
                        told(Step(done=None, error=error, seconds=0.0))
                        seen, due = now, time.monotonic() + others
                        while not stop.wait(every) and stamps(project).get(FILE) == now.get(FILE):
                            pass
                        continue
                step = _step(project, catalogue, _youngest(now, seen))
                due, wait = _next(step, now, wait, others)
                said = _wrong(step)
                if seen is None:
                    _warm(project)
                if seen is None or _other(step) or (said and said != heard):
                    told(step)
                seen, heard = now, said
            stop.wait(every)
    finally:
        catalogue.close()


def stamps(project: Project) -> Stamps:
    """Return times, size and number of every file that the index hangs on and that can be looked at, by its path within the project."""
    settings = project.settings
    folders = [project.folder / settings.documents.path]
    folders += [project.folder / source.path for source in settings.sources if source.use == "folder" and source.path]
    found = {str(place): stamp for folder in folders if folder.is_dir() for place, stamp in Folder(folder).stamps()}
    for name in (FILE, settings.access.file):
        try:
            found[name] = _stamp((project.folder / name).stat())
        except OSError:
            found[name] = ()
    return found


def _settled(project: Project, seen: Stamps | None, stop: Event) -> Stamps:
    """Return the stamps once two looks agree, for up to a second: what somebody is writing is better read when they have written it."""
    now = stamps(project)
    for _ in range(LOOKS if seen is not None and now != seen else 0):
        before = now
        if stop.wait(CALM):
            break
        now = stamps(project)
        if now == before:
            break
    return now


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def _again(project: Project, opened: type[Project]) -> Project:
    """Open the project by its changed settings; models that they do not touch stay loaded."""
    new = opened(project.folder, progress=project.progress)
    for name, table in (("embed", "embed"), ("chat", "chat"), ("store", "index")):
        if name in project.__dict__ and getattr(project.settings, table) == getattr(new.settings, table):
            new.__dict__[name] = project.__dict__[name]
    return new


def _warm(project: Project) -> None:
    """Load what the first change would load: the parser, the splitter, and a model that runs here."""
    from groundtune.chunks.split import split
    from groundtune.types import Document

    sample = Document(id="document:x", source="x", title="x", text="# x\n\nx\n", content_hash="", readers=frozenset())
    split(sample, project.embed.count, **project.splitter)
    if project.settings.embed.use in HERE:
        project.embed.documents(["x"])


def _step(project: Project, catalogue: Catalogue, changed_at: float | None) -> Step:
    from groundtune.project.ingest import ingest

    began = time.perf_counter()
    try:
        done = ingest(project, strict=False, catalogue=catalogue)
    except GroundtuneError as error:
        return Step(done=None, error=error, seconds=time.perf_counter() - began)
    late = None if changed_at is None else max(0.0, time.time() - changed_at)
    return Step(done=done, error=None, seconds=time.perf_counter() - began, late=late)


def _next(step: Step, now: Stamps, wait: float, others: float) -> tuple[float, float]:
    """Return when to ingest again though nothing changes, and how long to wait after the next failure."""
    if step.error is not None:
        return time.monotonic() + min(wait, others), min(LONGEST_WAIT, 2 * wait)
    young = any(time.time_ns() - max(stamp[:2]) < SETTLED_NANOSECONDS for stamp in now.values() if stamp)
    # Within one tick of its clock a file may have changed again behind its reader: it is read once more when that is over.
    return time.monotonic() + (SETTLED if young else others), FIRST_WAIT


def _youngest(now: Stamps, seen: Stamps | None) -> float | None:
    """Return when the youngest of the files that are other than before was changed, in seconds since 1970."""
    if seen is None:
        return None
    return max((max(stamp[:2]) / 1e9 for name, stamp in now.items() if stamp and seen.get(name) != stamp), default=None)


def _wrong(step: Step) -> str:
    if step.error is not None or step.done is None:
        return step.error.message if step.error else ""
    return "\n".join(message for message, _ in step.done.problems)


def _other(step: Step) -> bool:
    """Return whether anything is other than before; what is gone was hidden by a version of its own, so the last one need not tell."""
    if step.done is None or step.done.version is None:
        return False
    version = step.done.version
    return any(step.done.counts.get(kind) for kind in ("new", "changed", "moved", "gone")) or bool(version.restamped or version.changed)
