"""The public keys of whoever signs tokens, from the address where they are published; kept for a while, and asked for again when they turn.

    keys("r2")   held and fresh: as they are   ·   r2 is not among them: asked for again, at most once a minute
                 half their time is over: asked for again, and kept if that fails   ·   all of it is over: no token is taken

The address is the project's and never a token's. It is https, or this very machine; no redirect is followed; every address that its name
has is looked at before one of them is connected to; and the whole answer has one limit of size and one of time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from groundtune.access.addresses import is_loopback, is_public, resolve
from groundtune.access.tokens import CONFIG_HINT, HINT, Key, keys_of_jwks
from groundtune.errors import ConfigError, KeysError

HERE = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443}
MOST_BYTES = 262_144
SECONDS = 10.0  # that one answer may take, from the first packet to the last byte
APART = 60.0  # seconds between two questions while there are keys to go by
APART_WITHOUT = 5.0  # and while there are none


class Published:
    """Keys from an address. ``fresh`` seconds are they good for; ``allow_private`` reaches the addresses of one's own network.

    Safe for several threads at once: one asks, and those whose key is held do not wait for it. A set of a single key without an id holds
    for every token, so that it was changed is only seen when half its time is over. Raises ``ConfigError`` for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        fresh: float = 3600.0,
        allow_private: bool = False,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        resolver: Callable[[str, int], list[str]] = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._parts = _parts(url)
        self._fresh, self._allow_private, self._seconds, self._most_bytes = fresh, allow_private, seconds, most_bytes
        self._resolver, self._clock = resolver, clock
        self._asking = threading.Lock()
        self._held: tuple[Mapping[str, Key], float] | None = None
        self._asked: float | None = None
        self._why = ""

    def keys(self, name: str | None) -> Mapping[str, Key]:
        """Return the keys by id, as they are now for a token that names ``name``. Raises ``KeysError`` where none can be gone by."""
        if self._wanted(name) and self._asking.acquire(blocking=not self._serves(name)):
            try:
                if self._wanted(name):
                    self._ask()
            finally:
                self._asking.release()
        held = self._good()
        if held is None:
            raise KeysError(f"no token can be checked: {self._why or 'the keys are too old'}", HINT)
        return held[0]

    def _good(self) -> tuple[Mapping[str, Key], float] | None:
        """Return the keys that can still be gone by, and when they came; ``None`` where there are none."""
        held = self._held
        return held if held is not None and self._clock() - held[1] < self._fresh else None

    def _serves(self, name: str | None) -> bool:
        held = self._good()
        return held is not None and (name is None or name in held[0] or held[0].keys() == {""})

    def _wanted(self, name: str | None) -> bool:
        held, now = self._good(), self._clock()
        if self._asked is not None and now - self._asked < (APART_WITHOUT if held is None else APART):
            return False
        return held is None or now - held[1] >= self._fresh / 2 or not self._serves(name)

    def _ask(self) -> None:
        try:
            body = self._fetched()
            self._held = keys_of_jwks(body.decode("utf-8"), self.url, strict=False), self._clock()
        except (ConfigError, KeysError) as error:
            self._why = error.message
        except UnicodeDecodeError:
            self._why = f"{self.url}: not UTF-8"
        finally:
            # Not before: until then, whoever needs the answer has to wait for it.
            self._asked = self._clock()

    def _fetched(self) -> bytes:
        parts, until = self._parts, time.monotonic() + self._seconds
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        sock: socket.socket | None = None
        late = threading.Event()
        try:
            sock = self._connected(host, port)
            timer = threading.Timer(max(0.0, until - time.monotonic()), _stop, [sock, late])
            timer.daemon = True
            timer.start()
            try:
                if parts.scheme == "https":
                    sock = _secured(sock, host, timer, late, until)
                body = self._body(sock, host, port)
                if late.is_set():
                    raise TimeoutError  # an answer without a length may look whole where it was cut
                return body
            finally:
                timer.cancel()
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            told = f"took more than {self._seconds:g} s" if late.is_set() else f"{type(error).__name__}: {str(error)[:200]}"
            raise KeysError(f"{self.url}: the keys cannot be fetched: {told}", HINT) from None
        finally:
            if sock is not None:
                sock.close()

    def _connected(self, host: str, port: int) -> socket.socket:
        addresses = self._resolver(host, port)
        for address in addresses:
            if host in HERE and not is_loopback(address):
                raise KeysError(f"{self.url}: {host} is at {address}, which is not this machine", CONFIG_HINT)
            if host not in HERE and not self._allow_private and not is_public(address):
                told = f"{self.url}: {host} is at {address}, which is not a public address"
                raise KeysError(told, "if that is meant, set allow_private = true in [access.tokens]; then type: groundtune check")
        failure: OSError = OSError(f"{host} has no address")
        for address in addresses:
            try:
                return socket.create_connection((address, port), timeout=self._seconds / len(addresses))
            except OSError as error:
                failure = error
        raise failure

    def _body(self, sock: socket.socket, host: str, port: int) -> bytes:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(f"[{host}]" if ":" in host else host, port)
        sock.settimeout(self._seconds)
        connection.sock = sock
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "groundtune"}
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise KeysError(f"{self.url}: the keys cannot be fetched: HTTP {response.status}; redirects are not followed", HINT)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise KeysError(f"{self.url}: the keys are sent packed, which was not asked for", HINT)
        body = response.read(self._most_bytes + 1)
        if len(body) > self._most_bytes:
            raise KeysError(f"{self.url}: more than {self._most_bytes:,} bytes", HINT)
        if response.length:
            raise KeysError(f"{self.url}: the answer ends before its end", HINT)
        return body


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"access.tokens.jwks_url is {url!r:.200}: {error}", CONFIG_HINT) from None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.username is not None or parts.fragment:
        raise ConfigError(f"access.tokens.jwks_url is {url!r:.200}; expected https://host/path, in ASCII, without a user", CONFIG_HINT)
    if parts.scheme != "https" and not (parts.scheme == "http" and host in HERE):
        raise ConfigError(f"access.tokens.jwks_url is {url!r:.200}; expected https:// (http:// for localhost alone)", CONFIG_HINT)
    return parts


def _secured(sock: socket.socket, host: str, timer: threading.Timer, late: threading.Event, until: float) -> ssl.SSLSocket:
    sock.settimeout(max(0.1, until - time.monotonic()))
    secured = ssl.create_default_context().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    # The wrapper took the descriptor over, so the one who watches the clock has to hold the wrapper.
    timer.args[0] = secured  # type: ignore[index]
    if late.is_set():
        _stop(secured, late)
    try:
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def _stop(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        # The plain one: the TLS socket's own would let a reader go on without its encryption.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
