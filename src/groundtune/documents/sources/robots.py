"""robots.txt → may this path be read? By RFC 9309: the most specific group, then the longest rule; of equal ones, allow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

MOST_BYTES = 512_000  # RFC 9309, section 2.5: at least 500 KiB have to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Robots:
    """The rules for one agent: (allow, pattern), the pause between two requests in seconds, and the sitemaps that are named."""

    rules: tuple[tuple[bool, str], ...]
    delay: float
    sitemaps: tuple[str, ...]

    def allows(self, url: str) -> bool:
        """Return whether a URL may be read."""
        parts = urlsplit(url)
        path = _plain((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        if path == "/robots.txt":
            return True
        best = max(((len(pattern), allow) for allow, pattern in self.rules if _matches(pattern, path)), default=(0, True))
        return best[1]


def parse(text: str, agent: str) -> Robots:
    """Read a robots.txt. Lines that mean nothing are passed over, as the standard asks."""
    groups: list[tuple[list[str], list[tuple[bool, str]], list[float]]] = []
    sitemaps: list[str] = []
    naming = False
    for line in text[:MOST_BYTES].splitlines():
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            if not naming:
                groups.append(([], [], []))
            groups[-1][0].append(value.lower())
            naming = True
        elif key in ("allow", "disallow", "crawl-delay"):
            naming = False
            if groups and key != "crawl-delay" and value:
                groups[-1][1].append((key == "allow", _plain(value)))
            elif groups and re.fullmatch(r"\d{1,4}(?:\.\d+)?", value):
                groups[-1][2].append(float(value))
        elif key == "sitemap" and value:
            sitemaps.append(value)
    mine = [group for group in groups if any(name == agent for name in group[0])] or [group for group in groups if "*" in group[0]]
    return Robots(
        rules=tuple(rule for group in mine for rule in group[1]),
        delay=max((delay for group in mine for delay in group[2]), default=0.0),
        sitemaps=tuple(sitemaps),
    )


def _plain(path: str) -> str:
    return quote(unquote(path, errors="surrogateescape").encode("utf-8", "surrogateescape"), safe="/?=&*$:@!'(),;+~")


def _matches(pattern: str, path: str) -> bool:
    """Match piece by piece from the left: the shortest place for each piece is the best, so no pattern takes long."""
    ends = pattern.endswith("$")
    pieces = pattern.removesuffix("$").split("*")
    if not path.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for number, piece in enumerate(pieces[1:], start=1):
        if ends and number == len(pieces) - 1:
            return len(path) - len(piece) >= at and path.endswith(piece)
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not ends or at == len(path)
