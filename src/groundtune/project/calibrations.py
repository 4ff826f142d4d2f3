"""The calibrations that a project keeps, one for each arm and index version, and what an arm makes of them.

    .groundtune/calibrations/rag/3f2a9c1e77aa.json     what was fitted, its whole curve, and what it was made for
    .groundtune/calibrations/rag/3f2a9c1e77aa.svg      the curve as a picture

An arm without any answers as if there were no such thing. An arm with one that was made for another index version, search, prompt or
model is refused: its threshold would be a number without a meaning. After a rollback of the index the calibration of that version counts
again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.answers.abstain import Judge
from groundtune.answers.again import Again
from groundtune.answers.respond import Tools
from groundtune.calibration import Calibrated, CurvePoint, Term, Weights
from groundtune.chunks import manifest
from groundtune.errors import StaleCalibration, StateError
from groundtune.files import fingerprint, write_json
from groundtune.types import Arm

if TYPE_CHECKING:
    from groundtune.project.main import Project

SCHEMA = 1
NONE = "none"
NAMES = {
    "arm": "the arm",
    "index": "the index version",
    "search": "the search",
    "prompt": "the prompt or the examples in it",
    "chat": "the chat model",
    "adapter": "the adapter",
    "abstain": "[abstain]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One calibration. ``made_for`` are fingerprints by the keys of ``NAMES``; ``generation``: the model is asked before it is judged.

    ``failed`` dev questions got no answer and are left out. ``path`` is where it is kept, ``None`` where there is no threshold to keep.
    """

    id: str
    arm: str
    generation: bool
    made_for: Mapping[str, str]
    made_at: str
    dev: str
    failed: int
    found: Calibrated
    path: str | None = None


def folder_of(project: Project, arm: str) -> Path:
    """Return where an arm's calibrations are."""
    return project.state / "calibrations" / arm


def live_index(project: Project, arm: Arm) -> str:
    """Return the id of the live index version; ``none`` for an arm that does not search, and before the first ingestion."""
    now = manifest.state(project.state / "index") if arm.retrieves else None
    return NONE if now is None else now.id


def made_for(project: Project, arm: Arm, tools: Tools | None) -> dict[str, str]:
    """Return what a calibration of this arm depends on; ``tools`` where the model is asked before the answer is judged."""
    settings = project.settings
    found = {
        "arm": fingerprint(arm),
        "index": live_index(project, arm),
        "abstain": fingerprint(settings.abstain.model_dump()),
        "search": NONE,
    }
    if arm.retrieves:
        found["search"] = fingerprint(settings.passages.model_dump(), project.steps.identity, settings.documents.newest_wins)
    if tools is not None:
        house = tools.house
        asked = [house.schema, house.answer_field, house.quote_field, house.max_new_tokens, house.refusals, house.seed]
        found |= {
            "prompt": fingerprint(house.prompt_hash, asked, tools.shots, settings.flare.model_dump()),
            "chat": tools.chat.fingerprint,
            "adapter": tools.adapter.id if tools.adapter else NONE,
        }
    return found


def with_switches(project: Project, arm: Arm, tools: Tools) -> Tools:
    """Return the tools with the arm's calibration, where there is one, and with the second look of [flare], where it is on.

    Raises ``StaleCalibration`` for a calibration of something else.
    """
    return replace(tools, judge=judge_of(project, in_force(project, arm, tools)), again=again_of(project, arm))


def again_of(project: Project, arm: Arm) -> Again | None:
    """Return when an arm's drafts are looked up again, or ``None`` where [flare] is off or the arm does not search."""
    table = project.settings.flare
    return Again(rounds=table.rounds, below=table.below, note=project.progress.note) if table.rounds and arm.retrieves else None


def judge_of(project: Project, calibration: Calibration | None) -> Judge | None:
    """Return what withholds answers by a calibration."""
    if calibration is None:
        return None
    return Judge(
        id=calibration.id,
        threshold=calibration.found.threshold,
        weights=calibration.found.weights,
        generation=calibration.generation,
        answerable_field=project.settings.abstain.answerable_field,
    )


def in_force(project: Project, arm: Arm, tools: Tools) -> Calibration | None:
    """Return the arm's calibration for what would answer now; ``None`` where the arm was never calibrated. Raises ``StaleCalibration``."""
    held = kept(project, arm.name)
    if not held:
        return None
    hint = f"type: groundtune calibrate --arm {arm.name}; or, to answer without: groundtune calibrate --arm {arm.name} --remove"
    index = live_index(project, arm)
    if index not in held:
        known = ", ".join(sorted(held))
        raise StaleCalibration(f"arm {arm.name!r} was calibrated for {known}, and {index} is live", hint)
    calibration = held[index]
    present = made_for(project, arm, tools if calibration.generation else None)
    changed = [NAMES[name] for name in NAMES if present.get(name, NONE) != calibration.made_for.get(name, NONE)]
    if changed:
        raise StaleCalibration(f"{', '.join(changed)} changed since arm {arm.name!r} was calibrated on {calibration.made_at[:10]}", hint)
    return calibration


def kept(project: Project, arm: str) -> dict[str, Calibration]:
    """Return an arm's calibrations by index version. Raises ``StateError`` for a file that is none."""
    found = {}
    for path in sorted(folder_of(project, arm).glob("*.json")):
        calibration = read(path)
        found[calibration.made_for["index"]] = calibration
    return found


def remove(project: Project, arm: str) -> int:
    """Remove an arm's calibrations, so that it answers as before; return how many there were."""
    paths = sorted(folder_of(project, arm).glob("*.json"))
    for path in paths:
        path.unlink()
        path.with_suffix(".svg").unlink(missing_ok=True)
    return len(paths)


def write(project: Project, calibration: Calibration) -> Calibration:
    """Keep a calibration in the place of the one before it for that arm and index version; return it with its path."""
    path = folder_of(project, calibration.arm) / f"{calibration.made_for['index'].removeprefix('index:')}.json"
    write_json(path, {"schema": SCHEMA, "calibration": replace(calibration, path=None)})
    return replace(calibration, path=str(path))


def read(path: Path) -> Calibration:
    """Read a calibration. Raises ``StateError`` for a file that is none, and for one without a threshold."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))["calibration"]
        calibration = Calibration(**{**row, "found": _found(row["found"]), "path": str(path)})
        if calibration.found.state != "measured" or not isinstance(calibration.found.threshold, float):
            raise ValueError("it holds no threshold")
        if not all(isinstance(calibration.made_for[name], str) for name in ("arm", "index", "search", "abstain")):
            raise ValueError("it does not say what it was made for")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = f"remove it (rm {path}), then type: groundtune calibrate"
        raise StateError(f"{path}: not a calibration: {error}", hint) from None
    return calibration


def _found(row: Mapping[str, Any]) -> Calibrated:
    def point(value: Mapping[str, Any] | None) -> CurvePoint | None:
        return None if value is None else CurvePoint(**value)

    weights = row["weights"]
    terms = {name: Term(**{key: float(value) for key, value in term.items()}) for name, term in weights["terms"].items()}
    if any(term.scale <= 0 for term in terms.values()):
        raise ValueError("a signal's scale is not above 0")
    return Calibrated(
        **{
            **row,
            "weights": Weights(intercept=float(weights["intercept"]), terms=terms),
            "curve": tuple(CurvePoint(**item) for item in row["curve"]),
            "chosen": point(row["chosen"]),
            "checked": point(row["checked"]),
        }
    )
