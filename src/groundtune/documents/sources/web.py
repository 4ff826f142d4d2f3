"""A web site by its sitemap: its own host only, robots.txt respected, nothing but public addresses.

    url = "https://docs.example.com/sitemap.xml"  →  Item("guide/install.html", metadata {"url": "https://docs.example.com/guide/install"})

A sitemap is a stranger's file: it is read as a stream, without entities, with limits on its size, depth and number of pages.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from xml.parsers import expat

from groundtune import plugins
from groundtune.documents.decode import decode
from groundtune.documents.load import HINT, LOADERS, most_bytes
from groundtune.documents.sources import robots
from groundtune.documents.sources.folder import Item, refused
from groundtune.documents.sources.guard import AGENT, PORTS, Guard, Reply
from groundtune.errors import DocumentError, GroundtuneError, SourceError

MOST_SITEMAP_BYTES = 50 * 1024 * 1024  # https://www.sitemaps.org/protocol.html, unpacked
MOST_SITEMAPS = 500
MOST_PAUSE = 30.0
PAGES = ("text/html", "application/xhtml+xml")


def open(settings: Mapping[str, Any], folder: Path) -> Site:
    """Open a site: ``url`` is its sitemap, or any of its pages, and then robots.txt names the sitemap or it is ``/sitemap.xml``."""
    name, url = settings["name"], settings.get("url") or ""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise SourceError(f"source {name}: url is {url!r}; expected http:// or https://", "correct its [[sources]] table")
    guard = Guard(
        parts.hostname.lower().rstrip("."),
        parts.port or PORTS[parts.scheme],
        allow_private=settings["allow_private"],
        timeout=settings["timeout_seconds"],
    )
    return Site(name, url, guard, most_items=settings["most_items"])


class Site:
    """The pages that a site's sitemap names."""

    def __init__(self, name: str, url: str, guard: Guard, *, most_items: int) -> None:
        self.name = name
        self.url = url
        self.guard = guard
        self.most_items = most_items
        self._rules = robots.Robots(rules=(), delay=0.0, sitemaps=())
        self._asked = 0.0

    def items(self) -> Iterator[Item]:
        """List the pages. Raises ``SourceError`` when robots.txt or a sitemap cannot be read."""
        try:
            self._rules = self._robots()
            pages = self._pages()
        except DocumentError as error:
            raise SourceError(f"source {self.name}: {error.message}", error.hint) from None
        for url, changed in pages.items():
            yield self._item(url, changed)

    def _robots(self) -> robots.Robots:
        parts = urlsplit(self.url)
        reply = self.guard.get(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/robots.txt")
        if reply.status >= 500:
            # RFC 9309, section 2.3.1.4: a server that cannot say what it allows allows nothing.
            raise SourceError(f"source {self.name}: robots.txt was answered with {reply.status}", "type: groundtune ingest")
        text = reply.body.decode("utf-8", "replace") if reply.status < 300 else ""
        return robots.parse(text, AGENT)

    def _pages(self) -> dict[str, str]:
        start = [self.url] if urlsplit(self.url).path.endswith((".xml", ".xml.gz")) else list(self._rules.sitemaps)
        waiting = start or [urljoin(self.url, "/sitemap.xml")]
        seen: set[str] = set()
        pages: dict[str, str] = {}
        while waiting:
            url = waiting.pop(0)
            if url in seen:
                continue
            seen.add(url)
            if len(seen) > MOST_SITEMAPS:
                raise SourceError(f"source {self.name}: more than {MOST_SITEMAPS} sitemaps", "name one of them as its url")
            reply = self.guard.get(url, most=MOST_SITEMAP_BYTES, allowed=self._rules.allows)
            if reply.status != 200:
                raise SourceError(
                    f"source {self.name}: {url} was answered with {reply.status}", "correct its url, then type: groundtune ingest"
                )
            inner, listed = sitemap(url, unpacked(url, reply.body), most=self.most_items)
            waiting += inner
            pages |= listed
            if len(pages) > self.most_items:
                raise SourceError(f"source {self.name}: more than {self.most_items:,} pages", "raise its most_items")
        return pages

    def _item(self, url: str, changed: str) -> Item:
        try:
            parts = self.guard.allows(url)
        except DocumentError as error:
            elsewhere = re.sub(r"[^\w.-]+", "-", url)[:200].strip("-.") or "page"
            return Item(name=f"elsewhere/{elsewhere}", read=refused(error), shown=url)
        name = name_of(parts.path, parts.query)
        if not self._rules.allows(url):
            told = DocumentError(f"{url}: robots.txt does not allow it to be read", f"type: groundtune ingest --drop {self.name}/{name}")
            return Item(name=name, read=refused(told), shown=url)
        return Item(name=name, stamp=settled(changed), read=lambda: self._page(url, name), metadata={"url": url}, shown=url)

    def _page(self, url: str, name: str) -> bytes:
        pause = min(self._rules.delay, MOST_PAUSE) - (time.monotonic() - self._asked)
        if pause > 0:
            time.sleep(pause)
        self._asked = time.monotonic()
        reply = self.guard.get(url, most=most_bytes(name), allowed=self._rules.allows)
        if reply.status in (404, 410):
            raise DocumentError(f"{url}: is in the sitemap, and was answered with {reply.status}", "correct the sitemap")
        if reply.status != 200:
            raise SourceError(f"{url}: was answered with {reply.status}", "type: groundtune ingest")
        is_page = name.endswith((".html", ".htm", ".xhtml"))
        if is_page and reply.content_type and reply.content_type not in PAGES:
            raise DocumentError(f"{url}: is {reply.content_type}, and its name says that it is a page", HINT)
        if not is_page and reply.content_type in PAGES:
            raise DocumentError(f"{url}: is a page, and its name says that it is {PurePosixPath(name).suffix}", HINT)
        return _as_utf8(url, reply) if reply.charset and (is_page or reply.content_type.startswith("text/")) else reply.body


def _as_utf8(url: str, reply: Reply) -> bytes:
    """Return a text in UTF-8: of an old page often the header alone says how it is encoded. What that does not fit stays as it is."""
    try:
        return decode(Path(url), reply.body, declared=reply.charset).encode()
    except DocumentError:
        return reply.body


def name_of(path: str, query: str) -> str:
    """Return the name of a page: its path, ``index.html`` for a folder, ``.html`` where its suffix names no loader."""
    try:
        plain = unquote(path, errors="strict").lstrip("/")
    except UnicodeDecodeError:
        plain = path.lstrip("/")
    plain = f"{plain}index.html" if not plain or plain.endswith("/") else plain
    plain = f"{plain}@{unquote(query)}".replace("//", "/") if query else plain
    suffix = PurePosixPath(plain).suffix.lower()
    known = suffix in LOADERS or suffix.removeprefix(".") in plugins.known("loader")
    return plain if known and not query else f"{plain}.html"


def settled(changed: str) -> str:
    """Return a page's time of change as a stamp; empty where it has only a day, and that day is not over everywhere."""
    try:
        if "T" in changed:
            datetime.fromisoformat(changed)
            return changed
        over = date.fromisoformat(changed) < datetime.now(UTC).date() - timedelta(days=1)
    except ValueError:
        return ""
    return changed if over else ""


def unpacked(url: str, body: bytes) -> bytes:
    """Return a sitemap's bytes, out of gzip where it is packed. Raises ``SourceError`` for more than ``MOST_SITEMAP_BYTES``."""
    if body[:2] == b"\x1f\x8b":
        unzip = zlib.decompressobj(wbits=31)
        try:
            body = unzip.decompress(body, MOST_SITEMAP_BYTES + 1)
        except zlib.error as error:
            raise SourceError(f"{url}: cannot be unpacked: {error}", "correct the sitemap") from None
    if len(body) > MOST_SITEMAP_BYTES:
        raise SourceError(f"{url}: more than {MOST_SITEMAP_BYTES:,} bytes", "split the sitemap")
    return body


def sitemap(url: str, body: bytes, *, most: int) -> tuple[list[str], dict[str, str]]:
    """Return the further sitemaps that one names, and its pages with the times they changed (empty: not said).

    Raises ``SourceError`` for what is no sitemap, and for any entity or document type, which a sitemap has no use for.
    """
    reader = expat.ParserCreate()
    inside: list[str] = []
    text: list[str] = []
    entry: dict[str, str] = {}
    maps: list[str] = []
    pages: dict[str, str] = {}

    def refuse(*_: Any) -> None:
        raise SourceError(f"{url}: declares a document type or an entity", "correct the sitemap")

    def opened(name: str, _: Any) -> None:
        inside.append(name.rpartition(":")[2])
        text.clear()
        if len(inside) > 20:
            raise SourceError(f"{url}: elements within elements, more than 20 deep", "correct the sitemap")
        if len(inside) == 2:
            entry.clear()

    def closed(name: str) -> None:
        here = inside.pop()
        if len(inside) == 2 and here in ("loc", "lastmod"):
            entry[here] = "".join(text).strip()
        if len(inside) == 1 and entry.get("loc"):
            if here == "sitemap":
                maps.append(urljoin(url, entry["loc"]))
            elif here == "url":
                pages[urljoin(url, entry["loc"])] = entry.get("lastmod", "")
            if len(maps) + len(pages) > most:
                raise SourceError(f"{url}: names more than {most:,} pages", "raise most_items of its [[sources]] table")

    reader.StartDoctypeDeclHandler = refuse
    reader.EntityDeclHandler = refuse
    reader.StartElementHandler = opened
    reader.EndElementHandler = closed
    reader.CharacterDataHandler = text.append
    try:
        reader.Parse(body, True)
    except GroundtuneError:
        raise
    except (expat.ExpatError, ValueError) as error:
        raise SourceError(f"{url}: is no sitemap: {error}", "correct the url or the sitemap") from None
    if not maps and not pages:
        raise SourceError(f"{url}: is no sitemap, or an empty one", "correct the url or the sitemap")
    return maps, pages
