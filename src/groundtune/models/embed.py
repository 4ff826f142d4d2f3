"""What an embedder gives back: texts → unit vectors, so that a dot product is a cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
else:
    Vectors = Any


class Embed(Protocol):
    """An embedder. ``fingerprint`` changes with anything that can change a vector; texts over ``max_tokens`` are cut there."""

    name: str
    fingerprint: str
    dimensions: int
    max_tokens: int

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        ...

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return float32 vectors of unit length, shape (len(texts), dimensions), in the order of the texts."""
        ...

    def query(self, text: str) -> Vectors:
        """Return the vector of one question, shape (dimensions,)."""
        ...
