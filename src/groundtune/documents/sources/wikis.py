"""Wikis' zip exports: Confluence (HTML) and Notion (Markdown and CSV, or HTML). Pages with their comments, and what is attached.

    Export.zip!/Handbook 0f3a…e1/Leave 77c2…09.md   →  Item("Handbook/Leave.md", metadata {"notion": "77c2…09"})
    space.zip!/KB/attachments/123/456.pdf           →  Item("KB/attachments/123/456.pdf", title "offer.pdf", metadata {"page": "123"})

Neither export says who may read a page: readers come from the source's table, or rules by path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

from groundtune.documents.sources.exports import Entry, entries, path_of
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import GroundtuneError, SourceError

FURNITURE = ("styles/", "images/icons/", "images/thumbnails/")
_ID = re.compile(r"[ _-]([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?=$|[._/])")
_ATTACHED = re.compile(r"(?:^|/)attachments/(\d+)/[^/]+$")


def open_confluence(settings: Mapping[str, Any], folder: Path) -> Confluence:
    """Open the HTML export of a Confluence space."""
    return Confluence(settings["name"], path_of(settings, folder), most_items=settings["most_items"])


def open_notion(settings: Mapping[str, Any], folder: Path) -> Notion:
    """Open a Notion export; one that Notion split into parts within a zip is read as one."""
    return Notion(settings["name"], path_of(settings, folder), most_items=settings["most_items"])


class Confluence:
    """Pages and attachments of a space. Comments are part of a page, as the export has them."""

    def __init__(self, name: str, path: Path, *, most_items: int) -> None:
        self.name = name
        self.path = path
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """List the files. Raises ``SourceError`` for what is no such export."""
        found = entries(self.name, self.path, most_items=self.most_items)
        names = [entry.name for entry in found]
        if any(PurePosixPath(name).name == "entities.xml" for name in names):
            raise SourceError(
                f"source {self.name}: {self.path}: is an XML export", "export the space as HTML, then type: groundtune ingest"
            )
        if not any(name.endswith(".html") for name in names):
            raise SourceError(f"source {self.name}: {self.path}: holds no pages", "export the space as HTML, then type: groundtune ingest")
        titles = _attachment_titles(found)
        for entry in found:
            inner = entry.name.partition("/")[2] if "/" in entry.name else entry.name
            if inner.startswith(FURNITURE) or entry.name.startswith(FURNITURE) or entry.name.endswith(".css"):
                continue
            attached = _ATTACHED.search(entry.name)
            item = item_of(entry, self.path)
            if attached:
                item = replace(item, metadata={"page": attached[1]}, title=titles.get(entry.name))
            elif entry.name.endswith(".html"):
                page = re.search(r"_?(\d{4,})\.html$", entry.name)
                item = replace(item, metadata={"page": page[1]} if page else {})
            yield item


class Notion:
    """Pages, databases and files of a workspace. The ids in their names are metadata, where the names are as distinct without."""

    def __init__(self, name: str, path: Path, *, most_items: int) -> None:
        self.name = name
        self.path = path
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """List the files. Raises ``SourceError`` for what is no such export."""
        found: list[Entry] = []
        for entry in entries(self.name, self.path, most_items=self.most_items):
            if re.search(r"(?:^|/)Export-[0-9a-f-]+-Part-\d+\.zip$", entry.name):
                if entry.problem is not None:
                    raise SourceError(f"source {self.name}: {entry.problem.message}", entry.problem.hint)
                found += entries(self.name, self.path, most_items=self.most_items, part=entry.read)
            else:
                found.append(entry)
        if not found:
            raise SourceError(f"source {self.name}: {self.path}: is empty", "export it again, then type: groundtune ingest")
        names = {entry.name for entry in found}
        # A database comes twice: the rows of a view, and all rows.
        found = [entry for entry in found if not (entry.name.endswith(".csv") and f"{entry.name.removesuffix('.csv')}_all.csv" in names)]
        short = Counter(_without_ids(entry.name) for entry in found)
        for entry in found:
            name = _without_ids(entry.name)
            ids = _ID.findall(PurePosixPath(entry.name).name)
            item = item_of(replace(entry, name=name if short[name] == 1 else entry.name), self.path)
            yield replace(item, metadata={"notion": ids[-1].replace("-", "")} if ids else {})


def _without_ids(name: str) -> str:
    return "/".join(_ID.sub("", part) or part for part in name.split("/"))


def item_of(entry: Entry, path: Path) -> Item:
    """Return a file of an archive as an item."""
    read = entry.read if entry.problem is None else refused(entry.problem)
    stamp = entry.stamp if entry.problem is None else ""
    return Item(name=entry.name, stamp=stamp, read=read, shown=f"{path}!/{entry.name}")


class _Links(HTMLParser):
    """Collects the texts of links to attachments."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}
        self._to = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            target = next((value for name, value in attrs if name == "href" and value), "")
            self._to = target.partition("?")[0] if "attachments/" in target else ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._to = ""

    def handle_data(self, data: str) -> None:
        if self._to and data.strip():
            self.found.setdefault(self._to, data.strip()[:300])


def _attachment_titles(found: list[Entry]) -> dict[str, str]:
    """Return what the pages call their attachments: the files themselves are named by numbers."""
    titles: dict[str, str] = {}
    if not any(_ATTACHED.search(entry.name) for entry in found):
        return titles
    for entry in found:
        if entry.name.endswith(".html") and entry.problem is None:
            links = _Links()
            try:
                links.feed(entry.read().decode("utf-8", "replace"))
            except (GroundtuneError, AssertionError):
                continue  # The page itself will be reported; only names of attachments are looked for here.
            base = entry.name.rpartition("/")[0]
            titles |= {f"{base}/{target}" if base else target: text for target, text in links.found.items()}
    return titles
