"""E-mail → its subject as the title, who wrote to whom and when, and its text; attachments as parts of their own.

    offer.eml  →  text with places "headers" and "part 1", and parts ("offer.pdf", …)

Of a text in several forms the plain one is read where it says anything, or else the HTML. A mail is written by strangers: neither it nor
what is attached to it can say who may read it. Pictures shown within the text (logos) and the bytes of digital signatures are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from email import errors, policy
from email.message import EmailMessage, Message, MIMEPart
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

from groundtune.documents.decode import decode
from groundtune.documents.html import checked, markdown
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer, one_line
from groundtune.errors import DocumentError

PRELOAD = ("html_to_markdown",)
# What the parser noticed and went on from, although something of the mail is gone.
_LOSSES = {
    errors.StartBoundaryNotFoundDefect,
    errors.CloseBoundaryNotFoundDefect,
    errors.MultipartInvariantViolationDefect,
    errors.InvalidBase64CharactersDefect,
    errors.InvalidBase64LengthDefect,
}
# The standard library's parser takes time that grows with the square of how deep parts are nested, and ends at its own depth.
MOST_NESTED = 300
_HEADERS = ("From", "To", "Cc", "Date")
# They prove who wrote, and say nothing: RFC 3156, section 5, and RFC 8551, section 3.5.
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_SEALED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


def load(path: Path, raw: bytes) -> Loaded:
    """Read an e-mail message (RFC 5322). Raises ``DocumentError`` for what has no headers, too many parts, or parts nested too deep."""
    nested = raw.lower().count(b"boundary=")
    if nested > MOST_NESTED:
        raise DocumentError(f"{path}: {nested:,} parts that hold parts; at most {MOST_NESTED:,} are read", HINT, state="too large")
    try:
        message = BytesParser(policy=policy.default).parsebytes(raw)
        parts = [part for part in message.walk() if not part.is_multipart() or part.get_content_type() == "message/rfc822"]
    except errors.MessageError as error:
        raise DocumentError(f"{path}: cannot be read as a mail: {error}", HINT) from None
    if not any(message[name] for name in ("From", "To", "Subject", "Date", "Received")):
        raise DocumentError(f"{path}: has none of the headers of a mail", HINT, state="wrong type")
    if len(parts) > current().pages:
        raise DocumentError(f"{path}: {len(parts):,} parts; at most {current().pages:,} are read", HINT, state="too large")
    subject = one_line(_header(message, "Subject"))
    writer = Writer()
    writer.at("headers")
    writer.add(f"# {subject}" if subject else "")
    writer.add("\n".join(f"{name}: {value}" for name in _HEADERS if (value := one_line(_header(message, name)))))
    attached: list[tuple[str, bytes]] = []
    unread: list[tuple[str, str]] = []
    _walk(path, message, [0], writer, attached, unread)
    broken = {type(defect) for part in message.walk() for defect in part.defects} & _LOSSES
    if broken:
        names = ", ".join(sorted(defect.__name__.removesuffix("Defect") for defect in broken))
        unread.append(("unreadable", f"may be cut off or damaged, and parts of it missing: {names}"))
    metadata = {}
    try:
        when = message["Date"].datetime if message["Date"] else None
        metadata = {"date": when.date().isoformat()} if when else {}
    except (AttributeError, ValueError, TypeError, IndexError):
        unread.append(("unreadable", "its Date header is no date"))
    return Loaded(
        title=subject or path.stem,
        text=writer.text,
        places=writer.places,
        metadata=metadata,
        parts=tuple(unlike(attached)),
        parts_name_readers=False,
        unread=tuple(unread),
    )


def _walk(
    path: Path, part: MIMEPart, counted: list[int], writer: Writer | None, attached: list[tuple[str, bytes]], unread: list[tuple[str, str]]
) -> None:
    """Add a part's texts to ``writer`` and its files to ``attached``; ``counted`` holds the number of the last leaf.

    Without a writer only files are taken: it is another form of a text that was read.
    """
    kind = part.get_content_type()
    if kind in _SEALED:
        counted[0] += 1
        how = "packed in its signature" if part.get_param("smime-type") == "signed-data" else "encrypted"
        unread.append(("encrypted", f"part {counted[0]} is {how}: save the mail without that, and replace the file"))
        return
    if kind == "multipart/alternative":
        forms = list(part.iter_parts())
        chosen = _chosen(forms)
        for form in forms:
            if form is not chosen and form.get_content_maintype() == "text" and not form.is_attachment():
                counted[0] += 1
            else:
                another = form is not chosen and form.is_multipart() and form.get_content_type() != "message/rfc822"
                _walk(path, form, counted, None if another else writer, attached, unread)
        return
    if part.is_multipart() and kind != "message/rfc822":
        for inner in part.iter_parts():
            _walk(path, inner, counted, writer, attached, unread)
        return
    counted[0] += 1
    number = counted[0]
    name = PurePosixPath((part.get_filename() or "").replace("\\", "/")).name.strip()
    inline = kind in ("text/plain", "text/html") and not part.is_attachment() and not name
    if inline and writer is not None:
        text = _text(path, part, number, kind, unread)
        writer.at(f"part {number}")
        writer.add(text)
    elif inline or kind in _SIGNATURES:
        return
    elif kind == "message/rfc822":
        held = part.get_payload()
        if isinstance(held, list) and held and isinstance(held[0], Message):
            attached.append((shown(name, f"message {number}.eml", ".eml"), held[0].as_bytes()))
    elif kind.startswith("image/") and not part.is_attachment() and (part["Content-ID"] or part.get_content_disposition() == "inline"):
        return
    else:
        data = part.get_payload(decode=True)
        attached.append((shown(name, f"part {number}.{part.get_content_subtype()}"), data if isinstance(data, bytes) else b""))


def _chosen(forms: Sequence[MIMEPart]) -> MIMEPart | None:
    """Return which form of a text is read. Programs that write HTML alone often put a blank plain form beside it."""
    for form in forms:
        data = form.get_payload(decode=True) if form.get_content_type() == "text/plain" else None
        if isinstance(data, bytes) and data.strip():
            return form
    rich = [form for form in forms if form.is_multipart() or form.get_content_type() == "text/html"]
    return rich[-1] if rich else forms[-1] if forms else None


def _text(path: Path, part: MIMEPart, number: int, kind: str, unread: list[tuple[str, str]]) -> str:
    data = part.get_payload(decode=True)
    where = Path(f"{path}!/part {number}")
    try:
        text = decode(where, data if isinstance(data, bytes) else b"", declared=part.get_content_charset())
        return text if kind == "text/plain" else markdown(where, "".join(checked(where, text).pieces))
    except DocumentError as error:
        unread.append((error.state, error.message))
        return ""


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message[name] or "")
    except (ValueError, IndexError, AttributeError, TypeError):
        # The standard library's parser of addresses stumbles over some malformed ones.
        value = next((str(held) for key, held in message.raw_items() if key.lower() == name.lower()), "")
    return "".join(letter if letter.isprintable() else " " for letter in value)


def shown(name: str, fallback: str, suffix: str = "") -> str:
    """Return an attachment's name without a path or anything that cannot be shown, with the suffix it must have."""
    plain = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in name).lstrip(".")[:200] or fallback
    return plain if not suffix or plain.lower().endswith(suffix) else plain + suffix


def unlike(attached: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return files with names that differ: the second ``a.pdf`` is ``2 a.pdf``."""
    seen: dict[str, int] = {}
    named = []
    for name, data in attached:
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{seen[name]} {name}", data))
    return named
