"""``groundtune decide --interview``: one question after the other, each answer kept as soon as it is given."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import grid, say, say_json

if TYPE_CHECKING:
    from groundtune.decisions.needs.questions import Question
    from groundtune.project import Project

STOP = "q"


class Stopped(Exception):
    """Whoever answers has had enough; what was answered is kept."""


def run(project: Project, *, as_json: bool) -> int:
    """Ask, write the answers, and print the recommendation with its tables."""
    from groundtune.decisions.needs.people import DUTIES
    from groundtune.decisions.needs.questions import LEVELS, QUESTIONS, SKILLS
    from groundtune.project.before import write_needs

    needs = project.settings.needs.model_dump(exclude_defaults=True)
    _tell(
        "Press Enter to keep what stands in brackets, or to leave a question open; - takes an answer back, q stops. Every answer is kept."
    )
    try:
        for number, question in enumerate(QUESTIONS, start=1):
            needs[question.key] = _ask(question, needs.get(question.key), f"{number} of {len(QUESTIONS)}")
            needs = _kept(project, needs)
        for key, about, choices in (("skills", SKILLS, LEVELS), ("owners", {name: duty.what for name, duty in DUTIES.items()}, ())):
            _tell(f"\n{'How much of this does the team have?' if choices else 'Who will do this after launch?'}")
            for name, what in about.items():
                table = dict(needs.get(key, {}))
                table[name] = _line(f"  {name}: {what}", table.get(name), choices)
                needs[key] = {item: value for item, value in table.items() if value is not None}
                needs = _kept(project, needs)
    except Stopped:
        _tell("stopped; the same command goes on with what is still open")
    found = write_needs(project, needs)
    from groundtune.decisions.needs.section import lines, section
    from groundtune.project.before import advice

    advised = advice(project, found)
    if as_json:
        say_json({"needs": found.model_dump(exclude_defaults=True), "advice": advised})
        return 0
    shown = section(found, advised, project.settings.project.owner)
    say()
    for line in lines(advised):
        say(f"- {line}")
    for one in shown.grids:
        grid(one)
    say(f"\nThe answers are in {project.folder / 'groundtune.toml'}; the decision will show this.")
    return 0


def _kept(project: Project, needs: dict[str, Any]) -> dict[str, Any]:
    from groundtune.project.before import write_needs

    kept = {key: value for key, value in needs.items() if value not in (None, {})}
    return write_needs(project, kept).model_dump(exclude_defaults=True)


def _ask(question: Question, before: Any, place: str) -> Any:
    _tell(f"\n{place}. {question.text}\n   {question.why}")
    if question.bands:
        return _number(before)
    for number, (name, meaning) in enumerate(question.choices.items(), start=1):
        _tell(f"   {number} {name}: {meaning}")
    return _line("  ", before, tuple(question.choices))


def _number(before: Any) -> float | None:
    while True:
        text = _typed("   a number", before)
        if text is None:
            return None if before is None else float(before)
        if text == "-":
            return None
        try:
            value = float(text.replace(",", "").replace("_", ""))
        except ValueError:
            value = -1.0
        if 0 <= value < float("inf"):
            return value
        _tell(f"   {text!r} is no number of 0 or more")


def _line(prompt: str, before: Any, choices: Sequence[str]) -> Any:
    """Return one of the choices, by name or number; without choices, any text."""
    while True:
        text = _typed(f"{prompt}{' (' + ', '.join(choices) + ')' if choices and prompt.strip() else ''}", before)
        if text is None:
            return before
        if text == "-":
            return None
        if not choices:
            return text
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(choices):
            return choices[int(text) - 1]
        near = [name for name in choices if name.startswith(text.casefold())]
        if len(near) == 1 or text.casefold() in choices:
            return text.casefold() if text.casefold() in choices else near[0]
        _tell(f"   {text!r}: expected one of {', '.join(choices)}, or its number")


def _typed(prompt: str, before: Any) -> str | None:
    """Return what was typed, ``None`` for nothing. Raises ``Stopped`` at q and at the end of the input."""
    shown = f"{before:,.0f}" if isinstance(before, float) else before
    click.echo(f"{prompt}{f' [{shown}]' if before is not None else ''}: ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
        raise Stopped
    text = line.encode("utf-8", "replace").decode().strip()
    if text == STOP:
        raise Stopped
    return text or None


def _tell(text: str) -> None:
    click.echo(text, err=True)
