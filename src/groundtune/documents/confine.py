"""What a process that parses a stranger's file may do: compute. No files written, no network, no other programs.

Limits of memory, time and file size come from ``setrlimit``, everywhere but on Windows. On Linux (x86-64 and 64-bit ARM) a seccomp filter
refuses the system calls below with EPERM, for this process and whatever it starts: https://docs.kernel.org/userspace-api/seccomp_filter.html
What it can still do is read files that the user can read; it has nobody to tell.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from contextlib import suppress

from groundtune.documents.limits import Limits

# Of socket, execve, execveat, ptrace, process_vm_writev and io_uring_setup (which could open a socket by itself), by the kernel's tables:
# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_REFUSED = {
    "x86_64": (0xC000003E, (41, 59, 322, 101, 311, 425)),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 271, 425)),
}
# The second set of numbers that x86-64 has for the same calls (x32) begins here.
_OTHER_NUMBERS = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def confine(limits: Limits) -> None:
    """Confine this process for good. On a kernel without seccomp the limits hold alone."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    seconds = int(limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    # macOS has the limit and refuses to set it.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    if sys.platform == "linux" and platform.machine() in _REFUSED and struct.calcsize("P") == 8:
        _install(*_REFUSED[platform.machine()])


def _install(architecture: int, refused: tuple[int, ...]) -> None:
    """Hand the filter to the kernel. In ``struct seccomp_data`` the call's number is at 0, the architecture at 4."""
    last = len(refused)
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, last + 1, 0, _OTHER_NUMBERS),
        # Each jumps over what is left of them and the permission, to the refusal.
        *((_EQUAL, last - at, 0, number) for at, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        libc.prctl(_SET_SECCOMP, _FILTER, described, 0, 0)
