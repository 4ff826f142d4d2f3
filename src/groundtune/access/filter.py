"""A principal → the one predicate that every search asks before it ranks.

    allowed(ana).sql()                        array_has_any(readers, ['everyone', 'support'])
    narrow(allowed(ana), {"version": "5"})    array_has_any(metadata, ['version=5']) AND array_has_any(readers, [...])

A filter of the asker's own can only narrow: it is ANDed, and the permission comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from groundtune.types import Principal


@dataclass(frozen=True, slots=True)
class Predicate:
    """May be read by somebody in ``groups``: when at least one of them is among the readers. No groups, or no readers: nobody."""

    groups: frozenset[str]

    def permits(self, readers: Iterable[str]) -> bool:
        """Return whether something with these readers may be shown."""
        return not self.groups.isdisjoint(readers)

    def reason(self, readers: Iterable[str]) -> tuple[str, ...]:
        """Return the groups that let it be shown, sorted; empty when it may not be."""
        return tuple(sorted(self.groups.intersection(readers)))

    def sql(self) -> str:
        """Return the predicate for a list column ``readers``; ``false`` for somebody in no group."""
        if not self.groups:
            return "false"
        return f"array_has_any(readers, [{', '.join(literal(group) for group in sorted(self.groups))}])"


def allowed(principal: Principal) -> Predicate:
    """Return what a principal may read."""
    return Predicate(principal.groups)


def literal(text: str) -> str:
    """Return text as an SQL string literal. Doubling the quote is all that standard SQL asks; a backslash is a plain character.

    Raises ``ValueError`` on a NUL character, which no two SQL parsers read alike.
    """
    if "\0" in text:
        raise ValueError("a NUL character cannot stand in an SQL literal")
    return "'" + text.replace("'", "''") + "'"


def narrow(predicate: Predicate, filter: Mapping[str, str] | None = None) -> str:
    """Return the asker's filter AND the permission, the permission last, for list columns ``metadata`` (``name=value``) and ``readers``."""
    return " AND ".join([*(_has(name, value) for name, value in sorted((filter or {}).items())), predicate.sql()])


def _has(name: str, value: str) -> str:
    """Return the SQL for "the metadata has this". No document holds a NUL character, so to ask for one is to ask for nothing."""
    wanted = f"{name}={value}"
    return "false" if "\0" in wanted else f"array_has_any(metadata, [{literal(wanted)}])"
