"""Small charts as inline SVG: a forest of differences, quality against what it costs, and a tornado of what a cost hangs on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from groundtune.annex import Bars

WIDTH = 560


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One arm in a scatter: ``x`` in the axis' unit, ``y`` with its interval."""

    name: str
    x: float
    y: float
    low: float
    high: float
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row of a forest: a paired difference with its interval, and what is printed behind it."""

    name: str
    value: float
    low: float
    high: float
    note: str


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers between ``low`` and ``high``, about ``wanted`` of them."""
    span = high - low or 1.0
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(value: float) -> str:
    return f"{value:.6g}"


def scatter(points: Sequence[Point], *, x_title: str, y_title: str, title: str) -> str:
    """Return an SVG of quality (up) against a cost (right), with each arm's interval as a bar. Empty where there is nothing to draw."""
    if not points:
        return ""
    height, left, right, top, bottom = 330, 52, 20, 28, 44
    x_high = max(point.x for point in points) * 1.12 or 1.0
    y_low = min(0.0, min(point.low for point in points))
    y_high = min(1.0, max(point.high for point in points) * 1.1) or 1.0

    def across(value: float) -> float:
        return left + (WIDTH - left - right) * value / x_high

    def up(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - y_low) / (y_high - y_low)

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>']
    for tick in ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>')
        parts.append(f'<text class="soft" x="{left - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{_label(tick)}</text>')
    for tick in ticks(0, x_high):
        parts.append(f'<text class="soft" x="{across(tick):.1f}" y="{height - bottom + 16}" text-anchor="middle">{_label(tick)}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{WIDTH - right}" y1="{height - bottom}" y2="{height - bottom}"/>')
    parts.append(f'<text x="{(left + WIDTH - right) / 2}" y="{height - 8}" text-anchor="middle">{escape(x_title)}</text>')
    parts.append(f'<text x="{left - 44}" y="16">{escape(y_title)}</text>')
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda item: -item.y):
        x, y = across(point.x), up(point.y)
        tone = "dot chosen" if point.chosen else "dot"
        parts.append(f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.low):.1f}" y2="{up(point.high):.1f}"/>')
        parts.append(f'<circle class="{tone}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        # A label that would lie on another one moves down until it does not.
        label_y = y + 4
        while any(abs(label_y - other_y) < 13 and abs(x - other_x) < 90 for other_x, other_y in taken):
            label_y += 13
        taken.append((x, label_y))
        anchor, offset = ("end", -9) if x > WIDTH - 110 else ("start", 9)
        parts.append(f'<text x="{x + offset:.1f}" y="{label_y:.1f}" text-anchor="{anchor}">{escape(point.name)}</text>')
    return "".join(parts) + "</svg>"


def forest(rows: Sequence[Difference], *, smallest_gain: float, title: str) -> str:
    """Return an SVG of paired differences with their intervals, a line at 0 and a dashed one at the smallest gain that matters."""
    if not rows:
        return ""
    left, right, line = 150, 270, 26
    height = 40 + line * len(rows) + 20
    low = min(0.0, *(row.low for row in rows), -smallest_gain) * 1.08
    high = max(0.0, *(row.high for row in rows), smallest_gain) * 1.08
    width = 1000

    def across(value: float) -> float:
        return left + (width - left - right) * (value - low) / (high - low)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>']
    bottom = 30 + line * len(rows)
    for tick in ticks(low, high, 7):
        parts.append(f'<line class="grid" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="22" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{across(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:+.2g}</text>')
    parts.append(f'<line class="axis" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="22" y2="{bottom}"/>')
    for side in (-smallest_gain, smallest_gain):
        x = across(side)
        parts.append(f'<line class="axis" stroke-dasharray="4 3" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{bottom}"/>')
    for number, row in enumerate(rows):
        y = 40 + line * number
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(row.name)}</text>')
        parts.append(f'<line class="bar" x1="{across(row.low):.1f}" x2="{across(row.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot" cx="{across(row.value):.1f}" cy="{y}" r="4.5"/>')
        parts.append(f'<text class="soft" x="{width - right + 10}" y="{y + 4}">{escape(row.note)}</text>')
    return "".join(parts) + "</svg>"


def tornado(bars: Bars) -> str:
    """Return an SVG with a bar for each assumption: from the value at its low end to that at its high end, the widest first."""
    if not bars.rows:
        return ""
    left, right, line, width = 300, 30, 24, 1000
    bottom = 26 + line * len(bars.rows)
    ends = [value for _, low, high in bars.rows for value in (low, high)] + [bars.middle]
    room = (max(ends) - min(ends)) * 0.1 or abs(bars.middle) or 1.0
    low_end, high_end = min(ends) - room, max(ends) + room
    if min(ends) >= 0:
        low_end = max(0.0, low_end)

    def across(value: float) -> float:
        return left + (width - left - right) * (value - low_end) / (high_end - low_end)

    parts = [f'<svg viewBox="0 0 {width} {bottom + 44}" role="img" aria-label="{escape(bars.title)}"><title>{escape(bars.title)}</title>']
    for tick in ticks(low_end, high_end, 6):
        parts.append(f'<line class="grid" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="18" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{across(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:,.6g}</text>')
    for place, (name, low, high) in enumerate(bars.rows):
        y = 22 + line * place
        parts.append(f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        for tone, end in (("least", low), ("most", high)):
            begin, over = sorted((across(bars.middle), across(end)))
            parts.append(f'<rect class="{tone}" x="{begin:.1f}" y="{y + 2}" width="{max(over - begin, 0.5):.1f}" height="{line - 8}"/>')
    middle = across(bars.middle)
    parts.append(f'<line class="axis" x1="{middle:.1f}" x2="{middle:.1f}" y1="18" y2="{bottom}"/>')
    parts.append(
        f'<text class="soft" x="{(left + width - right) / 2:.1f}" y="{bottom + 36}" text-anchor="middle">{escape(bars.unit)}</text>'
    )
    return "".join(parts) + "</svg>"
