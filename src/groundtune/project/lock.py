"""The test set, the rubric, the arms and the holdout, hashed and locked before any arm sees a question.

groundtune.lock   {"schema": 1, "test": "…", "rubric": "…", "arms": "…", "locked_at": "…", "relocked": [{…the lock before…}]}

A holdout, where one is kept, is hashed too. One that is added later is taken into the lock that there is, since nothing that was locked
changed; one that changed, or is gone, is a change like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import LockedError, StateError
from groundtune.files import fingerprint, write_json
from groundtune.project.content import Content
from groundtune.records.ledger import now
from groundtune.tables import Settings
from groundtune.types import Asked

FILE = "groundtune.lock"
LOCKED = ("test", "rubric", "arms", "holdout")
NONE = "none"  # in the place of the holdout's hash where none is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What was locked, when, and the locks that it replaced."""

    test: str
    rubric: str
    arms: str
    locked_at: str
    relocked: tuple[Mapping[str, Any], ...]
    holdout: str = NONE

    def id(self, asked: Asked = "test") -> str:
        """Return the identity of the locked test set, or of the holdout; looks are counted by it."""
        return f"lock:{self.test}" if asked == "test" else f"lock:holdout {self.holdout}"


def present(content: Content, settings: Settings) -> dict[str, str]:
    """Return the hashes of what is to be locked, as it stands now."""
    answers = settings.answers.model_dump()
    # What was locked before there was this switch stays locked.
    answers = {name: value for name, value in answers.items() if name != "tell_conflicts" or value}
    return {
        "test": content.split_fingerprint("test"),
        "holdout": content.split_fingerprint("holdout") if content.split("holdout") else NONE,
        "rubric": rubric_print(settings),
        "arms": fingerprint(
            [arm.model_dump() for arm in settings.arms],
            {name: recipe.model_dump() for name, recipe in settings.tuning.items()},
            answers,
        ),
    }


def rubric_print(settings: Settings) -> str:
    """Return the hash of the rubric; what was locked before a rubric could say stop stays locked."""
    rubric = settings.rubric.model_dump()
    return fingerprint({name: value for name, value in rubric.items() if name != "stop" or value})


def read(folder: Path) -> Lock | None:
    """Return the project's lock, or ``None`` where nothing was locked yet."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return Lock(
            test=row["test"],
            rubric=row["rubric"],
            arms=row["arms"],
            locked_at=row["locked_at"],
            relocked=tuple(row["relocked"]),
            holdout=row.get("holdout", NONE),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{path}: not a lock file: {error!r}", "restore it from version control, or type: groundtune lock --relock"
        ) from None


def lock(folder: Path, content: Content, settings: Settings, *, relock: bool) -> Lock:
    """Lock what stands now, or confirm that it is what was locked. Raises ``LockedError`` naming what changed."""
    hashes = present(content, settings)
    try:
        old = read(folder)
    except StateError:
        if not relock:
            raise
        # What was locked cannot be known any more, which is itself a change that the decision has to mention.
        old = Lock(test="unreadable", rubric="unreadable", arms="unreadable", locked_at="unreadable", relocked=())
    if old is not None:
        changed = [name for name in LOCKED if getattr(old, name) != hashes[name]]
        if not changed:
            return old
        if changed == ["holdout"] and old.holdout == NONE:
            return _written(folder, hashes, old.locked_at, old.relocked)
        if not relock:
            names = {
                "test": "the test set",
                "rubric": "the rubric",
                "arms": "the arms (or how they are asked or tuned)",
                "holdout": "the holdout",
            }
            raise LockedError(
                f"{folder / FILE}: {', '.join(names[name] for name in changed)} changed since it was locked on {old.locked_at[:10]}",
                "undo the change, or accept a new lock that the decision will mention: groundtune lock --relock",
            )
    before = () if old is None else (*old.relocked, _row({name: getattr(old, name) for name in (*LOCKED, "locked_at")}))
    return _written(folder, hashes, now(), before)


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written: locks of projects without a holdout look as they did before there were any."""
    return {name: value for name, value in values.items() if name != "holdout" or value != NONE}


def _written(folder: Path, hashes: Mapping[str, str], locked_at: str, relocked: Sequence[Mapping[str, Any]]) -> Lock:
    write_json(folder / FILE, _row({"schema": 1, **hashes, "locked_at": locked_at, "relocked": list(relocked)}))
    made = read(folder)
    if made is None:
        raise StateError(f"{folder / FILE}: was written but cannot be read back", "type: groundtune lock")
    return made
