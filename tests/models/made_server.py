"""A real HTTP server on 127.0.0.1 that answers as the test says, request by request, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


class Server:
    """``answer`` maps what was asked to a ``Reply``; ``asked`` is in the order of arrival."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked, int], Reply] = lambda asked, number: Reply(404)
        self.lock = threading.Lock()

    def script(self, *replies: Reply) -> None:
        """Give these in turn, and the last one from then on."""
        self.answer = lambda asked, number: replies[min(number, len(replies) - 1)]


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            with server.lock:
                number = len(server.asked)
                server.asked.append(asked)
            reply = server.answer(asked, number)
            if reply.hang_up:
                self.close_connection = True
                self.connection.close()
                return
            time.sleep(reply.delay)
            content = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                # Whoever asked has given up, as a test of timeouts wants it.
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Server(f"http://127.0.0.1:{listener.server_address[1]}/v1")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
