"""How small a difference a test set can show, and how many questions a difference needs.

Normal approximation for the mean of paired differences: n = (z_{1-alpha/2} + z_{power})² · sd² / effect²
(Chow, Shao and Wang, Sample Size Calculations in Clinical Research, the one-sample design).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

from groundtune.types import Estimate

_NORMAL = NormalDist()


def _reach(power: float, alpha: float) -> float:
    return _NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)


def minimum_detectable(n: int, sd: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the true mean difference that ``n`` pairs show with that power, two-sided; ``sd`` is of the paired differences."""
    if n < 1 or sd < 0:
        raise ValueError(f"n must be at least 1 and sd at least 0, not {n} and {sd}")
    return _reach(power, alpha) * sd / math.sqrt(n)


def spread_of(estimate: Estimate, level: float = 0.95) -> float | None:
    """Return the standard deviation of one paired difference that an interval implies, clusters and all; ``None`` if not measured."""
    if estimate.low is None or estimate.high is None or estimate.n < 1:
        return None
    half = (estimate.high - estimate.low) / 2
    return half / _NORMAL.inv_cdf((1 + level) / 2) * math.sqrt(estimate.n)


def questions_needed(estimate: Estimate, effect: float, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Return how many further questions, of the same mix, would show a true difference of ``effect``; ``None`` if not measured.

    At least 1: where the formula says that there are enough already, the test said otherwise.
    """
    sd = spread_of(estimate)
    if sd is None:
        return None
    total = math.ceil((_reach(power, alpha) * sd / effect) ** 2)
    return max(1, total - estimate.n)


def questions_for(
    effect: float, sd: float, *, power: float = 0.8, alpha: float = 0.05, arms: int = 2, share: float = 0.0, each: float = 1
) -> int:
    """Return how many questions a test set needs so that a true difference of ``effect`` is shown with that power.

    ``sd`` is of one paired difference. With ``arms`` compared all against all, alpha is parted among the pairs (Bonferroni, which bounds
    Holm's first step). Questions that come ``each`` to a source and are alike within it (intraclass correlation ``share``) count for less:
    the number is multiplied by 1 + (each - 1) · share (Kish 1965, Survey Sampling, the design effect).
    """
    if effect <= 0 or sd < 0 or arms < 2 or each < 1 or not 0 <= share <= 1:
        raise ValueError(f"effect {effect}, sd {sd}, arms {arms}, each {each}, share {share}: out of range")
    pairs = arms * (arms - 1) // 2
    plain = (_reach(power, alpha / pairs) * sd / effect) ** 2
    return max(2, math.ceil(plain * (1 + (each - 1) * share)))


def detectable(estimates: Iterable[Estimate], metric: str, *, power: float = 0.8, alpha: float = 0.05) -> tuple[float, int] | None:
    """Return the smallest true difference that every pair of arms measured on a metric would show, and the questions behind it.

    It is that of the pair whose differences spread most, at Holm's first step; ``None`` where no pair was measured, or none differs.
    """
    found = [(spread, item.n) for item in estimates if item.metric == metric and item.versus is not None and (spread := spread_of(item))]
    if not found:
        return None
    return max((minimum_detectable(n, spread, power, alpha / len(found)), n) for spread, n in found)
