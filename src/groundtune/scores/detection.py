"""How well scores tell two classes apart: AUROC and balanced accuracy, with bootstrap intervals over clusters.

scores [0.9, 0.4, 0.6, 0.1], labels [1, 1, 0, 0]  →  auroc 0.75, balanced accuracy at 0.5: 0.5
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from groundtune.scores.resample import bca

Floats = npt.NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], float]


def auroc(scores: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """Return the chance that a row of class 1 scores above one of class 0, ties half; NaN where a class is missing."""
    weight = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    ranked, yes = scores[order], (weight * labels)[order]
    no = (weight * (1 - labels))[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    yes_here, no_here = np.add.reduceat(yes, starts), np.add.reduceat(no, starts)
    below = np.cumsum(no_here) - no_here
    both = float(yes.sum() * no.sum())
    return float(np.sum(yes_here * (below + no_here / 2)) / both) if both > 0 else float("nan")


def balanced_accuracy(scores: Floats, labels: Floats, weights: Floats | None = None, *, threshold: float = 0.5) -> float:
    """Return the mean of the two classes' shares that are told right, a score of ``threshold`` or more being class 1."""
    weight = np.ones(len(scores)) if weights is None else weights
    said = scores >= threshold
    yes, no = weight * labels, weight * (1 - labels)
    if yes.sum() <= 0 or no.sum() <= 0:
        return float("nan")
    return float((yes[said].sum() / yes.sum() + no[~said].sum() / no.sum()) / 2)


def interval(
    measure: Callable[[Floats, Floats, Floats], float],
    scores: Floats,
    labels: Floats,
    clusters: Sequence[str],
    *,
    resamples: int = 2_000,
    seed: int = 7,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the BCa interval of a measure, whole clusters drawn with replacement; draws without one of the classes are left out."""
    names = {name: place for place, name in enumerate(sorted(set(clusters)))}
    owner = np.array([names[name] for name in clusters])
    count = len(names)
    if count < 2:
        raise ValueError("an interval needs two clusters or more")
    generator = np.random.default_rng(seed)
    even = np.full(count, 1 / count)
    drawn = np.array([measure(scores, labels, generator.multinomial(count, even)[owner].astype(np.float64)) for _ in range(resamples)])
    left_out = np.array([measure(scores, labels, (owner != place).astype(np.float64)) for place in range(count)])
    whole = measure(scores, labels, np.ones(len(scores)))
    return bca(drawn[~np.isnan(drawn)], whole, left_out[~np.isnan(left_out)], level)
