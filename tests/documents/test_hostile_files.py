"""Files that are broken, or made to break what reads them: each gets a state and a reason, and the next file is read."""

from __future__ import annotations

import io
import json
import os
import platform
import signal
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import made_files as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune import plugins
from groundtune.documents import limits, sandbox, wire
from groundtune.documents import load as loading
from groundtune.documents.limits import Limits
from groundtune.documents.load import documents_from, read
from groundtune.errors import DocumentError

EVERYONE = frozenset({"everyone"})
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {b} '{f'&{a};' * 20}'>" for a, b in zip("abcdefg", "bcdefgh", strict=True)) + "]>"
)
BOMB = made.bomb("word/document.xml", 60_000_000)
GOOD = made.pdf([[(10, 72, 700, "Good.")]])


def a_message(name: str) -> bytes:
    """A message of a mail archive, with the line before it."""
    return f"From - Mon Mar 02 10:00:00 2026\nMessage-ID: <{name}@x>\nSubject: s\n\nText of {name[:9]}.\n\n".encode()


def refused(name: str, raw: bytes) -> DocumentError:
    documents, problems = documents_from(name, raw, readers=EVERYONE)
    assert documents == ()
    [problem] = problems
    assert isinstance(problem, DocumentError)
    assert problem.message.startswith(f"{name}:")
    assert problem.hint
    return problem


