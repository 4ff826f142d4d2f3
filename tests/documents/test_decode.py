from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.documents.decode import decode
from groundtune.errors import DocumentError

PATH = Path("a.md")
texts = st.text(st.characters(blacklist_characters="\0\r\ufeff", blacklist_categories=("Cs",)))


@given(texts, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]))
def test_text_comes_back_from_every_marked_encoding(text: str, encoding: str) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    assert decode(PATH, mark + text.encode(encoding)) == text


def test_line_ends_are_one() -> None:
    assert decode(PATH, b"a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"abc\xff", "not UTF-8: byte 0xff at offset 3"),
        (codecs.BOM_UTF8 + b"ab\xc3(", "not UTF-8: byte 0xc3 at offset 5"),
        ("ab".encode("utf-16") + b"\x00", "not UTF-16-LE: byte 0x00 at offset 6"),
        (codecs.BOM_UTF16_BE + "ab".encode("utf-16-be") + b"\xd8\x00", "not UTF-16-BE: byte 0xd8 at offset 6"),
        (b"ab\0c", "a NUL character at byte offset 2"),
        (codecs.BOM_UTF16_LE + "a\0".encode("utf-16-le"), "a NUL character at byte offset 4"),
        ("ab".encode("utf-16-le"), "a NUL character at byte offset 1"),
    ],
)
def test_what_cannot_be_read_names_the_byte(raw: bytes, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        decode(PATH, raw)
    assert raised.value.message.startswith(f"a.md: {said}")


@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        ("ISO-8859-1", "café “x”".encode("cp1252"), "café “x”"),
        ("shift_jis", "港".encode("shift_jis"), "港"),
        ("iso-8859-1", "café".encode(), "café"),
    ],
)
def test_a_declared_encoding_counts_where_the_bytes_are_not_utf8(declared: str, raw: bytes, text: str) -> None:
    assert decode(PATH, raw, declared=declared) == text


@pytest.mark.parametrize("declared", ["utf-7", "zlib", "base64", "rot13", "unicode_escape", "idna", "nonsense", ""])
def test_no_other_codec_is_run_because_a_file_asks(declared: str) -> None:
    with pytest.raises(DocumentError, match="not UTF-8"):
        decode(PATH, b"+AGE-\xff", declared=declared)
