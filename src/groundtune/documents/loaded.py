"""What every loader takes and returns: the bytes of one file in, its text, places, parts and readers out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from groundtune.errors import DocumentError
from groundtune.types import Place

HINT = "mend or remove the file, then type: groundtune check"
NONE_HINT = "add files (Markdown, HTML, PDF, Office, mail, tables …), then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a loader makes of a file. ``readers`` is ``None`` where the file names none, which is not the same as nobody.

    ``places`` says where in the file each part of ``text`` stands, by rising starts. ``parts`` are files within the file (members of an
    archive, attachments of a mail) as name and bytes, each read by the loader of its own suffix; a file of parts may have no text.
    ``parts_name_readers`` is whether a part may say itself who may read it: yes in an archive that the project's own people made, no in
    a mail that a stranger wrote. ``unread`` tells, as state and reason, what of the file is not in the text.
    """

    title: str
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    places: tuple[Place, ...] = ()
    parts: tuple[tuple[str, bytes], ...] = ()
    parts_name_readers: bool = True
    unread: tuple[tuple[str, str], ...] = ()


class Loader(Protocol):
    """A file format: an entry point of ``groundtune.loader``, named after its suffix (``csv`` reads ``.csv``)."""

    def __call__(self, path: Path, raw: bytes) -> Loaded:
        """Read the bytes of a file; ``path`` is for messages. Raises ``DocumentError`` with a message that begins with the path."""
        ...


def readers_of(path: Path, value: Any) -> frozenset[str]:
    """Return the readers that a file names: a list of groups, or one string with commas; empty means nobody. Raises ``DocumentError``."""
    groups = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(groups, list | tuple) or not all(isinstance(group, str) and group.strip() and "\0" not in group for group in groups):
        raise DocumentError(
            f"{path}: readers is {value!r}; expected a list of group names",
            "write readers: [everyone], or [] for nobody, then type: groundtune check",
        )
    return frozenset(unicodedata.normalize("NFC", group.strip()) for group in groups)
