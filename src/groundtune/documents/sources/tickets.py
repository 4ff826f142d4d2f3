"""Ticket systems' exports: Zendesk and Jira, as JSON (also one a line) or CSV. A ticket with its replies is one document.

    {"id": 12, "subject": "Gate 4", "comments": [… public …, … internal …]}
    →  Item("12.md"): subject, description, public replies          Item("12.internal.md"): what only agents may read

What a system keeps from customers is never put under the readers of the rest: internal notes and restricted comments are items of their
own, and one whose readers nobody named is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from groundtune.documents.load import HINT
from groundtune.documents.sources.exports import path_of, records, rows
from groundtune.documents.sources.folder import Folder, Item, refused
from groundtune.errors import DocumentError, SourceError

MOST_DEPTH = 100  # of a rich text's nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that somebody added. ``readers`` is ``None`` for what all readers of the ticket may read."""

    by: str
    at: str
    text: str
    readers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket as far as it is knowledge. ``level`` names a security level of the system that the ticket stands under."""

    key: str
    title: str
    text: str
    remarks: Sequence[Remark] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    level: str = ""


def open_zendesk(settings: Mapping[str, Any], folder: Path) -> Export:
    """Open a Zendesk export. ``options.internal_readers`` names who reads internal notes, ``options.attachments`` a folder of files."""
    path = path_of(settings, folder)
    read = _zendesk_csv if path.suffix.lower() == ".csv" else _zendesk_json
    return Export(settings, folder, path, read)


def open_jira(settings: Mapping[str, Any], folder: Path) -> Export:
    """Open a Jira export. ``options."level.NAME"`` names who reads the tickets of a security level; groups of comments are readers.

    A CSV does not say which comments are restricted, so all of them are internal notes, unless ``options.comments`` is ``public``.
    """
    path = path_of(settings, folder)
    if path.suffix.lower() != ".csv":
        return Export(settings, folder, path, _jira_json)
    said = settings["options"].get("comments", "internal")
    if said not in ("internal", "public"):
        raise SourceError(
            f"source {settings['name']}: options.comments is {said!r}; expected internal or public", "correct its [[sources]] table"
        )
    return Export(settings, folder, path, partial(_jira_csv, public=said == "public"))


class Export:
    """The tickets of one export file, and their attachments where a folder ``KEY/FILE`` of them is named."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, path: Path, read: Any) -> None:
        self.name: str = settings["name"]
        self.options: Mapping[str, str] = settings["options"]
        self.most_items: int = settings["most_items"]
        self.path = path
        self.attachments = folder / self.options["attachments"] if "attachments" in self.options else None
        self.read = read

    def items(self) -> Iterator[Item]:
        """List tickets, restricted remarks and attachments. Raises ``SourceError`` for what is not such an export."""
        readers: dict[str, frozenset[str] | None | DocumentError] = {}
        count = 0
        for ticket in self.read(self.name, self.path):
            count += 1
            if count > self.most_items:
                raise SourceError(f"source {self.name}: more than {self.most_items:,} tickets", "raise its most_items")
            who = self._level(ticket)
            readers[ticket.key] = who
            open_remarks = [remark for remark in ticket.remarks if remark.readers is None]
            yield self._item(f"{ticket.key}.md", ticket, open_remarks, who, described=True)
            for restricted in sorted({remark.readers for remark in ticket.remarks if remark.readers is not None}):
                remarks = [remark for remark in ticket.remarks if remark.readers == restricted]
                yield self._restricted(ticket, restricted, remarks, who)
        if self.attachments is not None:
            yield from self._attached(readers)

    def _item(
        self, name: str, ticket: Ticket, remarks: Sequence[Remark], who: frozenset[str] | None | DocumentError, *, described: bool
    ) -> Item:
        if isinstance(who, DocumentError):
            return Item(name=name, read=refused(who))
        raw = _markdown(ticket, remarks, described=described).encode("utf-8", "replace")
        return Item(name=name, read=lambda: raw, title=ticket.title or ticket.key, metadata=ticket.metadata, readers=who)

    def _restricted(self, ticket: Ticket, restricted: str, remarks: Sequence[Remark], who: frozenset[str] | None | DocumentError) -> Item:
        """Return restricted remarks as an item for those alone who were named: the group itself, or whom the project names for it."""
        label = re.sub(r"[^\w-]+", "-", restricted).strip("-") or "restricted"
        name = f"{ticket.key}.{label}.md"
        key = "internal_readers" if restricted == "internal" else ""
        named = self.options.get(key or f"group.{restricted}", "" if key else restricted)
        groups = frozenset(part.strip() for part in named.split(",") if part.strip())
        if isinstance(who, DocumentError):
            return self._item(name, ticket, remarks, who, described=False)
        if who is not None:
            # The system asks for both, the level and the group; a list of readers is open to each of them, so only what is in both is left.
            groups &= who
        if not groups:
            told = DocumentError(
                f"{self.name}/{name}: internal notes, and nobody is named who reads them",
                'add options = { internal_readers = "agents" } to its [[sources]] table; or comments = "public", where a CSV of Jira has no'
                " restricted comments",
            )
            return Item(name=name, read=refused(told))
        return self._item(name, ticket, remarks, groups, described=False)

    def _level(self, ticket: Ticket) -> frozenset[str] | None | DocumentError:
        if not ticket.level:
            return None
        named = self.options.get(f"level.{ticket.level}")
        if named is None:
            return DocumentError(
                f"{self.name}/{ticket.key}: is of the security level {ticket.level!r}, and nobody is named who reads that",
                f'add options = {{ "level.{ticket.level}" = "a group" }} to its [[sources]] table',
            )
        return frozenset(part.strip() for part in named.split(",") if part.strip())

    def _attached(self, readers: Mapping[str, frozenset[str] | None | DocumentError]) -> Iterator[Item]:
        assert self.attachments is not None  # noqa: S101
        for item in Folder(self.attachments, most_items=self.most_items).items():
            key = item.name.partition("/")[0]
            who = readers.get(key, DocumentError(f"{item.shown or item.name}: belongs to no ticket of the export", HINT))
            if isinstance(who, DocumentError):
                yield Item(name=f"{item.name}", read=refused(who))
            else:
                yield Item(
                    name=item.name,
                    stamp=item.stamp,
                    read=item.read,
                    metadata={"ticket": key},
                    readers=who,
                    shown=item.shown,
                    below=item.below,
                )


