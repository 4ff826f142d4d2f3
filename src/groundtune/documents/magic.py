"""The first bytes of a file against the format that its name promises, so that a wrong name gets a reason instead of a riddle.

Signatures: https://www.iana.org/assignments/media-types, and for compound files [MS-CFB] 2.2.
"""

from __future__ import annotations

from pathlib import Path

from groundtune.documents.loaded import HINT
from groundtune.errors import DocumentError

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STARTS = (
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (COMPOUND, "compound"),
    (b"{\\rtf", "RTF text"),
    (b"%!PS", "PostScript"),
    (b"\x1f\x8b", "gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"\xfd7zXZ\x00", "xz archive"),
    (b"\x89PNG\r\n", "PNG picture"),
    (b"\xff\xd8\xff", "JPEG picture"),
    (b"GIF87a", "GIF picture"),
    (b"GIF89a", "GIF picture"),
    (b"\x7fELF", "program"),
    (b"MZ\x90\x00", "program"),
    (b"SQLite format 3\x00", "SQLite database"),
)
_CALLED = {"pdf": "PDF", "zip": "zip archive (or an Office file)"}
# What the bytes of a loader's files begin with; loaders that are not here read text.
_WANTED = {
    "pdf": frozenset({"pdf"}),
    "docx": frozenset({"zip"}),
    "pptx": frozenset({"zip"}),
    "sheet": frozenset({"zip", "compound"}),
    "epub": frozenset({"zip"}),
    "zip": frozenset({"zip"}),
}
_TEXT = frozenset({"markdown", "html", "text", "csv", "json", "jsonl", "code", "eml", "mbox"})


def kind_of(raw: bytes) -> str:
    """Return the format that the first bytes are of, or an empty text where they say nothing."""
    for start, kind in _STARTS:
        if raw.startswith(start):
            return kind
    # Readers of PDF allow for other bytes before its mark: https://pdfa.org/resource/iso-32000-2 (annex on implementation)
    return "pdf" if b"%PDF-" in raw[:1024] else ""


def check(path: Path, loader: str, raw: bytes) -> None:
    """Raise ``DocumentError`` for an empty file and for one whose first bytes are not of the format that the loader reads.

    A compound file under a name of newer Office is one with a password, or of Office before 2007. Loaders of other packages check for
    themselves.
    """
    if loader not in _WANTED and loader not in _TEXT:
        return
    found, wanted = kind_of(raw), _WANTED.get(loader, frozenset())
    if not raw and wanted:
        raise DocumentError(f"{path}: is empty", HINT)
    if found == "compound" and _encrypted(raw):
        hint = "save it without the password, then type: groundtune check"
        raise DocumentError(f"{path}: is an Office file with a password", hint, state="encrypted")
    if found == "compound" and path.suffix.lower() != ".xls":
        hint = "save it as .docx, .xlsx or .pptx, then type: groundtune check"
        raise DocumentError(
            f"{path}: is an Office file of before 2007, or an Outlook message, by its first bytes", hint, state="wrong type"
        )
    if wanted and found not in wanted:
        what = f"a {_CALLED.get(found, found)}" if found else f"not a {_CALLED.get(min(wanted), min(wanted))} at all"
        raise DocumentError(f"{path}: its first bytes are of {what}", HINT, state="wrong type")
    # A text may quote the mark of a PDF in its first lines; only one that begins with it is none.
    if not wanted and found and (found != "pdf" or raw.startswith(b"%PDF-")):
        raise DocumentError(f"{path}: named as text, but it is a {_CALLED.get(found, found)}", HINT, state="wrong type")


def _encrypted(raw: bytes) -> bool:
    """Return whether a compound file holds the stream in which Office keeps an encrypted document ([MS-OFFCRYPTO] 2.3.4.4)."""
    return "EncryptedPackage".encode("utf-16-le") in raw
