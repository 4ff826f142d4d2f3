"""Who can do it, and who will: the team's skills against what each approach takes, and the duties after launch with their owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.annex import Grid
from groundtune.decisions.needs.questions import LEVELS, SKILLS
from groundtune.decisions.needs.weights import NAMES, OPTIONS, Option
from groundtune.tables import NeedsTable

TAKES: Mapping[str, Mapping[Option, str]] = {
    "retrieval": {"rag": "some", "hybrid": "strong"},
    "evaluation": {"prompt": "some", "rag": "some", "tuned": "strong", "hybrid": "strong"},
    "labelling": {"prompt": "some", "rag": "some", "tuned": "strong", "hybrid": "strong"},
    "training": {"tuned": "some", "hybrid": "strong"},
    "serving": {"tuned": "some", "hybrid": "some"},
    "security": {"rag": "some", "tuned": "some", "hybrid": "some"},
}
NO_OWNER = "nobody yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something that has to be done after launch: what, how often, and for which approaches."""

    what: str
    often: str
    options: tuple[Option, ...]


DUTIES: Mapping[str, Duty] = {
    "documents": Duty(what="keep documents current and their readers right", often="with every change", options=("rag", "hybrid")),
    "examples": Duty(what="keep the test questions like those that are asked", often="monthly", options=OPTIONS),
    "model": Duty(what="train again when task, base model or facts change", often="as the costs plan it", options=("tuned", "hybrid")),
    "releases": Duty(what="decide what goes live, and roll back", often="at every release", options=OPTIONS),
    "incidents": Duty(what="answer for a leak or a wrong answer, within hours", often="always", options=OPTIONS),
    "budget": Duty(what="compare the bill with the costs sheet", often="monthly", options=OPTIONS),
}


def gap(needs: NeedsTable, skill: str, option: Option) -> bool | None:
    """Return whether the team has less of a skill than an approach takes; ``None`` where its level is not known."""
    wanted, there = TAKES[skill].get(option, "none"), _levels(needs).get(skill)
    if wanted == "none":
        return False
    return None if there is None else LEVELS.index(there) < LEVELS.index(wanted)


def _levels(needs: NeedsTable) -> dict[str, str]:
    return {str(name): str(level) for name, level in needs.skills.items()}


def skill_matrix(needs: NeedsTable) -> Grid:
    """Return a row for each skill: what it is, what the team has, and what each approach takes."""
    words = {True: "{} · missing", False: "{}", None: "{} · not known"}
    there = _levels(needs)
    rows = []
    for name, about in SKILLS.items():
        cells = []
        for option in OPTIONS:
            wanted = TAKES[name].get(option)
            cells.append("–" if wanted is None else words[gap(needs, name, option)].format(wanted))
        rows.append((f"{name}: {about}", there.get(name, "not known"), *cells))
    return Grid(
        head=("skill", "the team has", *(f"{NAMES[option]} takes" for option in OPTIONS)),
        rows=tuple(rows),
        title="What the team has, and what each approach takes",
        note="Levels: none, some (has done it once), strong (does it as routine). What an approach takes is an assumption.",
    )


def ownership(needs: NeedsTable, approach: Option, fallback_owner: str = "") -> Grid:
    """Return the duties after launch that the approach brings, with their owners. ``fallback_owner`` answers for what nobody owns."""
    named = {str(key): value.strip() for key, value in needs.owners.items()}
    rows = [(name, duty.what, duty.often, named.get(name) or NO_OWNER) for name, duty in DUTIES.items() if approach in duty.options]
    unowned = sum(row[-1] == NO_OWNER for row in rows)
    note = "Every duty has an owner."
    if unowned:
        note = f"{unowned} of {len(rows)} duties have no owner: name them in [needs.owners] before launch."
        if fallback_owner:
            note += f" Until then they fall to {fallback_owner}."
    return Grid(head=("duty", "what it is", "how often", "owner"), rows=tuple(rows), note=note, title="Who owns it after launch")
