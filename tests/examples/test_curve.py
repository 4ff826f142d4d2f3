"""The learning curve: a known curve is found within its interval, and a bad one is not guessed at."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import ExampleError
from groundtune.examples.curve import WIDEST, Advice, Point, advise, load


def truth(rows: float, limit: float, slope: float, exponent: float) -> float:
    return limit - slope * rows**-exponent


def measured(sizes: list[int], curve: tuple[float, float, float], questions: int, seed: int) -> list[Point]:
    """Score the same questions at every size: each has a difficulty, and is right where the curve is above it."""
    chance = random.Random(seed)
    hard = [chance.random() for _ in range(questions)]
    return [
        Point(rows=rows, scores={f"q{number}": float(level < truth(rows, *curve)) for number, level in enumerate(hard)}) for rows in sizes
    ]


def test_a_known_curve_is_inside_the_interval() -> None:
    curve = (0.9, 2.0, 0.5)
    advice = advise(measured([100, 200, 400, 800], curve, 600, 3), more=500)
    gain = truth(1300, *curve) - truth(800, *curve)
    assert advice.gain is not None and advice.low is not None and advice.high is not None
    assert advice.low <= gain <= advice.high and advice.low <= advice.gain <= advice.high
    assert advice.questions == 600 and len(advice.points) == 4 and "the curve fits the points" in advice.says


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    curve = (0.85, 1.5, 0.5)
    gain = truth(900, *curve) - truth(400, *curve)
    told = [advise(measured([100, 200, 400], curve, 300, seed), more=500) for seed in range(20)]
    held = [item.low <= gain <= item.high for item in told if item.low is not None and item.high is not None]
    assert len(held) >= 15 and sum(held) >= 0.8 * len(held)


def test_the_same_points_give_the_same_advice() -> None:
    points = measured([50, 100, 200], (0.8, 1.0, 0.5), 100, 1)
    assert advise(points, more=100) == advise(list(reversed(points)), more=100)


def test_three_means_with_intervals_do_as_well_and_say_what_they_cannot_test() -> None:
    points = [Point(rows=n, value=v, low=v - 0.02, high=v + 0.02) for n, v in ((100, 0.6), (200, 0.68), (400, 0.73))]
    advice = advise(points, more=400)
    assert advice.gain is not None and 0 < advice.gain < 0.1 and "not tested" in advice.says


@pytest.mark.parametrize(
    ("points", "more", "words"),
    [
        (measured([100, 200], (0.9, 2, 0.5), 100, 1), 100, "2 sizes were measured"),
        (measured([100, 100, 100], (0.9, 2, 0.5), 100, 1), 100, "1 sizes were measured"),
        ([], 100, "0 sizes"),
        (measured([100, 200, 400], (0.9, 2, 0.5), 10, 1), 100, "only 10 questions"),
        (measured([20, 40, 80], (0.9, 2, 0.5), 100, 1), 5000, "times the largest size measured; ask for 160 at most"),
        ([Point(rows=n, value=v, low=v - 0.01, high=v + 0.01) for n, v in ((100, 0.8), (200, 0.7), (400, 0.6))], 100, "the score falls"),
        (
            [Point(rows=n, value=v, low=v - 0.01, high=v + 0.01) for n, v in ((50, 0.5), (100, 0.8), (200, 0.5), (400, 0.8))],
            100,
            "no curve",
        ),
        ([Point(rows=n, value=0.5, low=0.05, high=0.95) for n in (100, 200, 400)], 800, "the interval would be"),
        ([*measured([100, 200], (0.9, 2, 0.5), 50, 1), Point(rows=400, value=0.5, low=0.4, high=0.6)], 100, "some points have scores"),
    ],
)
def test_it_cannot_say_where_the_points_do_not_bear_it(points: list[Point], more: int, words: str) -> None:
    advice = advise(points, more=more)
    assert advice.gain is None and advice.low is None and advice.high is None
    assert words in advice.reason and advice.says.startswith("can't say")


def test_a_flat_curve_promises_nothing() -> None:
    points = [Point(rows=n, value=0.7, low=0.69, high=0.71) for n in (100, 200, 400, 800)]
    advice = advise(points, more=500)
    assert advice.gain is not None and abs(advice.gain) < 0.005 and advice.high is not None and advice.high < 0.05


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2000), st.floats(0.05, 0.95), st.floats(0.001, 0.05)), max_size=6), st.integers(1, 2000))
def test_a_told_gain_is_never_below_zero_nor_past_the_top(raw: list[tuple[int, float, float]], more: int) -> None:
    advice: Advice = advise([Point(rows=n, value=v, low=v - half, high=v + half) for n, v, half in raw], more=more)
    if advice.gain is None:
        assert advice.reason
    else:
        assert advice.low is not None and advice.high is not None and advice.limit is not None
        assert advice.slope is not None and advice.exponent is not None
        assert advice.gain >= 0 and 0 <= advice.low <= advice.high <= advice.low + WIDEST
        then = advice.limit - advice.slope * (max(n for n, *_ in raw) + more) ** -advice.exponent
        assert then <= advice.limit <= 1 + 1e-9


def test_three_points_that_no_rising_curve_meets_tell_nothing() -> None:
    points = [Point(rows=n, value=v, low=v - 0.031, high=v + 0.031) for n, v in ((63, 0.5), (67, 0.25), (208, 0.75))]
    advice = advise(points, more=415)
    assert advice.gain is None and "no curve fits" in advice.reason


def test_points_are_read_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text('{"rows": 75, "scores": {"a": 1, "b": 0.5}}\n{"rows": 150, "value": 0.5, "low": 0.4, "high": 0.6}\n')
    first, second = load(path)
    assert first.scores == {"a": 1.0, "b": 0.5} and (second.rows, second.low) == (150, 0.4)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"rows": 0, "scores": {"a": 1}}, "rows is 0"),
        ({"rows": True, "scores": {"a": 1}}, "rows is True"),
        ({"rows": 5, "scores": {}}, "expected question → number"),
        ({"rows": 5, "scores": {"a": 2}}, "expected question → number"),
        ({"rows": 5, "value": 0.5}, "expected scores, or value"),
        ({"rows": 5, "value": 0.5, "low": 0.6, "high": 0.7}, "is not between"),
        ({"rows": 5, "value": 0.5, "low": 0.5, "high": 0.5}, "the same"),
        ({"rows": 5, "scores": {"a": 1}, "mood": 1}, "unknown field mood"),
    ],
)
def test_a_bad_point_is_named_by_its_line(tmp_path: Path, value: dict[str, Any], words: str) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text('{"rows": 75, "scores": {"a": 1}}\n' + json.dumps(value) + "\n")
    with pytest.raises(ExampleError) as error:
        load(path)
    assert "points.jsonl:2: " in error.value.message and words in error.value.message
