"""``groundtune decide --verify``, ``--compare`` and ``--reproduce``: what was decided before, held against what was signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.cli.common import counted, say, say_json

if TYPE_CHECKING:
    from groundtune.decisions.compare import Change
    from groundtune.project import Project


def verify(project: Project, as_json: bool) -> int:
    """Print what is not as it was written and signed; 1 where anything is."""
    from groundtune.project.reproduce import verify as check

    count, problems = check(project)
    if as_json:
        say_json({"decisions": count, "problems": problems})
    else:
        for problem in problems:
            say(f"  - {problem}")
        say(
            f"{counted(count, 'decision')} in the log; "
            + (counted(len(problems), "problem") if problems else "all as they were written and signed")
        )
    return 1 if problems else 0


def compare(project: Project, first: str, second: str, as_json: bool) -> int:
    """Print what changed from one decision to another, and what it can come from."""
    from groundtune.decisions import log
    from groundtune.decisions.compare import compare as compared

    folder = project.folder / "decisions"
    found = compared(log.read(folder, first), log.read(folder, second))
    if as_json:
        say_json(found)
        return 0
    say(f"{found.first} → {found.second}")
    _print("Decided otherwise", found.outcome)
    _print("Because of", found.causes)
    if found.unexplained:
        say("  The inputs are the same, and the numbers are not: look at groundtune decide --reproduce of both.")
    _print("Numbers beyond their old interval", [change for change in found.numbers if change.beyond])
    _print("Other numbers", [change for change in found.numbers if not change.beyond])
    _print("Said", found.said)
    if found.said and not (found.outcome or found.causes or found.numbers):
        say("  Inputs and numbers are the same, and what is said of them is not: another build of groundtune put one of them into words.")
    return 0


def _print(title: str, changes: object) -> None:
    rows: list[Change] = list(changes)  # type: ignore[call-overload]
    if not rows:
        say(f"{title}: nothing")
        return
    say(f"{title}:")
    for row in rows:
        arrow = f"no longer: {row.before}" if not row.after else f"new: {row.after}" if not row.before else f"{row.before} → {row.after}"
        say(f"  - {row.what}: {arrow}")


def reproduce(project: Project, number: str, as_json: bool) -> int:
    """Work a decision out once more from what was kept; 1 where it comes out otherwise or something is missing."""
    from groundtune.project.reproduce import reproduce as again

    found = again(project, number)
    good = found.same is True and not found.differs and not found.missing and not found.rescored_differs
    if as_json:
        say_json(found)
        return 0 if good else 1
    said = {
        True: "the stored scores give the same verdict and the same numbers",
        False: "the stored scores give something else",
        None: "it cannot be worked out again",
    }[found.same]
    say(f"{found.decision}: {said}")
    for line in found.differs:
        say(f"  - differs: {line}")
    for line in found.missing:
        say(f"  - missing: {line}")
    if found.rescored:
        same = "all scores the same" if not found.rescored_differs else f"{len(found.rescored_differs)} scores otherwise"
        say(f"  {found.rescored} stored answers scored again: {same}")
        for line in found.rescored_differs[:5]:
            say(f"  - {line}")
    else:
        say("  the stored answers were not scored again: documents, test set or answers are not there as they were")
    for name, line in found.changed.items():
        say(f"  - the project's {name} changed since: {line}")
    return 0 if good else 1
