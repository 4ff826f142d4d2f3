"""A stand-in embedder for tests and offline demos: words hashed into a vector. It knows which words two texts share, and no meaning.

documents(["two years warranty"]) → float32 (1, 256), unit length; the same words in any order give the same vector
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groundtune.files import fingerprint
from groundtune.models.embed import Vectors

_WORD = re.compile(r"\w+|[^\w\s]")


def open(settings: Mapping[str, Any]) -> HashedEmbed:
    """Open the stand-in; a number in ``model`` (``hashed-128``) sets the dimensions."""
    found = re.search(r"hashed-(\d+)$", str(settings.get("model") or ""))
    return HashedEmbed(dimensions=int(found[1]) if found else 256)


class HashedEmbed:
    """Signed feature hashing of lower-cased words (Weinberger et al. 2009). Not for real use: it finds no synonym."""

    def __init__(self, *, dimensions: int = 256, seed: int = 0, max_tokens: int = 512) -> None:
        if dimensions < 1:
            raise ValueError("a vector needs at least one dimension")
        self.name = f"hashed-{dimensions}"
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.fingerprint = fingerprint("hashed", dimensions, seed, max_tokens, 1)
        self._key = seed.to_bytes(8, "little", signed=True)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words and marks in each text, plus two, as a real tokenizer adds special tokens."""
        return [len(_WORD.findall(text)) + 2 for text in texts]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, shape (len(texts), dimensions). A text without words gets a fixed vector of its own."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower())[: self.max_tokens]:
                digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8, key=self._key).digest(), "little")
                vectors[row, (digest >> 1) % self.dimensions] += 1.0 if digest & 1 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (dimensions,)."""
        vector: Vectors = self.documents([text])[0]
        return vector
