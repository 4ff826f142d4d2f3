from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.access.conditions import Range, described, matches, order, parts_of, read, settled
from groundtune.errors import InputError

VALUES = ["4.9", "4.10", "5.0-rc1", "5.0", "5.2", "2025-02-28", "2025-03-02", "2025-03-02T10:00", "it's", "", "soon", "v5"]
values = st.sampled_from(VALUES) | st.text(max_size=6)
bounds = st.sampled_from(["4", "4.10", "5.0", "2025", "2025-03", "9" * 6000])
conditions = st.one_of(
    values,
    st.lists(values, max_size=3),
    st.fixed_dictionaries({"not": st.one_of(values, st.lists(values, max_size=3))}),
    st.fixed_dictionaries({"from": bounds}, optional={"to": bounds}),
    st.fixed_dictionaries({"to": bounds}),
)
filters = st.dictionaries(st.sampled_from(["version", "date", "it's"]), conditions, max_size=3)
metadata = st.dictionaries(st.sampled_from(["version", "date", "it's"]), values, max_size=3)


@given(filters, filters, metadata)
def test_more_conditions_never_let_more_through(first: dict[str, Any], second: dict[str, Any], held: dict[str, str]) -> None:
    both = {**first, **{name: condition for name, condition in second.items() if name not in first}}
    assert matches(both, held) <= matches(first, held)
    assert matches({}, held) and matches(None, held)


@given(filters, st.lists(metadata, max_size=6))
def test_settling_changes_nothing_but_the_form(filter: dict[str, Any], rows: list[dict[str, str]]) -> None:
    labels = {f"{name}={value}" for row in rows for name, value in row.items()}
    form = settled(filter, lambda: labels)
    assert [matches(form, row) for row in rows] == [matches(filter, row) for row in rows]
    assert not any(isinstance(part, Range) for part in parts_of(form))


@given(values, bounds, bounds)
def test_a_range_is_both_of_its_halves(value: str, low: str, high: str) -> None:
    whole = Range("x", low, high).holds(value)
    assert whole == (Range("x", low, None).holds(value) and Range("x", None, high).holds(value))


@pytest.mark.parametrize(
    ("value", "low", "high", "inside"),
    [
        ("4.10", "4.9", None, True),
        ("4.9", "4.10", None, False),
        ("5.2", None, "5", True),
        ("5.2", None, "5.0", False),
        ("5.0-rc1", "5.0", None, True),
        ("5.0-rc1", "5.0.0", None, False),
        ("v5.1", "5", "5.1", True),
        ("2025-03-31", "2025-03", "2025-03", True),
        ("2025-04-01", "2025-03", "2025-03", False),
        ("2025-03-02T23:59:59Z", None, "2025-03-02", True),
        ("10", "9", None, True),
        ("007", "7", "7", True),
        ("soon", None, "9", False),
        ("", None, "9", False),
    ],
)
def test_ranges_compare_as_people_do(value: str, low: str | None, high: str | None, inside: bool) -> None:
    assert Range("x", low, high).holds(value) is inside


def test_a_prerelease_comes_before_its_release() -> None:
    assert order("4.99") < order("5.0-alpha") < order("5.0-rc1") < order("5.0") < order("5.0.1")


def test_without_the_name_only_not_lets_through() -> None:
    assert matches({"audience": {"not": "staff"}}, {})
    assert not matches({"audience": "staff"}, {})
    assert not matches({"audience": ["staff", ""]}, {})
    assert not matches({"date": {"from": "1"}}, {})


@pytest.mark.parametrize(
    "filter",
    [
        {"version": {"from": "four"}},
        {"version": {"from": 4}},
        {"version": {}},
        {"version": {"above": "4"}},
        {"version": {"not": "4", "from": "3"}},
        {"version": {"not": {"not": "4"}}},
        {"version": 5},
        {"version": None},
        {"version": ["4", 5]},
        {"": "5"},
    ],
)
def test_what_is_no_condition_is_refused_with_its_name(filter: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="filter"):
        matches(filter, {"version": "5"})


def test_conditions_are_read_as_they_are_typed() -> None:
    typed = ["product=crane=2", "version>=4.8", "version<=5", "audience!=staff|partners", "lang=de|en"]
    assert read(typed) == {
        "product": "crane=2",
        "version": {"from": "4.8", "to": "5"},
        "audience": {"not": ["staff", "partners"]},
        "lang": ["de", "en"],
    }
    assert [described(item) for item in read(typed).values()] == ["crane=2", "4.8 to 5", "not staff or partners", "de or en"]


@pytest.mark.parametrize("typed", [["version"], ["=5"], ["version="], ["a=1", "a=2"], ["a>=1", "a>=2"], ["a>=x"], ["a=1", "a>=2"]])
def test_what_cannot_be_read_is_refused(typed: list[str]) -> None:
    with pytest.raises(InputError):
        read(typed)


@given(st.lists(st.text(max_size=12), max_size=3))
def test_any_text_is_read_or_refused(typed: list[str]) -> None:
    try:
        found = read(typed)
    except InputError:
        return
    assert len(found) <= len(typed)
    assert all(described(condition) for condition in found.values())
