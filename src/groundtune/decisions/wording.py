"""Estimates and numbers as people read them.

0.62 (0.57 to 0.67, n = 84)
"""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.types import Estimate

_MOST_DECIMALS = 8
_NOTHING = 1e-13  # what is nearer to 0, or to another number, is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that a rule does not look at and a reader has to know: a sentence, and for the headline a few words, if it is a caution."""

    text: str
    caution: str = ""


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


def together(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Write a value and its interval's ends with as many decimals as it takes: what differs looks different, and only 0 looks like 0.

    0.0159 (0.0154 to 0.0165), not 0.02 (0.02 to 0.02).
    """
    ends = (value, low, high)
    size = max(map(abs, ends))
    least = 0 if size >= 100 else 1 if size >= 10 else 2
    for decimals in range(least, _MOST_DECIMALS + 1):
        shown = [f"{end:,.{decimals}f}" for end in ends]
        zeros = [float(text.replace(",", "")) == 0 for text in shown]
        pairs = ((0, 1), (0, 2), (1, 2))
        alike = any(shown[one] == shown[other] and abs(ends[one] - ends[other]) > _NOTHING * max(1.0, size) for one, other in pairs)
        if not alike and all(abs(end) < _NOTHING for end, zero in zip(ends, zeros, strict=True) if zero):
            first, second, third = (text.lstrip("-") if zero else text for text, zero in zip(shown, zeros, strict=True))
            return first, second, third
    return number(value), number(low), number(high)


def worded(estimate: Estimate) -> str:
    """Write an estimate with its interval, n and failures, or why there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"not measured ({estimate.state}: {estimate.reason})"
    failed = f", {estimate.n_failed} failed" if estimate.n_failed else ""
    value, low, high = together(estimate.value, estimate.low, estimate.high)
    return f"{value} ({low} to {high}, n = {estimate.n}{failed})"


def chance(p_value: float | None) -> str:
    """Write a p-value: ``p = 0.034``, ``p < 0.001``."""
    if p_value is None:
        return "p not known"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
