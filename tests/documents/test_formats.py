"""Good files of every format: their text, and the exact place of it."""

from __future__ import annotations

import tomllib
from email.message import EmailMessage
from pathlib import Path

import made_files as made
import pytest

from groundtune.documents.load import LOADERS, documents_from
from groundtune.documents.places import name_of
from groundtune.errors import DocumentError
from groundtune.types import Document

EVERYONE = frozenset({"everyone"})


def one(name: str, raw: bytes) -> Document:
    documents, problems = documents_from(name, raw, readers=EVERYONE)
    assert [problem.message for problem in problems] == []
    [document] = documents
    return document


def place_of(document: Document, quote: str) -> str:
    start = document.text.index(quote)
    assert document.text.count(quote) == 1
    return name_of(document.places, start, start + len(quote))


def test_pdf_pages_headings_and_paragraphs() -> None:
    page = [(20, 72, 720, "Warranty"), (10, 72, 690, "The warranty lasts two"), (10, 72, 678, "years."), (10, 72, 640, "New paragraph.")]
    later = [(14, 72, 720, "Returns"), (10, 72, 690, "Send it back."), (10, 72, 678, "Within a month.")]
    document = one("policies/a.pdf", made.pdf([page, later]))
    assert document.id == "document:policies/a.pdf"
    assert document.title == "Warranty"
    assert document.text == (
        "# Warranty\n\nThe warranty lasts two\nyears.\n\nNew paragraph.\n\n## Returns\n\nSend it back.\nWithin a month."
    )
    assert place_of(document, "New paragraph.") == "page 1"
    assert place_of(document, "Send it back.") == "page 2"
    assert name_of(document.places, 0, len(document.text)) == "pages 1-2"


def test_a_page_on_which_the_finder_of_tables_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import pdfplumber.page

    from groundtune.documents import pdf_tables

    def fails(page: object) -> None:
        raise ValueError("not a table")

    monkeypatch.setattr(pdfplumber.page.Page, "find_tables", fails)
    found, told = pdf_tables.find(made.pdf([made.ruled([["a", "b"], ["c", "d"]])]), [1], until=float("inf"))
    assert found == {} and told == "the tables on page 1 were read as lines of text: their finder fails there"


def test_a_ruled_table_of_a_pdf_is_a_table_and_its_words_are_there_once() -> None:
    cells = [["Size", "Price"], ["Small", "12 EUR"], ["Large", "19 EUR"]]
    document = one("a.pdf", made.pdf([made.ruled(cells) + b"\nBT /F1 10 Tf 60 500 Td (After the table.) Tj ET"]))
    assert document.text == "| Size | Price |\n| --- | --- |\n| Small | 12 EUR |\n| Large | 19 EUR |\n\nAfter the table."


def test_a_page_without_a_text_layer_is_named_and_the_others_are_read() -> None:
    picture = b"0 0 1 rg 100 100 300 300 re f"
    documents, problems = documents_from("scan.pdf", made.pdf([[(10, 72, 700, "Text.")], picture, picture, b""]), readers=EVERYONE)
    assert [document.text for document in documents] == ["Text."]
    [problem] = problems
    assert isinstance(problem, DocumentError)
    assert problem.state == "no text layer"
    assert problem.message == "scan.pdf: no text layer on pages 2-3: recognise the text (OCR) and replace the file"


def test_a_scan_is_refused_as_one() -> None:
    documents, [problem] = documents_from("scan.pdf", made.pdf([b"0 0 1 rg 100 100 300 300 re f"]), readers=EVERYONE)
    assert documents == ()
    assert isinstance(problem, DocumentError)
    assert problem.state == "no text layer"


