"""Routes → a server on this machine that one browser may use, until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from groundtune.errors import GroundtuneError, MissingExtra, StateError
from groundtune.server import pages
from groundtune.server.door import HOST, Door, Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from uvicorn import Server

Routes = Callable[[Door], "Sequence[BaseRoute]"]


def serve(routes: Routes, *, port: int, tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C. ``tell`` is given the link, once. ``port`` 0 takes a free one. Raises ``StateError`` where the port is taken."""
    ready()
    # A shell that puts a command in the background lets it ignore Ctrl-C: one that comes before the server has its own way would be lost.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with bound(port) as listening:
        door = Door(listening.getsockname()[1])
        server = made(routes, door)
        try:
            tell(door.link)
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # what was asked for; the connections are closed by now
            return


def ready() -> None:
    """Make sure that the web stack is installed. Raises ``MissingExtra``."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra.of(str(error.name), "serve") from None
    pages.environment()


def bound(port: int) -> socket.socket:
    """Return a socket that listens on this machine only."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Else the same port would be refused for a minute after a stop.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        # Whoever is given the link may be faster than the server: from here on, a browser waits and is not refused.
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise StateError(f"port {port} of {HOST} cannot be used: {error.strerror}", "leave --port away to take a free one") from None
    return listening


def made(routes: Routes, door: Door) -> Server:
    """Return the server of an application, not yet running."""
    from uvicorn import Config, Server

    config = Config(
        application(routes, door),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        limit_concurrency=64,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def application(routes: Routes, door: Door) -> Guard:
    """Return the whole application: the routes below the door's path, their errors as pages, and the guard around all of it."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Mount, Route

    def answer(request: Request, status: int, says: str, hint: str) -> Response:
        if request.headers.get("accept") == "application/json":
            return JSONResponse({"error": says, "hint": hint}, status)
        return HTMLResponse(pages.render("message.html", door=door, title="It was not done", says=says, hint=hint), status)

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, GroundtuneError)  # noqa: S101
        return answer(request, 409 if isinstance(error, StateError) else 400, error.message, error.hint)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return answer(request, error.status_code, str(error.detail), "go back to the first page")

    async def unknown(request: Request, error: Exception) -> Response:
        # It is raised again after this, and the guard writes its details to the terminal; no response has them.
        return answer(request, 500, "something went wrong here", "its details are in the terminal that the server runs in")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in pages.STATIC:
            raise HTTPException(404)
        return Response(pages.static(name), media_type=pages.STATIC[name])

    app = Starlette(
        routes=[Mount(door.path, routes=[*routes(door), Route("/static/{name}", asset)])],
        exception_handlers={GroundtuneError: known, HTTPException: http, Exception: unknown},
    )
    return Guard(app, door, pages.refusal)
