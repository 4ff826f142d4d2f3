"""Source code: the file as it is, within a code fence, each line a place.

    def f():          →   ```python
        return 1          def f():            "line 1"
                              return 1        "line 2"
                          ```

The fence keeps ``# comment`` from being taken for a heading. Nothing is parsed: a grammar for each language would be a reader of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

from groundtune.documents.decode import decode
from groundtune.documents.loaded import Loaded
from groundtune.documents.writer import fenced
from groundtune.types import Place

LANGUAGES = {
    "py": "python", "pyi": "python", "js": "javascript", "mjs": "javascript", "jsx": "jsx", "ts": "typescript", "tsx": "tsx",
    "java": "java", "kt": "kotlin", "scala": "scala", "go": "go", "rs": "rust", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp",
    "hpp": "cpp", "cs": "csharp", "swift": "swift", "m": "objective-c", "rb": "ruby", "php": "php", "pl": "perl", "lua": "lua",
    "r": "r", "jl": "julia", "sh": "bash", "bash": "bash", "ps1": "powershell", "sql": "sql", "yaml": "yaml", "yml": "yaml",
    "toml": "toml", "ini": "ini", "cfg": "ini", "conf": "ini", "css": "css", "proto": "protobuf", "tf": "hcl", "xml": "xml",
    "tex": "latex", "rst": "rst", "log": "",
}  # fmt: skip


def load(path: Path, raw: bytes) -> Loaded:
    """Read a file of source code. Raises ``DocumentError`` for what is no text."""
    text = decode(path, raw).rstrip()
    if not text.strip():
        return Loaded(title=path.name, text="")
    whole, start = fenced(text, LANGUAGES.get(path.suffix.lower().removeprefix("."), ""))
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    places = tuple(Place(start + at, f"line {number}") for number, at in enumerate(starts, start=1))
    return Loaded(title=path.name, text=whole, places=places)
