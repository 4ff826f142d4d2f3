"""One pass over the tags of an HTML page: its title, its ``<meta>`` names, and where its main parts stand.

Time and memory grow with the length of the page only, whatever is in it: a tag, comment or script that is never closed ends the page,
as it does in a browser. The tree is the converter's affair.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# https://html.spec.whatwg.org/#before-attribute-name-state; possessive, so that a tag that does not end is found out in one go.
_TAG = re.compile(
    r"<(/?)([A-Za-z][^\s/>]*+)"
    r"((?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])[^\s>]++)?+)?+)*+)>"
)
_ATTRIBUTE = re.compile(r"([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>]++))?+)?+")
_RAW = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})
_BLOCKS = frozenset(
    "p div li ul ol dl dt dd table tr td th thead tbody section article main body h1 h2 h3 h4 h5 h6 pre blockquote header".split()
)
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}


@dataclass(frozen=True, slots=True)
class Page:
    """``pieces`` is the HTML of each ``<main>``, or else of the body. ``meta`` is every named one of the head, names in lower case.

    ``inline_run`` is the largest number of tags that follow each other without one that begins or ends a block.
    """

    title: str
    meta: tuple[tuple[str, str], ...]
    pieces: tuple[str, ...]
    inline_run: int


def scan(text: str) -> Page:
    """Read the tags of a page. A ``<meta>`` counts only before the body: what a page shows cannot say who may read it."""
    title = ""
    meta: list[tuple[str, str]] = []
    mains: list[tuple[int, int]] = []
    body, main, in_head, templates = 0, -1, True, 0
    run = longest = 0
    at = text.find("<")
    while at >= 0:
        tag = _TAG.match(text, at)
        if tag is None:
            end = _skipped(text, at)
            if end < 0:
                break
            at = text.find("<", end)
            continue
        name, closing, end = tag[2].lower(), bool(tag[1]), tag.end()
        run = 0 if name in _BLOCKS else run + 1
        longest = max(longest, run)
        if name in _RAW and not closing:
            close = _RAW_END[name].search(text, end)
            if name == "title" and in_head and not title:
                title = " ".join(html.unescape(text[end : close.start() if close else len(text)]).split())
            if close is None:
                break
            end = close.start()
        elif name == "template":
            templates = max(0, templates + (-1 if closing else 1))
        elif templates:
            pass
        elif name == "meta" and in_head:
            given = _attributes(tag[3])
            if given.get("name", "").strip():
                meta.append((given["name"].strip().lower(), given.get("content", "").strip()))
        elif name == "body" and not closing:
            in_head, body = False, end
        elif name == "head" and closing:
            in_head, body = False, end
        elif name == "main":
            in_head = False
            if closing and main >= 0:
                mains.append((main, at))
                main = -1
            elif not closing and main < 0 and "hidden" not in _attributes(tag[3]):
                main = end
        at = text.find("<", end)
    if main >= 0:
        mains.append((main, len(text)))
    pieces = tuple(text[start:end] for start, end in mains or [(body, len(text))])
    return Page(title=title, meta=tuple(meta), pieces=pieces, inline_run=longest)


def _skipped(text: str, at: int) -> int:
    """Return where to go on after a ``<`` that begins no whole tag, or -1 where nothing of the page is left."""
    if text.startswith("<!--", at):
        if text.startswith((">", "->"), at + 4):
            return at + 5
        end = text.find("-->", at + 4)
        return end + 3 if end >= 0 else -1
    if text[at + 1 : at + 2] in ("!", "?") or text.startswith("</", at) and not text[at + 2 : at + 3].isalpha():
        end = text.find(">", at)
        return end + 1 if end >= 0 else -1
    # A letter after "<" begins a tag, and this one never ends.
    return -1 if text[at + 1 : at + 2].isalpha() or text.startswith("</", at) else at + 1


def _attributes(written: str) -> dict[str, str]:
    """Return the attributes of a tag, names in lower case; of two with one name the first counts, as in a browser."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(written):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        found.setdefault(match[1].lower(), html.unescape(value))
    return found
