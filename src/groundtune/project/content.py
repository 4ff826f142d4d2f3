"""What a project holds before anything is made of it: documents, examples, principals, the reply schema; read and checked together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.access.directory import Directory
from groundtune.documents import changes, limits
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.loaded import NONE_HINT
from groundtune.errors import DocumentError, GroundtuneError, InputError, Problems
from groundtune.examples import leaks
from groundtune.examples import load as examples
from groundtune.examples.schema import check as check_reply
from groundtune.examples.schema import load_schema
from groundtune.files import Sorted, fingerprint, fingerprint_plain, plain
from groundtune.project.origins import origins
from groundtune.project.people import directory_of
from groundtune.project.permissions import effective
from groundtune.tables import Settings
from groundtune.types import Document, Example, Principal, Split

STATE = ".groundtune"
CATALOGUE = "documents.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that was read. ``documents`` by id; ``schema`` is ``None`` where replies are plain text.

    ``documents`` have the readers that hold; ``as_read`` has them with what they say of readers themselves. ``problems`` are those that
    reading went on over.
    """

    documents: Mapping[str, Document]
    examples: tuple[Example, ...]
    directory: Directory
    schema: Mapping[str, Any] | None
    as_read: Mapping[str, Document]
    problems: tuple[GroundtuneError, ...] = ()

    @property
    def principals(self) -> Mapping[str, Principal]:
        """Who may ask, by id."""
        return self.directory.principals

    def split(self, name: Split) -> tuple[Example, ...]:
        """Return the examples of one split, in their order."""
        return tuple(example for example in self.examples if example.split == name)

    @property
    def documents_fingerprint(self) -> str:
        """The identity of all documents, readers included."""
        return identity_of(self.documents.values())

    def split_fingerprint(self, name: Split) -> str:
        """Return the identity of a split's examples. Where a quote stands is left out: it moves when its document is edited around it."""
        rows = [plain(example) for example in self.split(name)]
        # Sets that were locked before rows could name readers, or other wordings, keep their identity.
        unsaid: dict[str, Any] = {"readers": None, "also": []}
        rows = [{key: value for key, value in row.items() if key not in unsaid or value != unsaid[key]} for row in rows]
        return fingerprint([{**row, "evidence": [(item["document_id"], item["quote"]) for item in row["evidence"]]} for row in rows])


def identity_of(documents: Iterable[Document]) -> str:
    """Return the identity of these documents in this order, readers included: each by its id, hash, readers and, if any, sections."""
    named = Sorted()
    return fingerprint_plain(
        [
            [document.id, document.content_hash, named[document.readers], *([plain(document.sections)] if document.sections else [])]
            for document in documents
        ]
    )


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
    passed: list[GroundtuneError] = []
    directory: Directory | None = None
    found = Reading({}, {}, [])
    rows: tuple[Example, ...] = ()
    schema: Mapping[str, Any] | None = None
    try:
        directory = directory_of(folder, settings)
    except GroundtuneError as error:
        problems.append(error)
    try:
        found = read_documents(folder, settings, directory or Directory(principals={}))
        # Without the rules nobody knows which documents they cover.
        told = [error for error in found.problems if directory is not None or getattr(error, "state", "") != "no readers"]
        (problems if strict else passed).extend(told)
    except GroundtuneError as error:
        problems.append(error)
    try:
        schema = load_schema(folder / settings.examples.schema_file) if settings.examples.schema_file else None
    except GroundtuneError as error:
        problems.append(error)
    if not problems and directory is not None:
        try:
            taken = examples.read(folder / settings.examples.path, tuple(found.documents.values()), directory.principals)
            rows = taken.examples
            if strict:
                problems += taken.problems
                problems += leaks.find(rows, near=settings.examples.near)
                problems += _replies(rows, schema, settings)
        except GroundtuneError as error:
            problems.append(error)
    if problems or directory is None:
        return None, problems
    return Content(
        documents=found.documents, examples=rows, directory=directory, schema=schema, as_read=found.as_read, problems=tuple(passed)
    ), []


def read_or_raise(folder: Path, settings: Settings) -> Content:
    """Read everything; raise the one problem there is, or all of them as ``Problems``."""
    content, problems = read(folder, settings)
    if content is None:
        if len(problems) == 1:
            raise problems[0]
        files = any(isinstance(error, DocumentError) for error in problems)
        hint = "mend these, or do without a file: groundtune ingest --drop NAME; then type: groundtune check"
        raise Problems(problems, hint) if files else Problems(problems)
    return content


@dataclass(frozen=True, slots=True)
class Reading:
    """Documents by id, with the readers that hold and as they were read, in the order of their sources; and what is wrong."""

    documents: Mapping[str, Document]
    as_read: Mapping[str, Document]
    problems: list[GroundtuneError]


def read_documents(folder: Path, settings: Settings, directory: Directory) -> Reading:
    """Return all documents with their readers and marks, and what could not be read.

    The documents folder is looked at as it is now; other sources are as ``groundtune ingest`` last read them. Nothing is written.
    """
    catalogue = Catalogue(folder / STATE / CATALOGUE, read_only=True)
    try:
        with limits.using(limits_of(settings)):
            found = changes.survey(origins(folder, settings, fetch=False, rules=directory.rules), catalogue)
        documents = changes.documents_of(found)
        catalogue.fill(documents.values())
    finally:
        catalogue.close()
    served, _, wrong = effective(documents.values(), signatures_in(found), directory, settings)
    problems = [*found.problems, *wrong]
    if not documents and not problems:
        problems.append(DocumentError(f"{folder / settings.documents.path}: holds no documents", NONE_HINT))
    return Reading(served, documents, problems)


def signatures_in(found: changes.Survey) -> dict[str, bytes]:
    """Return the near-duplicate signatures of what is there after a survey, by document id."""
    return {key: value for listed in found.listed for known in listed.served for key, value in known.signatures.items()}


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
