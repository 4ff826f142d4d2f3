"""Sections of a decision: in the record, in the Markdown, on the page; nothing in them becomes markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_estimates import decided, pairs, passing

from groundtune.annex import Annex, Bars, Grid
from groundtune.decisions import record, sections
from groundtune.decisions.markdown import markdown
from groundtune.decisions.plots import tornado
from groundtune.errors import StateError

EVIL = "<script>alert(1)</script> | & \n## x"
SECTION = Annex(
    title="Costs",
    lines=("rag is the cheapest.", EVIL),
    grids=(Grid(head=("arm", "a month"), rows=(("rag", "120"), (EVIL, "7")), note="In EUR.", title=EVIL), Grid(head=("x",), rows=())),
    bars=Bars(title=EVIL, unit="EUR", middle=100.0, rows=(("label_hour", 80.0, 150.0), (EVIL, 120.0, 90.0))),
)
DECISION = replace(
    decided([*passing("rag", 0.5), *passing("hybrid", 0.7), *pairs({"rag": 0.5, "hybrid": 0.7}, 0.001)]), sections=(SECTION,)
)


def test_a_section_goes_into_the_record_and_back() -> None:
    row = json.loads(json.dumps(record.to_row(DECISION), allow_nan=False))
    assert record.from_row(row) == DECISION


def test_a_record_from_before_there_were_sections_has_none(tmp_path: Path) -> None:
    row = record.to_row(replace(DECISION, sections=()))
    del row["sections"]
    assert record.from_row(row).sections == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": 3},
        {"lines": "x"},
        {"grids": {}},
        {"grids": [{"head": ["a"], "rows": [["x", "y"]], "note": "", "title": ""}]},
        {"grids": [{"head": ["a"], "rows": [["x"]]}]},
        {"bars": {"title": "x", "unit": "y", "middle": 1, "rows": [["x", 1]]}},
        {"bars": {"title": "x", "unit": "y", "middle": "no", "rows": []}},
        {"extra": 1},
    ],
)
def test_a_record_with_a_broken_section_is_refused(wrong: dict[str, Any]) -> None:
    row = json.loads(json.dumps(record.to_row(DECISION)))
    row["sections"][0].update(wrong)
    with pytest.raises(StateError, match="not a decision record"):
        record.from_row(row)


def test_the_section_stands_behind_the_first_page_of_the_markdown_without_markup_of_its_words() -> None:
    page = markdown(DECISION)
    assert page.index("## What it does not cover") < page.index("\n---\n") < page.index("## Evidence") < page.index("## Costs")
    assert "| rag | 120 |" in page and "In EUR." in page and "<script" not in page
    assert not re.search(r"^## x", page, re.MULTILINE)


def test_the_page_escapes_every_word_and_is_well_formed() -> None:
    made = sections.html(SECTION)
    assert "<script" not in made and made.count("&lt;script&gt;") >= 4
    tree = ElementTree.fromstring(made)  # noqa: S314
    assert [item.tag for item in tree.iter("svg")] == ["svg"] and len(list(tree.iter("table"))) == 2


def test_the_tornado_has_two_bars_a_row_that_meet_at_the_middle() -> None:
    tree = ElementTree.fromstring(tornado(SECTION.bars or Bars(title="", unit="", middle=0, rows=())))  # noqa: S314
    bars = [(float(item.attrib["x"]), float(item.attrib["width"]), item.attrib["class"]) for item in tree.iter("rect")]
    middle = next(float(item.attrib["x1"]) for item in tree.iter("line") if item.attrib["class"] == "axis")
    assert len(bars) == 4
    assert bars[0][0] + bars[0][1] == pytest.approx(middle, abs=0.2) and bars[1][0] == pytest.approx(middle, abs=0.2)
    assert bars[1][1] > bars[0][1]
    assert tornado(Bars(title="", unit="", middle=1.0, rows=())) == ""
    assert "nan" not in tornado(Bars(title="t", unit="u", middle=0.0, rows=(("x", 0.0, 0.0),)))


def test_a_long_table_is_behind_its_title() -> None:
    rows = tuple((f"row {number}", "x") for number in range(sections.FOLDED + 1))
    long = Annex(title="t", grids=(Grid(head=("a", "b"), rows=rows, title="All rows"),))
    assert f"<details><summary>All rows ({len(rows)} rows)</summary>" in sections.html(long)
    assert "<details>" not in sections.html(replace(long, grids=(replace(long.grids[0], rows=rows[1:]),)))
    assert markdown(replace(DECISION, sections=(long,))).count("| row") == len(rows)
