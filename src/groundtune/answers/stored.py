"""Answers as the ledger keeps them ↔ ``Answer``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groundtune.types import Abstention, Answer, Chunk, Citation, Conflict, Passage, Place, Seconds, Statement


def answer_from(row: Mapping[str, Any]) -> Answer:
    """Rebuild an answer from its stored JSON object, as ``files.plain`` wrote it."""
    fields = dict(row)
    fields["cited"] = tuple(Citation(**item) for item in fields["cited"])
    fields["passages"] = tuple(passage_from(item) for item in fields["passages"])
    fields["seconds"] = Seconds(**fields["seconds"])
    fields["messages"] = tuple(fields["messages"])
    fields["unsupported"] = tuple(fields.get("unsupported", ()))
    told = fields.get("abstention")
    fields["abstention"] = None if told is None else Abstention(**told)
    fields["conflicts"] = tuple(_conflict(item) for item in fields.get("conflicts", ()))
    return Answer(**fields)


def _conflict(row: Mapping[str, Any]) -> Conflict:
    return Conflict(**{**row, "first": Statement(**row["first"]), "second": Statement(**row["second"])})


def passage_from(row: Mapping[str, Any]) -> Passage:
    """Rebuild a passage from its stored JSON object."""
    chunk = dict(row["chunk"])
    chunk["heading_path"] = tuple(chunk["heading_path"])
    chunk["readers"] = frozenset(chunk["readers"])
    chunk["places"] = tuple(Place(**item) for item in chunk.get("places", ()))
    return Passage(**{**row, "chunk": Chunk(**chunk), "allowed_by": tuple(row["allowed_by"])})
