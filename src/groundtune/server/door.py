"""Every request → is it from the browser that was let in, by this machine's own address? Else it gets no further.

    GET /k3…/enter?token=…   the printed link, once      → a cookie, and on to the page
    GET /k3…/rows            with the cookie             → the page
    POST /k3…/rows/decide    with the cookie, this Origin and the form's own secret → done

A page of another site can make a browser send requests here, and a name of its own can be made to point here: so Host and Origin have to
be ours to the letter, and the cookie goes with no request that another site began. Cookies are not kept apart by port; the path begins
with a random part, so that what else listens on this machine is not sent ours.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
MOST_BODY = 1_000_000  # bytes; a row that is edited by hand is far smaller
MOST_DRAINED = 20 * MOST_BODY
COOKIE = "groundtune"
LOG = logging.getLogger(__name__)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Without a referrer a browser sends no Origin with a form either, and that is what we check.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Door:
    """The secrets of one run of the server: the path, the token that works once, the cookie, and what every form carries."""

    def __init__(self, port: int) -> None:
        self.host = f"{HOST}:{port}"
        self.origin = f"http://{self.host}"
        self.path = f"/{secrets.token_urlsafe(9)}"
        self.csrf = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """The link to print. Whoever opens it first is let in, and nobody after."""
        return f"{self.origin}{self.path}/enter?token={self._token}"

    def enter(self, token: str) -> str | None:
        """Return the cookie to set for the right token, once; ``None`` for any other."""
        if self._token is None or not _same(token, self._token):
            return None
        self._token = None
        return f"{COOKIE}={self._session}; Path={self.path}; HttpOnly; SameSite=Strict"

    def knows(self, header: str) -> bool:
        """Return whether a Cookie header holds our cookie."""
        try:
            cookie = SimpleCookie(header).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._session)

    def own_form(self, secret: str) -> bool:
        """Return whether a form carries what only our pages hold."""
        return _same(secret, self.csrf)


def _same(one: str, other: str) -> bool:
    """Compare without telling by the time it takes how much is right."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


async def _drained(receive: Receive) -> None:
    """Read what a refused request sends, within bounds: a browser shows no answer to what it could not send."""
    left = MOST_DRAINED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b"")) + 1
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


class Guard:
    """The outermost part of the application: refuses, limits, and puts the headers on every response."""

    def __init__(self, app: ASGIApp, door: Door, refusal: Callable[[int, str, str], bytes]) -> None:
        self.app, self.door, self.refusal = app, door, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served here")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        status, why, headers = self._asked(scope)
        if status == 0:
            try:
                await self.app(scope, receive, with_headers)
            except Exception:  # the response is out by now, and says nothing of it
                LOG.exception("a fault while %s %s was answered", scope["method"], scope["path"])
            return
        if scope["method"] == "POST":
            await _drained(receive)
        at_the_door = scope["path"] == f"{self.door.path}/enter"
        body = self.refusal(status, why, f"{self.door.path}/" if at_the_door else "")
        fixed = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        await with_headers({"type": "http.response.start", "status": status, "headers": [*headers, *fixed]})
        await with_headers({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})

    def _asked(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]]:
        """Return 0 to hand on, or the status and the reason of a refusal, with its own headers."""
        given: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if given.get("host") != [self.door.host]:
            return 421, f"this server answers only to {self.door.origin}", []
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET, HEAD and POST", [(b"allow", b"GET, HEAD, POST")]
        if given.get("sec-fetch-site", ["none"])[0] == "cross-site" and scope["method"] == "POST":
            return 403, "another site asked for this", []
        if scope["method"] == "POST" and (refused := self._posted(given)):
            return *refused, []
        path = str(scope["path"])
        if path == f"{self.door.path}/enter":
            return self._enter(scope, given)
        if path.startswith(f"{self.door.path}/static/") and scope["method"] != "POST":
            return 0, "", []
        if not any(self.door.knows(header) for header in given.get("cookie", ())):
            return 403, "this browser was not let in, or the server was started anew since; open the link that it printed", []
        return 0, "", []

    def _posted(self, given: dict[str, list[str]]) -> tuple[int, str] | None:
        if given.get("origin") != [self.door.origin]:
            return 403, "another site asked for this"
        kind = given.get("content-type", [""])[0].partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return 415, "expected the fields of a form"
        length = given.get("content-length", [""])[0]
        if not length.isdecimal() or not length.isascii():
            return 411, "expected the length of what is sent"
        return (413, f"at most {MOST_BODY:,} bytes") if len(length) > 12 or int(length) > MOST_BODY else None

    def _enter(self, scope: Scope, given: dict[str, list[str]]) -> tuple[int, str, list[tuple[bytes, bytes]]]:
        if scope["method"] != "GET":
            return 405, "open the link in a browser", [(b"allow", b"GET")]
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        # Not a redirect: after a link on another site's page, a browser keeps the cookie back until a page of ours sends it on.
        if any(self.door.knows(header) for header in given.get("cookie", ())):
            return 200, "you are in already", []
        cookie = self.door.enter(token)
        if cookie is None:
            return 403, "this link works once, and was used before or is another one; for a new one, stop the server and start it again", []
        return 200, "you are in", [(b"set-cookie", cookie.encode())]
