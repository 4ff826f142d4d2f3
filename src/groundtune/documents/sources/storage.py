"""Anything that fsspec reaches: ``s3://bucket/docs``, ``gs://…``, ``abfs://…``, ``sftp://…``.

s3://kb/docs/  →  Item("hr/leave.md", stamp = its ETag, read → one GET)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.documents.load import most_bytes, too_large
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import MissingExtra, SourceError

STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
TIMES = ("LastModified", "mtime", "updated", "last_modified", "created")


def open(settings: Mapping[str, Any], folder: Path) -> Storage:
    """Open an fsspec URL. ``options`` are handed to the file system, ``true`` and ``false`` as such."""
    if not settings.get("url"):
        raise SourceError(f"source {settings['name']}: names no url", 'add url = "s3://bucket/folder" to its [[sources]] table')
    return Storage(
        settings["name"], settings["url"], settings["options"], timeout=settings["timeout_seconds"], most_items=settings["most_items"]
    )


class Storage:
    """Every file below a URL but hidden ones. ETags, checksums or times and sizes are the stamps."""

    def __init__(self, name: str, url: str, options: Mapping[str, str], *, timeout: float = 30.0, most_items: int = 100_000) -> None:
        self.name = name
        self.url = url
        self.options = {key: {"true": True, "false": False}.get(value, value) for key, value in options.items()}
        self.timeout = timeout
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """List the files. Raises ``SourceError`` when it does not answer or has no such place, ``MissingExtra`` for its package."""
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise MissingExtra.of("fsspec", "sources") from error
        options: dict[str, Any] = dict(self.options)
        if self.url.startswith(("s3://", "s3a://")):
            limits = {"connect_timeout": self.timeout, "read_timeout": self.timeout, "retries": {"max_attempts": 3}}
            options.setdefault("config_kwargs", limits)
        try:
            system, root = url_to_fs(self.url, use_listings_cache=False, **options)
            root = root.rstrip("/")
            system.invalidate_cache()
            if not system.exists(root):
                raise SourceError(f"source {self.name}: {self.url} is not there", "correct its url, then type: groundtune ingest")
            found = system.find(root, detail=True)
        except ImportError as error:
            raise MissingExtra.of(getattr(error, "name", None) or str(error), "sources") from error
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(
                f"source {self.name}: {self.url} cannot be listed: {_said(error)}", "mend it, then type: groundtune ingest"
            ) from None
        if len(found) > self.most_items:
            raise SourceError(f"source {self.name}: more than {self.most_items:,} items", "raise its most_items, or name a smaller place")
        for path, about in sorted(found.items()):
            # Not stripped further: what is left of a key like docs//../x must be seen as it is, to be refused.
            name = path.removeprefix(f"{root}/") if path != root else path.rsplit("/", 1)[-1]
            if (
                about.get("type") == "directory"
                or name.endswith("/")
                or any(part.startswith(".") and part != ".." for part in name.split("/"))
            ):
                continue
            yield self._item(system, path, name, about)

    def _item(self, system: Any, path: str, name: str, about: Mapping[str, Any]) -> Item:
        size = int(about.get("size") or 0)
        shown = f"{self.url.rstrip('/')}/{name}"
        if size > most_bytes(name):
            return Item(name=name, read=refused(too_large(shown, name, size)))
        mark = next((str(about[key]) for key in STAMPS if about.get(key)), "")
        time = next((str(about[key]) for key in TIMES if about.get(key)), "")
        stamp = f"{mark}-{size}" if mark else f"{time}-{size}" if time else ""

        def read() -> bytes:
            try:
                raw = bytes(system.cat_file(path))
            except Exception as error:
                raise SourceError(f"{shown}: cannot be fetched: {_said(error)}", "type: groundtune ingest") from None
            if len(raw) > most_bytes(name):
                raise too_large(shown, name, len(raw))
            return raw

        return Item(name=name, stamp=stamp, read=read, shown=shown)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
