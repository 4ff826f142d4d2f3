"""costs.toml ↔ the assumptions. Unknown lines, negative prices and ranges the wrong way round are refused, each with its line.

[prices]
prompt_million = { value = 0.15, low = 0.1, high = 0.3, source = "offer of 2026-11-03" }
completion_million = 0.6        # the same for short; its range is as wide as the default's
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from groundtune.config import line_of
from groundtune.decisions.costs.defaults import BY_NAME, DEFAULTS, GROUPS, Assumption
from groundtune.errors import ConfigError, GroundtuneError, Problems, UnknownName
from groundtune.files import write_atomic

HINT = "mend that line, then type: groundtune costs"
KEYS = ("value", "low", "high", "source")
State = Literal["assumed", "written", "needs", "project", "what if", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A number that the costs are made from; ``low`` to ``high`` is its range, or, where measured, its 95 % interval (``n``: of what)."""

    value: float
    low: float
    high: float
    unit: str
    source: str
    state: State
    n: int = 0


Inputs = Mapping[str, Known]


def defaults() -> dict[str, Known]:
    """Return the assumptions that hold where nobody has said otherwise."""
    return {line.name: _known(line, line.value, line.low, line.high, line.source, "assumed") for line in DEFAULTS}


def read(path: Path) -> dict[str, Known]:
    """Return what a sheet says; a sheet that is not there says nothing. Raises ``ConfigError`` or, for several, ``Problems``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune costs") from None
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}", HINT) from None
    problems: list[GroundtuneError] = []
    found: dict[str, Known] = {}
    for group, table in written.items():
        if group not in GROUPS or not isinstance(table, dict):
            where = f"{path}:{line_of(text, [group])}"
            problems.append(ConfigError(f"{where}: {group}: unknown table; known: {', '.join(GROUPS)}", HINT))
            continue
        for name, given in table.items():
            line = BY_NAME.get(name)
            where = f"{path}:{line_of(text, [group, name])}"
            if line is None or line.group != group:
                problems.append(ConfigError(f"{where}: {group}.{name}: unknown line; {_known_lines(name, group)}", HINT))
                continue
            wrong = list(_wrong(given, line))
            problems += [ConfigError(f"{where}: {group}.{name}: {what}", HINT) for what in wrong]
            if not wrong:
                found[name] = _written(given, line)
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems, "mend these, then type: groundtune costs")
    return found


def write(path: Path, inputs: Inputs, currency: str) -> None:
    """Write the sheet with every line; one that is known from elsewhere is marked out, so that it keeps following that.

    Raises ``ConfigError`` where there is a sheet: what somebody edited is not written over.
    """
    if path.exists():
        raise ConfigError(f"{path}: is there already", f"edit it, or move it away, then type: groundtune costs --write; see: cat {path}")
    parts = [
        f"# What the costs are reckoned from, in {currency}. Every line is yours to change; groundtune costs shows what follows.",
        "# low and high are the range that the value may well have: they make the intervals and say which lines matter most.",
    ]
    for group in GROUPS:
        parts += ["", f"[{group}]"]
        for line in (line for line in DEFAULTS if line.group == group):
            known = inputs[line.name]
            parts.append(f"# {currency if line.unit == 'money' else line.unit} {line.about}")
            if known.state == "assumed":
                numbers = ", ".join(f"{key} = {_toml(getattr(line, key))}" for key in ("value", "low", "high"))
                parts.append(f"{line.name} = {{ {numbers}, source = {_quoted(line.source)} }}")
            else:
                parts.append(f"# {line.name} = {_toml(known.value)}   # now from {known.source}; without the mark this line goes over it")
    write_atomic(path, "\n".join(parts) + "\n")


def changed(name: str, text: str) -> Known:
    """Return an assumption as ``--what-if`` gives it. Raises ``UnknownName`` or ``ConfigError``."""
    hint = "see: groundtune costs, then type: groundtune decide --what-if questions_a_month=2e6"
    line = BY_NAME.get(name)
    if line is None:
        raise UnknownName.of("assumption", name, list(BY_NAME), hint)
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"--what-if {name} is {text!r}, expected a number", hint) from None
    wrong = list(_wrong(value, line))
    if wrong:
        raise ConfigError(f"--what-if {name}: {wrong[0]}", hint)
    return _known(line, value, value, value, "--what-if", "what if")


def exactly(name: str, value: float, source: str, state: State) -> Known:
    """Return a line's value as something else than the sheet gives it, with no range."""
    return _known(BY_NAME[name], value, value, value, source, state)


def _wrong(given: Any, line: Assumption) -> Iterator[str]:
    values = given if isinstance(given, dict) else {"value": given}
    if not values.keys() <= set(KEYS) or "value" not in values:
        yield f"expected a number, or {{ {', '.join(KEYS)} }} with at least value"
        return
    for key in ("value", "low", "high"):
        number = values.get(key, line.value)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            yield f"{key} is {number!r}, expected a number"
            return
        if number < line.least or (line.most is not None and number > line.most):
            bounds = f"{line.least:g} or more" if line.most is None else f"{line.least:g} to {line.most:g}"
            yield f"{key} is {number:g}, expected {bounds}"
            return
    source = values.get("source", "a person")
    if not isinstance(source, str) or not source.strip():
        yield "source is empty, expected where the value comes from"
    elif not values.get("low", values["value"]) <= values["value"] <= values.get("high", values["value"]):
        yield "expected low ≤ value ≤ high"


def _written(given: Any, line: Assumption) -> Known:
    """Return what a line says. A number alone is given a range as wide, in proportion, as the default's."""
    values: Mapping[str, Any] = given if isinstance(given, dict) else {"value": given}
    value = float(values["value"])
    ratio = value / line.value if line.value else 0.0
    low, high = (min(value, max(line.least, line.low * ratio)), max(value, line.high * ratio)) if ratio else (value, value)
    high = high if line.most is None else min(high, line.most)
    found = _known(
        line,
        value,
        float(values.get("low", low)),
        float(values.get("high", high)),
        str(values.get("source", "costs sheet, no source given")),
        "written",
    )
    as_it_was = (line.value, line.low, line.high, line.source)
    return replace(found, state="assumed") if (found.value, found.low, found.high, found.source) == as_it_was else found


def _known(line: Assumption, value: float, low: float, high: float, source: str, state: State) -> Known:
    return Known(value=value, low=low, high=high, unit=line.unit, source=source, state=state)


def _known_lines(name: str, group: str) -> str:
    if name in BY_NAME:
        return f"it stands in [{BY_NAME[name].group}]"
    near = get_close_matches(name, BY_NAME, n=1)
    if near:
        return f"did you mean {near[0]} in [{BY_NAME[near[0]].group}]?"
    return f"known in [{group}]: {', '.join(line.name for line in DEFAULTS if line.group == group)}"


def _toml(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _quoted(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
