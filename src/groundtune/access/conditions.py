"""What an asker may ask of metadata, and what it means.

A filter is a mapping from names to conditions, all of which must hold:

    {"version": "5"}                                is exactly 5
    {"version": ["4", "5"]}                         is one of these; an empty list asks for nothing that exists
    {"audience": {"not": "staff"}}                  is not this (a list: none of these); who has no such name passes
    {"version": {"from": "4.8", "to": "5"}}         lies between the two, both included; who has no such name does not pass

Ranges are for dates, versions and numbers, and compare runs of digits as numbers: 4.10 is above 4.9, 2025-03-02 above 2025-02-28. A bound
stands for all that it begins: ``to 5`` takes 5.2 in, ``to 2025-03`` the whole of March. A pre-release comes before its release: 5.0-rc1 is
below 5.0, and ``from 5.0`` takes it in. Dotted numbers compare as versions do (10.5 is below 10.25), and there are no negative ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import InputError

Condition = str | Sequence[str] | Mapping[str, str | Sequence[str]]
Filter = Mapping[str, Condition]
HINT = "give a value, a list of values, {not = …} or {from = …, to = …}; for example: groundtune ask … --filter 'version>=4.8'"


@dataclass(frozen=True, slots=True)
class Labels:
    """The metadata has ``name`` with one of ``values``; ``negated``: with none of them."""

    name: str
    values: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The metadata has ``name`` with a value from ``low`` to ``high``, both included; ``None`` leaves that side open."""

    name: str
    low: str | None
    high: str | None

    def holds(self, value: str) -> bool:
        """Return whether a value lies in the range. A value without a digit lies in none."""
        found = order(value)
        if not any(kind == 1 for kind, _, _ in found):
            return False
        above = self.low is None or found >= order(self.low) or _begins(found, order(self.low))
        below = self.high is None or found <= order(self.high) or _begins(found, order(self.high))
        return above and below


def parts_of(filter: Mapping[str, Any] | None) -> Iterator[Labels | Range]:
    """Yield a filter's conditions in the order of their names. Raises ``InputError`` on what is no condition."""
    for name, condition in sorted((filter or {}).items()):
        if not isinstance(name, str) or not name:
            raise InputError(f"a filter asks for the name {name!r}; expected a text", HINT)
        if isinstance(condition, Mapping):
            yield _part(name, condition)
        else:
            yield Labels(name, _values(name, condition))


def matches(filter: Mapping[str, Any] | None, metadata: Mapping[str, str]) -> bool:
    """Return whether metadata meets every condition: the meaning that each engine has to give a filter."""
    return all(_meets(part, metadata) for part in parts_of(filter))


def settled(filter: Mapping[str, Any] | None, labels: Callable[[], Iterable[str]]) -> Filter | None:
    """Return the filter with each range as "one of" the values that lie in it, among the ``labels`` (``name=value``) that there are."""
    if not any(isinstance(part, Range) for part in parts_of(filter)):
        return filter
    held = list(labels())
    found: dict[str, Condition] = dict(filter or {})
    for part in parts_of(filter):
        if isinstance(part, Range):
            begin = f"{part.name}="
            values = {label.removeprefix(begin) for label in held if label.startswith(begin)}
            found[part.name] = sorted(value for value in values if part.holds(value))
    return found


def read(texts: Sequence[str]) -> Filter:
    """Read conditions as they are typed, each name once but for the two ends of a range. Raises ``InputError``.

    ``version=5``, ``version=4|5`` (one of), ``audience!=staff|partners`` (none of), ``date>=2025-03``, ``date<=2025-06``.
    """
    found: dict[str, Condition] = {}
    for text in texts:
        taken = re.fullmatch(r"([^=!<>]+)(=|!=|>=|<=)(.+)", text, re.DOTALL)
        if taken is None:
            raise InputError(f"--filter {text!r}: expected KEY=VALUE", "for example: groundtune ask … --filter version=5")
        name, sign, value = taken[1].strip(), taken[2], taken[3].strip()
        condition: Condition = {"=": _one_of(value), "!=": {"not": value.split("|")}, ">=": {"from": value}, "<=": {"to": value}}[sign]
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(condition, Mapping) and before.keys() | condition.keys() == {"from", "to"}:
            condition = {**before, **condition}
        elif before is not None:
            raise InputError(f"--filter {text!r}: {name} was filtered before", "join values by |; for example: --filter 'version=4|5'")
        found[name] = condition
    for _ in parts_of(found):
        pass
    return found


def described(condition: Condition) -> str:
    """Return a condition in words: ``5``, ``4 or 5``, ``not 4``, ``4.8 to 5``, ``from 4.8``."""
    if isinstance(condition, str):
        return condition
    if not isinstance(condition, Mapping):
        return " or ".join(condition) or "nothing"
    if "not" in condition:
        return f"not {described(condition['not'])}"
    low, high = condition.get("from"), condition.get("to")
    return f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"


def order(value: str) -> tuple[tuple[int, int, str], ...]:
    """Return what a date, version or number is ordered by: its digits as numbers, words below the end, the end below digits."""
    parts = re.findall(r"[0-9]+|[^\W\d_]+", value.strip().casefold().removeprefix("v"))
    return (*(_digits(part) if "0" <= part[0] <= "9" else (-1, 0, part) for part in parts), (0, 0, ""))


def _digits(part: str) -> tuple[int, int, str]:
    # Longer is larger; so a number of ten thousand digits costs nothing.
    kept = part.lstrip("0")
    return 1, len(kept), kept


def _begins(found: Sequence[object], bound: Sequence[object]) -> bool:
    return found[: len(bound) - 1] == bound[:-1]


def _one_of(value: str) -> Condition:
    return value.split("|") if "|" in value else value


def _part(name: str, condition: Mapping[str, Any]) -> Labels | Range:
    if set(condition) == {"not"}:
        return Labels(name, _values(name, condition["not"]), negated=True)
    if condition and set(condition) <= {"from", "to"}:
        for end, bound in condition.items():
            if not isinstance(bound, str) or not re.search(r"[0-9]", bound):
                raise InputError(f"the filter on {name!r} has {end} = {bound!r}; expected a date, a version or a number, as text", HINT)
        return Range(name, condition.get("from"), condition.get("to"))
    raise InputError(f"the filter on {name!r} has the keys {sorted(map(str, condition))}; expected not, or from and to", HINT)


def _values(name: str, condition: Any) -> frozenset[str]:
    if isinstance(condition, str):
        return frozenset([condition])
    if isinstance(condition, Sequence | frozenset | set) and all(isinstance(value, str) for value in condition):
        return frozenset(condition)
    raise InputError(f"the filter on {name!r} is {condition!r}; expected a text or a list of texts", HINT)


def _meets(part: Labels | Range, metadata: Mapping[str, str]) -> bool:
    value = metadata.get(part.name)
    if isinstance(part, Range):
        return value is not None and part.holds(value)
    return (value in part.values) != part.negated
