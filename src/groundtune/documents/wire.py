"""A loaded file as bytes between two processes: a JSON header and raw parts, never pickles, since one side has read a stranger's file.

8 bytes: length of the header │ header, JSON │ the blobs that header["sizes"] counts
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from groundtune.documents.loaded import Loaded
from groundtune.types import Place

MOST_HEADER = 500_000_000


def pack(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """Return one message."""
    written = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join((len(written).to_bytes(8, "big"), written, *blobs))


def unpack(read: Callable[[int], bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Return the next message. ``read(n)`` returns exactly n bytes. Raises ``ValueError`` for what is no message."""
    length = int.from_bytes(read(8), "big")
    if length > MOST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    header = json.loads(read(length))
    if not isinstance(header, dict) or not isinstance(header.get("sizes"), list):
        raise ValueError("a header without sizes")
    return header, [read(int(size)) for size in header["sizes"]]


def unpacked(raw: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the one message that these bytes are. Raises ``ValueError`` for anything less, or more."""
    stream = io.BytesIO(raw)

    def read(size: int) -> bytes:
        found = stream.read(size) if size >= 0 else b""
        if len(found) != size:
            raise ValueError("a message that ends before its end")
        return found

    message = unpack(read)
    if stream.read(1):
        raise ValueError("more than one message")
    return message


def header_of(loaded: Loaded) -> dict[str, Any]:
    """Return all of a loaded file but the bytes of its parts."""
    return {
        "title": loaded.title,
        "text": loaded.text,
        "metadata": dict(loaded.metadata),
        "readers": None if loaded.readers is None else sorted(loaded.readers),
        "places": [(place.start, place.name) for place in loaded.places],
        "parts": [name for name, _ in loaded.parts],
        "parts_name_readers": loaded.parts_name_readers,
        "unread": list(loaded.unread),
    }


def loaded_of(header: dict[str, Any], blobs: Sequence[bytes]) -> Loaded:
    """Return the loaded file that a message holds. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for one that holds none."""
    text = header["text"]
    places = tuple(Place(int(start), str(name)) for start, name in header["places"])
    starts = [place.start for place in places]
    if not isinstance(text, str) or not isinstance(header["title"], str) or starts != sorted(starts):
        raise ValueError("not a text with its places")
    if starts and not 0 <= starts[0] <= starts[-1] <= len(text):
        raise ValueError("places outside the text")
    return Loaded(
        title=header["title"],
        text=text,
        metadata={str(key): str(value) for key, value in header["metadata"].items()},
        readers=None if header["readers"] is None else frozenset(str(reader) for reader in header["readers"]),
        places=places,
        parts=tuple(zip((str(name) for name in header["parts"]), blobs, strict=True)),
        parts_name_readers=bool(header["parts_name_readers"]),
        unread=tuple((str(state), str(reason)) for state, reason in header["unread"]),
    )
