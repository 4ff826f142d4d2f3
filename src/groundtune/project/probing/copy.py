"""A project → a copy of its documents and its index in a folder of its own, to be changed and thrown away.

    .groundtune/probes/<key>/copy/   groundtune.toml  access.toml  documents/  .groundtune/{documents.sqlite, index/}

Nothing in it leads back: every path that is written to is one in the copy, and an index that is kept on a server is built anew in the
embedded engine, from the vectors that are known. The ledger is not copied, so that nothing the copy does is recorded as the project's.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.answers.respond import Retrieve
from groundtune.chunks.cache import VECTORS
from groundtune.chunks.contexts import LINES
from groundtune.config import FILE
from groundtune.errors import StateError, StorageError
from groundtune.files import storing, write_atomic
from groundtune.project import content as contents
from groundtune.project.content import CATALOGUE, STATE, Content
from groundtune.project.people import directory_of
from groundtune.tables import MembersTable
from groundtune.types import Document

if TYPE_CHECKING:
    from groundtune.project.main import Project

EDITABLE = (".md", ".markdown", ".html", ".htm", ".txt")
DOCUMENTS, ACCESS = "documents", "access.toml"
EMBEDDED = "lance"
_ROOM = 1.2  # of what is copied, that has to be free


class Copy:
    """The copy, and which files in it differ from the project's at the moment."""

    def __init__(self, project: Project, folder: Path) -> None:
        """Copy the project into ``folder``, which is made anew. Raises ``StorageError`` where there is no room for it."""
        shutil.rmtree(folder, ignore_errors=True)
        self.original = project
        self.originals = project.folder / project.settings.documents.path
        self.folder = folder
        self.project = _copied(project, folder)
        self._differs: set[str] = set()

    def change(self, files: Mapping[str, str | None]) -> None:
        """Have these files, by their name below the documents folder, say this (``None``: be gone), and all others what they said."""
        place = self.folder / DOCUMENTS
        for name in sorted(self._differs - files.keys()):
            original = self.originals / name
            if original.is_file():
                shutil.copyfile(original, place / name)
            else:
                (place / name).unlink(missing_ok=True)
        for name, text in files.items():
            if text is None:
                (place / name).unlink(missing_ok=True)
            else:
                write_atomic(place / name, text)
        self._differs = set(files)

    def ingest(self) -> float:
        """Bring the copy's index in step with its documents; return the seconds that it took."""
        began = time.perf_counter()
        self.project.ingest(strict=False, fetch=False)
        return time.perf_counter() - began

    def content(self) -> Content:
        """Return the project's content with the documents that the copy has now. Examples stay as they are."""
        table = self.project.settings
        found = contents.read_documents(self.folder, table, directory_of(self.folder, table))
        return Content(
            documents=found.documents,
            examples=self.original.content.examples,
            directory=self.original.content.directory,
            schema=self.original.content.schema,
            as_read=found.as_read,
        )

    def search(self) -> Retrieve:
        """Return search over the copy's index as it is now."""
        return self.project.retriever()

    def close(self) -> None:
        """Throw the copy away."""
        self.project.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def editable(project: Project, document: Document) -> str | None:
    """Return the text of a document's own file, as it is written; ``None`` for a format or a source that is not changed as a text."""
    path = file_of(project, document)
    if path is None or path.suffix.lower() not in EDITABLE:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def file_of(project: Project, document: Document) -> Path | None:
    """Return the file of the documents folder that a document was read from; ``None`` for other sources and for parts of a file."""
    name = document.id.removeprefix("document:")
    if "!/" in name or any(name.startswith(f"{source.name}/") for source in project.settings.sources):
        return None
    path = project.folder / project.settings.documents.path / name
    return path if path.is_file() and not path.is_symlink() else None


def _copied(project: Project, folder: Path) -> Project:
    from groundtune.project.main import Project

    settings = project.settings
    documents = project.folder / settings.documents.path
    index = project.state / "index"
    local = settings.index.engine == EMBEDDED
    _require_room(folder, [documents, *([index] if local else [])])
    with storing(folder):
        (folder / DOCUMENTS).mkdir(parents=True)
        for path in _files(documents):
            _copy(path, folder / DOCUMENTS / path.relative_to(documents))
        _copy(project.folder / FILE, folder / FILE)
        if (project.folder / settings.access.file).is_file():
            _copy(project.folder / settings.access.file, folder / ACCESS)
        state = folder / STATE
        _database(project.state / CATALOGUE, state / CATALOGUE)
        for name in (VECTORS, LINES):
            _database(index / name, state / "index" / name)
        if local and index.is_dir():
            ignored = shutil.ignore_patterns("*.sqlite", "*.sqlite-*", "*.lock")
            shutil.copytree(index, state / "index", dirs_exist_ok=True, ignore=ignored)
    copy = Project(folder)
    copy.settings = settings.model_copy(
        update={
            "documents": settings.documents.model_copy(update={"path": DOCUMENTS}),
            "access": settings.access.model_copy(update={"file": ACCESS, "sql": _members(project)}),
            "index": settings.index if local else settings.index.model_copy(update={"engine": EMBEDDED}),
        }
    )
    # Models are large, and the same for both; the steps of a search hold the project's own synonyms.
    shared: dict[str, Any] = {"embed": project.embed, "chat": project.chat, "steps": project.steps}
    copy.__dict__.update(shared)
    return copy


def _members(project: Project) -> MembersTable | None:
    """Return where members are asked for, with a database file of the project named as it is found from anywhere."""
    table = project.settings.access.sql
    if table is None or table.url is None or not table.url.startswith("sqlite:///"):
        return table
    return table.model_copy(update={"url": f"sqlite:///{project.folder / table.url.removeprefix('sqlite:///')}"})


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that a project reads: no hidden ones, and no link that leads out of the folder."""
    if not folder.is_dir():
        return
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and path.resolve().is_relative_to(inside):
            yield path


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _database(path: Path, target: Path) -> None:
    """Copy an SQLite file as one moment has it, whoever writes to it meanwhile."""
    if not path.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except sqlite3.DatabaseError as error:
        raise StateError(f"{path}: cannot be copied: {error}", "type: groundtune ingest") from None


def _require_room(folder: Path, parts: list[Path]) -> None:
    needed = sum(path.stat().st_size for part in parts if part.is_dir() for path in part.rglob("*") if path.is_file())
    above = next(parent for parent in folder.parents if parent.is_dir())
    free = shutil.disk_usage(above).free
    if needed * _ROOM > free:
        raise StorageError(
            f"the probes work on a copy of documents and index, {needed / 1e6:,.0f} MB, and {above} has {free / 1e6:,.0f} MB free",
            "free some space, or leave the probes out ([probes] questions = 0), then type: groundtune probe",
        )