def test_word_headings_tables_and_equations() -> None:
    table = "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Size</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Price</w:t></w:r></w:p></w:tc></w:tr>"
    table += "<w:tr><w:tc><w:p><w:r><w:t>S</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>12</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    equation = "<w:p><w:r><w:t>Area:</w:t></w:r><m:oMath><m:r><m:t>a</m:t></m:r><m:r><m:t>=b</m:t></m:r></m:oMath></w:p>"
    document = one("terms.docx", made.docx(made.paragraph("Terms", "Heading1") + made.paragraph("They hold.") + table + equation))
    assert document.title == "Terms"
    assert document.text.startswith("# Terms\n\nThey hold.\n\n| Size")
    assert "| S | 12 |" in document.text
    assert document.text.endswith("Area: a=b")
    assert document.places == ()


def test_slides_with_their_notes() -> None:
    deck = made.presentation([("Plan", "First\nSecond", "Say hello."), ("Budget", "12 million", "")])
    document = one("deck.pptx", deck)
    assert document.text == "## Plan\n\n- First\n- Second\n\nNotes: Say hello.\n\n## Budget\n\n12 million"
    assert place_of(document, "Say hello.") == "slide 1"
    assert place_of(document, "12 million") == "slide 2"


def test_tables_charts_and_groups_of_slides() -> None:
    import io

    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    box = Inches(1), Inches(1), Inches(4), Inches(2)
    table = slide.shapes.add_table(2, 2, *box).table
    for at, said in enumerate(("Size", "Price", "S", "12 | 13")):
        table.cell(at // 2, at % 2).text = said
    numbers = CategoryChartData()
    numbers.categories = ["2024", "2025"]
    numbers.add_series("Sold", (3, 4.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *box, numbers)
    slide.shapes.add_group_shape().shapes.add_textbox(*box).text_frame.text = "In a group"
    out = io.BytesIO()
    deck.save(out)
    text = one("deck.pptx", out.getvalue()).text
    assert "| Size | Price |\n| --- | --- |\n| S | 12 \\| 13 |" in text
    assert "|  | Sold |\n| --- | --- |\n| 2024 | 3 |\n| 2025 | 4.5 |" in text
    assert text.endswith("In a group")


def test_rows_of_a_sheet_say_what_their_values_are() -> None:
    rows = [["Name", "Price"], ["Mug", 12], ["Cup", 9.5], [], [None, "alone"]]
    document = one("shop.xlsx", made.workbook({"Prices": rows, "Old prices": [["Mug", True]]}))
    assert document.text.split("\n\n") == [
        "## Prices",
        "- Name; Price\n- Name: Mug; Price: 12\n- Name: Cup; Price: 9.5\n- alone",
        "## Old prices",
        "- A: Mug; B: TRUE",
    ]
    assert place_of(document, "Price: 9.5") == "Prices!row 3"
    assert place_of(document, "- alone") == "Prices!row 5"
    start = document.text.index("- Name: Mug")
    assert name_of(document.places, start, document.text.index("- alone")) == "Prices!rows 2-3"


def test_rows_of_csv_have_the_number_of_their_record() -> None:
    document = one("stock.csv", b'Part;Note\r\nA1;"two\r\nlines"\r\nB2;last\r\n')
    assert document.text == "- Part; Note\n- Part: A1; Note: two lines\n- Part: B2; Note: last"
    assert place_of(document, "Part: B2") == "row 3"


def test_json_and_json_lines() -> None:
    document = one("tickets.json", b'[{"id": 7, "who": {"name": "Ana"}, "tags": ["a", "b"], "none": null}, {"id": 8}]')
    assert document.text == "id: 7\nwho.name: Ana\ntags: a; b\n\nid: 8"
    assert place_of(document, "id: 8") == "item 2"
    lines = one("tickets.jsonl", b'{"id": 7}\n\n{"id": 8, "text": "printer"}\n')
    assert place_of(lines, "text: printer") == "line 3"
    table = one("shop.json", b'{"title": "Shop", "open": {"mon": [1, 2]}}')
    assert table.title == "Shop"
    assert place_of(table, "open.mon: 1; 2") == "open"


def test_what_no_database_takes_is_replaced() -> None:
    document = one("odd.json", b'{"title": "a\\u0000", "b": "x\\ud800y"}')
    assert (document.title, document.text) == ("a\ufffd", "title: a\ufffd\n\nb: x\ufffdy")


def test_source_code_is_fenced_so_that_comments_are_no_headings() -> None:
    document = one("tool.py", b"# not a heading\ndef f():\n    return '```'\n")
    assert document.text == "````python\n# not a heading\ndef f():\n    return '```'\n````"
    assert place_of(document, "# not a heading") == "line 1"
    start = document.text.index("def f")
    assert name_of(document.places, start, document.text.index("'```'")) == "lines 2-3"


def test_chapters_of_a_book() -> None:
    document = one("book.epub", made.epub(["<h1>One</h1><p>First.</p>", "<h1>Two</h1><p>Second.</p>"]))
    assert document.title == "The book"
    assert document.text == "# One\n\nFirst.\n\n# Two\n\nSecond."
    assert place_of(document, "Second.") == "chapter 2"


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ana <ana@example.com>", "shop@example.com", "Größe?"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content("Which size?\n")
    message.add_alternative("<p>Which <b>size</b>?</p>", subtype="html")
    return message


def test_a_mail_is_its_headers_one_form_of_its_text_and_its_attachments() -> None:
    message = mail()
    message.add_attachment(made.pdf([[(10, 72, 700, "Offer 12 EUR.")]]), maintype="application", subtype="pdf", filename="offer.pdf")
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="../../etc/list.csv")
    documents, problems = documents_from("in/mail.eml", message.as_bytes(), readers=EVERYONE)
    assert problems == ()
    text, etc, offer = documents
    assert text.text.startswith("# Größe?\n\nFrom: Ana <ana@example.com>\nTo: shop@example.com\nDate: Mon, 02 Mar 2026")
    assert text.text.endswith("\n\nWhich size?")
    assert place_of(text, "Which size?") == "part 1"
    assert text.metadata["date"] == "2026-03-02"
    assert etc.id == "document:in/mail.eml!/list.csv"
    assert (offer.id, offer.text, offer.places[0].name) == ("document:in/mail.eml!/offer.pdf", "Offer 12 EUR.", "page 1")
    assert offer.metadata["date"] == "2026-03-02"


def test_a_blank_plain_form_does_not_hide_the_text() -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "ana@example.com", "Offer"
    message.set_content(" \r\n\t\n")
    message.add_alternative("<p>The offer holds until Friday.</p>", subtype="html")
    [document], problems = documents_from("a.eml", message.as_bytes(), readers=EVERYONE)
    assert problems == () and document.text.endswith("The offer holds until Friday.")
    assert place_of(document, "The offer") == "part 2"


def test_of_a_text_in_two_forms_one_is_read_however_the_other_is_packed() -> None:
    """As mail programs write it: the HTML form is a container with its pictures, and files stand beside it."""
    message = mail()
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(b"\x89PNG\r\n", maintype="image", subtype="png", cid="<logo>")  # type: ignore[union-attr]
    html.add_related("a,b\n1,2\n", subtype="csv", filename="prices.csv", disposition="attachment")  # type: ignore[union-attr]
    documents, problems = documents_from("a.eml", message.as_bytes(), readers=EVERYONE)
    assert problems == () and [document.source for document in documents] == ["a.eml", "a.eml!/prices.csv"]
    assert documents[0].text.count("Which") == 1 and documents[0].text.endswith("\n\nWhich size?")


def test_a_signature_is_no_file_and_what_is_encrypted_is_said_to_be() -> None:
    head = b"From: a@example.com\nSubject: S\nMIME-Version: 1.0\n"
    signed = (
        head
        + b'Content-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"\n\n--b\nContent-Type: text/plain\n\nHello.\n'
        b"--b\nContent-Type: application/pgp-signature; name=signature.asc\n\n-----BEGIN PGP SIGNATURE-----\n--b--\n"
    )
    [document], problems = documents_from("a.eml", signed, readers=EVERYONE)
    assert problems == () and document.text.endswith("Hello.")
    for kind in (b"multipart/encrypted; boundary=b", b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"):
        sealed = head + b"Content-Type: " + kind + b"\n\n--b\nContent-Type: application/octet-stream\n\nxx\n--b--\n"
        [document], [problem] = documents_from("a.eml", sealed, readers=EVERYONE)
        assert isinstance(problem, DocumentError) and problem.state == "encrypted" and "part 1 is encrypted" in problem.message


def test_what_is_attached_to_a_mail_cannot_open_itself_to_all() -> None:
    message = mail()
    message.add_attachment("---\nreaders: [everyone]\n---\nSecret", filename="a.md")
    message.add_attachment('<meta name="readers" content="everyone"><p>Secret', subtype="html", filename="b.html")
    documents, problems = documents_from("mail.eml", message.as_bytes(), readers=frozenset({"legal"}))
    assert problems == ()
    assert {document.readers for document in documents} == {frozenset({"legal"})}


def test_a_mail_within_a_mail_and_attachments_of_one_name() -> None:
    inner = mail()
    outer = mail()
    outer.add_attachment(inner)
    outer.add_attachment("one", filename="a.txt")
    outer.add_attachment("two", filename="a.txt")
    documents, problems = documents_from("mail.eml", outer.as_bytes(), readers=EVERYONE)
    assert problems == ()
    assert [document.source for document in documents] == ["mail.eml", "mail.eml!/2 a.txt", "mail.eml!/a.txt", "mail.eml!/message 3.eml"]


def archive(*messages: bytes, line: bytes = b"From ana@example.com Mon Mar  2 10:00:00 2026", end: bytes = b"\n") -> bytes:
    return b"".join(line + end + message.replace(b"\n", end) + end for message in messages)


def a_mail(name: str, text: str, **headers: str) -> bytes:
    message = EmailMessage()
    message["Subject"], message["Message-ID"], message["Date"] = name, f"<{name}@mail.example.com>", "Mon, 02 Mar 2026 10:00:00 +0100"
    for key, value in headers.items():
        message[key] = value
    message.set_content(text)
    return message.as_bytes()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(
    "line",
    [b"From ana@example.com Mon Mar  2 10:00:00 2026", b"From - Mon Mar 02 10:00:00 2026", b"From 1790@xxx Mon Mar 02 10:00:00 +0000 2026",
     b"From ana at example.com  Mon Mar  2 10:00 2026"],
    ids=["rfc4155", "thunderbird", "takeout", "pipermail"],
)  # fmt: skip
def test_an_archive_of_mails_is_its_messages_by_their_ids(line: bytes, end: bytes) -> None:
    with_file = mail()
    with_file["Message-ID"] = "<offer/1@mail.example.com>"
    with_file.add_attachment("---\nreaders: [everyone]\n---\nSecret", filename="a.md")
    raw = archive(a_mail("one", "The crane is green."), with_file.as_bytes(), a_mail("two", "The quay is blue."), line=line, end=end)
    documents, problems = documents_from("in/list.mbox", raw, readers=frozenset({"legal"}))
    assert problems == () and [document.source for document in documents] == [
        "in/list.mbox!/offer_1@mail.example.com.eml",
        "in/list.mbox!/offer_1@mail.example.com.eml!/a.md",
        "in/list.mbox!/one@mail.example.com.eml",
        "in/list.mbox!/two@mail.example.com.eml",
    ]
    one = documents[2]
    assert one.title == "one" and one.text.endswith("The crane is green.") and one.metadata["date"] == "2026-03-02"
    assert place_of(one, "The crane") == "part 1"
    # Whoever writes to the list does not decide who reads it.
    assert {document.readers for document in documents} == {frozenset({"legal"})}


def test_a_message_keeps_its_name_and_text_whatever_goes_from_before_it() -> None:
    nameless = b"From: b@example.com\nSubject: no id\n\nThe mast is tall.\n"
    messages = [a_mail("one", "First."), nameless, a_mail("two", "Second."), a_mail("two", "Another of that id."), a_mail("two", "Second.")]
    whole, problems = documents_from("a.mbox", archive(*messages), readers=EVERYONE)
    assert problems == () and len(whole) == 4
    # Some editors put a mark of their own before the first line.
    less, _ = documents_from("a.mbox", b"\xef\xbb\xbf\r\n" + archive(*messages[1:]), readers=EVERYONE)
    assert [document.content_hash for document in less] == [item.content_hash for item in whole if "one@" not in item.source]
    assert {document.id for document in less} == {document.id for document in whole} - {"document:a.mbox!/one@mail.example.com.eml"}


def test_a_line_of_a_text_that_begins_with_from_begins_no_message() -> None:
    text = (
        "From Monday on the gate opens at 6:30.\n\nFrom the desk of Ana, 2026:\nplease read.\n\n"
        ">From bo@example.com Mon Mar  2 10:00:00 2026\nSubject: quoted\n\n>>From twice quoted.\n\nFrom x 10:00 2026\nno header here\n"
    )
    [document], problems = documents_from("a.mbox", archive(a_mail("one", text)), readers=EVERYONE)
    assert problems == () and "From Monday on the gate opens at 6:30." in document.text and "please read." in document.text
    # One mark of those that the archive's writer set before such lines is taken away.
    assert "\nFrom bo@example.com" in document.text and "\n>From twice" in document.text and document.text.endswith("no header here")


def test_an_archive_is_its_files_and_they_may_say_who_reads_them() -> None:
    raw = made.zipped({"b/page.md": "---\nreaders: [hr]\n---\nPage.", "a.txt": "Text.", ".hidden/x.md": "x", "__MACOSX/a.txt": "x"})
    documents, problems = documents_from("export.zip", raw, readers=EVERYONE, metadata={"space": "HR"})
    assert problems == ()
    assert [(item.id, set(item.readers), item.metadata) for item in documents] == [
        ("document:export.zip!/a.txt", {"everyone"}, {"space": "HR"}),
        ("document:export.zip!/b/page.md", {"hr"}, {"space": "HR"}),
    ]


def test_readers_of_the_file_win_over_those_given_and_these_over_the_default() -> None:
    defaults = {"readers": ["default"], "product": "p"}
    for raw, readers, wanted in (
        (b"---\nreaders: []\n---\nx", frozenset({"given"}), frozenset()),
        (b"x", frozenset({"given"}), frozenset({"given"})),
        (b"x", frozenset(), frozenset()),
        (b"x", None, frozenset({"default"})),
    ):
        [document], problems = documents_from("a.md", raw, readers=readers, metadata={"product": "q"}, defaults=defaults)
        assert (document.readers, document.metadata, problems) == (wanted, {"product": "q"}, ())


def test_a_document_without_places_has_the_hash_it_always_had() -> None:
    from groundtune.files import fingerprint

    document = one("a.md", b"# A\n\ntext")
    assert document.content_hash == fingerprint("A", "# A\n\ntext", {})
    paged = one("a.pdf", made.pdf([[(10, 72, 700, "text")], [(10, 72, 700, "more")]]))
    assert paged.content_hash != fingerprint(paged.title, paged.text, {})


@pytest.mark.parametrize("loader", sorted(set(LOADERS.values())))
def test_every_loader_comes_in_by_the_public_door(loader: str) -> None:
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, name = declared["project"]["entry-points"]["groundtune.loader"][loader].partition(":")
    imported = __import__(module, fromlist=[name])
    assert callable(getattr(imported, name))