@pytest.mark.parametrize(
    ("name", "raw", "state", "reason"),
    [
        ("empty.pdf", b"", "unreadable", "is empty"),
        ("cut.pdf", GOOD[:200], "unreadable", "corrupt or cut off"),
        ("noise.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 20, "unreadable", "corrupt or cut off"),
        ("locked.pdf", made.encrypted_pdf(), "encrypted", "a PDF with a password"),
        ("page.pdf", b"<html><p>not a PDF", "wrong type", "not a PDF at all"),
        ("text.docx", b"just text", "wrong type", "not a zip archive"),
        ("paper.docx", GOOD, "wrong type", "a PDF"),
        ("sheet.docx", made.workbook({"a": [["b"]]}), "wrong type", "without word/document.xml"),
        ("doc.xlsx", made.docx(made.paragraph("x")), "wrong type", "without xl/workbook.xml"),
        ("doc.pptx", made.docx(made.paragraph("x")), "wrong type", "without ppt/presentation.xml"),
        ("doc.epub", made.docx(made.paragraph("x")), "wrong type", "it is no EPUB"),
        ("paper.md", GOOD, "wrong type", "named as text, but it is a PDF"),
        ("packed.csv", made.zipped({"a": "b"}), "wrong type", "named as text, but it is a zip archive"),
        ("old.docx", COMPOUND, "wrong type", "before 2007"),
        ("locked.docx", COMPOUND + "EncryptedPackage".encode("utf-16-le"), "encrypted", "with a password"),
        ("locked.xls", COMPOUND + "EncryptedPackage".encode("utf-16-le"), "encrypted", "with a password"),
        ("broken.xls", COMPOUND, "unreadable", "cannot be read as a workbook"),
        ("cut.docx", made.docx(made.paragraph("x" * 500))[:-60], "unreadable", "corrupt or cut off zip archive"),
        ("cut.zip", made.zipped({"a.md": "x"})[:-8], "unreadable", "corrupt or cut off zip archive"),
        ("no.docx", made.docx("<w:p><w:r>"), "unreadable", "not XML"),
        ("xxe.docx", made.docx("", before='<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'), "unreadable", "DOCTYPE"),
        ("laughs.docx", made.docx("", before=LAUGHS), "unreadable", "DOCTYPE"),
        ("wide.docx", made.docx("", extra={"word/x.xml": LAUGHS.encode("utf-16-le")}), "unreadable", "DOCTYPE"),
        ("laughs.epub", made.epub(["x"], extra={"META-INF/encryption.xml": LAUGHS + "<x>&h;</x>"}), "unreadable", "declares entities"),
        ("none.zip", made.zipped({}), "unreadable", "holds no files"),
        ("deep.json", b"[" * 200_000, "too large", "nested too deep"),
        ("twice.json", b'{"a": 1, "a": 2}', "unreadable", "twice"),
        ("cut.json", b'{"a": [1, 2', "unreadable", ":1: not JSON"),
        ("cut.jsonl", b'{"a": 1}\n{"a": ', "unreadable", ":2: not JSON"),
        ("open.csv", b'a,b\n"never closed,2\n3,4\n', "unreadable", "not CSV"),
        ("none.eml", b"no headers here\n", "wrong type", "none of the headers of a mail"),
        ("none.mbox", b"Subject: s\n\nA mail by itself.\n", "wrong type", "does not begin as a mail archive does"),
        ("empty.mbox", b"", "wrong type", "does not begin as a mail archive does"),
        ("text.mbox", b"From here on 10:00 2026\nit is a text.\n", "wrong type", "does not begin as a mail archive does"),
        ("packed.mbox", made.zipped({"a": "b"}), "wrong type", "named as text, but it is a zip archive"),
        ("noise.mbox", bytes(range(256)) * 40, "wrong type", "does not begin as a mail archive does"),
        ("many.mbox", b"From - Mon Mar 02 10:00:00 2026\nS: x\n" * 20_001, "too large", "20,001 messages; at most 20,000"),
        ("photo.txt", b"\x89PNG\r\n\x1a\n" + bytes(30), "wrong type", "PNG picture"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
def test_what_is_wrong_with_a_file_is_its_state_and_its_reason(name: str, raw: bytes, state: str, reason: str) -> None:
    problem = refused(name, raw)
    assert (problem.state, reason in problem.message) == (state, True), problem.message


def test_a_document_with_drm_is_encrypted() -> None:
    marked = '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:CipherReference URI="OEBPS/text/c 0.xhtml"/></encryption>'
    assert refused("a.epub", made.epub(["x"], extra={"META-INF/encryption.xml": marked})).state == "encrypted"


def test_a_pdf_that_lost_its_end_is_read_and_said_to_be_cut_off() -> None:
    raw = made.pdf([[(10, 72, 700, "Good.")]])
    documents, problems = documents_from("a.pdf", raw[: raw.index(b"startxref")], readers=EVERYONE)
    assert [document.text for document in documents] == ["Good."]
    assert [problem.message for problem in problems] == ["a.pdf: does not end as a PDF does: it may be cut off, and pages may be missing"]


WHOLE = {
    "a.pdf": made.pdf([[(20, 72, 720, "Warranty"), (10, 72, 690, "Two years.")], made.ruled([["a", "b"], ["c", "d"]])]),
    "a.docx": made.docx(made.paragraph("Terms", "Heading1") + made.paragraph("They hold.")),
    "a.xlsx": made.workbook({"s": [["a", "b"], [1, 2]]}),
    "a.epub": made.epub(["<p>x</p>", "<p>y</p>"]),
    "a.zip": made.zipped({"a.md": "x", "b.html": "<p>y", "c.zip": made.zipped({"d.txt": "z"})}),
    "a.eml": b"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>x\n--b\n"
    b"Content-Disposition: attachment; filename=a.csv\n\na,b\n--b--\n",
    "a.mbox": a_message("one") + a_message("two") + b"From - Mon Mar 02 10:00:00 2026\nSubject: s\n\n>From x\n",
    "a.json": b'[{"a": [1, {"b": "c"}]}, null]',
    "a.csv": b'a;"b\nc"\n1;2\n',
}


@pytest.mark.parametrize("name", sorted(WHOLE))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    raw = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(1, len(raw))))
    documents, problems = documents_from(name, bytes(raw[:cut]), readers=EVERYONE)
    assert documents or problems
    for problem in problems:
        assert isinstance(problem, DocumentError)
        assert problem.message.startswith(name)
        assert problem.state not in ("crashed", "timed out")
    for document in documents:
        assert document.readers == EVERYONE
        document.text.encode()
        assert all(0 <= place.start <= len(document.text) for place in document.places)


def test_one_bad_message_stops_no_other_and_an_archive_that_was_cut_off_gives_what_is_there() -> None:
    cut = b"From - Mon Mar 02 10:00:00 2026\nMessage-ID: <cut@x>\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/pl"
    bad = b"From - Mon Mar 02 10:00:00 2026\n\nno headers at all\n\n"
    documents, problems = documents_from("a.mbox", a_message("one") + bad + a_message("two") + cut, readers=EVERYONE)
    assert [document.source for document in documents if "cut" not in document.source] == ["a.mbox!/one@x.eml", "a.mbox!/two@x.eml"]
    assert any("has none of the headers of a mail" in problem.message for problem in problems)
    assert any(problem.message.startswith("a.mbox!/cut@x.eml: ") for problem in problems)


def test_an_archive_of_mails_is_held_to_the_limits_of_what_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in a mail in a list …: as deep as any other archive, and all that is in it counted together."""
    raw = a_message("deepest")
    for number in range(4):
        outer = EmailMessage()
        outer["Subject"], outer["Message-ID"] = "s", f"<{number}@x>"
        outer.add_attachment(raw, maintype="application", subtype="mbox", filename="list.mbox")
        raw = b"From - Mon Mar 02 10:00:00 2026\n" + outer.as_bytes() + b"\n"
    documents, problems = documents_from("a.mbox", raw, readers=EVERYONE)
    assert any("files within files, more than 4 deep" in problem.message for problem in problems)
    assert not any("deepest" in document.source for document in documents)
    monkeypatch.setattr(loading, "MOST_PARTS", 3)
    assert refused("a.mbox", b"".join(a_message(str(number)) for number in range(4))).state == "too large"
    small = replace(limits.current(), unpacked=1000)
    with limits.using(small):
        assert refused("a.mbox", a_message("one") * 20).state == "too large"


def test_a_hostile_archive_of_mails_takes_time_that_grows_with_its_length_and_names_that_stay_in_it() -> None:
    lines = b"From " + b"1:1 " * 120 + b"\n"
    raw = a_message("one") + lines * 20_000
    [document], problems = documents_from("a.mbox", raw, readers=EVERYONE)
    assert problems == () and document.source == "a.mbox!/one@x.eml"
    evil = a_message("../../etc/passwd") + a_message("!/other.eml") + a_message("ä\x07" * 500)
    documents, _ = documents_from("a.mbox", evil, readers=EVERYONE)
    for document in documents:
        inner = document.source.removeprefix("a.mbox!/")
        assert "/" not in inner and not inner.startswith(".") and inner.isprintable() and len(inner) < 300


def test_what_is_missing_of_a_mail_or_a_book_is_said() -> None:
    mail = b"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n"
    documents, [problem] = documents_from("a.eml", mail, readers=EVERYONE)
    assert documents[0].text.endswith("hello")
    assert "parts of it missing: CloseBoundaryNotFound" in problem.message
    assert documents_from("a.eml", mail + b"--b--\n", readers=EVERYONE)[1] == ()
    book = made.epub(["<p>one</p>"], extra={"OEBPS/book.opf": made.epub_package(["c0", "lost"], {"c0": "text/c%200.xhtml"})})
    documents, [problem] = documents_from("a.epub", book, readers=EVERYONE)
    assert (documents[0].text, problem.message) == ("one", "a.epub: chapter 2 is not in the list of the book's files")


# ── bombs ──


@pytest.mark.parametrize("name", ["a.zip", "a.docx", "a.xlsx", "a.pptx", "a.epub"])
def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(name: str) -> None:
    raw = bytearray(made.zipped({"word/document.xml": "x"}))
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (401_000_000).to_bytes(4, "little")
    problem = refused(name, bytes(raw))
    assert problem.state == "too large"
    assert "unpacks to 401,000,000 bytes" in problem.message


@pytest.mark.parametrize("loader", ["docx", "sheet", "zip"])
def test_a_bomb_of_true_size_is_refused(loader: str) -> None:
    with pytest.raises(DocumentError, match="unpacks to 60,000,000 bytes") as raised:
        sandbox.load(loader, Path("a.zip"), BOMB, limits=Limits(unpacked=50_000_000, memory=200_000_000, seconds=5))
    assert raised.value.state == "too large"


def test_an_archive_that_lies_about_its_size_gives_no_more_than_it_says() -> None:
    raw = bytearray(made.zipped({"a.md": "x" * 1_000_000}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = raw.index(mark) + offset
        raw[at : at + 4] = (100).to_bytes(4, "little")
    assert refused("a.zip", bytes(raw)).message == "a.zip: a.md is corrupt: Bad CRC-32 for file 'a.md'"


def test_archives_in_archives_end_somewhere() -> None:
    raw = made.zipped({"a.md": "found"})
    for _ in range(loading.MOST_DEPTH - 1):
        raw = made.zipped({"a.zip": raw})
    documents, problems = documents_from("a.zip", raw, readers=EVERYONE)
    assert [document.text for document in documents] == ["found"]
    assert problems == ()
    documents, [problem] = documents_from("a.zip", made.zipped({"a.zip": made.zipped({"a.zip": raw}), "b.md": "good"}), readers=EVERYONE)
    assert [document.text for document in documents] == ["good"]
    assert isinstance(problem, DocumentError)
    assert problem.state == "too large"
    assert f"more than {loading.MOST_DEPTH} deep" in problem.message


def test_all_that_is_packed_in_one_file_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = made.zipped({f"{at}.zip": made.zipped({f"{inner}.md": "x" for inner in range(10)}) for at in range(10)})
    assert len(documents_from("a.zip", raw, readers=EVERYONE)[0]) == 100
    monkeypatch.setattr(loading, "MOST_PARTS", 60)
    documents, problems = documents_from("a.zip", raw, readers=EVERYONE)
    assert len(documents) == 50
    assert {problem.state for problem in problems if isinstance(problem, DocumentError)} == {"too large"}
    assert len(problems) == 5


@pytest.mark.parametrize("name", ["../a.md", "/etc/a.md", "a/../../b.md", "C:a.md", "..\\a.md"])
def test_an_archive_that_points_out_of_itself_is_refused(name: str) -> None:
    assert "points out of the archive" in refused("a.zip", made.zipped([(name, "x"), ("good.md", "y")])).message


def test_a_name_that_cannot_be_shown_is_said_to_be_unread_and_the_rest_is_read() -> None:
    documents, problems = documents_from(
        "a.zip", made.zipped([("a\x1b[2J.md", "x"), ("Icon\r", "y"), ("good.md", "Good.")]), readers=EVERYONE
    )
    assert [document.source for document in documents] == ["a.zip!/good.md"] and len(problems) == 2
    assert all(error.message.isprintable() and "cannot be shown" in error.message for error in problems)


def test_links_and_locked_files_in_an_archive_are_said_to_be_unread() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.md")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.md", "Good.")
        archive.writestr("locked.md", "x")
    raw = bytearray(out.getvalue())
    at = raw.rindex(b"PK\x01\x02") + 8
    raw[at] |= 1
    documents, problems = documents_from("a.zip", bytes(raw), readers=EVERYONE)
    assert [document.text for document in documents] == ["Good."]
    assert [(problem.state, problem.message) for problem in problems if isinstance(problem, DocumentError)] == [
        ("unsupported", "a.zip: link.md is a link; links in archives are not followed"),
        ("encrypted", "a.zip: locked.md has a password"),
    ]


def test_a_pdf_whose_page_unpacks_without_end_is_ended() -> None:
    limits = Limits(seconds=3, memory=300_000_000)
    with pytest.raises(DocumentError) as raised:
        sandbox.load("pdf", Path("bomb.pdf"), made.pdf_bomb(200_000_000), limits=limits)
    assert raised.value.state in ("too large", "crashed", "timed out")
    assert raised.value.message.startswith("bomb.pdf: ")
    assert sandbox.load("pdf", Path("good.pdf"), GOOD).text == "Good."


def test_a_sheet_that_claims_more_rows_than_are_read_is_refused_whole() -> None:
    raw = made.workbook({"a": [["x"]] * 50})
    with pytest.raises(DocumentError, match="more than 40 rows") as raised:
        sandbox.load("sheet", Path("a.xlsx"), raw, limits=Limits(rows=40))
    assert raised.value.state == "too large"


def test_a_pdf_of_more_pages_than_are_read_is_refused_whole() -> None:
    with pytest.raises(DocumentError, match="5 pages; at most 4 are read") as raised:
        sandbox.load("pdf", Path("a.pdf"), made.pdf([[(10, 9, 9, "x")]] * 5), limits=Limits(pages=4))
    assert raised.value.state == "too large"


def test_a_mail_of_parts_in_parts_without_end() -> None:
    message = EmailMessage()
    message["Subject"] = "deep"
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth) for depth in range(1_000))
    documents, problems = documents_from("deep.eml", b"Subject: deep\n" + raw + b"Content-Type: text/plain\n\nhi\n", readers=EVERYONE)
    assert len(documents) + len(problems) == 1
    assert all(isinstance(problem, DocumentError) and problem.state == "too large" for problem in problems)


# ── the process ──


MISBEHAVING = """
import os, time, sys
from groundtune.documents.loaded import Loaded
from groundtune.types import Place
def aborts(path, raw): os.abort()
def sleeps(path, raw): time.sleep(60)
def grows(path, raw): return Loaded(title="x", text=str(len(bytearray(4_000_000_000))))
def writes(path, raw):
    with open(raw.decode(), "wb") as file: file.write(b"x" * 10_000)
def raises(path, raw): raise KeyError("word/styles.xml")
def keys(path, raw): return Loaded(title="x", text=" ".join(sorted(os.environ)) + " end")
def liar(path, raw): return Loaded(title="x", text="short", places=(Place(700, "page 9"),))
def exits(path, raw): os._exit(0)
def tries(path, raw):
    import socket, subprocess
    said = []
    for do in (socket.socket, lambda: os.execv("/bin/true", ["true"]), lambda: open(__file__).close()):
        try:
            do()
            said.append("done")
        except OSError as error:
            said.append(type(error).__name__)
    return Loaded(title="x", text=" ".join(said))
"""


@pytest.fixture
def loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with loaders that misbehave, found by the parsing process through its own entry points."""
    names = ("aborts", "sleeps", "grows", "writes", "raises", "keys", "liar", "exits", "tries")
    made.install(tmp_path / "site", "badloaders", names, MISBEHAVING)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    plugins._points.cache_clear()
    sandbox.close()
    yield
    plugins._points.cache_clear()
    sandbox.close()


@pytest.mark.parametrize(
    ("suffix", "state", "reason"),
    [
        ("aborts", "crashed", "its reader was ended by signal SIGABRT"),
        ("sleeps", "timed out", "not read within 0.5 seconds"),
        ("grows", "too large", "needs more than 1,000 MB of memory"),
        ("raises", "unreadable", "the raises loader failed: KeyError: 'word/styles.xml'"),
        ("liar", "unreadable", "the liar loader answered nonsense: places outside the text"),
        ("exits", "unreadable", "the exits loader answered nonsense: a message that ends before its end"),
    ],
)
def test_a_loader_that_dies_takes_nobody_with_it(loaders: None, suffix: str, state: str, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        sandbox.load(suffix, Path(f"a.{suffix}"), b"x", limits=Limits(seconds=0.5, memory=1_000_000_000))
    assert raised.value.state == state
    assert reason in raised.value.message
    assert sandbox.load("csv", Path("a.csv"), b"good,1").text


def test_a_parsing_process_has_no_keys_and_cannot_write(loaders: None, tmp_path: Path) -> None:
    said = sandbox.load("keys", Path("a.keys"), b"x").text
    assert said.endswith("end")
    assert "OPENAI_API_KEY" not in said
    target = tmp_path / "written"
    with pytest.raises(DocumentError, match="File too large"):
        sandbox.load("writes", Path("a.writes"), str(target).encode())
    assert not target.exists() or target.stat().st_size == 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64") or sys.platform != "linux", reason="the filter is of Linux")
def test_a_parsing_process_has_no_network_and_starts_no_programs(loaders: None) -> None:
    assert sandbox.load("tries", Path("a.tries"), b"x").text == "PermissionError PermissionError done"


def test_a_parsing_process_that_somebody_ends_is_started_anew() -> None:
    assert sandbox.load("pdf", Path("a.pdf"), GOOD).text == "Good."
    assert sandbox._server is not None
    os.kill(sandbox._server._process.pid, signal.SIGKILL)
    assert sandbox.load("pdf", Path("a.pdf"), GOOD).text == "Good."


def test_bad_files_of_a_folder_do_not_stop_the_others(tmp_path: Path) -> None:
    for name, raw in {"a.pdf": b"%PDF-1.4 broken", "b.pdf": GOOD, "c.docx": COMPOUND, "d.xlsx": made.workbook({"s": [["v"]]})}.items():
        (tmp_path / name).write_bytes(raw)
    reading = read(tmp_path, defaults={"readers": ["everyone"]})
    assert [document.source for document in reading.documents] == ["b.pdf", "d.xlsx"]
    assert [problem.message.split(": ")[0] for problem in reading.problems] == [str(tmp_path / "a.pdf"), str(tmp_path / "c.docx")]


def test_what_a_process_answers_is_data_and_checked() -> None:
    assert wire.unpacked(wire.pack({"a": 1}, [b"x", b"yz"])) == ({"a": 1, "sizes": [1, 2]}, [b"x", b"yz"])
    with pytest.raises(ValueError, match="a header of"):
        wire.unpacked(b"\xff" * 8)
    body = json.dumps([1]).encode()
    with pytest.raises(ValueError, match="without sizes"):
        wire.unpacked(len(body).to_bytes(8, "big") + body)
