"""What an audit says: findings, each with how bad it is, the rows, a few samples, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from groundtune.examples.rows import Stored
from groundtune.types import Document, Evidence, Example, Status

Severity = Literal["error", "warning", "note"]
State = Literal["measured", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the audit found, or could not look for (``state`` is ``not run``, and ``says`` why).

    ``rows`` are ids in the order of the files; ``samples`` a few (id, what it says). ``fix`` is the status that ``--fix`` gives ``fixed``,
    the training rows for which that is safe, with a reason each.
    """

    kind: str
    severity: Severity
    says: str
    do: str
    rows: tuple[str, ...] = ()
    samples: tuple[tuple[str, str], ...] = ()
    state: State = "measured"
    fix: Status | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row as the checks see it; ``answer`` is what its reply says to a person, ``example`` is ``None`` where the row is malformed."""

    stored: Stored
    question: str
    asker: str
    kind: str
    filter: Mapping[str, str]
    reply: Mapping[str, Any]
    answer: str
    example: Example | None

    @property
    def id(self) -> str:
        """The row's id."""
        return self.stored.id

    @property
    def split(self) -> str:
        """The row's split."""
        return self.stored.split

    @property
    def answerable(self) -> bool:
        """Whether a document, or the row itself, answers it."""
        return self.kind in ("answerable", "version")

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The evidence that was located."""
        return self.example.evidence if self.example else ()


def case_of(stored: Stored, answer_field: str) -> Case:
    """Return a row as the checks see it; fields of a wrong type are empty."""
    from groundtune.examples.support import answer_text

    row = stored.row
    reply = row.get("reply")
    reply = reply if isinstance(reply, dict) else {}
    given = row.get("filter")
    return Case(
        stored=stored,
        question=row["question"] if isinstance(row.get("question"), str) else "",
        asker=row["asker"] if isinstance(row.get("asker"), str) else "",
        kind=str(row.get("kind", "answerable")),
        filter=given if isinstance(given, dict) else {},
        reply=reply,
        answer=answer_text(reply, answer_field),
        example=stored.example,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole audit: rows by split and status, and the findings, the worst first."""

    project: str
    place: str
    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]
    documents: int
    checked: tuple[str, ...]

    @property
    def worst(self) -> Severity | None:
        """The worst severity there is."""
        return next((level for level in ("error", "warning", "note") if any(item.severity == level for item in self.findings)), None)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(item for item in self.findings if item.kind == kind)


def counted(rows: Sequence[Stored]) -> dict[str, dict[str, int]]:
    """Return split → status → rows."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row.split or "no split", Counter())[row.status] += 1
    return {split: dict(counts) for split, counts in sorted(found.items())}


def shown(text: str, most: int = 240) -> str:
    """Return the beginning of a text on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def readable(documents: Mapping[str, Document], evidence: Sequence[Evidence]) -> list[str]:
    """Return the texts of the documents that evidence is in."""
    return [documents[name].text for name in dict.fromkeys(item.document_id for item in evidence) if name in documents]
