"""Arms and inputs → everything that is said of costs, and the same as a section of the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.annex import Annex, Bars, Grid
from groundtune.decisions.costs.compare import DRAWS, Axis, Crossing, Range, Swing, crossing, draws, line, month_range, swings
from groundtune.decisions.costs.defaults import BY_NAME
from groundtune.decisions.costs.sheet import Inputs, Known
from groundtune.decisions.costs.spend import ITEMS, Bill, bill, values_of
from groundtune.decisions.wording import number
from groundtune.types import Arm

TITLE = "Costs"
AXES: Mapping[Axis, str] = {"questions_a_month": "answers a month", "updates_a_month": "updates of the documents a month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """Every arm's bill with the range of a month, what was measured of it alone and in all; ``reference`` is compared with the others."""

    arms: tuple[str, ...]
    bills: Mapping[str, Bill]
    ranges: Mapping[str, Range]
    measured: Mapping[str, Range | None]
    reference: str
    cheapest: str
    crossings: tuple[Crossing, ...]
    swings: tuple[Swing, ...]
    inputs: Inputs
    currency: str
    local: bool


def costed(
    arms: Sequence[Arm], inputs: Inputs, *, currency: str, local: bool, seed: int, reference: str | None = None, count: int = DRAWS
) -> Costed:
    """Reckon. ``reference`` is the arm that the others are compared with; the cheapest without it."""
    given = values_of(inputs)
    bills = {arm.name: bill(arm, given, local=local) for arm in arms}
    cheapest = min(bills, key=lambda name: bills[name].month)
    named = reference if reference in bills else cheapest
    by_name = {arm.name: arm for arm in arms}
    drawn = draws(inputs, seed=seed, count=count)
    has = {arm.name: any(name.startswith(f"{arm.name}: ") for name in inputs) for arm in arms}
    sure = draws(inputs, seed=seed, count=count, measured_only=True) if any(has.values()) else []
    crossings: list[Crossing] = []
    for axis in AXES:
        at = {arm.name: line(arm, axis, given, local=local) for arm in arms}
        of_drawn = {arm.name: [line(arm, axis, row, local=local) for row in drawn] for arm in arms}
        of_sure = {arm.name: [line(arm, axis, row, local=local) for row in sure] for arm in arms}
        for name in bills:
            if name != named:
                known = of_sure if has[named] or has[name] else {named: [], name: []}
                crossings.append(crossing(named, name, axis, given[axis], at, of_drawn, known))
    return Costed(
        arms=tuple(bills),
        bills=bills,
        ranges={arm.name: month_range(arm, drawn, local=local) for arm in arms},
        measured={arm.name: month_range(arm, sure, local=local) if has[arm.name] else None for arm in arms},
        reference=named,
        cheapest=cheapest,
        crossings=tuple(crossings),
        swings=swings(by_name[named], arms, inputs, local=local),
        inputs=inputs,
        currency=currency,
        local=local,
    )


def section(found: Costed, passing: Sequence[str] = (), not_run: Sequence[str] = ()) -> Annex:
    """Return the section: the bills, what they are made of, break-evens, the tornado, and every number behind them.

    ``passing`` are the arms that pass every gate, ``not_run`` those that could not answer at all, once that is known.
    """
    return Annex(
        title=TITLE,
        lines=tuple(lines(found, passing, not_run)),
        grids=(bills(found), items(found), crossings(found), tornado(found), sheet(found)),
        bars=Bars(
            title=f"What {found.reference} costs a month, by what is least known",
            unit=f"{found.currency} a month for {found.reference}; light: at the low end, dark: at the high end",
            middle=found.bills[found.reference].month,
            rows=tuple((item.name, item.at_low, item.at_high) for item in found.swings),
        ),
    )


