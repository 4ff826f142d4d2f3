"""Commands of a project, each in a process of its own that is killed (SIGKILL) right before its n-th lasting effect.

    → ["/tmp/bot", "ingest", 3]          ← -9, and what it printed in the file that was named
    → ["/tmp/bot", "ingest", 10000]      ← 0, and the effects there were, one a line, as there are fewer

A lasting effect is a file that is renamed or removed, a commit or tag of the engine's table, or a transaction of the ledger. The process
that reads these lines has imported everything, opened nothing, and forks for each: a start of Python with the engine takes seconds, and
what is tested is how the process ends.
"""

import importlib
import json
import os
import signal
import sys
import traceback
import warnings
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


def run(folder: str, action: str, number: int) -> None:
    project = opened(Path(folder))
    seen = arm(number)
    ACTIONS[action](project)
    print("\n".join(seen), flush=True)


def forked(out: str, *command: Any) -> int:
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            run(*command)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    # The engine resets its threads in a forked child, and warns that this is young; nothing of it runs here when a child is made.
    warnings.filterwarnings("ignore", message="lancedb fork support is experimental")
    for name in ("lancedb.table", "numpy", "pyarrow.compute", "groundtune.chunks.build", "groundtune.project.ingest"):
        importlib.import_module(name)
    for line in sys.stdin:
        print(forked(*json.loads(line)), flush=True)
