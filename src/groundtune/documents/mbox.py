"""Mail archives → one message after another, each then read as the mail it is.

    list.mbox  →  parts ("9f31@mail.example.com.eml", …), named by their Message-ID

A name must not depend on what stands before a message: archives are compacted, and then a number would name another one, for citations
and for rules of access alike. A message without an id is named by its bytes. There is no one definition of the format: see RFC 4155,
appendix A, and https://www.loc.gov/preservation/digital/formats/fdd/fdd000383.shtml for its variants.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from groundtune.documents.eml import shown, unlike
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.errors import DocumentError

PRELOAD = ("html_to_markdown",)
MOST_MESSAGES = 20_000
_LINE = re.compile(rb"^From [^\n]{1,500}(?:\n|\Z)", re.MULTILINE)
# Texts have lines with "From " as well. One that begins a message has a time and a year on it, and a header on the line after it.
_TIME, _YEAR = re.compile(rb"\d:\d\d\b"), re.compile(rb"\b(?:19|20)\d\d\b")
_HEADER = re.compile(rb"(?:>From [^\n]{0,500}\n)?(?:[!-9;-~]{1,100}:|\r?\n|\Z)")
# What a writer puts before such a line within a message, once more for each archive that it went through.
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_BLANK = re.compile(rb"(?:\A|\n)\r?\n")
_ID = re.compile(rb"^message-id:[ \t]*(?:\r?\n[ \t]+)?<?([^<>\s]{1,300})", re.IGNORECASE | re.MULTILINE)


def load(path: Path, raw: bytes) -> Loaded:
    """Read the messages of an archive. Raises ``DocumentError`` for what does not begin with a message, and for too many of them."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    begins = list(_begins(raw))
    if not begins or raw[: begins[0].start()].strip(b"\r\n"):
        told = "does not begin as a mail archive does, with a line of From, an address and a time, and headers after it"
        raise DocumentError(f"{path}: {told}", HINT, state="wrong type")
    if len(begins) > MOST_MESSAGES:
        raise DocumentError(f"{path}: {len(begins):,} messages; at most {MOST_MESSAGES:,} are read", HINT, state="too large")
    if len(raw) > current().unpacked:
        raise DocumentError(f"{path}: {len(raw):,} bytes; at most {current().unpacked:,} are read", HINT, state="too large")
    ends = [begin.start() for begin in begins[1:]]
    parts: dict[tuple[str, bytes], None] = {}
    for begin, end in zip(begins, [*ends, len(raw)], strict=True):
        message = _QUOTED.sub(rb"\1", raw[begin.end() : end].rstrip(b"\r\n")) + b"\n"
        # The same message twice, as where it has two labels, is one.
        parts[_name(message), message] = None
    return Loaded(title=path.stem, text="", parts=tuple(unlike(list(parts))), parts_name_readers=False)


def _begins(raw: bytes) -> Iterator[re.Match[bytes]]:
    for line in _LINE.finditer(raw):
        if _TIME.search(line[0]) and _YEAR.search(line[0]) and _HEADER.match(raw, line.end()):
            yield line


def _name(message: bytes) -> str:
    end = _BLANK.search(message)
    found = _ID.search(message, 0, len(message) if end is None else end.start())
    if found is None:
        return f"without id {hashlib.sha256(message).hexdigest()[:16]}.eml"
    return shown(found[1].decode("utf-8", "replace"), "message.eml", ".eml")
