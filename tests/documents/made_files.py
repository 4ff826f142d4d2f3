"""Files of every format, good and hostile, made in memory."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>'
)


def install(site: Path, module: str, names: Sequence[str], source: str) -> None:
    """Put a package with loaders into a folder for packages: its source, and the entry points by which it is found."""
    about = site / f"{module}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n", encoding="utf-8")
    points = "".join(f"{name} = {module}:{name}\n" for name in names)
    (about / "entry_points.txt").write_text(f"[groundtune.loader]\n{points}", encoding="utf-8")
    (site / f"{module}.py").write_text(source, encoding="utf-8")


def zipped(members: Mapping[str, bytes | str] | Sequence[tuple[str, bytes | str]]) -> bytes:
    """Return an archive of these members, in order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def bomb(name: str, size: int, start: bytes = b"", end: bytes = b"") -> bytes:
    """Return an archive with a member of that many blanks."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w", force_zip64=True) as member:
        member.write(start)
        for _ in range(size // 1_000_000):
            member.write(b" " * 1_000_000)
        member.write(end)
    return out.getvalue()


def docx(body: str, *, before: str = "", extra: Mapping[str, bytes | str] | None = None) -> bytes:
    """Return a Word document with this XML in its body, and ``before`` ahead of the outermost element."""
    document = f'<?xml version="1.0" encoding="UTF-8"?>{before}<w:document {W}><w:body>{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": TYPES, "_rels/.rels": RELATIONS, "word/document.xml": document, **(extra or {})})


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph of a Word document."""
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(pages: Sequence[Sequence[tuple[float, float, float, str]] | bytes], *, trailer: str = "") -> bytes:
    """Return a PDF. A page is lines (size, x, y, text), or a drawing as PDF operators."""
    streams = [
        page if isinstance(page, bytes) else b"".join(f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n".encode() for size, x, y, text in page)
        for page in pages
    ]
    return pdf_of([(b"", stream) for stream in streams], trailer=trailer)


def pdf_of(streams: Sequence[tuple[bytes, bytes]], *, trailer: str = "") -> bytes:
    """Return a PDF with a page for each stream, given as the entries of its dictionary and its bytes."""
    count = len(streams)
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, (entries, stream) in enumerate(streams):
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * at} 0 R {fonts} >>".encode())
        objects.append(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), entries, stream))
    out = bytearray(b"%PDF-1.4\n")
    starts = []
    for number, held in enumerate(objects, start=1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, held)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % start for start in starts)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def ruled(cells: Sequence[Sequence[str]], *, left: float = 60, top: float = 700, width: float = 120, height: float = 24) -> bytes:
    """Return the operators that draw a ruled table with its texts."""
    right, bottom = left + width * len(cells[0]), top - height * len(cells)
    drawn = [f"{left} {top - height * row} m {right} {top - height * row} l S" for row in range(len(cells) + 1)]
    drawn += [f"{left + width * column} {bottom} m {left + width * column} {top} l S" for column in range(len(cells[0]) + 1)]
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            drawn.append(f"BT /F1 10 Tf {left + width * column + 6} {top - height * row - 16} Td ({value}) Tj ET")
    return "\n".join(drawn).encode()


def pdf_bomb(size: int) -> bytes:
    """Return a PDF whose one page unpacks to that many bytes of text operators."""
    packer = zlib.compressobj(9)
    piece = b"BT /F1 9 Tf 9 9 Td (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n" * 10_000
    packed = b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()
    return pdf_of([(b"/Filter /FlateDecode", packed)])


def encrypted_pdf() -> bytes:
    """Return a PDF with a password that nobody knows: the entries it is checked against are noise."""
    noise = "00" * 32
    return pdf(
        [[(12, 72, 700, "Secret")]], trailer=f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{noise}> /U <{noise}> /P -4 >> /ID [<00> <00>]"
    )


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """Return an .xlsx with these rows in its sheets; ``None`` is an empty cell."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                if value is not None:
                    sheet.write(at, column, value)
    book.close()
    return out.getvalue()


def presentation(slides: Sequence[tuple[str, str, str]]) -> bytes:
    """Return a .pptx of slides given as title, body and notes."""
    from pptx import Presentation

    deck = Presentation()
    for title, body, notes in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def epub_package(spine: Sequence[str], files: Mapping[str, str]) -> str:
    """Return the package file of a book: the ids of its chapters in order, and the address of each id."""
    items = "".join(f'<item id="{name}" href="{href}" media-type="application/xhtml+xml"/>' for name, href in files.items())
    refs = "".join(f'<itemref idref="{name}"/>' for name in spine)
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>The book</dc:title></metadata><manifest>{items}</manifest><spine>{refs}</spine></package>"
    )


def epub(chapters: Sequence[str], *, extra: Mapping[str, bytes | str] | None = None) -> bytes:
    """Return an EPUB of these XHTML bodies."""
    files = {f"c{at}": f"text/c%20{at}.xhtml" for at in range(len(chapters))}
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "OEBPS/book.opf": epub_package(list(files), files),
            **{f"OEBPS/text/c {at}.xhtml": f"<html><body>{chapter}</body></html>" for at, chapter in enumerate(chapters)},
            **(extra or {}),
        }
    )
