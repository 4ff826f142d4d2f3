"""A learning curve → inline SVG: what was scored at each number of training rows, the fitted curve, and what it says of further rows."""

from __future__ import annotations

import math
from html import escape

from groundtune.annex import Curve
from groundtune.decisions.plots import WIDTH, ticks

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 330, 52, 20, 28, 44
STEPS = 48


def learning_curve(curve: Curve) -> str:
    """Return the SVG; rows to the right, the score up, each point with its interval. Empty where there is no point."""
    if not curve.points:
        return ""
    ends = [*curve.points, *([curve.ahead] if curve.ahead else [])]
    x_high = max(end[0] for end in ends) * 1.08
    y_low = max(0.0, min(end[2] for end in ends) - 0.05)
    y_high = min(1.0, max(end[3] for end in ends) + 0.05)
    y_high = y_high if y_high > y_low else y_low + 0.1

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / x_high

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (min(max(value, y_low), y_high) - y_low) / (y_high - y_low)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(curve.title)}"><title>{escape(curve.title)}</title>']
    for tick in ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    for tick in ticks(0, x_high):
        parts.append(f'<text class="soft" x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:,.6g}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">training rows</text>')
    parts.append(f'<text x="{LEFT - 44}" y="16">{escape(curve.metric)}</text>')
    if curve.fit:
        limit, slope, exponent = curve.fit
        first, last = curve.points[0][0], max(end[0] for end in ends)
        # Equal steps of the logarithm, as the curve bends most where there are few rows.
        sizes = [first * math.exp(math.log(last / first) * step / STEPS) for step in range(STEPS + 1)]
        line = " ".join(f"{across(size):.1f},{up(limit - slope * size**-exponent):.1f}" for size in sizes)
        parts.append(f'<polyline class="axis" fill="none" stroke-dasharray="4 3" points="{line}"/>')
    for number, (rows, value, low, high) in enumerate((*curve.points, *([curve.ahead] if curve.ahead else []))):
        tone = "dot" if number < len(curve.points) else "dot chosen"
        parts.append(f'<line class="bar" x1="{across(rows):.1f}" x2="{across(rows):.1f}" y1="{up(low):.1f}" y2="{up(high):.1f}"/>')
        parts.append(f'<circle class="{tone}" cx="{across(rows):.1f}" cy="{up(value):.1f}" r="5"/>')
    return "".join(parts) + "</svg>"
