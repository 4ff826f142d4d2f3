"""Scores → on how many questions one arm did better than each other arm, as good, and worse; and the same as a drawing.

tuned against rag   ████████████░░░░░░░░░░▒▒▒▒   better 61 · as good 40 · worse 18 of 119

A mean can rest on a few questions won by much; these counts show whether it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from groundtune.scores.metrics import metric_named
from groundtune.types import Score

LEVEL_WITHIN = 1e-9  # scores nearer to each other are the same but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Won:
    """One arm against another: questions on which it was better, as good, and worse. Only those that were scored for both count."""

    versus: str
    better: int
    level: int
    worse: int

    @property
    def n(self) -> int:
        """The questions that both arms have a score on."""
        return self.better + self.level + self.worse


def wins(scores: Iterable[Score], metric: str, arm: str, others: Sequence[str]) -> tuple[Won, ...]:
    """Return a row for each other arm that has a question in common with ``arm``, in their order."""
    held: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.metric == metric and score.value is not None:
            held.setdefault(score.arm, {})[score.example_id] = score.value
    sign = -1.0 if metric_named(metric).better == "lower" else 1.0
    mine = held.get(arm, {})
    found = []
    for name in others:
        leads = [sign * (mine[key] - value) for key, value in held.get(name, {}).items() if key in mine and name != arm]
        if leads:
            better, worse = sum(lead > LEVEL_WITHIN for lead in leads), sum(lead < -LEVEL_WITHIN for lead in leads)
            found.append(Won(versus=name, better=better, level=len(leads) - better - worse, worse=worse))
    return tuple(found)


def drawing(rows: Sequence[Won], arm: str, metric: str) -> str:
    """Return an SVG with a bar for each other arm: better, as good, worse. Empty without rows."""
    if not rows:
        return ""
    left, right, line, width = 150, 290, 26, 1000
    height = 14 + line * len(rows)
    title = f"Questions on which {arm} is better, as good and worse in {metric}"
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>']
    for place, row in enumerate(rows):
        y = 8 + line * place
        parts.append(f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">against {escape(row.versus)}</text>')
        at = float(left)
        for tone, count in (("won", row.better), ("level", row.level), ("lost", row.worse)):
            wide = (width - left - right) * count / row.n
            parts.append(f'<rect class="{tone}" x="{at:.1f}" y="{y}" width="{wide:.1f}" height="{line - 8}"/>')
            at += wide
        told = f"better {row.better} · as good {row.level} · worse {row.worse} (n = {row.n})"
        parts.append(f'<text class="soft" x="{width - right + 10}" y="{y + 14}">{told}</text>')
    return "".join(parts) + "</svg>"
