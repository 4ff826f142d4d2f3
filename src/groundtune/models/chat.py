"""What a chat model is asked and what it gives back: messages → text, with tokens, seconds and, if need be, why it failed.

    Request(messages=({"role": "user", "content": "How long is the warranty?"},))
    → Completion(text="Two years.", prompt_tokens=41, completion_tokens=4, first_token_seconds=0.2, total_seconds=0.5, batch=8)

A failed request is a value with ``failure`` set, so that it is counted against whoever asked and the others of its batch go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversation to be continued. Each message has a ``role`` (system, user, assistant) and a ``content``.

    ``logprobs`` asks for the probabilities of the tokens that come back; a model that cannot tell them leaves them out.
    """

    messages: tuple[Mapping[str, str], ...]
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, and the natural logarithm of its probability; ``None`` where a schema left no choice."""

    text: str
    logprob: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What came back for one request.

    ``first_token_seconds`` and ``total_seconds`` are wall clock from the start of the batch; the first is ``None`` where it cannot be
    seen. ``batch`` is how many requests ran together. ``completion_tokens`` leaves the end mark out. ``truncated`` is true when the
    token limit ended the text. ``failure`` says why there is no text. ``tokens``, put together, are the text; ``None`` where nobody asked
    for probabilities or the model does not tell them.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    first_token_seconds: float | None
    total_seconds: float
    batch: int
    failure: str | None = None
    truncated: bool = False
    tokens: tuple[Token, ...] | None = None

    @property
    def mean_logprob(self) -> float | None:
        """The mean log-probability of the tokens that were a choice; ``None`` where it is not known."""
        chosen = [token.logprob for token in self.tokens or () if token.logprob is not None]
        return sum(chosen) / len(chosen) if chosen else None


class Chat(Protocol):
    """A chat model. ``fingerprint`` changes with anything that can change its words; ``context`` is in tokens."""

    name: str
    fingerprint: str
    context: int

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return how many tokens the prompt has after the chat template."""
        ...

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return the batches it would like, as indices into ``requests``; a function of the requests alone."""
        ...

    def complete(
        self,
        requests: Sequence[Request],
        *,
        limit: int,
        schema: Mapping[str, Any] | None = None,
        adapter: Path | None = None,
        seed: int = 0,
    ) -> list[Completion]:
        """Answer one batch, in order, with at most ``limit`` tokens each.

        ``schema`` is a JSON schema that every text must fit; ``adapter`` a folder of adapter weights to answer with.
        """
        ...