def _markdown(ticket: Ticket, remarks: Sequence[Remark], *, described: bool) -> str:
    """Begins with a heading, so that nothing that a customer wrote can stand where front matter would."""
    parts = [f"# {' '.join(ticket.title.split()) or ticket.key}"]
    if described and ticket.text.strip():
        parts.append(ticket.text.strip())
    for remark in remarks:
        head = ", ".join(part for part in (remark.by, remark.at[:10]) if part)
        parts.append(f"## {head or 'Reply'}\n\n{remark.text.strip()}")
    return "\n\n".join(parts) + "\n"


def _metadata(given: Mapping[str, Any]) -> dict[str, str]:
    return {key: " ".join(str(value).split())[:300] for key, value in given.items() if value not in (None, "", [])}


def _key(source: str, value: Any) -> str:
    key = str(value if value is not None else "").strip()
    if not key:
        raise SourceError(f"source {source}: a ticket has no id", "export it again, then type: groundtune ingest")
    return key


def _zendesk_json(source: str, path: Path) -> Iterator[Ticket]:
    for row in records(source, path, inside="tickets"):
        remarks = []
        for comment in _dicts(row.get("comments")):
            text = comment.get("plain_body") or comment.get("body") or ""
            by = comment.get("author")
            who = by.get("name") if isinstance(by, dict) else comment.get("author_id")
            # Only a plain "true" opens a remark: what is missing was not said to be public.
            internal = comment.get("public") is not True
            remarks.append(
                Remark(by=f"{who or ''}", at=f"{comment.get('created_at') or ''}", text=str(text), readers="internal" if internal else None)
            )
        description = str(row.get("description") or "")
        if remarks and remarks[0].readers is None and remarks[0].text.strip() == description.strip():
            remarks.pop(0)  # Zendesk's first comment is the description.
        elif remarks and remarks[0].readers is not None and remarks[0].text.strip() == description.strip():
            description = ""  # An internal ticket: its description is an internal note.
        yield Ticket(
            key=_key(source, row.get("id")),
            title=str(row.get("subject") or row.get("raw_subject") or ""),
            text=description,
            remarks=remarks,
            metadata=_metadata({"status": row.get("status"), "date": str(row.get("updated_at") or "")[:10], "url": row.get("url")}),
        )


