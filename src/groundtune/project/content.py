"""What a project holds before anything is made of it: documents, examples, principals, the reply schema; read and checked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.access import principals as access
from groundtune.documents import alike, changes, limits
from groundtune.documents.catalogue import Catalogue
from groundtune.errors import DocumentError, GroundtuneError, InputError, Problems
from groundtune.examples import leaks
from groundtune.examples import load as examples
from groundtune.examples.schema import check as check_reply
from groundtune.examples.schema import load_schema
from groundtune.files import fingerprint, plain
from groundtune.project.origins import origins, versions
from groundtune.tables import Settings
from groundtune.types import Document, Example, Principal, Split

STATE = ".groundtune"
CATALOGUE = "documents.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that was read. ``documents`` by id, ``principals`` by id; ``schema`` is ``None`` where replies are plain text."""

    documents: Mapping[str, Document]
    examples: tuple[Example, ...]
    principals: Mapping[str, Principal]
    schema: Mapping[str, Any] | None

    def split(self, name: Split) -> tuple[Example, ...]:
        """Return the examples of one split, in their order."""
        return tuple(example for example in self.examples if example.split == name)

    @property
    def documents_fingerprint(self) -> str:
        """The identity of all documents, readers included."""
        return fingerprint([(d.id, d.content_hash, d.readers) for d in self.documents.values()])

    def split_fingerprint(self, name: Split) -> str:
        """Return the identity of a split's examples. Where a quote stands is left out: it moves when its document is edited around it."""
        rows = [plain(example) for example in self.split(name)]
        # Sets that were locked before rows could name readers keep their identity.
        rows = [{key: value for key, value in row.items() if key != "readers" or value is not None} for row in rows]
        return fingerprint([{**row, "evidence": [(item["document_id"], item["quote"]) for item in row["evidence"]]} for row in rows])


def splitter_of(settings: Settings) -> dict[str, Any]:
    """Return the splitter's settings, as an index is stamped with them: only those that its unit uses, and none that change nothing."""
    table = settings.chunks
    stamp: dict[str, Any] = {"max_tokens": table.max_tokens, "min_tokens": table.min_tokens}
    if table.unit == "child":
        stamp |= {"unit": table.unit, "parent_tokens": table.parent_tokens}
    elif table.unit == "sentence":
        stamp = {"max_tokens": table.max_tokens, "min_tokens": 0, "unit": table.unit, "window": table.window}
    if table.context == "model":
        stamp["context"] = f"model {settings.chat.use} {settings.chat.model}"
    elif table.context != "headings":
        stamp["context"] = table.context
    return stamp


def read(folder: Path, settings: Settings, *, strict: bool = True) -> tuple[Content | None, list[GroundtuneError]]:
    """Read everything, and return it with all problems found. ``None`` instead of the content when there were any.

    Not ``strict``, documents that cannot be read are left out without a word (``ingest`` has told of them), and examples that cannot.
    """
    problems: list[GroundtuneError] = []
    people: Mapping[str, Principal] = {}
    found: tuple[Document, ...] = ()
    rows: tuple[Example, ...] = ()
    schema: Mapping[str, Any] | None = None
    try:
        people = access.load(folder / settings.access.file)
    except GroundtuneError as error:
        problems.append(error)
    try:
        found, troubles = read_documents(folder, settings)
        problems += troubles if strict else []
    except GroundtuneError as error:
        problems.append(error)
    try:
        schema = load_schema(folder / settings.examples.schema_file) if settings.examples.schema_file else None
    except GroundtuneError as error:
        problems.append(error)
    if not problems:
        try:
            taken = examples.read(folder / settings.examples.path, found, people)
            rows = taken.examples
            if strict:
                problems += taken.problems
                problems += leaks.find(rows, near=settings.examples.near)
                problems += _replies(rows, schema, settings)
        except GroundtuneError as error:
            problems.append(error)
    if problems:
        return None, problems
    return Content(documents={d.id: d for d in found}, examples=rows, principals=people, schema=schema), []


def read_or_raise(folder: Path, settings: Settings) -> Content:
    """Read everything; raise the one problem there is, or all of them as ``Problems``."""
    content, problems = read(folder, settings)
    if content is None:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    return content


def read_documents(folder: Path, settings: Settings) -> tuple[tuple[Document, ...], list[GroundtuneError]]:
    """Return all documents with their marks, sorted as they were listed, and what could not be read.

    The documents folder is looked at as it is now; other sources are as ``groundtune ingest`` last read them. Nothing is written.
    """
    catalogue = Catalogue(folder / STATE / CATALOGUE, read_only=True)
    try:
        with limits.using(limits_of(settings)):
            found = changes.survey(origins(folder, settings, fetch=False), catalogue)
    finally:
        catalogue.close()
    signatures = {key: value for change in found.changes if change.kind != "gone" for key, value in change.known.signatures.items()}
    documents = changes.documents_of(found)
    marked, _ = alike.marked(documents, signatures, near=settings.documents.duplicates, versions=versions(settings))
    problems = found.problems
    if not documents and not problems:
        hint = "add .md, .html or .txt files, then type: groundtune check"
        problems.append(DocumentError(f"{folder / settings.documents.path}: holds no documents", hint))
    return tuple(marked.values()), problems


def limits_of(settings: Settings) -> limits.Limits:
    """Return how much reading one file may take."""
    table = settings.documents
    return limits.Limits(
        seconds=table.parse_seconds,
        memory=table.parse_megabytes * 1_000_000,
        unpacked=table.parse_unpacked * 1_000_000,
        pages=table.parse_pages,
        rows=table.parse_rows,
    )


def _replies(rows: tuple[Example, ...], schema: Mapping[str, Any] | None, settings: Settings) -> list[GroundtuneError]:
    """Return the problems of replies that the project's own schema, or its own answer field, refuses."""
    problems: list[GroundtuneError] = []
    hint = "mend the example, then type: groundtune check"
    for row in rows:
        if settings.answers.answer_field not in row.reply:
            problems.append(InputError(f"example {row.id}: its reply has no {settings.answers.answer_field!r}", hint))
        elif schema is not None:
            problems += [InputError(f"example {row.id}: reply: {text}", hint) for text in check_reply(row.reply, schema)]
    return problems
