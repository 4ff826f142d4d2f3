"""The default embedder's own word pieces as a reranker: late interaction, no weights beside those that are there.

    score = mean over the question's pieces of (cosine with the text's piece that is most like it)

This is ColBERT's MaxSim (Khattab and Zaharia 2020) on an encoder that was not trained for it. It sees which words of the question a text
speaks of, where the mean of a text blurs them. One text costs as much as embedding it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from groundtune.files import fingerprint
from groundtune.models.minilm import MiniLM


def open(settings: Mapping[str, Any]) -> MiniLMRerank:
    """Open the reranker. There is nothing to set."""
    del settings
    return MiniLMRerank(MiniLM())


class MiniLMRerank:
    """MaxSim over all-MiniLM-L6-v2's last hidden states; the two special pieces are left out."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model
        self.name = f"{model.name}-maxsim"
        self.fingerprint = fingerprint("minilm-maxsim", model.fingerprint, 1)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return scores from -1 to 1. A question without a word piece scores 0 everywhere."""
        if not texts:
            return []
        asked = self._model.pieces(question)
        with ThreadPoolExecutor(self._model.threads) as pool:
            held = list(pool.map(self._model.pieces, texts))
        return [float(np.max(pieces @ asked.T, axis=0).mean()) if len(asked) and len(pieces) else 0.0 for pieces in held]
