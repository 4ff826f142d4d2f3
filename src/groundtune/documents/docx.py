"""Word documents → Markdown: headings, lists, tables, notes and comments; equations as the letters they are made of.

The file has no pages (they are made when it is printed), so a citation names headings. What the converter has no use for is first turned
into what it knows: equations into runs, charts into tables. Numbers that Word gives to headings and lists are not in the file.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from groundtune.documents import archive, charts
from groundtune.documents.html import markdown
from groundtune.documents.loaded import HINT, Loaded
from groundtune.errors import DocumentError

PRELOAD = ("mammoth", "html_to_markdown")
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# A document saved as "Strict Open XML" has other names for the same elements: ISO/IEC 29500-1, annex A.
_STRICT = (
    (b"http://purl.oclc.org/ooxml/wordprocessingml/main", b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"),
    (b"http://purl.oclc.org/ooxml/officeDocument/math", b"http://schemas.openxmlformats.org/officeDocument/2006/math"),
    (b"http://purl.oclc.org/ooxml/officeDocument/relationships", b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"),
    (b"http://purl.oclc.org/ooxml/drawingml/main", b"http://schemas.openxmlformats.org/drawingml/2006/main"),
    (
        b"http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing",
        b"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    ),
)
_STYLES = "comment-reference => sup\np[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"
_TITLE = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)


def load(path: Path, raw: bytes) -> Loaded:
    """Read a .docx. Raises ``DocumentError``."""
    import mammoth

    opened = archive.office(path, raw, "word/document.xml")
    try:
        plain = _plain(path, opened)
        converted = mammoth.convert_to_html(plain, convert_image=mammoth.images.img_element(lambda _: {"src": ""}), style_map=_STYLES)
    except DocumentError:
        raise
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        # The converter raises whatever its XML, zip and dictionary accesses raise.
        raise DocumentError(f"{path}: cannot be read as a Word document: {type(error).__name__}: {error}", HINT) from None
    text = re.sub(r"!\[([^\]]*)\]\(\)", r"\1", markdown(path, converted.value)) if converted.value.strip() else ""
    heading = _TITLE.search(text)
    return Loaded(title=_title(opened) or (heading[1] if heading else path.stem), text=text)


def _plain(path: Path, opened: zipfile.ZipFile) -> io.BytesIO:
    """Return the file with equations and text boxes as paragraphs and runs that the converter knows."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
        for member in opened.infolist():
            if member.is_dir() or not member.filename.endswith((".xml", ".rels")):
                continue
            data = archive.content(path, opened, member)
            for strict, usual in _STRICT:
                data = data.replace(strict, usual)
            if member.filename == "word/document.xml":
                data = _simplified(path, data, _charts(path, opened))
            copy.writestr(member.filename, data)
    out.seek(0)
    return out


def _charts(path: Path, opened: zipfile.ZipFile) -> dict[str, list[list[str]]]:
    """Return the rows of each chart, its title the first, by the id under which the text refers to it."""
    name = "word/_rels/document.xml.rels"
    found: dict[str, list[list[str]]] = {}
    if name not in opened.namelist():
        return found
    for relation in _xml(path, name, archive.content(path, opened, name)):
        target = f"word/{relation.get('Target', '').removeprefix('/word/')}"
        if relation.get("Type", "").endswith("/chart") and target in opened.namelist():
            title, numbers = charts.read(archive.content(path, opened, target))
            found[relation.get("Id", "")] = [[title], *numbers] if title else numbers
    return found


def _simplified(path: Path, data: bytes, drawn: dict[str, list[list[str]]]) -> bytes:
    root = _xml(path, "word/document.xml", data)
    for parent in list(root.iter()):
        for index, child in enumerate(list(parent)):
            if child.tag in (f"{_M}oMath", f"{_M}oMathPara") and not parent.tag.startswith(_M):
                run = _run(f" {''.join(piece.text or '' for piece in child.iter(f'{_M}t'))} ")
                parent[index] = run if parent.tag == f"{_W}p" else _within("p", run)
    if drawn:
        for parent in list(root.iter()):
            for child in [item for item in parent if item.tag == f"{_W}p"]:
                named = [chart.get(_REFERENCE, "") for chart in child.iter(_CHART)]
                for rows in [drawn[name] for name in named if drawn.get(name)]:
                    parent.insert(list(parent).index(child) + 1, _table(rows))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _xml(path: Path, name: str, data: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - a DOCTYPE, so any entity, was refused before
    except ElementTree.ParseError as error:
        raise DocumentError(f"{path}: {name} is not XML: {error}", HINT) from None


def _within(tag: str, *children: ElementTree.Element) -> ElementTree.Element:
    element = ElementTree.Element(f"{_W}{tag}")
    element.extend(children)
    return element


def _table(rows: list[list[str]]) -> ElementTree.Element:
    return _within("tbl", *(_within("tr", *(_within("tc", _within("p", _run(cell))) for cell in row)) for row in rows))


def _run(text: str) -> ElementTree.Element:
    run = ElementTree.Element(f"{_W}r")
    said = ElementTree.SubElement(run, f"{_W}t", {"{http://www.w3.org/XML/1998/namespace}space": "preserve"})
    said.text = text
    return run


def _title(opened: zipfile.ZipFile) -> str:
    """Return the title among the file's properties, where there is one."""
    try:
        root = ElementTree.fromstring(opened.read("docProps/core.xml"))  # noqa: S314 - as above
    except (KeyError, ElementTree.ParseError):
        return ""
    return (root.findtext("{http://purl.org/dc/elements/1.1/}title") or "").strip()[:300]