def all_in(found: Costed, names: Sequence[str]) -> str:
    """Return what each of the named arms costs a month, people and all, with its range and how much of that was measured."""
    told = []
    for name in dict.fromkeys(names):
        if name in found.bills:
            spread = found.ranges[name]
            told.append(f"{name} {number(found.bills[name].month)} ({number(spread.low)} to {number(spread.high)})")
    if not told:
        return ""
    counts = {state: sum(known.state == state for known in found.inputs.values()) for state in ("measured", "assumed")}
    return (
        f"All in, {found.currency} a month for {found.inputs['questions_a_month'].value:,.0f} answers: {'; '.join(told)}. These are"
        f" {counts['measured']} measured numbers and {counts['assumed']} unedited assumptions; see Costs."
    )


def lines(found: Costed, passing: Sequence[str] = (), not_run: Sequence[str] = ()) -> list[str]:
    """Return what the tables come to."""
    given = found.inputs
    cheapest, name = found.cheapest, found.reference
    one, spread = found.bills[name], found.ranges[name]
    each = "" if one.thousand is None else f", {number(one.thousand)} per 1,000 answers"
    said = [
        f"{name} costs {_money(one.month, found)} a month (95 % of {DRAWS:,} draws: {number(spread.low)} to {number(spread.high)}){each}:"
        f" {given['questions_a_month'].value:,.0f} answers a month, over {given['horizon_months'].value:g} months."
    ]
    if name == cheapest:
        said.append(f"{name} is the cheapest arm.")
    else:
        said.append(
            f"{cheapest} is the cheapest arm, at {_money(found.bills[cheapest].month, found)} a month, whatever its answers are worth."
        )
    able = [arm for arm in passing if arm in found.bills]
    if able and cheapest not in able:
        least = min(able, key=lambda arm: found.bills[arm].month)
        said.append(f"Of the arms that pass every gate, {least} is the cheapest, at {_money(found.bills[least].month, found)} a month.")
    if not_run:
        said.append(f"Not run, so of assumptions alone: {', '.join(not_run)}.")
    counts = {state: sum(known.state == state for known in given.values()) for state in ("measured", "assumed")}
    unedited = f"{counts['assumed']} are assumptions that nobody has edited (groundtune costs --write makes the sheet)"
    said.append(
        f"{counts['measured']} of {len(given)} numbers were measured in the pilot; {unedited}."
        if counts["measured"]
        else f"Nothing was measured yet; of {len(given)} numbers, {unedited}."
    )
    turning = [item for item in found.swings if {item.cheapest_low, item.cheapest_high} - {cheapest}]
    if turning:
        said.append(
            f"Another arm than {cheapest} becomes the cheapest within the range of one number alone: "
            + "; ".join(_turn(item, cheapest) for item in turning)
            + "."
        )
    elif found.swings:
        said.append(f"No single number, within its range, makes another arm than {cheapest} the cheapest.")
    return said


def _turn(item: Swing, cheapest: str) -> str:
    ends = [(item.known.low, item.cheapest_low), (item.known.high, item.cheapest_high)]
    return " and ".join(f"{item.name} = {_short(value)}: {name}" for value, name in ends if name != cheapest)


def bills(found: Costed) -> Grid:
    """Return a row for each arm: per 1,000 answers, a month with its ranges, what is paid once, the whole horizon."""
    rows = []
    for name in found.arms:
        one, spread, sure = found.bills[name], found.ranges[name], found.measured[name]
        rows.append(
            (
                name + (" ←" if name == found.reference else ""),
                "–" if one.thousand is None else number(one.thousand),
                number(one.month),
                f"{number(spread.low)} to {number(spread.high)}",
                _alone(sure, "not measured", number),
                number(sum(one.once.values())),
                number(one.month * one.horizon),
            )
        )
    head = ("arm", "per 1,000 answers", "a month", "its range", "by measurement alone", "paid once", "over the horizon")
    note = (
        f"In {found.currency}; a month holds its part of what is paid once. Range: the middle 95 % of {DRAWS:,} draws of every number"
        " within its own range; by measurement alone: only what the pilot measured is drawn."
    )
    return Grid(head=head, rows=tuple(rows), note=note, title="What each arm costs")


def _alone(sure: Range | None, missing: str, said: Callable[[float], str]) -> str:
    """Return a range by measurement alone; "the same" where what was measured, within its intervals, changes nothing."""
    if sure is None:
        return missing
    return "the same" if sure.high - sure.low < 1e-9 * max(1.0, sure.high) else f"{said(sure.low)} to {said(sure.high)}"


