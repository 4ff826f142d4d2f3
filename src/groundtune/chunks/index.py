"""What an index is: it searches chunks by words and by meaning, for one principal, and shows nothing that this principal may not see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from groundtune.access.filter import Predicate
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

Found = list[tuple[Chunk, float]]


class Index(Protocol):
    """Chunks that can be searched. Both searches filter before they rank, so hidden rows neither show nor use up the limit.

    ``allowed`` is what the asker may see; ``filter`` (metadata name → value) can only narrow it.
    """

    def keyword(self, text: str, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> Found:
        """Return up to ``limit`` chunks by BM25, best first. Any text is a query; none is an error."""
        ...

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> Found:
        """Return up to ``limit`` chunks by cosine with ``vector`` (d,), best first."""
        ...

    def count(self) -> int:
        """Return how many chunks there are, hidden ones included."""
        ...


def search_text(chunk: Chunk) -> str:
    """Return what is searched for a chunk: its title and headings as a line of context, then its text."""
    context = " › ".join(dict.fromkeys(part for part in (chunk.title, *chunk.heading_path) if part))
    return f"{context}\n{chunk.text}" if context else chunk.text


def labels(metadata: Mapping[str, str]) -> list[str]:
    """Return metadata as the labels that a filter asks for, ``name=value``."""
    return [f"{name}={value}" for name, value in sorted(metadata.items())]
