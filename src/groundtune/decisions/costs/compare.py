"""Bills over what is not known exactly: ranges, the volume and the churn from which on another arm is cheaper, and a tornado.

Ranges come from seeded draws: a measured number as a normal one with its 95 % interval; an assumption half of the time below its value and
half above, towards its low and its high end ever more rarely. They hold 95 % of the draws, and are as good as those ends.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Literal

from groundtune.decisions.costs.defaults import BY_NAME, HOURS_A_MONTH
from groundtune.decisions.costs.sheet import Inputs, Known
from groundtune.decisions.costs.spend import Values, bill, machine_seconds, machines_kept, values_of
from groundtune.types import Arm

DRAWS = 1_000
FEWEST = 20  # draws in which two arms cross, below which no range of the crossing is given
MOST: Mapping[str, float] = {"questions_a_month": 1e9, "updates_a_month": 1e4}
Axis = Literal["questions_a_month", "updates_a_month"]
Draw = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The middle 95 % of the draws that have the value; ``share`` is how many of all those are."""

    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Where two arms cost the same. ``value`` is ``None`` where one of them, ``cheaper``, is cheaper throughout.

    Below ``value`` it is ``below`` that is cheaper, above it the other one. ``measured`` is the range by what the pilot measured alone
    (``None``: nothing was measured that it hangs on), ``all`` that by the assumptions too (``None``: hardly any draw crosses).
    """

    arm: str
    versus: str
    axis: Axis
    value: float | None
    below: str
    measured: Range | None
    all: Range | None
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """What one input does to an arm's month: its cost at either end, and which arm is then the cheapest."""

    name: str
    known: Known
    at_low: float
    at_high: float
    cheapest_low: str
    cheapest_high: str


def draws(inputs: Inputs, *, seed: int, count: int = DRAWS, measured_only: bool = False) -> list[dict[str, float]]:
    """Return ``count`` sets of values, the same for the same inputs and seed whatever their order."""
    generator = random.Random(seed)  # noqa: S311
    drawn = []
    for _ in range(count):
        row = {}
        for name in sorted(inputs):
            known = inputs[name]
            # One number is drawn for each input, also where it is not used, so that the others stay as they are.
            place = generator.random()
            row[name] = known.value if measured_only and known.state != "measured" else _at(known, place, name)
        drawn.append(row)
    return drawn


def _at(known: Known, place: float, name: str) -> float:
    """Return the value at a place between 0 and 1 of an input's distribution."""
    if known.high <= known.low:
        return known.value
    if known.state == "measured":
        from statistics import NormalDist

        return max(0.0, NormalDist(known.value, (known.high - known.low) / 3.92).inv_cdf(min(max(place, 1e-9), 1 - 1e-9)))
    if place < 0.5:
        value = known.low + (known.value - known.low) * float((2 * place) ** 0.5)
    else:
        value = known.high - (known.high - known.value) * float((2 * (1 - place)) ** 0.5)
    return max(BY_NAME[name].least, value) if name in BY_NAME else value


def month(arm: Arm, given: Values, *, local: bool) -> float:
    """Return an arm's cost a month."""
    return bill(arm, given, local=local).month


def month_range(arm: Arm, drawn: Sequence[Draw], *, local: bool) -> Range:
    """Return the range of an arm's cost a month."""
    return _range([month(arm, row, local=local) for row in drawn], len(drawn))


def _range(values: Sequence[float], of: int) -> Range:
    ordered = sorted(values)
    return Range(low=_quantile(ordered, 0.025), high=_quantile(ordered, 0.975), share=len(ordered) / of)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True, slots=True)
class Line:
    """An arm's cost a month over an axis: ``start`` at 0, rising by ``slope``, and by ``steeper`` where its machines are full."""

    start: float
    slope: float
    full: float
    steeper: float

    def at(self, place: float) -> float:
        """Return the cost at a place of the axis."""
        return self.start + self.slope * min(place, self.full) + self.steeper * max(0.0, place - self.full)