def items(found: Costed) -> Grid:
    """Return a row for each arm: a month by what it is paid for."""
    rows = []
    for name in found.arms:
        one = found.bills[name]
        rows.append((name, *(_amount(one.running[item] + one.once.get(item, 0.0) / one.horizon) for item in ITEMS)))
    return Grid(head=(f"{found.currency} a month", *ITEMS), rows=tuple(rows), title="What a month is paid for")


def crossings(found: Costed) -> Grid:
    """Return a row for each break-even of the reference with another arm; the note says of the others which arm is cheaper at any."""
    rows = []
    never: dict[tuple[str, str], list[str]] = {}
    for item in found.crossings:
        if item.value is None and item.all is None:
            never.setdefault((item.below, item.axis), []).append(item.versus if item.below == item.arm else item.arm)
            continue
        other = item.versus if item.below == item.arm else item.arm
        spread = "–" if item.all is None else f"{_short(item.all.low)} to {_short(item.all.high)}"
        sure = _alone(item.measured, "–", _short)
        at = "none" if item.value is None else _short(item.value)
        said = f"{item.below} at any" if item.value is None else f"{item.below} below, {other} above"
        rows.append((f"{item.arm} and {item.versus}", AXES[item.axis], at, said, spread, sure, f"{item.share:.0%}"))
    notes = ["Everything else as it is. A range is of the draws that have a break-even."]
    for axis, words in AXES.items():
        always = [f"{name} is cheaper than {', '.join(others)}" for (name, on), others in never.items() if on == axis]
        if always:
            notes.append(f"Whatever the {words}: {'; '.join(always)}.")
    return Grid(
        head=("arms", "break-even in", "at", "cheaper", "its range", "by measurement alone", "draws with one"),
        rows=tuple(rows),
        note=" ".join(notes),
        title="Break-evens",
    )


def tornado(found: Costed) -> Grid:
    """Return the drawing's numbers: what each input does alone to the reference arm's month, and which arm is then the cheapest."""
    rows = tuple(
        (
            item.name,
            f"{_short(item.known.low)} to {_short(item.known.high)}",
            number(item.at_low),
            number(item.at_high),
            item.cheapest_low if item.cheapest_low == item.cheapest_high else f"{item.cheapest_low}, then {item.cheapest_high}",
        )
        for item in found.swings
    )
    head = ("what moves it", "from, to", f"{found.reference} at the low end", "at the high end", "cheapest arm")
    return Grid(
        head=head, rows=rows, note=f"{found.currency} a month; each number alone, the others as they are.", title="What it hangs on"
    )


def sheet(found: Costed) -> Grid:
    """Return every number behind the costs, with what it is and where it comes from; what was measured first."""
    ranked = sorted(found.inputs.items(), key=lambda item: (item[1].state != "measured", item[1].state == "assumed"))
    rows = []
    for name, known in ranked:
        spread = f"{_short(known.low)} to {_short(known.high)}" if known.high > known.low else "–"
        rows.append((name, _short(known.value), spread, about(name, found), known.state, _source(known)))
    return Grid(
        head=("number", "value", "range", "what it is", "state", "source"),
        rows=tuple(rows),
        title="Every number behind the costs, with its source",
    )


def about(name: str, found: Costed) -> str:
    """Return what an input is, with its unit."""
    line = BY_NAME.get(name)
    if line is None:
        return found.inputs[name].unit
    return f"{found.currency if line.unit == 'money' else line.unit} {line.about}"


def _source(known: Known) -> str:
    return known.source + (f", n = {known.n}" if known.n else "")


def _money(value: float, found: Costed) -> str:
    return f"{number(value)} {found.currency}"


def _amount(value: float) -> str:
    """Write money; what is less than a hundredth says so."""
    return f"< {0.01:g}" if 0 < value < 0.005 else number(value)


def _short(value: float) -> str:
    """Write a quantity with three digits, whole above a thousand: 4.35, 12,300."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"
