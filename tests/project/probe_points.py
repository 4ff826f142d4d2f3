"""``groundtune probe`` in a process of its own that is killed right before its n-th lasting effect; the protocol is that of kill_points."""

import importlib
import json
import sys
import warnings
from typing import Any

import kill_points

from groundtune.project.main import Project
from groundtune.records.ledger import Ledger


def probe(project: Project) -> Any:
    return project.probe()


def armed(number: int) -> list[str]:
    seen = arm(number)
    real = Ledger.keep_batch

    def watched(self: Ledger, *arguments: Any) -> Any:
        seen.append("Ledger.keep_batch ")
        if len(seen) == number:
            kill_points.os.kill(kill_points.os.getpid(), kill_points.signal.SIGKILL)
        return real(self, *arguments)

    Ledger.keep_batch = watched  # type: ignore[method-assign]
    return seen


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="lancedb fork support is experimental")
    for name in ("lancedb.table", "numpy", "pyarrow.compute", "groundtune.chunks.build", "groundtune.project.probing.run"):
        importlib.import_module(name)
    arm = kill_points.arm
    kill_points.arm = armed
    kill_points.ACTIONS = {"probe": probe}
    for line in sys.stdin:
        print(kill_points.forked(*json.loads(line)), flush=True)
