"""When an answer is withheld: signals → a probability that it is supported → a threshold, with the curve that it was chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One signal of a calibration: its log-odds are ``weight * (value - mean) / scale``, the latter between -3 and 3.

    So a signal far from all that was seen says no more than one at the edge of it.
    """

    mean: float
    scale: float
    weight: float

    def scaled(self, value: float) -> float:
        """Return how many spreads a value lies from the mean, at most 3."""
        return max(-3.0, min(3.0, (value - self.mean) / self.scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A logistic regression on standardised signals."""

    intercept: float = 0.0
    terms: Mapping[str, Term] = field(default_factory=dict)

    def probability(self, signals: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1 and neither of them; an absent signal counts as its mean."""
        parts = (term.weight * term.scaled(signals[name]) for name, term in sorted(self.terms.items()) if name in signals)
        # Log-odds of 30 are as sure as a float can tell from certain; a threshold of 1 refuses everything.
        return 1 / (1 + exp(-max(-30.0, min(30.0, self.intercept + sum(parts)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What one threshold does to the dev questions.

    ``false_answers`` of those without an answer are answered (``false_rate``, ``false_upper``: one-sided 95 % bound);
    ``answered_answerable`` of those with one are; ``coverage`` is the share of all that is answered, and ``risk`` the share of these
    that no evidence shown supports, ``None`` where nothing is answered.
    """

    threshold: float | None
    false_answers: int
    false_rate: float
    false_upper: float
    answered_answerable: int
    coverage: float
    risk: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """How sure one has to be to answer, or why that is not known (``state`` and ``reason``).

    ``curve`` goes from the lowest threshold up; ``chosen`` is its point at ``threshold``; ``checked`` is the same for thresholds that
    were each chosen without the questions they are applied to (so it has no one ``threshold``). ``needed`` is how many questions
    without an answer would bring the bound within the target at the rate seen, where that can be told.
    """

    state: Literal["measured", "too few", "out of reach"]
    reason: str
    answerable: int
    unanswerable: int
    target: float
    on: str
    threshold: float | None = None
    chosen: CurvePoint | None = None
    checked: CurvePoint | None = None
    curve: tuple[CurvePoint, ...] = ()
    weights: Weights = field(default_factory=Weights)
    needed: int | None = None
