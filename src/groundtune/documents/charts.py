"""A chart of an Office file → its title and its numbers as rows, from what the program last drew (ECMA-376 part 1, 21.2)."""

from __future__ import annotations

from xml.etree import ElementTree

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def read(xml: bytes) -> tuple[str, list[list[str]]]:
    """Return a chart's title and a table: a head of series names, then a row for each category. Raises ``ElementTree.ParseError``."""
    root = ElementTree.fromstring(xml)  # noqa: S314 - whoever opened the file refused every DOCTYPE, so there are no entities
    heading = root.find(f"./{_C}chart/{_C}title")
    title = "" if heading is None else "".join(piece.text or "" for piece in heading.iter(f"{_A}t"))
    categories: dict[int, str] = {}
    series: list[tuple[str, dict[int, str]]] = []
    for one in root.iter(f"{_C}ser"):
        for name in ("cat", "xVal"):
            categories.update(_points(one.find(f"{_C}{name}")))
        named = "; ".join(_points(one.find(f"{_C}tx")).values())
        values = {key: value for name in ("val", "yVal") for key, value in _points(one.find(f"{_C}{name}")).items()}
        series.append((named, values))
    if not series:
        return title, []
    places = sorted({*categories, *(key for _, values in series for key in values)})
    head = ["", *(name for name, _ in series)]
    return title, [head, *([categories.get(key, ""), *(values.get(key, "") for _, values in series)] for key in places)]


def _points(found: ElementTree.Element | None) -> dict[int, str]:
    """Return the cached values below an element, by their index; of categories on several levels the innermost comes first."""
    points: dict[int, str] = {}
    if found is None:
        return points
    for point in found.iter(f"{_C}pt"):
        value = point.findtext(f"{_C}v") or ""
        index = point.get("idx", "0")
        if value and index.isdecimal():
            points[int(index)] = f"{points[int(index)]}, {value}" if int(index) in points else value
    direct = found.findtext(f"{_C}v")
    return points or ({0: direct} if direct else {})
