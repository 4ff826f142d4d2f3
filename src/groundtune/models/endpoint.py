"""Chat models behind an OpenAI-compatible server (vLLM, Ollama, llama.cpp, OpenAI). Embedders are in ``endpoint_embed``.

    POST {base_url}/chat/completions   {"model", "messages", "max_tokens", "temperature": 0, "seed", "response_format"?, "logprobs"?}

The key is read from the environment variable that ``key_env`` names and goes into one header; it is in no message and no log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from groundtune.errors import EndpointError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.chat import Completion, Request, Token
from groundtune.models.endpoint_embed import CHARACTERS_PER_TOKEN, CHECK, EndpointEmbed, open_embed
from groundtune.models.wire import Refused, Wire, text_tokens

__all__ = ["EndpointChat", "EndpointEmbed", "open_chat", "open_embed"]

CONTEXT = 8192
PER_MESSAGE = 4
NEW_LIMIT = "max_completion_tokens"
# Wrong key, not allowed, no such model or path: the next question would fare no better.
HOPELESS = (401, 403, 404)


def open_chat(settings: Mapping[str, Any]) -> EndpointChat:
    """Open a remote chat model: ``model``, ``base_url``, ``key_env``, ``timeout_seconds``, ``retries``, ``context``, ``batch``."""
    return EndpointChat(settings)


class EndpointChat:
    """A remote chat model. The requests of a batch are sent at the same time, each retried by itself."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._wire = Wire(settings, "chat")
        self.name = self._wire.model
        self.context = int(settings.get("context") or CONTEXT)
        self._rows = max(1, int(settings.get("batch") or 16))
        self._limit_name = "max_tokens"
        self._tells_logprobs = True
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
        bodies = [
            body | {"messages": [dict(message) for message in request.messages]} | ({"logprobs": True} if request.logprobs else {})
            for request in requests
        ]
        began = time.perf_counter()
        with ThreadPoolExecutor(max_workers=max(1, min(len(bodies), self._rows))) as pool:
            tasks = [pool.submit(self._one, body, seed + place, len(bodies), began) for place, body in enumerate(bodies)]
            return [task.result() for task in tasks]

    def _one(self, body: Mapping[str, Any], seed: int, batch: int, began: float) -> Completion:
        text, failure, prompt, completion, truncated = "", None, 0, 0, False
        tokens: tuple[Token, ...] | None = None
        try:
            answer = self._post(body, seed)
            text, prompt, completion, truncated = _read(answer)
            tokens = _tokens(answer, text) if body.get("logprobs") else None
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
            tokens=tokens,
        )

    def _post(self, body: Mapping[str, Any], seed: int) -> Any:
        """Send as this server takes it: newer models of OpenAI refuse the old name of the token limit, some servers token probabilities."""
        while True:
            sent = _renamed(body, self._limit_name)
            if not self._tells_logprobs:
                sent.pop("logprobs", None)
            try:
                return self._wire.post("/chat/completions", sent, seed)
            except Refused as error:
                if error.status not in (400, 422):
                    raise
                if NEW_LIMIT in str(error) and NEW_LIMIT not in sent:
                    self._limit_name = NEW_LIMIT
                elif "logprobs" in str(error) and "logprobs" in sent:
                    self._tells_logprobs = False
                else:
                    raise


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


def _tokens(answer: Any, text: str) -> tuple[Token, ...] | None:
    """Return the text's tokens with their log-probabilities; ``None`` where the server tells none, or some that are not of this text."""
    try:
        rows = answer["choices"][0]["logprobs"]["content"]
        found = tuple(Token(str(row["token"]), float(row["logprob"])) for row in rows)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    whole = all(token.logprob is not None and math.isfinite(token.logprob) and token.logprob < 1e-3 for token in found)
    # A letter of several tokens comes in pieces that no text can hold, so only the length can tell that they belong together.
    return found if found and whole and len("".join(token.text for token in found)) >= len(text) else None
