"""HTML → Markdown of its main part; ``<meta name=…>`` gives readers and metadata.

The text is that of ``<main>``, else ``<article>``, else ``<body>``, without navigation, footers, forms, scripts and styles.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from groundtune.documents.load import HINT, Loaded, decode, readers_of
from groundtune.errors import DocumentError

FURNITURE = ("nav", "footer", "header", "aside", "form", "script", "style", "noscript", "template", "svg", "iframe")
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
IGNORED_META = frozenset({"viewport", "generator", "robots", "theme-color", "charset"})
DEEPEST = 500


def load(path: Path, raw: bytes) -> Loaded:
    """Read an HTML page. Raises ``DocumentError`` for one nested deeper than any person writes."""
    from html_to_markdown import ConversionOptions, convert

    page = _Page()
    page.feed(decode(path, raw))
    page.close()
    if page.deepest > DEEPEST:
        raise DocumentError(f"{path}: its elements are nested {page.deepest:,} deep, at most {DEEPEST} are read", HINT)
    body = next(("".join(page.parts[name]) for name in ("main", "article", "body", "") if "".join(page.parts[name]).strip()), "")
    result = convert(body, ConversionOptions(heading_style="atx", extract_metadata=False, wrap=False))
    text = re.sub(r"\n{3,}", "\n\n", (result.content or "").strip())
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    meta = dict(page.meta)
    readers = readers_of(path, meta.pop("readers")) if "readers" in meta else None
    title = page.title.strip() or (heading[1] if heading else path.stem)
    return Loaded(title=" ".join(title.split()), text=text, metadata=meta, readers=readers)


class _Page(HTMLParser):
    """Copies the markup of each part of a page, less its furniture, without building a tree."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: dict[str, list[str]] = {"main": [], "article": [], "body": [], "": []}
        self.meta: dict[str, str] = {}
        self.title = ""
        self.deepest = 0
        self._open: list[str] = []
        self._skipped = 0
        self._in_title = False

    def _copy(self, text: str) -> None:
        if self._skipped or self._in_title:
            return
        for name in ("main", "article", "body"):
            if name in self._open:
                self.parts[name].append(text)
        if "head" not in self._open:
            self.parts[""].append(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            given = {key: value or "" for key, value in attrs}
            name = given.get("name", "").strip().lower()
            if name and name not in IGNORED_META:
                self.meta[name] = given.get("content", "").strip()
            return
        if tag == "title" and "body" not in self._open:
            self._in_title = True
            return
        if tag not in VOID:
            if len(self._open) <= DEEPEST:
                self._open.append(tag)
            self.deepest = max(self.deepest, len(self._open))
            self._skipped += tag in FURNITURE
        if tag not in ("html", "body", "main", "article", "head"):
            self._copy(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self._in_title:
            self._in_title = False
            return
        if tag in VOID or tag not in self._open:
            return
        if tag not in ("html", "body", "main", "article", "head"):
            self._copy(f"</{tag}>")
        while self._open:
            closed = self._open.pop()
            self._skipped -= closed in FURNITURE
            if closed == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        self._copy(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")
