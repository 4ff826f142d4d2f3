"""A learning curve in a decision: in the record and back, drawn within its frame, and refused where it is none."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.annex import Annex, Curve
from groundtune.decisions import sections
from groundtune.decisions.learning import HEIGHT, learning_curve
from groundtune.decisions.plots import WIDTH
from groundtune.files import plain

POINTS = ((75.0, 0.4, 0.3, 0.5), (150.0, 0.5, 0.4, 0.6), (300.0, 0.55, 0.46, 0.64))
CURVE = Curve(title="<b>a & b</b>", metric="token_f1", points=POINTS, fit=(0.7, 2.0, 0.45), ahead=(800.0, 0.6, 0.5, 0.7))


def test_a_curve_goes_into_the_record_and_back_and_older_records_have_none() -> None:
    section = Annex(title="Learning curve", curve=CURVE)
    row = json.loads(json.dumps(plain(section)))
    assert sections.from_row(row) == section
    del row["curve"]
    assert sections.from_row(row) == Annex(title="Learning curve")


@pytest.mark.parametrize(
    "wrong",
    [{"points": {}}, {"points": [[1, 2, 3]]}, {"fit": [1]}, {"ahead": ["x"] * 4}, {"metric": 3}, {"fit": [float("nan")] * 3}, {"odd": 1}],
)
def test_a_curve_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    row = plain(Annex(title="x", curve=CURVE))
    with pytest.raises((ValueError, TypeError)):
        sections.from_row({**row, "curve": {**row["curve"], **wrong}})


def test_it_is_drawn_with_its_points_its_fit_and_what_lies_ahead() -> None:
    text = learning_curve(CURVE)
    root = ElementTree.fromstring(text)
    assert len(root.findall("circle")) == 4 and len(root.findall("polyline")) == 1 and "<b>" not in text
    assert len(ElementTree.fromstring(learning_curve(Curve(title="t", metric="m", points=POINTS))).findall("circle")) == 3
    assert learning_curve(Curve(title="t", metric="m", points=())) == ""


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=5, unique_by=lambda item: item[0]),
    st.floats(-3, 3), st.floats(0, 50), st.floats(0.05, 2),
)  # fmt: skip
def test_nothing_is_drawn_outside_the_frame(points: list[tuple[int, float, float]], limit: float, slope: float, exponent: float) -> None:
    ends = tuple((float(n), v, max(0.0, v - half), min(1.0, v + half)) for n, v, half in sorted(points))
    text = learning_curve(Curve(title="t", metric="m", points=ends, fit=(limit, slope, exponent)))
    root = ElementTree.fromstring(text)
    for item in root.findall("circle"):
        assert 0 <= float(item.get("cx") or -1) <= WIDTH and 0 <= float(item.get("cy") or -1) <= HEIGHT
    [line] = root.findall("polyline")
    for x, y in re.findall(r"([-\d.]+),([-\d.]+)", line.get("points") or ""):
        assert 0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT
