"""The other side of the sandbox: a small process that forks one child for each file, and ends it when it takes too long.

    request ──▶ server ──fork──▶ child: limits set, file parsed, result into a pipe
            ◀── result, or how the child ended

The server only hands bytes on; it never looks at what a file holds. The format's package is imported before the fork, so that a child
starts in milliseconds. Nothing here runs in the process that asks.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from groundtune import plugins
from groundtune.documents import wire
from groundtune.documents.confine import confine
from groundtune.documents.limits import Limits, using
from groundtune.errors import DocumentError, GroundtuneError, MissingExtra

MOST_RESULT = 600_000_000
_PRELOADED: set[str] = set()


def serve(descriptor: int) -> None:
    """Answer requests on a socket until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asking = socket.socket(fileno=descriptor)
    while True:
        try:
            request, [raw] = wire.unpack(lambda size: receive(asking, size))
        except EOFError:
            return
        _preload(request["loader"])
        asking.sendall(_answer(request, raw, asking))


def receive(source: socket.socket, size: int) -> bytes:
    """Return exactly ``size`` bytes. Raises ``EOFError`` where the other end is gone."""
    pieces = bytearray()
    while len(pieces) < size:
        piece = source.recv(min(size - len(pieces), 1 << 20))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)


def _preload(loader: str) -> None:
    """Import a loader and the packages that its module names in ``PRELOAD``. What is missing is the child's to report."""
    if loader in _PRELOADED:
        return
    _PRELOADED.add(loader)
    with suppress(Exception):
        module = sys.modules[plugins.load("loader", loader).__module__]
        for name in getattr(module, "PRELOAD", ()):
            import_module(name)


def _answer(request: dict[str, Any], raw: bytes, asking: socket.socket) -> bytes:
    taking, giving = os.pipe()
    child = os.fork()
    if child == 0:
        asking.close()
        os.close(taking)
        _parse(request, raw, giving)
    os.close(giving)
    pieces = bytearray()
    ended = "too large" if not _drained(taking, pieces, time.monotonic() + request["limits"]["seconds"]) else ""
    if ended and len(pieces) <= MOST_RESULT:
        ended = "timed out"
    os.close(taking)
    if ended:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # Linux counts in kilobytes, macOS in bytes.
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if not ended and code == 0:
        # What the child wrote is handed on as it is: it may be no message at all.
        return wire.pack({"ended": ""}, [bytes(pieces)])
    return wire.pack({"ended": ended or "crashed", "code": code, "peak": peak}, [b""])


def _drained(source: int, pieces: bytearray, deadline: float) -> bool:
    """Read the pipe to its end into ``pieces``; return whether that was reached in time and within ``MOST_RESULT``."""
    while len(pieces) <= MOST_RESULT:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            return False
        piece = os.read(source, 1 << 20)
        if not piece:
            return True
        pieces += piece
    return False


def _parse(request: dict[str, Any], raw: bytes, giving: int) -> NoReturn:
    """Parse in the child: write the result, or what went wrong, and end without any clean-up of the server's."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        limits = Limits(**request["limits"])
        confine(limits)
        with open(giving, "wb", closefd=False) as pipe:
            pipe.write(_result(request["loader"], Path(request["path"]), raw, limits))
        code = 0
    finally:
        os._exit(code)


def _result(loader: str, path: Path, raw: bytes, limits: Limits) -> bytes:
    try:
        with using(limits):
            loaded = plugins.load("loader", loader)(path, raw)
        return wire.pack({"ended": "", **wire.header_of(loaded)}, [part for _, part in loaded.parts])
    except MissingExtra as error:
        return wire.pack({"ended": "missing", "message": error.message, "hint": error.hint})
    except GroundtuneError as error:
        state = error.state if isinstance(error, DocumentError) else "unreadable"
        return wire.pack({"ended": "refused", "message": error.message, "hint": error.hint, "state": state})
    except MemoryError:
        return wire.pack({"ended": "memory"})
    except RecursionError:
        return wire.pack({"ended": "nested"})
    except Exception as error:
        return wire.pack({"ended": "failed", "message": f"{type(error).__name__}: {error}"[:500]})
