from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.documents.html import load
from groundtune.documents.page import scan
from groundtune.errors import DocumentError

PATH = Path("page.html")
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Slots &amp; gates</title>
<meta name="Product" content="harbour"><meta name="readers" content="everyone, support"><meta name="viewport" content="w">
<style>p { color: red }</style><script>document.write("<main>no</main>")</script></head>
<body><nav><a href="/">Home</a></nav><main><h1>Slots</h1><p>Cancel <b>until 2 hours</b> before; R&amp;D &lt;now&gt;.</p>
<nav>On this page</nav><ul><li>one</li><li>two</li></ul><table><tr><th>Plan</th><th>EUR</th></tr><tr><td>Start</td><td>390</td></tr></table>
<script>track()</script><footer>inside</footer></main><footer>Quayside</footer></body></html>"""


def text_of(page: str) -> str:
    return load(PATH, page.encode()).text


def test_a_page_gives_its_main_part_title_readers_and_metadata() -> None:
    loaded = load(PATH, PAGE.encode())
    assert loaded.title == "Slots & gates"
    assert loaded.readers == {"everyone", "support"}
    assert loaded.metadata == {"product": "harbour"}
    assert loaded.text == (
        "# Slots\n\nCancel **until 2 hours** before; R&D <now>.\n\n- one\n- two\n\n| Plan | EUR |\n| --- | --- |\n| Start | 390 |"
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>no body tag</p>", "no body tag"),
        ("<header><h1>H</h1></header><p>b</p>", "# H\n\nb"),
        ("<main>a</main>between<main>b</main>", "a\n\nb"),
        ("<main hidden>old</main><main>new</main>", "new"),
        ("<template><main>no</main></template><main>yes</main>", "yes"),
        ("<!-- <main>no</main> --><p>yes", "yes"),
        ("<a title='<main>'>q</a> rest", "q rest"),
        ("<p it's>x</p> it's", "x\n\nit's"),
        ("<body><p>x</p></body></html>tail", "x\n\ntail"),
        ("a < b <3", "a < b <3"),
        ("<MAIN><P>caps</P></MAIN>", "caps"),
        ("<main><p>never closed", "never closed"),
        ("<div role=navigation>menu</div><p>x", "x"),
        ("<textarea><main></textarea><p>x", "<main>\n\nx"),
    ],
)
def test_the_main_part(page: str, text: str) -> None:
    assert text_of(page) == text


def test_what_a_page_shows_cannot_say_who_may_read_it() -> None:
    page = '<head><meta name="readers" content="hr"></head><body><meta name="readers" content="everyone"><p>x'
    assert load(PATH, page.encode()).readers == {"hr"}
    assert load(PATH, b'<body><p>x<meta name="readers" content="everyone">').readers is None
    assert load(PATH, b'<!-- <meta name="readers" content="everyone"> --><p>x').readers is None


def test_readers_given_empty_are_nobody_and_given_twice_are_refused() -> None:
    assert load(PATH, b'<meta name="readers" content=""><p>x').readers == frozenset()
    with pytest.raises(DocumentError, match=r"page\.html: <meta name='readers'> twice"):
        load(PATH, b"<meta name=readers content=hr><META NAME=Readers CONTENT=everyone><p>x")


def test_a_name_that_is_there_several_times_is_a_list() -> None:
    page = b"<meta name=author content=Ana><meta name=author content=Bo><META NAME=Author CONTENT=Ana><meta name='a=b' content=x><p>x"
    assert load(PATH, page).metadata == {"author": "Ana, Bo"}
    assert load(PATH, b"<meta name=empty content><p>x").metadata == {"empty": ""}


def test_the_first_heading_is_the_title_where_there_is_none() -> None:
    assert load(PATH, b"<h1>Head</h1>x").title == "Head"
    assert load(PATH, b"<p>x").title == "page"


def test_an_old_page_is_read_by_the_encoding_it_declares() -> None:
    assert text_of_bytes(b"<meta charset=iso-8859-1><p>caf\xe9") == "caf\u00e9"
    assert text_of_bytes(b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>\x80') == "\u20ac"
    with pytest.raises(DocumentError, match="byte 0xe9 at offset 6"):
        load(PATH, b"<p>caf\xe9")


def text_of_bytes(raw: bytes) -> str:
    return load(PATH, raw).text


def test_a_page_nested_too_deep_is_refused_rather_than_cut() -> None:
    assert text_of("<div>" * 500 + "deep" + "</div>" * 500) == "deep"
    for tag, times in (("div", 200_000), ("b", 20_000), ("ul><li", 200_000)):
        with pytest.raises(DocumentError, match="part of it would be lost"):
            load(PATH, (f"<p>first</p>{f'<{tag}>' * times}deep").encode())


def test_a_paragraph_of_a_hundred_thousand_tags_is_refused() -> None:
    with pytest.raises(DocumentError, match="100,000 tags in one paragraph"):
        load(PATH, ("x <b>y</b> " * 50_000).encode())


@pytest.mark.parametrize("piece", ["<a ", '<a "', "<!--", "<main ", "<script>", "<title>", "</", "<![CDATA[", "<p x='"])
def test_what_is_never_closed_is_read_in_one_pass(piece: str) -> None:
    """At this length, reading on from every "<" again would take hours."""
    scan(piece * 400_000)


@given(st.text(alphabet="<>/!-= \"'abmainp\n", max_size=80))
def test_no_page_breaks_the_reader(page: str) -> None:
    found = scan(page)
    assert all(piece in page for piece in found.pieces)
    load(PATH, page.encode())


def test_data_in_images_does_not_get_into_the_text() -> None:
    assert text_of('<p>a <img alt="plan" src="data:image/png;base64,AAAA"> b') == "a plan b"
