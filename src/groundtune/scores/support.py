"""Whether the passages shown bear out what an answer says: sentence by sentence, by an ensemble that needs no download.

    Claim(text="Slots are free until 3 hours before.", passages=("Slots can be cancelled …",), question="How late may I cancel?")
    → 13 lexical numbers, 3 cosines, 5 log-likelihoods → logistic regression → 0.21, not supported

What is at hand decides which fitted weights are taken: ``words`` alone, with ``meaning`` (an embedder), with ``likelihood`` (how much
more likely the passages make the sentence to a language model); a kind without fitted weights is refused. They were fitted on the dev part
of BEGIN's Wizard of Wikipedia replies (Dziri et al. 2022) by ``benchmarks/groundedness.py``, which prints what they reach on its test part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from groundtune.errors import StateError
from groundtune.scores import lexical
from groundtune.scores.claims import sentences
from groundtune.scores.scorer import Context, Mark, Metric
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.scores.logistic import Weights

THRESHOLD = 0.5
FILE = "support.json"
MEANING = ("cosine_best", "cosine_whole", "cosine_asked")
LIKELIHOOD = ("likely", "likely_gain", "likely_least", "likely_helped", "likely_surprises")
# A token that the model gives less than this comes as a surprise.
SURPRISE = -4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence, the texts that it has to stand on, and the question that it answers (empty: not known)."""

    text: str
    passages: tuple[str, ...]
    question: str = ""


class Support(Protocol):
    """What tells how well claims are borne out. ``identity`` names it and all that its values depend on, without ``|``."""

    identity: str

    def support(self, claims: Sequence[Any]) -> list[float]:
        """Return for each claim the probability, 0 to 1, that its passages bear it out."""
        ...


Embedded = Callable[[Sequence[str]], Any]  # texts → unit vectors, (len(texts), width)
# (prompt, continuation) pairs → the log-likelihood of each token of each continuation, natural logarithm
Likelihoods = Callable[[Sequence[tuple[str, str]]], list[list[float]]]


class Ensemble:
    """The fitted ensemble. ``embed`` and ``likelihoods`` are what is at hand; ``named`` says what these are."""

    def __init__(self, embed: Embedded | None = None, likelihoods: Likelihoods | None = None, *, named: str = "") -> None:
        self._embed, self._likelihoods = embed, likelihoods
        parts = ["words", *(["meaning"] if embed else []), *(["likelihood"] if likelihoods else [])]
        fitted, digest = _fitted()
        self.kind = "+".join(parts)
        if self.kind not in fitted:
            raise StateError(
                f"no weights were fitted for {self.kind}; there are weights for {', '.join(fitted)}",
                "set scores.detector to one of these parts, then type: groundtune check",
            )
        self._weights: Weights = fitted[self.kind]
        self.identity = f"ensemble:{self.kind},weights:{digest}" + (f",{named}" if named else "")

    def support(self, claims: Sequence[Claim]) -> list[float]:
        """Return the probability that each claim is borne out; 0 for one without passages."""
        import numpy as np

        told = [claim for claim in claims if claim.passages]
        if not told:
            return [0.0 for _ in claims]
        said = iter(self._weights.predict(np.asarray(self.rows(told), dtype=np.float64)).tolist())
        return [float(next(said)) if claim.passages else 0.0 for claim in claims]

    def rows(self, claims: Sequence[Claim]) -> list[list[float]]:
        """Return the numbers of each claim, in the order of ``names_of(kind)``."""
        rows = [list(lexical.features(claim.text, claim.passages, claim.question)) for claim in claims]
        if self._embed is not None:
            rows = [row + more for row, more in zip(rows, meaning(claims, self._embed), strict=True)]
        if self._likelihoods is not None:
            rows = [row + more for row, more in zip(rows, likelihood(claims, self._likelihoods), strict=True)]
        return rows


def kinds() -> tuple[str, ...]:
    """Return the kinds of ensemble that weights were fitted for."""
    return tuple(_fitted()[0])


def names_of(kind: str) -> tuple[str, ...]:
    """Return the names of the numbers that a kind of ensemble is made of."""
    more = {"words": lexical.NAMES, "meaning": MEANING, "likelihood": LIKELIHOOD}
    return tuple(name for part in kind.split("+") for name in more[part])


