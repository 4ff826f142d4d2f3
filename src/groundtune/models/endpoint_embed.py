"""Embedders behind HTTP, in two dialects: what OpenAI and most servers speak, and Cohere's, which tells questions from documents.

    openai  POST {base_url}/embeddings  {"model", "input": [texts], "encoding_format": "float"}
            ←                           {"data": [{"index": 0, "embedding": [...]}, …], "usage": {"total_tokens": 12}}
    cohere  POST {base_url}/embed       {"model", "texts", "input_type": "search_document" | "search_query", "embedding_types": ["float"]}
            ←                           {"embeddings": {"float": [[...], …]}, "meta": {"billed_units": {"input_tokens": 12}}}

Models that were trained with words before the text (E5's "query: " and "passage: ") get them by ``query_prefix`` and ``document_prefix``.
Vectors of documents are kept by content hash in the index's cache; those of the last questions are kept here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from groundtune.errors import EndpointError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.embed import Vectors
from groundtune.models.usage import Usage
from groundtune.models.wire import Refused, Wire, text_tokens

CHECK = "see that the server runs and {table}.base_url, model and key_env are right, then type: groundtune check"
TOKENS = 512
# A rule of thumb of English tokenizers, rounded up so that a prompt is rather counted too long than too short.
CHARACTERS_PER_TOKEN = 3
# Cohere refuses requests of more texts.
MOST_COHERE = 96
MOST_QUESTIONS = 1024


def open_embed(settings: Mapping[str, Any]) -> EndpointEmbed:
    """Open a remote embedder: ``model``, ``base_url``, ``key_env``, ``timeout_seconds``, ``retries``, ``context``, ``batch``, prefixes.

    Asks the server for one vector, to learn its dimensions.
    """
    return EndpointEmbed(settings, dialect="openai")


def open_cohere(settings: Mapping[str, Any]) -> EndpointEmbed:
    """Open an embedder that speaks Cohere's version 2, with the same keys; ``base_url`` is up to and with /v2."""
    return EndpointEmbed(settings, dialect="cohere")


class EndpointEmbed:
    """A remote embedder. Vectors are normalised here, whatever the server does. ``usage`` counts what was asked for."""

    def __init__(self, settings: Mapping[str, Any], dialect: str = "openai") -> None:
        self._wire = Wire(settings, "embed")
        self._dialect = dialect
        self.name = self._wire.model
        self.max_tokens = int(settings.get("context") or TOKENS)
        most = max(1, int(settings.get("batch") or 32))
        self._batch = min(most, MOST_COHERE) if dialect == "cohere" else most
        self._prefixes = {kind: str(settings.get(f"{kind}_prefix") or "") for kind in ("document", "query")}
        self.usage = Usage(million=float(settings.get("million") or 0.0))
        self._questions: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()
        self.dimensions = 0
        self.dimensions = len(self._ask(["dimensions"], "query")[0])
        said = [dialect, self._prefixes] if dialect != "openai" or any(self._prefixes.values()) else []
        self.fingerprint = fingerprint("endpoint-embed", self._wire.base_url, self.name, self.dimensions, self.max_tokens, *said)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return a cautious estimate of each text's tokens: the server's tokenizer is not known here."""
        return [-(-len(text) // CHARACTERS_PER_TOKEN) + 2 for text in texts]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return float32 unit vectors, shape (len(texts), dimensions). Raises ``EndpointError`` when one is missing or of another size."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for batch in by_length([len(text) for text in texts], self._batch):
            vectors[batch] = self._ask([texts[index] for index in batch], "document")
        return vectors

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (dimensions,). One that was asked for lately is not asked for again."""
        with self._lock:
            known = self._questions.get(text)
            if known is not None:
                self._questions.move_to_end(text)
                return known
        vector: Vectors = self._ask([text], "query")[0]
        vector.flags.writeable = False
        with self._lock:
            self._questions[text] = vector
            while len(self._questions) > MOST_QUESTIONS:
                self._questions.popitem(last=False)
        return vector

    def _ask(self, texts: list[str], kind: str) -> Vectors:
        sent = [self._prefixes[kind] + text for text in texts]
        try:
            answer = self._send(sent, kind)
        except Refused as error:
            raise EndpointError(f"{self.name} at {self._wire.base_url}: {error}", CHECK.format(table="embed")) from error
        vectors = self._read(answer, len(texts))
        self.usage.add(answer, sum(text_tokens(text) for text in sent))
        return vectors

    def _send(self, texts: list[str], kind: str) -> Any:
        if self._dialect == "cohere":
            body = {"model": self.name, "texts": texts, "input_type": f"search_{kind}", "embedding_types": ["float"]}
            return self._wire.post("/embed", body, 0)
        return self._wire.post("/embeddings", {"model": self.name, "input": texts, "encoding_format": "float"}, 0)

    def _read(self, answer: Any, count: int) -> Vectors:
        """Return the unit vectors of an answer. Raises ``EndpointError`` on anything that is not ``count`` vectors of one size."""
        try:
            if self._dialect == "cohere":
                given = list(enumerate(answer["embeddings"]["float"]))
            else:
                given = sorted((row["index"], row["embedding"]) for row in answer["data"])
            places = [place for place, _ in given]
            vectors = [np.asarray(values, dtype=np.float32) for _, values in given]
        except (KeyError, TypeError, ValueError):
            raise self._wrong("answered something that is not a list of embeddings") from None
        if places != list(range(count)):
            raise self._wrong(f"gave {len(places)} vectors for {count} texts")
        sizes = {vector.shape for vector in vectors}
        expected = (self.dimensions,) if self.dimensions else next(iter(sizes))
        if sizes != {expected} or len(expected) != 1 or expected[0] < 1:
            shown = sorted(size[0] if len(size) == 1 else 0 for size in sizes)
            raise self._wrong(f"gave vectors of {shown} dimensions, expected {expected[0] if expected else 'one axis'}")
        stacked = np.stack(vectors)
        norms = np.linalg.norm(stacked, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms == 0).any():
            raise self._wrong("gave a vector of zeros, or one that is not finite")
        unit: Vectors = stacked / norms
        return unit

    def _wrong(self, what: str) -> EndpointError:
        return EndpointError(f"{self.name} at {self._wire.base_url} {what}", CHECK.format(table="embed"))
