"""What a reranker gives back: a question and texts → one number a text, higher for what answers it better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Rerank(Protocol):
    """A reranker. ``fingerprint`` changes with anything that can change a score."""

    name: str
    fingerprint: str

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one finite score a text, in the order of the texts; comparable within one question only."""
        ...
