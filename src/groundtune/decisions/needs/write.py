"""Answers of the interview → the ``[needs]`` tables of groundtune.toml, every other line of the file left as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from groundtune.errors import ConfigError

_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_\"'. -]+?)\s*\]\]?\s*(?:#.*)?$")
_TABLES = ("skills", "owners")


def with_needs(text: str, needs: Mapping[str, Any], path: str = "groundtune.toml") -> str:
    """Return the text with ``needs`` as its ``[needs]`` tables, where they stood or at the end.

    Raises ``ConfigError`` where the result would say anything else than that: needs that are written in another form are left to a person.
    """
    before, after = _around(text)
    block = _block(needs)
    parts = [before.rstrip("\n"), block.rstrip("\n"), after.strip("\n")]
    made = "\n\n".join(part for part in parts if part) + "\n"
    wanted = {**tomllib.loads(text), "needs": {key: value for key, value in needs.items() if value not in (None, {})}}
    try:
        said = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        said = {}
    if said != wanted:
        raise ConfigError(
            f"{path}: its needs are not written as [needs] tables, so they cannot be replaced",
            "move them into a table [needs], then type: groundtune decide --interview",
        )
    return made


def _around(text: str) -> tuple[str, str]:
    """Return what stands before the ``[needs]`` tables and what stands after; comments above the next table belong to that."""
    before: list[str] = []
    after: list[str] = []
    inside = done = False
    quote = ""
    held: list[str] = []
    for line in text.splitlines(keepends=True):
        header = None if quote else _HEADER.match(line)
        if header:
            name = header[1].replace('"', "").replace("'", "").strip()
            inside = name == "needs" or name.startswith("needs.")
            done = done or inside
            (after if done else before).extend(held if not inside else [])
            held = []
        if not inside:
            (after if done else before).append(line)
        elif line.strip() and not line.lstrip().startswith("#"):
            held = []
        else:
            held.append(line)
        quote = _open_quote(line, quote)
    return "".join(before), "".join([*after, *held])


def _open_quote(line: str, quote: str) -> str:
    """Return the triple quote that is open at the end of a line, if any."""
    at = 0
    while True:
        if quote:
            at = line.find(quote, at)
            if at < 0:
                return quote
            at, quote = at + 3, ""
        found = [(place, mark) for mark in ('"""', "'''") if (place := line.find(mark, at)) >= 0]
        if not found:
            return ""
        at, quote = min(found)
        at += 3


def _block(needs: Mapping[str, Any]) -> str:
    lines = ["[needs]"]
    lines += [f"{key} = {_value(value)}" for key, value in needs.items() if key not in _TABLES and value is not None]
    for table in _TABLES:
        if needs.get(table):
            lines += ["", f"[needs.{table}]", *(f"{key} = {_value(value)}" for key, value in needs[table].items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, str):
        kept = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in kept) + '"'
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
