"""``groundtune decide --what-if KEY=VALUE …``: before and after, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.cli.common import grid, say, say_json, table

if TYPE_CHECKING:
    from groundtune.project import Project


def show(project: Project, words: Sequence[str], *, as_json: bool) -> int:
    """Print what the changes change."""
    from groundtune.decisions.costs import report
    from groundtune.decisions.wording import number
    from groundtune.project.what_if import parse

    found = project.what_if(parse(words))
    if as_json:
        say_json(found)
        return 0
    say("If " + ", ".join(f"{name} = {value}" for name, value in found.changes.items()) + ":")
    if found.advice is not None:
        say(_changed("first recommendation", *(advice.verdict for advice in found.advice)))
    if found.verdicts is not None:
        say(_changed("verdict on what was measured", *found.verdicts))
    old, new = found.costs
    say(_changed("cheapest arm", old.cheapest, new.cheapest) + "\n")
    rows = []
    for name in new.arms:
        one, other = old.bills[name].month, new.bills[name].month
        times = f"{other / one:.2f}×" if one else "–"
        thousands = [bill.bills[name].thousand for bill in (old, new)]
        rows.append([name, number(one), number(other), times, *("–" if value is None else number(value) for value in thousands)])
    table([f"{new.currency} a month", "now", "then", "then ÷ now", "1,000 answers now", "then"], rows)
    grid(report.crossings(new))
    for note in found.notes:
        say(f"note: {note}")
    return 0


def _changed(what: str, before: str, after: str) -> str:
    return f"  {what}: {before}, unchanged" if before == after else f"  {what}: {after} (now {before})"
