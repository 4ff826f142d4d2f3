"""A strange file is parsed in a process of its own, which can be ended without harm to anybody else.

    load("pdf", path, raw)  →  Loaded, or DocumentError(state="crashed" | "timed out" | "too large" | …)

Native readers do not raise when memory ends, they abort; and what a file makes of its reader must not reach the process that holds the
index, the ledger and the keys. So the parsing process has no keys in its environment, cannot write files, reach the network or start
programs, has limits on memory and time, and its answer is read as JSON. Markdown, plain text and source code are only decoded, in time and
memory that grow with their length: they stay here, since a process for each would take longer than the work.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from groundtune import plugins
from groundtune.documents import wire
from groundtune.documents.limits import Limits, current, using
from groundtune.documents.loaded import HINT, Loaded
from groundtune.errors import DocumentError, MissingExtra

__all__ = ["ONLY_DECODED", "close", "load"]

ONLY_DECODED = frozenset({"markdown", "text", "code"})
# What a Python process needs to start and to name files; no credentials are ever among it.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONHOME", "PYTHONUTF8", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from groundtune.documents.sandbox_server import serve; serve(int(sys.argv[2]))"
)
# Beyond a file's own seconds: for the server to start, to import the format's package, and to hand the bytes on.
_GRACE = 60.0


class _Server:
    """The server process and the socket to it. It ends when the socket is closed, so also when this process is killed."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-c", _START, json.dumps(sys.path), str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                start_new_session=True,
            )
        self._socket = here
        self.owner = os.getpid()

    def ask(self, request: bytes, seconds: float) -> tuple[dict[str, object], list[bytes]]:
        """Send a request and return the answer. Raises ``OSError``, ``EOFError`` or ``ValueError`` when there is none."""
        from groundtune.documents.sandbox_server import receive

        self._socket.settimeout(seconds + _GRACE)
        self._socket.sendall(request)
        return wire.unpack(lambda size: receive(self._socket, size))

    def close(self) -> None:
        """End the server, and with it a child that is still parsing."""
        self._socket.close()
        if self.owner == os.getpid():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            self._process.wait()


_lock = threading.Lock()
_server: _Server | None = None


def close() -> None:
    """End the parsing process; the next file starts another."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


atexit.register(close)


def load(loader: str, path: Path, raw: bytes, *, limits: Limits | None = None) -> Loaded:
    """Read a file by the named loader. Raises ``DocumentError`` with a state and a reason, ``MissingExtra`` for a package not installed."""
    bounds = limits or current()
    # Where a process cannot be forked, pages are still read, without limits of memory and time.
    if loader in ONLY_DECODED or (loader == "html" and not hasattr(os, "fork")):
        return _here(loader, path, raw, bounds)
    if not hasattr(os, "fork"):
        raise DocumentError(f"{path}: this format is read on Linux and macOS only", HINT, state="unsupported")
    request = wire.pack({"loader": loader, "path": str(path), "limits": asdict(bounds)}, [raw])
    with _lock:
        answer, [written] = _asked(path, request, bounds)
    blobs: list[bytes] = []
    if not answer["ended"]:
        try:
            answer, blobs = wire.unpacked(written)
        except ValueError as error:
            raise DocumentError(f"{path}: the {loader} loader answered nonsense: {error}", HINT) from None
    return _read(loader, path, bounds, answer, blobs)


def _here(loader: str, path: Path, raw: bytes, limits: Limits) -> Loaded:
    try:
        with using(limits):
            loaded: Loaded = plugins.load("loader", loader)(path, raw)
    except (MemoryError, RecursionError) as error:
        raise DocumentError(f"{path}: too large or too deeply nested: {type(error).__name__}", HINT, state="too large") from None
    return loaded


def _asked(path: Path, request: bytes, limits: Limits) -> tuple[dict[str, object], list[bytes]]:
    global _server
    if _server is not None and _server.owner != os.getpid():
        # After a fork of ours the socket is the parent's to speak on.
        _server.close()
        _server = None
    last: Exception | None = None
    # A server that somebody ended between two files is no fault of the file, so it is asked once more.
    for _ in range(2):
        _server = _server or _Server()
        try:
            return _server.ask(request, limits.seconds)
        except (OSError, EOFError, ValueError) as error:
            last = error
            close()
            if isinstance(error, TimeoutError | ValueError):
                break
        except BaseException:
            # Interrupted in mid-answer: what the socket still holds belongs to no later file.
            close()
            raise
    raise DocumentError(f"{path}: the parsing process ended ({type(last).__name__}: {last})", HINT, state="crashed")


def _read(loader: str, path: Path, limits: Limits, answer: dict[str, object], blobs: list[bytes]) -> Loaded:
    ended, message, hint = answer.get("ended"), str(answer.get("message", "")), str(answer.get("hint") or HINT)
    if ended == "missing":
        raise MissingExtra(message, hint)
    if ended == "refused":
        raise DocumentError(message, hint, state=str(answer.get("state")))
    if ended:
        state, reason = _reason(str(ended), answer, limits)
        if ended == "failed":
            reason = f"the {loader} loader failed: {message}"
        raise DocumentError(f"{path}: {reason}", HINT, state=state)
    try:
        return wire.loaded_of(answer, blobs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"{path}: the {loader} loader answered nonsense: {error}", HINT) from None


def _reason(ended: str, answer: dict[str, object], limits: Limits) -> tuple[str, str]:
    """Return the state and the reason in words for a child that gave no text."""
    memory = f"{limits.memory // 1_000_000:,} MB of memory"
    if ended == "timed out":
        return "timed out", f"not read within {limits.seconds:g} seconds"
    if ended == "memory":
        return "too large", f"needs more than {memory}"
    if ended == "nested":
        return "too large", "nested too deep to be read"
    if ended == "too large":
        return "too large", "its text is too long to be handed over"
    if ended == "failed":
        return "unreadable", ""
    code, peak = int(str(answer.get("code") or 0)), int(str(answer.get("peak") or 0)) // 1_000_000
    if code == -signal.SIGXCPU:
        return "timed out", f"took more than {limits.seconds:g} seconds of processor time"
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return "crashed", f"its reader was ended by {how} at {peak:,} MB; often that is for want of memory (the limit is {memory})"
