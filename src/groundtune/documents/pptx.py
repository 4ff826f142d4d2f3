"""Presentations → for each slide its title as a heading, texts, tables, charts, diagrams, notes and comments; places are "slide 3"."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from groundtune.documents import archive, charts
from groundtune.documents.limits import current
from groundtune.documents.loaded import HINT, Loaded
from groundtune.documents.writer import Writer, one_line, table
from groundtune.errors import DocumentError

PRELOAD = ("pptx",)
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"


def load(path: Path, raw: bytes) -> Loaded:
    """Read a .pptx; hidden slides too. Raises ``DocumentError``; a slide that cannot be read is named in ``unread``."""
    from pptx import Presentation

    archive.office(path, raw, "ppt/presentation.xml")
    limits = current()
    writer = Writer()
    unread: list[tuple[str, str]] = []
    try:
        presentation = Presentation(io.BytesIO(raw))
        slides = list(presentation.slides)
        title = (presentation.core_properties.title or "").strip()
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        # The library raises whatever its XML and dictionary accesses raise.
        raise DocumentError(f"{path}: cannot be read as a presentation: {type(error).__name__}: {error}", HINT) from None
    if len(slides) > limits.pages:
        raise DocumentError(f"{path}: {len(slides):,} slides; at most {limits.pages:,} are read", HINT, state="too large")
    first = ""
    for number, slide in enumerate(slides, start=1):
        writer.at(f"slide {number}")
        try:
            heading = _heading(slide)
            first = first or heading
            if heading:
                writer.add(f"## {heading}")
            for piece in _pieces(slide, slide.shapes, slide.shapes.title):
                writer.add(piece)
            if slide.has_notes_slide:
                notes = (getattr(slide.notes_slide.notes_text_frame, "text", "") or "").replace("\v", "\n").strip()
                writer.add(f"Notes: {notes}" if notes else "")
            for said in _comments(slide):
                writer.add(f"Comment: {said}")
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            unread.append(("unreadable", f"slide {number} cannot be read whole: {type(error).__name__}: {error}"))
    return Loaded(title=title[:300] or first or path.stem, text=writer.text, places=writer.places, unread=tuple(unread))


def _heading(slide: Any) -> str:
    title = slide.shapes.title
    return one_line(title.text_frame.text) if title is not None and title.has_text_frame else ""


def _pieces(slide: Any, shapes: Any, title: Any) -> Iterator[str]:
    """Yield the texts of shapes, in the order of the file, into groups."""
    for shape in shapes:
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if hasattr(shape, "shapes"):
            yield from _pieces(slide, shape.shapes, title)
        elif getattr(shape, "has_table", False):
            yield table([[cell.text_frame.text for cell in row.cells] for row in shape.table.rows])
        elif getattr(shape, "has_chart", False):
            yield _chart(shape.chart_part)
        elif shape.has_text_frame:
            yield _frame(shape.text_frame)
        else:
            yield _diagram(slide, shape)


def _frame(frame: Any) -> str:
    """Return paragraphs, those of an outline as a list with its levels; a line broken within one stays a line."""
    lines = [(paragraph.level, paragraph.text.replace("\v", "\n").strip()) for paragraph in frame.paragraphs]
    lines = [(level, text) for level, text in lines if text]
    if len(lines) < 2:
        return "".join(text for _, text in lines)
    return "\n".join(f"{'  ' * level}- {one_line(text)}" for level, text in lines)


def _chart(part: Any) -> str:
    title, numbers = charts.read(part.blob)
    return "\n\n".join(piece for piece in (title, table(numbers)) if piece)


def _comments(slide: Any) -> Iterator[str]:
    """Yield what was remarked on a slide, in either of the two forms that PowerPoint has for it, replies after what they reply to."""
    for relation in slide.part.rels.values():
        if relation.is_external or not relation.reltype.endswith("/comments"):
            continue
        for element in ElementTree.fromstring(relation.target_part.blob).iter():  # noqa: S314 - a DOCTYPE was refused before
            said = element.text or "" if element.tag.endswith("}text") else ""
            if element.tag == f"{_A}p":
                said = "".join(piece.text or "" for piece in element.iter(f"{_A}t"))
            if said.strip():
                yield one_line(said)


def _diagram(slide: Any, shape: Any) -> str:
    """Return the texts of a diagram (SmartArt), which stand in a part of their own."""
    relation = next((item.get(_RELATION) for item in shape.element.iter(_DIAGRAM)), None)
    if relation is None:
        return ""
    root = ElementTree.fromstring(slide.part.related_part(relation).blob)  # noqa: S314 - a DOCTYPE was refused before
    said = ["".join(piece.text or "" for piece in paragraph.iter(f"{_A}t")) for paragraph in root.iter(f"{_A}p")]
    return "\n".join(f"- {one_line(line)}" for line in said if line.strip())
