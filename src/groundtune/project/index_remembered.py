"""Index, embedder, reranker and chat model that are asked each thing once, for a search over settings that ask most things again and again.

RememberedIndex(index).keyword("slot", …, 40)   the first time: 100 hits of the index, of which 40 are given; then from memory
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.conditions import parts_of
from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.index import Hit, Index
from groundtune.files import fingerprint
from groundtune.models.chat import Chat, Completion, Request
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

    from groundtune.models.embed import Embed
    from groundtune.models.rerank import Rerank


class RememberedIndex:
    """An index that is asked each thing once. A shorter ranking is the beginning of a longer one."""

    DEEPEST = 100

    def __init__(self, index: Index) -> None:
        self.index = index
        self._hits: dict[Any, list[Hit]] = {}
        self._chunks: dict[tuple[str, Predicate], Chunk | None] = {}

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Return what the index ranks by words."""
        key = ("keyword", text, allowed, tuple(parts_of(filter)), max(limit, self.DEEPEST))
        if key not in self._hits:
            self._hits[key] = self.index.keyword(text, allowed, filter, max(limit, self.DEEPEST))
        return self._hits[key][:limit]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Return what the index ranks by meaning."""
        key = ("dense", vector.tobytes(), allowed, tuple(parts_of(filter)), max(limit, self.DEEPEST))
        if key not in self._hits:
            self._hits[key] = self.index.dense(vector, allowed, filter, max(limit, self.DEEPEST))
        return self._hits[key][:limit]

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks that this asker may see."""
        new = [item for item in ids if (item, allowed) not in self._chunks]
        if new:
            read = self.index.chunks(new, allowed)
            self._chunks.update({(item, allowed): read.get(item) for item in new})
        known = {item: self._chunks[item, allowed] for item in ids}
        return {item: chunk for item, chunk in known.items() if chunk is not None}

    def count(self) -> int:
        """Return how many chunks there are."""
        return self.index.count()


class RememberedQueries:
    """An embedder that embeds each question once; documents (an imagined passage) are embedded as they come."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, np.ndarray] = {}
        self.name, self.fingerprint = embed.name, embed.fingerprint
        self.dimensions, self.max_tokens = embed.dimensions, embed.max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        return self._embed.count(texts)

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts."""
        return self._embed.documents(texts)

    def query(self, text: str) -> np.ndarray:
        """Return the vector of a question."""
        if text not in self._known:
            self._known[text] = self._embed.query(text)
        return self._known[text]


class RememberedRerank:
    """A reranker that is shown each text with a question once."""

    def __init__(self, rerank: Rerank) -> None:
        self.rerank = rerank
        self.name, self.fingerprint = rerank.name, rerank.fingerprint
        self._known: dict[tuple[str, str], float] = {}

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score a text."""
        new = list(dict.fromkeys(text for text in texts if (question, text) not in self._known))
        if new:
            self._known.update(zip(((question, text) for text in new), self.rerank.scores(question, new), strict=True))
        return [self._known[question, text] for text in texts]


class RememberedChat:
    """A chat model that answers each request once: what it writes for a question does not depend on the index."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self.name, self.fingerprint, self.context = chat.name, chat.fingerprint, chat.context
        self._known: dict[str, Completion] = {}

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return how many tokens the prompt has."""
        return self._chat.count(messages)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return the batches it would like."""
        return self._chat.plan(requests)

    def complete(
        self,
        requests: Sequence[Request],
        *,
        limit: int,
        schema: Mapping[str, Any] | None = None,
        adapter: Path | None = None,
        seed: int = 0,
    ) -> list[Completion]:
        """Answer what was not answered before; a failure is not remembered."""
        found = []
        for request in requests:
            key = fingerprint([dict(message) for message in request.messages], request.logprobs, limit, schema, str(adapter), seed)
            done = self._known.get(key)
            if done is None:
                [done] = self._chat.complete([request], limit=limit, schema=schema, adapter=adapter, seed=seed)
                if not done.failure:
                    self._known[key] = done
            found.append(done)
        return found
