"""Estimates and numbers as people read them.

0.62 (0.57 to 0.67, n = 84)
"""

from __future__ import annotations

from groundtune.types import Estimate


def number(value: float) -> str:
    """Write a number as people read it: two decimals up to 10, three digits of what is small, whole numbers above 100."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.01 or size == 0:
        return f"{value:.2f}"
    return f"{value:.2g}"


def worded(estimate: Estimate) -> str:
    """Write an estimate with its interval, n and failures, or why there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"not measured ({estimate.state}: {estimate.reason})"
    failed = f", {estimate.n_failed} failed" if estimate.n_failed else ""
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)}, n = {estimate.n}{failed})"


def chance(p_value: float | None) -> str:
    """Write a p-value: ``p = 0.034``, ``p < 0.001``."""
    if p_value is None:
        return "p not known"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