def line(arm: Arm, axis: Axis, given: Values, *, local: bool) -> Line:
    """Return an arm's cost over an axis, everything else as given."""
    most = MOST[axis]
    full, more = most, 0.0
    if axis == "questions_a_month" and local:
        busy = machine_seconds(arm, given) / 3600 / given["utilisation"]
        if busy > 0:
            full = min(most, machines_kept(arm, given, local) * HOURS_A_MONTH / busy)
            more = busy * given["machine_hour"]
    start = month(arm, {**given, axis: 0.0}, local=local)
    if full > 0:
        slope = (month(arm, {**given, axis: full}, local=local) - start) / full
        return Line(start, slope, full, slope + more)
    slope = (month(arm, {**given, axis: most}, local=local) - start) / most
    return Line(start, slope, 0.0, slope)


def crossing(
    arm: str,
    versus: str,
    axis: Axis,
    now: float,
    at: Mapping[str, Line],
    drawn: Mapping[str, Sequence[Line]],
    sure: Mapping[str, Sequence[Line]],
) -> Crossing:
    """Return where two arms cost the same on an axis; of several places, the one nearest to ``now``, where the project is.

    Each arm's lines are those of the values themselves (``at``), of the draws of all inputs (``drawn``), and of the draws of what was
    measured alone (``sure``; none where nothing of either arm was).
    """
    value = cross(at[arm], at[versus], now, MOST[axis])
    probe = value / 2 if value else now
    found = _crosses(drawn[arm], drawn[versus], now, MOST[axis])
    known = _crosses(sure.get(arm, ()), sure.get(versus, ()), now, MOST[axis])
    return Crossing(
        arm=arm,
        versus=versus,
        axis=axis,
        value=value,
        below=arm if at[arm].at(probe) <= at[versus].at(probe) else versus,
        measured=_range(known, len(sure[arm])) if len(known) >= FEWEST else None,
        all=_range(found, len(drawn[arm])) if len(found) >= FEWEST else None,
        share=len(found) / len(drawn[arm]) if drawn[arm] else 0.0,
    )


def _crosses(some: Sequence[Line], others: Sequence[Line], now: float, most: float) -> list[float]:
    places = (cross(one, other, now, most) for one, other in zip(some, others, strict=True))
    return [place for place in places if place is not None]


def cross(one: Line, other: Line, now: float, most: float) -> float | None:
    """Return the place between 0 and ``most`` at which two lines meet, the nearest to ``now``; ``None`` where there is none.

    Between the places where machines are full, lines are straight, so each piece has one crossing at most.
    """
    edges = [0.0, *sorted(edge for edge in {one.full, other.full} if 0 < edge < most), most]
    places = []
    left = one.at(0.0) - other.at(0.0)
    for begin, end in pairwise(edges):
        right = one.at(end) - other.at(end)
        if left * right < 0:
            places.append(begin + (end - begin) * left / (left - right))
        elif right == 0 and left != 0 and end < most:
            places.append(end)
        left = right
    return min((place for place in places if place > 0), key=lambda place: abs(log(place) - log(max(now, 1e-9))), default=None)


def swings(arm: Arm, arms: Sequence[Arm], inputs: Inputs, *, local: bool, most: int = 10) -> tuple[Swing, ...]:
    """Return what moves an arm's month most, each input alone from its low to its high end, the widest first."""
    given = values_of(inputs)
    found = []
    for name, known in inputs.items():
        if known.high <= known.low:
            continue
        ends = []
        for at in (known.low, known.high):
            point = {**given, name: at}
            months = {item.name: month(item, point, local=local) for item in arms}
            ends.append((months[arm.name], min(months, key=lambda one: months[one])))
        if ends[0][0] != ends[1][0]:
            found.append(
                Swing(name=name, known=known, at_low=ends[0][0], at_high=ends[1][0], cheapest_low=ends[0][1], cheapest_high=ends[1][1])
            )
    found.sort(key=lambda item: (-abs(item.at_high - item.at_low), item.name))
    return tuple(found[:most])
