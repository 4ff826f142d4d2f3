"""What a detector of unsupported sentences gives back: claims with their passages → the probability that these bear each out.

    detector.support([Claim(text="Free until 3 hours before.", passages=("… two hours before …",), question="…")])  →  [0.08]

A claim is anything with ``text``, ``passages`` and ``question``. The open models behind the built-in plug-ins are downloaded by their own
libraries, or read from a folder; none of them may run code of its own from a hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Claimed(Protocol):
    """A sentence, the texts that it has to stand on, and the question that it answers."""

    @property
    def text(self) -> str:
        """The sentence."""
        ...

    @property
    def passages(self) -> tuple[str, ...]:
        """The texts."""
        ...

    @property
    def question(self) -> str:
        """The question; empty where it is not known."""
        ...


class Detector(Protocol):
    """A detector. ``identity`` changes with anything that can change its values, and holds no ``|``."""

    identity: str

    def support(self, claims: Sequence[Claimed]) -> list[float]:
        """Return a probability, 0 to 1, for each claim."""
        ...
