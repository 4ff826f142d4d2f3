"""``churn=daily volume=2e6`` → recommendation, verdict and costs as they would be; nothing is measured again, and nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from groundtune.decisions import record
from groundtune.decisions.costs import sheet as sheets
from groundtune.decisions.costs.defaults import BY_NAME
from groundtune.decisions.costs.gather import of_needs
from groundtune.decisions.costs.report import Costed
from groundtune.decisions.needs.advise import Advice
from groundtune.decisions.needs.against import against
from groundtune.decisions.needs.questions import SKILLS
from groundtune.decisions.rule import Chosen, choose
from groundtune.decisions.weigh import Measured, order
from groundtune.errors import ConfigError, InputError, UnknownName
from groundtune.project import before
from groundtune.project.decide import rubric_of
from groundtune.project.lock import rubric_print
from groundtune.tables import NeedsTable

if TYPE_CHECKING:
    from groundtune.project.main import Project

HINT = "type: groundtune decide --what-if churn=daily volume=2e6"
RUBRIC = ("smallest_gain", "alpha", "intolerable_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Before and after. ``advice`` is ``None`` where no need is stated, ``verdicts`` where nothing was decided yet."""

    changes: Mapping[str, str]
    advice: tuple[Advice, Advice] | None
    verdicts: tuple[str, str] | None
    costs: tuple[Costed, Costed]
    notes: tuple[str, ...]


def parse(words: Sequence[str]) -> dict[str, str]:
    """Return ``KEY=VALUE`` words as a table. Raises ``InputError`` for another form, a key given twice, or none."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"{word!r}: expected KEY=VALUE", HINT)
        if key.strip() in found:
            raise InputError(f"{key.strip()} is given twice", HINT)
        found[key.strip()] = value.strip()
    if not found:
        raise InputError("--what-if takes at least one KEY=VALUE", HINT)
    return found


def what_if(project: Project, changes: Mapping[str, str]) -> WhatIf:
    """Weigh and reckon again with the changes: needs, cost assumptions, and what the rubric asks for. Raises ``UnknownName``."""
    plain = [name for name in NeedsTable.model_fields if name not in ("skills", "owners")]
    known = [*plain, *SKILLS, *RUBRIC, *BY_NAME]
    for name in changes:
        if name not in known:
            raise UnknownName.of("what-if", name, known, HINT)
    old = project.settings.needs
    new = _needs(old, {name: value for name, value in changes.items() if name in plain or name in SKILLS})
    stated = bool(old.model_fields_set or new.model_fields_set or before.audits(project))
    asked = of_needs(NeedsTable.model_validate({name: getattr(new, name) for name in ("volume", "churn") if name in changes}))
    # What if it were so goes over what the sheet says.
    given = {name: replace(item, state="what if") for name, item in asked.items()}
    given |= {name: sheets.changed(name, value) for name, value in changes.items() if name in BY_NAME}
    costs = (before.costs(project), before.costs(project, changes=given))
    notes = []
    idle = [name for name in given if costs[0].inputs.get(name) != costs[1].inputs[name] and _alike(*costs)]
    if idle and len(idle) == len(given):
        notes.append(f"{', '.join(idle)} changes no arm's costs: nothing hangs on it here, or it was measured.")
    changed = {name for name in changes if name in plain and getattr(old, name) != getattr(new, name)}
    notes += _spoken_against(project, new, changed)
    verdicts, more = _verdicts(project, {name: value for name, value in changes.items() if name in RUBRIC})
    return WhatIf(
        changes=dict(changes),
        advice=(before.advice(project, old), before.advice(project, new)) if stated else None,
        verdicts=verdicts,
        costs=costs,
        notes=(*notes, *more),
    )


def _needs(old: NeedsTable, changes: Mapping[str, str]) -> NeedsTable:
    given: dict[str, Any] = old.model_dump(exclude_unset=True)
    for name, value in changes.items():
        if name in SKILLS:
            given["skills"] = {**given.get("skills", {}), name: value}
        else:
            given[name] = value
    try:
        return NeedsTable.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        message = f"--what-if {name}={changes.get(name, '')}: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise ConfigError(message, HINT) from None


def _spoken_against(project: Project, needs: NeedsTable, changed: Collection[str]) -> list[str]:
    """Return what changed needs say of the arm that was decided on: its numbers are of the documents and questions as they were."""
    latest = record.latest(project.folder / "decisions")
    shipped = next((arm for arm in project.arms if latest and arm.name == latest.choice), None)
    if latest is None or shipped is None or not changed:
        return []
    advised = before.advice(project, needs)
    only = replace(advised, points=tuple(point for point in advised.points if point.key in changed))
    said = against(only, shipped, Measured(latest.estimates), rubric_of(project))
    rests = f"The verdict of {latest.id} was measured on the documents and questions as they were; its numbers know nothing of a change of"
    return [f"{rests} {', '.join(sorted(changed))}.", *([said.text] if said else [])]


def _alike(one: Costed, other: Costed) -> bool:
    return all(abs(one.bills[name].month - other.bills[name].month) < 1e-9 for name in one.arms)


def _verdicts(project: Project, changes: Mapping[str, str]) -> tuple[tuple[str, str] | None, list[str]]:
    """Return what the rubric says of the latest decision's estimates, as it is and as it would be."""
    latest = record.latest(project.folder / "decisions")
    if latest is None:
        notes = ["Nothing was decided yet, so no verdict is looked at."] if changes else []
        return None, notes
    rubric = rubric_of(project)
    try:
        numbers: dict[str, Any] = {name: float(value) for name, value in changes.items()}
        changed = replace(rubric, **numbers)
    except ValueError:
        raise ConfigError(f"--what-if {dict(changes)}: expected numbers", HINT) from None
    wrong = changed.problems()
    if wrong:
        raise ConfigError(wrong[0].message, HINT)
    measured = Measured(latest.estimates)
    ran = {item.arm for item in latest.estimates}
    names = [name for name in order(rubric, project.arms) if name in ran]
    said = [_said(choose(measured, rule, names)) for rule in (rubric, changed)]
    notes = []
    if latest.inputs.get("rubric") not in (None, rubric.hash, rubric_print(project.settings)):
        notes.append(f"The rubric has changed since {latest.id}; before is what the present one says of its estimates.")
    return (said[0], said[1]), notes


def _said(chosen: Chosen) -> str:
    if chosen.verdict == "ship":
        return f"ship {chosen.choice}"
    if chosen.verdict == "can't tell":
        more = f", about {chosen.questions_needed} further questions" if chosen.questions_needed else ""
        return f"can't tell between {chosen.candidate} and {chosen.best}{more}"
    return "stop" if chosen.verdict == "stop" else "no arm passes"
