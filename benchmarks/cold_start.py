"""How long a command takes before it does anything: a bare interpreter, ``import groundtune``, ``groundtune --help``.

    python benchmarks/cold_start.py [RUNS]

Each is a new process, and the three take turns, so that whatever else the machine does falls on all alike. Wall time; files are
in the system's cache after the first round, which is not counted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

COMMANDS = {
    "bare python": [sys.executable, "-c", "pass"],
    "import groundtune": [sys.executable, "-c", "import groundtune"],
    "groundtune --help": [sys.executable, "-m", "groundtune", "--help"],
}


def seconds(command: Sequence[str]) -> float:
    """Return the wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main(runs: int = 7) -> None:
    """Measure and print a table: milliseconds, and the ratio of the medians to a bare interpreter."""
    load = os.getloadavg()[0]
    for command in COMMANDS.values():
        seconds(command)
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    bare = statistics.median(taken["bare python"])
    print(f"python benchmarks/cold_start.py {runs}  (load before: {load:.2f})")
    print(f"{'process':<20}{'best ms':>9}{'median ms':>11}{'× bare':>8}")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:<20}{1000 * min(times):>9.1f}{1000 * middle:>11.1f}{middle / bare:>8.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