def meaning(claims: Sequence[Claim], embed: Embedded) -> list[list[float]]:
    """Return cosines: with the nearest sentence of the passages, with the nearest passage, of the question with the claim."""
    pieces = [[piece for text in claim.passages for piece in (sentences(text) or [text])] for claim in claims]
    texts = list(
        dict.fromkeys(
            [
                text
                for claim, row in zip(claims, pieces, strict=True)
                for text in (claim.text, claim.question, *claim.passages, *row)
                if text.strip()
            ]
        )
    )
    place = {text: number for number, text in enumerate(texts)}
    vectors = embed(texts)

    def nearest(text: str, others: Sequence[str]) -> float:
        known = [place[other] for other in others if other in place]
        return float((vectors[known] @ vectors[place[text]]).max()) if known and text in place else 0.0

    return [
        [nearest(claim.text, row), nearest(claim.text, claim.passages), nearest(claim.text, [claim.question])]
        for claim, row in zip(claims, pieces, strict=True)
    ]


def likelihood(claims: Sequence[Claim], likelihoods: Likelihoods) -> list[list[float]]:
    """Return what a language model makes of each claim after its passages, and how much of that it owes to them.

    The mean log-likelihood of its tokens, the gain over the question alone, the least one, the share that gained, the share of surprises.
    """
    asked = [(prompt_of(claim, shown=shown), claim.text) for shown in (True, False) for claim in claims]
    told = likelihoods(asked)
    rows = []
    for with_it, without in zip(told[: len(claims)], told[len(claims) :], strict=True):
        count = max(1, len(with_it))
        mean, before = sum(with_it) / count, sum(without) / max(1, len(without))
        helped = sum(after > earlier for after, earlier in zip(with_it, without, strict=False)) / count
        rows.append([mean, mean - before, min(with_it, default=0.0), helped, sum(value < SURPRISE for value in with_it) / count])
    return rows


def prompt_of(claim: Claim, *, shown: bool) -> str:
    """Return what the language model reads before the claim."""
    question = claim.question or "What is known?"
    return ("\n".join(claim.passages) + f"\n\n{question}") if shown else question


@lru_cache(maxsize=1)
def _fitted() -> tuple[dict[str, Weights], str]:
    """Return the fitted weights by kind, and a digest of them."""
    from groundtune.files import fingerprint
    from groundtune.scores.logistic import Weights

    stored = json.loads(files("groundtune.scores").joinpath(FILE).read_text(encoding="utf-8"))
    return {kind: Weights.of(row) for kind, row in stored["kinds"].items()}, fingerprint(stored["kinds"], length=8)


def applies(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why there is nothing to bear out."""
    if not answer.passages:
        return "this answer was given without passages"
    if answer.refused:
        return "refused: it claims nothing"
    return None


def grounded(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark the share of the answer's sentences that the passages shown bear out."""
    held = context.support or Ensemble()
    pieces = sentences(answer.said) or [answer.said]
    passages = tuple(passage.chunk.text for passage in answer.passages)
    values = held.support([Claim(text=piece, passages=passages, question=answer.question) for piece in pieces])
    if len(values) != len(pieces) or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"{held.identity} gave {values} for {len(pieces)} sentences; a probability for each was expected")
    right = sum(value >= THRESHOLD for value in values)
    worst = min(range(len(values)), key=lambda place: values[place])
    return Mark(right / len(pieces), f"{right} of {len(pieces)} sentences borne out; least ({values[worst]:.2f}): {pieces[worst][:80]!r}")


def grounded_settings(context: Context) -> str:
    """Return what tells how well a sentence is borne out."""
    return (context.support or Ensemble()).identity


GROUNDED = Metric(
    name="grounded",
    better="higher",
    low=0.0,
    high=1.0,
    worst=0.0,
    definition="Share of the answer's sentences that the passages shown bear out, by the detector that [scores] names.",
    applies_to="answers that were given with passages and do not refuse",
    score=grounded,
    applies=applies,
    paired=False,
    settings=grounded_settings,
)
