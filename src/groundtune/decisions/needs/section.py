"""A first recommendation → a section of the decision, and the same as lines for the terminal."""

from __future__ import annotations

from groundtune.annex import Annex, Grid
from groundtune.decisions.needs.advise import FIRSTS, Advice, Flip, answer_words
from groundtune.decisions.needs.people import ownership, skill_matrix
from groundtune.decisions.needs.weights import NAMES, OPTIONS, START, Option
from groundtune.tables import NeedsTable

TITLE = "Needs, before anything was measured"


def section(needs: NeedsTable, advice: Advice, owner: str = "", approach: Option | None = None) -> Annex:
    """Return the section: the recommendation, what would change it, what to try first, the points, the skills and the owners.

    ``approach`` is that of the arm that is shipped, whose duties somebody has to own; without it, the recommended one.
    """
    return Annex(
        title=TITLE,
        lines=tuple(lines(advice)),
        grids=(points(advice), skill_matrix(needs), ownership(needs, approach or advice.approach, owner)),
    )


def lines(advice: Advice) -> list[str]:
    """Return the sentences, the recommendation first."""
    ranked = list(advice.totals.items())
    shown = ", ".join(f"{NAMES[option]} {total}" for option, total in ranked)
    best, second = NAMES[advice.approach], NAMES[ranked[1][0]]
    said = [f"First recommendation: {advice.verdict}."]
    said += [FIRSTS[first] for first in advice.first]
    by = "After that, by points" if advice.first else "By points"
    if advice.lead:
        close = " That is close: measure both." if advice.close else ""
        said.append(f"{by}, {best} leads {second} by {advice.lead} ({shown}).{close}")
    else:
        said.append(f"{by}, {best} and {second} are level ({shown}), and the cheaper to own is named. Measure both.")
    said += [f"It would be “{flip.verdict}” if {_words(flip)}." for flip in advice.flips]
    if not advice.flips:
        said.append("No change of one or two answers would change it.")
    said += [f"Try first: {lever}" for lever in advice.levers]
    if advice.open:
        said.append(f"Not answered: {', '.join(advice.open)}; groundtune decide --interview asks.")
    said.append("The points are a judgement made before measuring; where a pilot says otherwise, the pilot is right.")
    return said


def _words(flip: Flip) -> str:
    return " and ".join(answer_words(key, answer) for key, answer in flip.answers.items())


def points(advice: Advice) -> Grid:
    """Return a row for each answer: what it speaks for and against, and why."""
    rows = [
        (answer_words(point.key, point.answer), *(_signed(point.weights.get(option, 0)) for option in OPTIONS), point.reason)
        for point in advice.points
    ]
    start = {option: advice.totals[option] - sum(point.weights.get(option, 0) for point in advice.points) for option in OPTIONS}
    rows.append(
        (
            "whatever the answers",
            *(_signed(start[option]) for option in OPTIONS),
            START.reason,
        )
    )
    rows.append(("all together", *(f"{advice.totals[option]:d}" for option in OPTIONS), ""))
    return Grid(head=("answer", *(NAMES[option] for option in OPTIONS), "why"), rows=tuple(rows), title="What each answer speaks for")


def _signed(weight: int) -> str:
    return f"{weight:+d}" if weight else "·"
