"""What stands in a decision beside the evidence: sentences, tables and drawings, as data.

Annex(title="Costs", lines=("rag is the cheapest …",), grids=(Grid(head=("arm", "a month"), rows=(("rag", "120"),)),))
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of a section: every row has as many cells as ``head``; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A tornado: each row is ``(name, value at the low end, value at the high end)`` about the value ``middle``, all in ``unit``."""

    title: str
    unit: str
    middle: float
    rows: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A learning curve: each point is ``(training rows, score, low, high)``.

    ``fit`` is ``(limit, slope, exponent)`` of score(n) = limit - slope · n^(-exponent), or empty where no curve was told; ``ahead`` is
    ``(rows, score, low, high)`` of what it says of further rows.
    """

    title: str
    metric: str
    points: tuple[tuple[float, float, float, float], ...]
    fit: tuple[float, ...] = ()
    ahead: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Annex:
    """A part of a decision beside the evidence (needs, audit, costs): sentences, tables, and at most one drawing of each kind."""

    title: str
    lines: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    bars: Bars | None = None
    curve: Curve | None = None
