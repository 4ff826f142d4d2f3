"""A chat model that says what it was told to: for tests, demos and trying out a project without a model.

ScriptedChat(["first answer", "second answer"])         in turn, from the start again after the last
ScriptedChat({"warranty": "Two years."})                by the first key that the last message contains; "" matches anything
ScriptedChat(lambda request: request.messages[-1]["content"].upper())
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.chat import Completion, Request, Token

Script = Sequence[str] | Mapping[str, str] | Callable[[Request], str]
_TOKEN = re.compile(r"\w+|[^\w\s]")
PER_MESSAGE = 4


def open(settings: Mapping[str, Any]) -> ScriptedChat:
    """Open the script in the JSON file that ``model`` names: a list or an object of texts. Raises ``ConfigError``."""
    path = Path(str(settings.get("model") or ""))
    hint = "name a JSON file as chat.model, then type: groundtune check"
    try:
        script = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: not a script ({error})", hint) from error
    texts = script.values() if isinstance(script, dict) else script
    if not isinstance(script, list | dict) or not script or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{path}: a script is a list of texts, or an object from part of a question to a text", hint)
    return ScriptedChat(script, context=int(settings.get("context") or 8192), batch=int(settings.get("batch") or 16))


class ScriptedChat:
    """Answers by rote. Tokens are words and marks; no time passes; ``calls`` keeps what it was asked.

    ``logprob`` gives the log-probability of a word or mark, where one is asked for; without it the model tells none.
    """

    def __init__(
        self,
        script: Script,
        *,
        context: int = 8192,
        batch: int = 16,
        name: str = "scripted",
        logprob: Callable[[str], float] | None = None,
    ) -> None:
        self.name = name
        self.context = context
        self.calls: list[dict[str, Any]] = []
        self._script = script
        self._rows = batch
        self._logprob = logprob
        self._next = 0
        # A function is known by its code; two of one text count as the same script.
        held = _source(script) if callable(script) else dict(script) if isinstance(script, Mapping) else list(script)
        self.fingerprint = fingerprint("scripted", held, context)

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return words and marks of all messages, and a few for each message's frame."""
        return sum(len(_TOKEN.findall(message["content"])) + PER_MESSAGE for message in messages)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return batches of neighbours in length, longest first."""
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
        """Say the script's text for each request, cut at ``limit`` tokens. A script that has no line for a question is a failure."""
        self.calls.append({"requests": tuple(requests), "limit": limit, "schema": schema, "adapter": adapter, "seed": seed})
        return [self._answer(request, limit, len(requests)) for request in requests]

    def _answer(self, request: Request, limit: int, batch: int) -> Completion:
        prompt = self.count(request.messages)
        text, failure = "", None
        if prompt + limit > self.context:
            failure = f"the prompt is {prompt:,} tokens; with {limit:,} for the answer that exceeds the context of {self.context:,} tokens"
        else:
            said = self._line(request)
            text, failure = ("", "the script has no line for this question") if said is None else (said, None)
        ends = [match.end() for match in _TOKEN.finditer(text)]
        truncated = len(ends) > limit
        text = text[: ends[limit - 1]] if truncated and limit > 0 else "" if truncated else text
        return Completion(
            text=text,
            prompt_tokens=prompt,
            completion_tokens=min(len(ends), limit),
            first_token_seconds=None if failure else 0.0,
            total_seconds=0.0,
            batch=batch,
            failure=failure,
            truncated=truncated,
            tokens=self._tokens(text) if request.logprobs and self._logprob and not failure else None,
        )

    def _tokens(self, text: str) -> tuple[Token, ...]:
        """Return words and marks, each with what stands before it, and the probability that the script gives the word."""
        found, reached = [], 0
        for match in _TOKEN.finditer(text):
            found.append(Token(text[reached : match.end()], self._logprob(match[0]) if self._logprob else None))
            reached = match.end()
        return (*found, Token(text[reached:], 0.0)) if reached < len(text) else tuple(found)

    def _line(self, request: Request) -> str | None:
        if callable(self._script):
            return self._script(request)
        if isinstance(self._script, Mapping):
            asked = request.messages[-1]["content"]
            return next((text for key, text in self._script.items() if key in asked), None)
        self._next += 1
        return self._script[(self._next - 1) % len(self._script)] if self._script else None


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__name__)
