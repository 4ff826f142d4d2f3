"""What is learned from: conversations with the reply that is wanted, with two of which one is preferred, or with one that was rated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.answers.prompt import Message
from groundtune.files import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One conversation to learn from. ``document_ids`` are those whose text is in it, ``refuses`` whether it teaches to refuse."""

    example_id: str
    messages: tuple[Message, ...]
    completion: str
    document_ids: tuple[str, ...]
    refuses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One conversation with a better and a worse reply. ``document_ids`` are those whose text is in it."""

    example_id: str
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    document_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """One conversation with a reply that was wanted, or was not. ``document_ids`` are those whose text is in it."""

    example_id: str
    messages: tuple[Message, ...]
    completion: str
    desirable: bool
    document_ids: tuple[str, ...]


AnyRow = Row | Pair | Rated


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSet:
    """Rows (all of one kind), why others were left out (reason → count), and who may read all that they were made from."""

    rows: tuple[AnyRow, ...]
    left_out: Mapping[str, int]
    readers: frozenset[str]
    document_ids: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The identity of the rows, in their order."""
        return fingerprint(self.rows)
