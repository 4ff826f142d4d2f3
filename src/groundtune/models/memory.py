"""What memory there is, and the most that was used: of the GPU where models run on one, else of this process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def begin() -> None:
    """Forget the peak so far, where the system can; elsewhere ``peak`` is that of the process since its start."""
    if _gpu():
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak() -> int:
    """Return the most memory used since ``begin``, in bytes: allocated on the GPU, or resident in this process; 0 where nobody knows."""
    if _gpu():
        import torch

        return int(torch.cuda.max_memory_allocated())
    return _status("VmHWM") or _rusage()


def used() -> int:
    """Return the memory that this process (or, on a GPU, its tensors) uses now, in bytes."""
    if _gpu():
        import torch

        return int(torch.cuda.memory_allocated())
    return _status("VmRSS") or _rusage()


def free() -> tuple[int | None, str]:
    """Return the bytes that can still be used, and where: on the GPU, or in this machine or the container's limit, whichever is less."""
    if _gpu():
        import torch

        return int(torch.cuda.mem_get_info()[0]), "on the GPU"
    limits = [value for value in (_available(), _container()) if value is not None]
    return (min(limits) if limits else None), "in memory"


def _gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _status(name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _rusage() -> int:
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _available() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    try:
        import os

        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> int | None:
    """Return what the control group has left, where it has a limit (both versions of its files)."""
    for limit, current in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            most = (Path("/sys/fs/cgroup") / limit).read_text().strip()
            taken = (Path("/sys/fs/cgroup") / current).read_text().strip()
        except OSError:
            continue
        # Version 1 writes "no limit" as a number near 2^63.
        if most.isdigit() and int(most) < 1 << 60:
            return max(0, int(most) - int(taken))
    return None
