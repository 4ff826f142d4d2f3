"""HTTP to one host and no other: every address is looked at before it is connected to, after every redirect anew.

    get("https://docs.example.com/a")  →  resolve → refuse what is not public → connect to that very address → read up to a limit

The address that was looked at is the one that is connected to, so a name that resolves differently the second time gains nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from groundtune.access.addresses import is_public, resolve
from groundtune.documents.load import MOST_BYTES
from groundtune.errors import DocumentError, SourceError

if TYPE_CHECKING:
    import httpx

AGENT = "groundtune"
MOST_REDIRECTS = 5
PORTS = {"http": 80, "https": 443}
HINT = "type: groundtune ingest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered: the status, the type without its parameters, the whole body, and the encoding that its header names."""

    status: int
    content_type: str
    body: bytes
    charset: str | None = None


class Guard:
    """A client for one host. ``allow_private`` lets it reach loopback and private addresses, for a site of one's own network."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        allow_private: bool = False,
        timeout: float = 30.0,
        resolver: Callable[[str, int], list[str]] = resolve,
    ) -> None:
        self.host = host
        self.port = port
        self.allow_private = allow_private
        self.timeout = timeout
        self.resolver = resolver

    def allows(self, url: str) -> SplitResult:
        """Return the parts of a URL of this host. Raises ``DocumentError`` for any other host, port, scheme, or a user in it."""
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise DocumentError(f"{url[:200]}: is no URL: {error}", HINT) from None
        if parts.scheme not in PORTS or parts.username is not None or parts.password is not None:
            raise DocumentError(f"{url[:200]}: is not a plain http or https address", HINT)
        same = port == self.port or (self.port in PORTS.values() and port in PORTS.values())
        if (parts.hostname or "").lower().rstrip(".") != self.host or not same:
            raise DocumentError(f"{url[:200]}: is not on {self.host}:{self.port}; only the sitemap's own host is read", HINT)
        return parts

    def get(self, url: str, *, most: int = MOST_BYTES, allowed: Callable[[str], bool] = lambda url: True) -> Reply:
        """Fetch a URL, following redirects within the host. Raises ``DocumentError`` for what is refused, ``SourceError`` for what fails.

        ``most`` is how many bytes may come; ``allowed`` is asked for every URL on the way. Statuses are not judged.
        """
        import httpx

        deadline = time.monotonic() + self.timeout
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=self.timeout, headers={"User-Agent": AGENT}) as client:
            for _ in range(MOST_REDIRECTS + 1):
                parts = self.allows(url)
                if not allowed(url):
                    raise DocumentError(f"{url[:200]}: robots.txt does not allow it to be read", "leave it out, or ask the site's owner")
                try:
                    reply, target = self._one(client, url, parts, deadline, most)
                except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
                    raise SourceError(f"{url[:200]}: cannot be fetched: {type(error).__name__}: {str(error)[:200]}", HINT) from None
                if target is None:
                    return reply
                url = urljoin(url, target)
        raise DocumentError(f"{url[:200]}: more than {MOST_REDIRECTS} redirects", HINT)

    def _one(self, client: httpx.Client, url: str, parts: SplitResult, deadline: float, most: int) -> tuple[Reply, str | None]:
        port = parts.port or PORTS[parts.scheme]
        addresses = self.resolver(self.host, port)
        if not addresses:
            raise SourceError(f"{self.host}: has no address", HINT)
        for address in addresses:
            if not self.allow_private and not is_public(address):
                told = f"{url[:200]}: {self.host} is at {address}, which is not a public address"
                raise SourceError(told, "set allow_private = true in its [[sources]] table if that is meant")
        address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        pinned = urlunsplit((parts.scheme, f"{address}:{port}", parts.path or "/", parts.query, ""))
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = host if port == PORTS[parts.scheme] else f"{host}:{port}"
        request = client.build_request("GET", pinned, headers={"Host": named}, extensions={"sni_hostname": self.host})
        response = client.send(request, stream=True)
        try:
            if response.is_redirect:
                return Reply(status=response.status_code, content_type="", body=b""), response.headers["location"]
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > most:
                    raise DocumentError(f"{url[:200]}: more than {most:,} bytes", HINT, state="too large")
                if time.monotonic() > deadline:
                    raise SourceError(f"{url[:200]}: took more than {self.timeout:g} s", HINT)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Reply(status=response.status_code, content_type=kind, body=bytes(body), charset=response.charset_encoding), None
        finally:
            response.close()
