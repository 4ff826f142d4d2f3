"""Models behind an OpenAI-compatible server (vLLM, Ollama, llama.cpp, OpenAI): chat and embeddings by HTTP.

    POST {base_url}/chat/completions   {"model", "messages", "max_tokens", "temperature": 0, "seed", "response_format"?}
    POST {base_url}/embeddings         {"model", "input": [texts]}

The key is read from the environment variable that ``key_env`` names and goes into one header; it is in no message and no log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.errors import EndpointError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.chat import Completion, Request
from groundtune.models.embed import Vectors
from groundtune.models.wire import Refused, Wire, text_tokens

CHECK = "see that the server runs and {table}.base_url, model and key_env are right, then type: groundtune check"
CONTEXT = 8192
EMBED_TOKENS = 512
# A rule of thumb of English tokenizers, rounded up so that a prompt is rather counted too long than too short.
CHARACTERS_PER_TOKEN = 3
PER_MESSAGE = 4
NEW_LIMIT = "max_completion_tokens"
# Wrong key, not allowed, no such model or path: the next question would fare no better.
HOPELESS = (401, 403, 404)


def open_chat(settings: Mapping[str, Any]) -> EndpointChat:
    """Open a remote chat model: ``model``, ``base_url``, ``key_env``, ``timeout_seconds``, ``retries``, ``context``, ``batch``."""
    return EndpointChat(settings)


def open_embed(settings: Mapping[str, Any]) -> EndpointEmbed:
    """Open a remote embedder, with the same keys. Asks the server for one vector, to learn its dimensions."""
    return EndpointEmbed(settings)


class EndpointChat:
    """A remote chat model. The requests of a batch are sent at the same time, each retried by itself."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._wire = Wire(settings, "chat")
        self.name = self._wire.model
        self.context = int(settings.get("context") or CONTEXT)
        self._rows = max(1, int(settings.get("batch") or 16))
        self._limit_name = "max_tokens"
        # Whoever runs the server can change the model under its name; nothing here can see that.
        self.fingerprint = fingerprint("endpoint-chat", self._wire.base_url, self.name, self.context)

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return a cautious estimate of the prompt's tokens: the server's tokenizer is not known here."""
        return sum(-(-len(message["content"]) // CHARACTERS_PER_TOKEN) + PER_MESSAGE for message in messages)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return batches of neighbours in length, longest first, of at most ``batch`` requests."""
        return by_length([self.count(request.messages) for request in requests], self._rows)

    def complete(
        self,
        requests: Sequence[Request],
        *,
        limit: int,
        schema: Mapping[str, Any] | None = None,
        adapter: Path | None = None,
        seed: int = 0,
    ) -> list[Completion]:
        """Answer one batch, in order; what the server refuses or never answers is a failure.

        Raises ``EndpointError`` where no question could be answered: the key is wrong, the model or path unknown, an adapter asked for.
        """
        if adapter is not None:
            raise EndpointError(
                f"{self.name} is behind {self._wire.base_url} and cannot take the adapter {adapter.name}",
                "serve the adapter there under a name of its own and set chat.model to it, then type: groundtune check",
            )
        body: dict[str, Any] = {"model": self.name, "max_tokens": limit, "temperature": 0, "seed": seed}
        if schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": dict(schema)}}
        bodies = [body | {"messages": [dict(message) for message in request.messages]} for request in requests]
        began = time.perf_counter()
        with ThreadPoolExecutor(max_workers=max(1, min(len(bodies), self._rows))) as pool:
            tasks = [pool.submit(self._one, body, seed + place, len(bodies), began) for place, body in enumerate(bodies)]
            return [task.result() for task in tasks]

    def _one(self, body: Mapping[str, Any], seed: int, batch: int, began: float) -> Completion:
        text, failure, prompt, completion, truncated = "", None, 0, 0, False
        try:
            text, prompt, completion, truncated = _read(self._post(body, seed))
        except Refused as error:
            if error.status in HOPELESS:
                raise EndpointError(f"{self.name} at {self._wire.base_url}: {error}", CHECK.format(table="chat")) from error
            failure = str(error)
        return Completion(
            text=text,
            prompt_tokens=prompt or self.count(body["messages"]),
            completion_tokens=completion or text_tokens(text),
            # Without streaming the first token cannot be told from the last.
            first_token_seconds=None,
            total_seconds=time.perf_counter() - began,
            batch=batch,
            failure=failure,
            truncated=truncated,
        )

    def _post(self, body: Mapping[str, Any], seed: int) -> Any:
        """Send under the name for the token limit that this server takes: newer models of OpenAI refuse the old one."""
        try:
            return self._wire.post("/chat/completions", _renamed(body, self._limit_name), seed)
        except Refused as error:
            if error.status != 400 or self._limit_name == NEW_LIMIT or NEW_LIMIT not in str(error):
                raise
        self._limit_name = NEW_LIMIT
        return self._wire.post("/chat/completions", _renamed(body, NEW_LIMIT), seed)


def _renamed(body: Mapping[str, Any], limit_name: str) -> dict[str, Any]:
    return {limit_name if key == "max_tokens" else key: value for key, value in body.items()}


def _read(answer: Any) -> tuple[str, int, int, bool]:
    """Return text, prompt tokens, completion tokens (0: not told) and whether it was cut. Raises ``Refused``."""
    try:
        choice = answer["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text = message.get("content")
        usage = answer.get("usage") or {}
        counted = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise Refused("the server answered something that is not a chat completion") from None
    if not isinstance(text, str):
        refusal = message.get("refusal")
        raise Refused(f"the server gave no text (finish reason {ended!r})" + (f": {refusal}" if isinstance(refusal, str) else ""))
    return text, *counted, ended == "length"


class EndpointEmbed:
    """A remote embedder. Vectors are normalised here, whatever the server does."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._wire = Wire(settings, "embed")
        self.name = self._wire.model
        self.max_tokens = int(settings.get("context") or EMBED_TOKENS)
        self._batch = max(1, int(settings.get("batch") or 32))
        self.dimensions = 0
        self.dimensions = len(self._ask(["dimensions"])[0])
        self.fingerprint = fingerprint("endpoint-embed", self._wire.base_url, self.name, self.dimensions, self.max_tokens)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return a cautious estimate of each text's tokens: the server's tokenizer is not known here."""
        return [-(-len(text) // CHARACTERS_PER_TOKEN) + 2 for text in texts]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return float32 unit vectors, shape (len(texts), dimensions). Raises ``EndpointError`` when one is missing or of another size."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for batch in by_length([len(text) for text in texts], self._batch):
            vectors[batch] = self._ask([texts[index] for index in batch])
        return vectors

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (dimensions,)."""
        vector: Vectors = self.documents([text])[0]
        return vector

    def _ask(self, texts: list[str]) -> Vectors:
        try:
            answer = self._wire.post("/embeddings", {"model": self.name, "input": texts, "encoding_format": "float"}, 0)
        except Refused as error:
            raise EndpointError(f"{self.name} at {self._wire.base_url}: {error}", CHECK.format(table="embed")) from error
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            places = [row["index"] for row in rows]
            vectors = [np.asarray(row["embedding"], dtype=np.float32) for row in rows]
        except (KeyError, TypeError, ValueError):
            raise self._wrong("answered something that is not a list of embeddings") from None
        if places != list(range(len(texts))):
            raise self._wrong(f"gave {len(places)} vectors for {len(texts)} texts")
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
