"""What an endpoint has taken so far: requests, tokens and money, by what the server says, or estimated where it says nothing.

OpenAI, Jina  {"usage": {"total_tokens": 12}}
Cohere        {"meta": {"billed_units": {"input_tokens": 12}}}   {"meta": {"billed_units": {"search_units": 1}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any


@dataclass(slots=True)
class Usage:
    """Counted per request, by any thread. ``million`` is the price of a million tokens; ``estimated`` counts tokens nobody confirmed."""

    million: float = 0.0
    requests: int = 0
    tokens: int = 0
    estimated: int = 0
    units: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def cost(self) -> float:
        """Money for the tokens. Search units, which some rerankers bill instead, are in ``units`` and not in here."""
        return self.tokens / 1e6 * self.million

    def add(self, answer: Any, guess: int) -> None:
        """Count one answered request; ``guess`` is taken for its tokens where the answer names neither tokens nor units."""
        told, units = _told(answer)
        with self._lock:
            self.requests += 1
            self.units += units
            self.tokens += told if told or units else guess
            self.estimated += 0 if told or units else guess


def _told(answer: Any) -> tuple[int, int]:
    if not isinstance(answer, Mapping):
        return 0, 0
    usage = _mapping(answer.get("usage"))
    billed = _mapping(_mapping(answer.get("meta")).get("billed_units"))
    tokens = usage.get("total_tokens") or usage.get("prompt_tokens") or billed.get("input_tokens")
    return _count(tokens), _count(billed.get("search_units"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15 else 0
