"""A reranker behind HTTP, as Cohere, Jina, vLLM and others offer it.

POST {base_url}/rerank   {"model", "query", "documents": [texts], "top_n"}
←                        {"results": [{"index": 1, "relevance_score": 0.98}, …]}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import EndpointError
from groundtune.files import fingerprint
from groundtune.models.usage import Usage
from groundtune.models.wire import Refused, Wire, text_tokens

CHECK = "see that the server runs and rerank.base_url, model and key_env are right, then type: groundtune check"


def open(settings: Mapping[str, Any]) -> EndpointRerank:
    """Open a remote reranker: ``model``, ``base_url``, ``key_env``, ``timeout_seconds``, ``retries``, ``batch`` (texts of one request)."""
    return EndpointRerank(settings)


class EndpointRerank:
    """A remote reranker. One that cannot be reached is an error: passages in another order than was measured are no fallback."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._wire = Wire(settings, "rerank")
        self.name = self._wire.model
        self._batch = max(1, int(settings.get("batch") or 100))
        self.usage = Usage(million=float(settings.get("million") or 0.0))
        self.fingerprint = fingerprint("endpoint-rerank", self._wire.base_url, self.name)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the server's scores. Raises ``EndpointError`` when it gives none, or not one for each text."""
        found: list[float] = []
        for begin in range(0, len(texts), self._batch):
            found += self._ask(question, list(texts[begin : begin + self._batch]))
        return found

    def _ask(self, question: str, texts: list[str]) -> list[float]:
        body = {"model": self.name, "query": question, "documents": texts, "top_n": len(texts)}
        try:
            answer = self._wire.post("/rerank", body, 0)
        except Refused as error:
            raise EndpointError(f"{self.name} at {self._wire.base_url}: {error}", CHECK) from error
        try:
            scores = {int(row["index"]): float(row["relevance_score"]) for row in answer["results"]}
            rows = len(answer["results"])
        except (KeyError, TypeError, ValueError):
            raise self._wrong("answered something that is not a list of scores") from None
        if rows != len(texts) or set(scores) != set(range(len(texts))):
            raise self._wrong(f"gave {rows} scores for {len(texts)} texts")
        if not all(math.isfinite(score) for score in scores.values()):
            raise self._wrong("gave a score that is not a number")
        self.usage.add(answer, sum(text_tokens(text) + text_tokens(question) for text in texts))
        return [scores[place] for place in range(len(texts))]

    def _wrong(self, what: str) -> EndpointError:
        return EndpointError(f"{self.name} at {self._wire.base_url} {what}", CHECK)
