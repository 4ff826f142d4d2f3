"""A principal → the one predicate that every search asks before it ranks. The asker's own filter is ANDed to it and can only narrow.

    allowed(ana).permits(["support"])            whether something with these readers may be shown
    allowed(ana).reason(["support", "hr"])       ("support",): the groups that let it be shown

How an engine asks it is the engine's: a mask of rows (``chunks/segments/sieve.py``), a condition of SQL, a filter of a vector database. The
kit in ``groundtune.testing`` holds each to the two methods here. The algebra of filters is in ``access/conditions.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.access.conditions import Filter
from groundtune.types import Principal

__all__ = ["Filter", "Predicate", "allowed", "literal"]


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
