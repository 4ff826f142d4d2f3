"""A command of a project in a process of its own, killed (SIGKILL) right before its n-th lasting effect.

    python kill_points.py FOLDER ACTION NUMBER     exits 0 and prints the effects there were, if there are fewer than NUMBER

A lasting effect is a file that is renamed or removed, a commit or tag of the engine's table, or a transaction of the ledger.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundtune.chunks.store_lance import LanceStore
from groundtune.project.main import Project


def opened(folder: Path) -> Project:
    project = Project(folder)
    project.__dict__["store"] = LanceStore(project.state / "index" / "lance")
    return project


ACTIONS: dict[str, Callable[[Project], Any]] = {
    "ingest": lambda project: project.ingest(),
    "promote": lambda project: project.index.promote(next(v.id for v in project.index_versions() if v.id != project.index.live())),
    "rollback": lambda project: project.index.rollback(),
    "gc": lambda project: project.index.gc(keep=0),
}


def arm(number: int) -> list[str]:
    from lancedb.table import LanceTable, Tags

    from groundtune.records.ledger import Ledger

    seen: list[str] = []

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watched(self: Any, *arguments: Any, **named: Any) -> Any:
            if name == "unlink" and not self.exists():
                return real(self, *arguments, **named)
            seen.append(f"{owner.__name__}.{name} {arguments[0] if name in ('replace', 'audit') else ''}")
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, *arguments, **named)

        setattr(owner, name, watched)

    for owner, names in (
        (Path, ["replace", "unlink"]),
        (LanceTable, ["add", "delete", "optimize", "create_index", "merge_insert"]),
        (Tags, ["create", "update", "delete"]),
        (Ledger, ["begin", "link", "end", "audit"]),
    ):
        for name in names:
            wrap(owner, name)
    return seen


if __name__ == "__main__":
    project = opened(Path(sys.argv[1]))
    seen = arm(int(sys.argv[3]))
    ACTIONS[sys.argv[2]](project)
    print("\n".join(seen))
