"""Bytes → text. UTF-8, or what a byte order mark says; anything else is an error with the offset of the first bad byte."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from groundtune.errors import DocumentError

HINT = "save it as UTF-8, then type: groundtune check"
# The mark of UTF-32 begins with that of UTF-16, so it is looked for first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What a page may declare, and how browsers read it: https://encoding.spec.whatwg.org/#names-and-labels
LEGACY = re.compile(r"windows-125[0-8]|iso-8859-(?:[2-8]|1[0-6])|koi8-[ru]|shift_jis|euc-jp|euc-kr|gbk|gb18030|big5|macintosh")
AS_BROWSERS_DO = {"iso-8859-1": "windows-1252", "latin1": "windows-1252", "us-ascii": "windows-1252", "iso-8859-9": "windows-1254"}


def decode(path: Path, raw: bytes, *, declared: str | None = None) -> str:
    r"""Return a file's text; line ends become ``\n``.

    ``declared`` is the encoding that the file itself names; it counts where there is no byte order mark and the bytes are not UTF-8. Raises
    ``DocumentError`` naming the offset, in bytes from the start of the file, of the first byte that the encoding does not allow, or a NUL.
    """
    mark, encoding = next(((mark, name) for mark, name in MARKS if raw.startswith(mark)), (b"", ""))
    if not encoding:
        # What is UTF-8 throughout is hardly anything else, whatever an old page still declares.
        encoding = "utf-8" if _known(declared) == "utf-8" or _is_utf8(raw) else _known(declared)
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        offset = len(mark) + error.start
        raise DocumentError(f"{path}: not {encoding.upper()}: byte 0x{raw[offset]:02x} at offset {offset:,}", HINT) from None
    nul = text.find("\0")
    if nul >= 0:
        offset = len(mark) + len(text[:nul].encode(encoding))
        raise DocumentError(f"{path}: a NUL character at byte offset {offset:,}: it is no text file, or UTF-16 without its mark", HINT)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _known(declared: str | None) -> str:
    name = (declared or "").strip().lower()
    name = AS_BROWSERS_DO.get(name, name)
    return name.replace("macintosh", "mac-roman") if LEGACY.fullmatch(name) else "utf-8"
