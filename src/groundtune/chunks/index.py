"""What an index is: it searches chunks by words and by meaning, for one principal, and shows nothing that this principal may not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from groundtune.access.filter import Predicate
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Hit:
    """The id of a chunk that a search found, and its score there: higher is better, and comparable within one search only."""

    id: str
    score: float


class Index(Protocol):
    """Chunks that can be searched. Both searches filter before they rank, so hidden rows neither show nor use up the limit.

    Searches rank many and name them; ``chunks`` reads the few that are kept. ``allowed`` is what the asker may see; ``filter``
    (metadata name → value) can only narrow it. All methods may be called by several threads at once.
    """

    def keyword(self, text: str, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> list[Hit]:
        """Return up to ``limit`` chunks by BM25, best first. Any text is a query; none is an error."""
        ...

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> list[Hit]:
        """Return up to ``limit`` chunks by cosine with ``vector`` (d,), best first."""
        ...

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen, by id. The permission is asked again: an id is no proof of it."""
        ...

    def count(self) -> int:
        """Return how many chunks there are, hidden ones included."""
        ...


def search_text(chunk: Chunk) -> str:
    """Return what is searched for a chunk: its line of context (by default its title and headings), then its text."""
    context = chunk.context
    if context is None:
        context = " › ".join(dict.fromkeys(part for part in (chunk.title, *chunk.heading_path) if part))
    return f"{context}\n{chunk.text}" if context else chunk.text


def labels(metadata: Mapping[str, str]) -> list[str]:
    """Return metadata as the labels that a filter asks for, ``name=value``."""
    return [f"{name}={value}" for name, value in sorted(metadata.items())]
