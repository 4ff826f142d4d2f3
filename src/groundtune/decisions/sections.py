"""A section of a decision → Markdown, a part of the page, and back from its record.

Annex(title="Costs", lines=("rag is the cheapest …",), grids=(Grid(head=("arm", "a month"), rows=(("rag", "120"),)),))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any

from groundtune.annex import Annex, Bars, Curve, Grid
from groundtune.decisions.learning import learning_curve
from groundtune.decisions.plots import tornado

FOLDED = 15  # rows above which a table of the page is behind its title


def markdown(section: Annex, cell: Callable[[str], str]) -> str:
    """Return the section as Markdown; ``cell`` keeps a text on its line. A drawing's numbers are in the section's tables."""
    parts = [f"## {cell(section.title)}"]
    if section.lines:
        parts.append("\n".join(f"- {cell(line)}" for line in section.lines))
    for grid in section.grids:
        if grid.title:
            parts.append(f"### {cell(grid.title)}")
        rows = [grid.head, ("---",) * len(grid.head), *grid.rows]
        parts.append("\n".join("| " + " | ".join(item if item == "---" else cell(item) for item in row) + " |" for row in rows))
        if grid.note:
            parts.append(cell(grid.note))
    return "\n\n".join(parts)


def html(section: Annex, drawing: str = "") -> str:
    """Return the section as a part of the page; every text is escaped. ``drawing`` is markup that stands before its tables."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in section.lines)
    shown = [f"<h2>{escape(section.title)}</h2>", f"<ul>{lines}</ul>" if lines else ""]
    if section.bars is not None:
        shown.append(tornado(section.bars))
    if section.curve is not None:
        shown.append(learning_curve(section.curve))
    shown.append(drawing)
    for grid in section.grids:
        head = "".join(f"<th>{escape(name)}</th>" for name in grid.head)
        rows = "".join(f"<tr>{_cells(row)}</tr>" for row in grid.rows)
        note = f'<p class="note">{escape(grid.note)}</p>' if grid.note else ""
        made = f'<div class="scroll"><table class="grid"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}'
        if len(grid.rows) > FOLDED:
            shown.append(f"<details><summary>{escape(grid.title)} ({len(grid.rows)} rows)</summary>{made}</details>")
        else:
            shown.append((f"<h3>{escape(grid.title)}</h3>" if grid.title else "") + made)
    return f"<section>{''.join(shown)}</section>"


def _cells(row: Sequence[str]) -> str:
    return f"<th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])


def from_row(row: Any) -> Annex:
    """Return the section that a record holds. Raises ``ValueError`` or ``TypeError`` for anything else."""
    # Records of before there were learning curves have none.
    given = _table({"curve": None, **row} if isinstance(row, Mapping) else row, Annex)
    lines, grids, bars, curve = given["lines"], given["grids"], given["bars"], given["curve"]
    if not isinstance(grids, list):
        raise ValueError("the grids of a section are not a list")
    return Annex(
        title=_text(given["title"]),
        lines=_texts(lines),
        grids=tuple(_grid(item) for item in grids),
        bars=None if bars is None else _bars(bars),
        curve=None if curve is None else _curve(curve),
    )


def _grid(row: Any) -> Grid:
    given = _table(row, Grid)
    head = _texts(given["head"])
    if not isinstance(given["rows"], list):
        raise ValueError("the rows of a table are not a list")
    rows = tuple(_texts(item) for item in given["rows"])
    if any(len(item) != len(head) for item in rows):
        raise ValueError("a row of a table has not as many cells as its head")
    return Grid(head=head, rows=rows, note=_text(given["note"]), title=_text(given["title"]))


def _bars(row: Any) -> Bars:
    given = _table(row, Bars)
    if not isinstance(given["rows"], list) or not all(isinstance(item, list) and len(item) == 3 for item in given["rows"]):
        raise ValueError("the rows of a drawing are not lists of three")
    rows = tuple((_text(name), float(low), float(high)) for name, low, high in given["rows"])
    return Bars(title=_text(given["title"]), unit=_text(given["unit"]), middle=float(given["middle"]), rows=rows)


def _curve(row: Any) -> Curve:
    given = _table(row, Curve)
    if not isinstance(given["points"], list):
        raise ValueError("the points of a curve are not a list")
    return Curve(
        title=_text(given["title"]),
        metric=_text(given["metric"]),
        points=tuple(_four(item) for item in given["points"]),
        fit=_numbers(given["fit"], (0, 3)),
        ahead=_numbers(given["ahead"], (0, 4)),
    )


def _four(value: Any) -> tuple[float, float, float, float]:
    first, second, third, fourth = _numbers(value, (4,))
    return first, second, third, fourth


def _numbers(value: Any, lengths: tuple[int, ...]) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) not in lengths:
        raise ValueError(f"{value!r} is not a list of {' or '.join(map(str, lengths))} numbers")
    found = tuple(float(item) for item in value)
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{value!r} holds what is no number")
    return found


def _table(row: Any, kind: type) -> Mapping[str, Any]:
    wanted = {item.name for item in fields(kind)}
    if not isinstance(row, Mapping) or row.keys() != wanted:
        raise ValueError(f"a {kind.__name__.lower()} is not a table of {', '.join(sorted(wanted))}")
    return row


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(_text(item) for item in value)