def _zendesk_csv(source: str, path: Path) -> Iterator[Ticket]:
    for row in rows(source, path):
        first = {name: cells[0] for name, cells in row.items()}
        key = first.get("id") or first.get("ticket id")
        if key is None:
            raise SourceError(f"source {source}: {path}: has no column Id", "export it again with the column Id")
        yield Ticket(
            key=_key(source, key),
            title=first.get("subject", ""),
            text=first.get("description", ""),
            remarks=[
                Remark(by="", at="", text=text, readers=readers)
                for column, readers in (("public comments", None), ("comments", "internal"), ("internal notes", "internal"))
                for text in row.get(column, [])
            ],
            metadata=_metadata({"status": first.get("status"), "date": first.get("updated") or first.get("updated at")}),
        )


def _jira_json(source: str, path: Path) -> Iterator[Ticket]:
    for row in records(source, path, inside="issues"):
        fields = row.get("fields")
        if not isinstance(fields, dict):
            raise SourceError(f"source {source}: {path}: an issue has no fields", "export it by Jira's search, with all fields")
        comments = fields.get("comment")
        remarks = []
        for comment in _dicts(comments.get("comments") if isinstance(comments, dict) else comments):
            seen_by = comment.get("visibility")
            readers = str(seen_by.get("value") or "internal") if isinstance(seen_by, dict) and seen_by else None
            if comment.get("jsdPublic") is False:
                readers = readers or "internal"
            author = comment.get("author")
            by = author.get("displayName") if isinstance(author, dict) else ""
            remarks.append(Remark(by=f"{by or ''}", at=f"{comment.get('created') or ''}", text=plain(comment.get("body")), readers=readers))
        key = _key(source, row.get("key") or row.get("id"))
        yield Ticket(
            key=key,
            title=f"{fields.get('summary') or ''}",
            text=plain(fields.get("description")),
            remarks=remarks,
            metadata=_metadata(
                {
                    "status": _name(fields.get("status")),
                    "project": key.rpartition("-")[0],
                    "version": ", ".join(_name(item) for item in _dicts(fields.get("fixVersions"))),
                    "date": str(fields.get("updated") or "")[:10],
                }
            ),
            level=_name(fields.get("security")),
        )


def _jira_csv(source: str, path: Path, *, public: bool) -> Iterator[Ticket]:
    for row in rows(source, path):
        first = {name: cells[0] for name, cells in row.items()}
        if "issue key" not in first:
            raise SourceError(f"source {source}: {path}: has a row without Issue key", "export it again with the column Issue key")
        remarks = []
        for cell in row.get("comment", []):
            # "date;author;text"; who may read it is not in the file, and a text may hold semicolons.
            parts = cell.split(";", 2)
            at, by, text = parts if len(parts) == 3 else ("", "", cell)
            remarks.append(Remark(by=by.strip(), at=at.strip(), text=text, readers=None if public else "internal"))
        yield Ticket(
            key=_key(source, first["issue key"]),
            title=first.get("summary", ""),
            text=first.get("description", ""),
            remarks=remarks,
            metadata=_metadata({"status": first.get("status"), "project": first.get("project key"), "date": first.get("updated")}),
            level=first.get("security level", "").strip(),
        )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _name(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, dict) else str(value or "")


def plain(value: Any, depth: int = 0) -> str:
    """Return a text field as text: a string, or Atlassian's document format (a tree of nodes) with its paragraphs, lists and code."""
    if isinstance(value, str) or value is None:
        return value or ""
    if depth > MOST_DEPTH or not isinstance(value, dict):
        return ""
    kind = value.get("type")
    if kind in ("text", "mention", "emoji", "inlineCard"):
        attributes = value.get("attrs")
        named = attributes.get("text") or attributes.get("url") if isinstance(attributes, dict) else ""
        return str(value.get("text") or named or "")
    if kind == "hardBreak":
        return "\n"
    inner = [plain(child, depth + 1) for child in value.get("content") or [] if isinstance(child, dict)]
    if kind in ("paragraph", "heading"):
        return "".join(inner).strip() + "\n\n"
    if kind == "codeBlock":
        return "```\n" + "".join(inner) + "\n```\n\n"
    if kind == "listItem":
        return "- " + " ".join("".join(inner).split("\n\n")).strip() + "\n"
    if kind == "tableRow":
        return "| " + " | ".join(" ".join(cell.split()) for cell in inner) + " |\n"
    return "".join(inner) + ("\n" if kind in ("bulletList", "orderedList", "table") else "")
