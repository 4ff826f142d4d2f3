"""HTML → Markdown of its main part; ``<meta name=…>`` in the head gives readers and metadata.

    <meta name="readers" content="everyone, support"> … <main><h1>Slots</h1>…   →   readers {"everyone", "support"}, text "# Slots …"

The text is that of ``<main>`` (of all, where there are several), else of ``<body>``, without navigation, footers, scripts and styles.
"""

from __future__ import annotations

import re
from pathlib import Path

from groundtune.documents.decode import decode
from groundtune.documents.loaded import HINT, Loaded, readers_of
from groundtune.documents.page import Page, scan
from groundtune.errors import DocumentError

FURNITURE = ("nav", "footer", "script", "style", "[role=navigation]", "[role=contentinfo]")
PRELOAD = ("html_to_markdown",)
IGNORED_META = frozenset({"viewport", "generator", "robots", "theme-color", "format-detection", "color-scheme", "referrer"})
# The converter's time grows with the square of the tags in one paragraph: 40,000 take a second, 400,000 a minute.
MOST_INLINE = 50_000
_CHARSET = re.compile(rb"<meta\s[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_:-]{2,30})", re.IGNORECASE)
_TITLE = re.compile(r"^#[ \t]+(.+)$", re.MULTILINE)


def load(path: Path, raw: bytes) -> Loaded:
    """Read an HTML page. Raises ``DocumentError``, also for a page of which any part would be lost (nested too deep, cut off)."""
    # Browsers look for the declaration in the first 1,024 bytes: https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding
    charset = _CHARSET.search(raw[:1024])
    page = checked(path, decode(path, raw, declared=charset[1].decode() if charset else None))
    whole = page.pieces[0] if len(page.pieces) == 1 else "".join(f"<div>{piece}</div>" for piece in page.pieces)
    text = markdown(path, whole)
    metadata = _metadata(path, page)
    readers = readers_of(path, metadata.pop("readers")) if "readers" in metadata else None
    heading = _TITLE.search(text)
    return Loaded(title=page.title[:300] or (heading[1] if heading else path.stem), text=text, metadata=metadata, readers=readers)


def checked(path: Path, text: str) -> Page:
    """Return what the tags of a page say. Raises ``DocumentError`` for one that the converter would take minutes for."""
    page = scan(text)
    if page.inline_run > MOST_INLINE:
        raise DocumentError(f"{path}: {page.inline_run:,} tags in one paragraph; at most {MOST_INLINE:,} are read", HINT)
    return page


def markdown(path: Path, piece: str) -> str:
    """Return a piece of HTML as Markdown, less the furniture. Raises ``DocumentError`` where the converter had to leave something out."""
    from html_to_markdown import ConversionError, ConversionOptions, PreprocessingOptions, convert

    options = ConversionOptions(
        extract_metadata=False,
        exclude_selectors=list(FURNITURE),
        preprocessing=PreprocessingOptions(enabled=False),
        autolinks=False,
        compact_tables=True,
        inline_data_media="alt_text_only",
    )
    try:
        result = convert(piece, options)
    except (ConversionError, ValueError) as error:
        raise DocumentError(f"{path}: cannot be read as HTML: {error}", HINT) from error
    for warning in result.warnings:
        if str(warning.kind) in ("depth_limit_exceeded", "truncated_input"):
            raise DocumentError(f"{path}: part of it would be lost: {warning.message}", HINT)
    return re.sub(r"\n{3,}", "\n\n", (result.content or "").strip("\n").rstrip())


def _metadata(path: Path, page: Page) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for name, content in page.meta:
        if name in IGNORED_META:
            continue
        if name in metadata and name == "readers":
            raise DocumentError(f"{path}: <meta name={name!r}> twice", "keep one of them, then type: groundtune check")
        # Many a page names each of its authors in a tag of its own. What filters cannot ask for is no metadata.
        if name not in metadata and "=" not in name:
            metadata[name] = content
        elif "=" not in name and content not in metadata[name].split(", "):
            metadata[name] = f"{metadata[name]}, {content}"
    return metadata
