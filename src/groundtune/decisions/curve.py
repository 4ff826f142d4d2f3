"""A calibration's curve as a picture that stands by itself: how much is answered (right), how much of it wrongly (up)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from groundtune.calibration import Calibrated
from groundtune.decisions.plots import WIDTH, ticks

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 56, 20, 40, 48
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.soft{fill:#666}.grid{stroke:#ddd}.axis{stroke:#444}"
    ".risk{fill:none;stroke:#a33;stroke-width:2}.false{fill:none;stroke:#36a;stroke-width:2;stroke-dasharray:5 3}.dot{fill:#222}"
    "svg{background:#fff}"
)


def risk_coverage(found: Calibrated, *, title: str, inline: bool = False) -> str:
    """Return an SVG file: over the share answered, the share of these without support, and of the questions without an answer answered.

    ``inline`` leaves out its own style: the decision page has one, and a style inside a page is for all of the page.
    """
    answered = [point for point in found.curve if point.risk is not None]
    top = max([0.1, *(max(point.risk or 0.0, point.false_rate) for point in answered)]) * 1.1

    def at(across: float, up: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * across:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up / top:.1f}"

    def line(kind: str, points: Sequence[tuple[float, float]]) -> str:
        return f'<polyline class="{kind}" points="{" ".join(at(*point) for point in points)}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>',
        "" if inline else f"<style>{STYLE}</style>",
    ]
    for tick in ticks(0, top):
        x, y = at(0, tick).split(",")
        parts.append(f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    for tick in ticks(0, 1):
        x, y = at(tick, 0).split(",")
        parts.append(f'<text class="soft" x="{x}" y="{float(y) + 16:.1f}" text-anchor="middle">{tick:.6g}</text>')
    parts.append(f'<text x="{LEFT}" y="16">{escape(title)}</text>')
    parts.append(
        f'<text class="soft" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">share of the questions answered</text>'
    )
    parts.append(line("risk", [(point.coverage, point.risk or 0.0) for point in answered]))
    parts.append(line("false", [(point.coverage, point.false_rate) for point in found.curve]))
    if found.chosen is not None:
        x, y = at(found.chosen.coverage, found.chosen.risk or 0.0).split(",")
        parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="5"/>')
    told = "red: answers that nothing shown supports; blue: questions without an answer that are answered; dot: the threshold"
    parts.append(f'<text class="soft" x="{LEFT}" y="{TOP - 8}" font-size="11">{told}</text>')
    return "".join(parts) + "</svg>\n"
