"""Any object with ``documents(texts)`` and ``query(text)`` that returns plain lists of numbers → our ``Embed``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from groundtune.errors import ModelError
from groundtune.files import fingerprint
from groundtune.models.embed import Vectors

PROBE = "Groundtune asks once what a vector looks like."


class Wrapped:
    """Another library's embedder, its vectors brought to unit length.

    ``name`` has to name the model: it is in the fingerprint, with the vector of a probe sentence to three digits, so that another model
    behind the same name is told apart. ``count`` returns the tokens of a text; without it, a token is taken to be three bytes of
    UTF-8, which overstates most texts and so keeps chunks within ``max_tokens``.
    """

    def __init__(
        self,
        documents: Callable[[list[str]], Sequence[Sequence[float]]],
        query: Callable[[str], Sequence[float]],
        *,
        name: str,
        max_tokens: int,
        count: Callable[[str], int] | None = None,
    ) -> None:
        self._documents, self._query, self._count = documents, query, count
        self.name = name
        self.max_tokens = max_tokens
        probe = _units(documents([PROBE]), 1, name)[0]
        self.dimensions = len(probe)
        self.fingerprint = fingerprint("wrapped", name, max_tokens, [round(float(value), 3) + 0.0 for value in probe])

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, or about that."""
        if self._count is not None:
            return [self._count(text) for text in texts]
        return [-(-len(text.encode("utf-8", "replace")) // 3) + 2 for text in texts]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, float32 (len(texts), dimensions). Raises ``ModelError`` for anything else than such numbers."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return _units(self._documents(list(texts)), len(texts), self.name, self.dimensions)

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, float32 (dimensions,)."""
        vector: Vectors = _units([self._query(text)], 1, self.name, self.dimensions)[0]
        return vector


def _units(given: Sequence[Sequence[float]], rows: int, name: str, dimensions: int | None = None) -> Vectors:
    hint = "try it by itself: it has to return one list of numbers for each text"
    try:
        vectors = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the embedder {name} returned no numbers: {error}", hint) from error
    if vectors.ndim != 2 or len(vectors) != rows or dimensions not in (None, vectors.shape[1]) or not vectors.shape[1]:
        raise ModelError(f"the embedder {name} returned shape {vectors.shape} for {rows} texts (dimensions: {dimensions})", hint)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or not (lengths > 0).all():
        raise ModelError(f"the embedder {name} returned a vector of zeros or of what is not a number", hint)
    units: Vectors = vectors / lengths
    return units
