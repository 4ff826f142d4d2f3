"""Plain text: the first line is the title, all of it is the text."""

from __future__ import annotations

from pathlib import Path

from groundtune.documents.decode import decode
from groundtune.documents.loaded import Loaded


def load(path: Path, raw: bytes) -> Loaded:
    """Read a text file; it has no place for readers, so they come from the project's default."""
    text = decode(path, raw).strip("\n").rstrip()
    first = text.lstrip().split("\n", 1)[0].strip()
    return Loaded(title=first[:120] or path.stem, text=text)
