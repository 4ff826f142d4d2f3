"""A principal → the one predicate that every search asks before it ranks.

    allowed(ana).sql()                        array_has_any(readers, ['everyone', 'support'])
    narrow(allowed(ana), {"version": "5"})    (metadata['version'] = '5') AND (array_has_any(...))

A filter of the asker's own can only narrow: it is ANDed, and the permission comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
        return f"array_has_any(readers, [{', '.join(quoted(group) for group in sorted(self.groups))}])"


def allowed(principal: Principal) -> Predicate:
    """Return what a principal may read."""
    return Predicate(principal.groups)


def quoted(text: str) -> str:
    """Return text as an SQL string literal. Doubling the quote is all that standard SQL asks; a backslash is a plain character.

    Raises ``ValueError`` on a NUL, which no SQL parser agrees about.
    """
    if "\0" in text:
        raise ValueError("a NUL character cannot stand in an SQL literal")
    return "'" + text.replace("'", "''") + "'"


def entry(key: str, value: str) -> str:
    """Return the SQL for "the metadata has this value under this key", over a map column ``metadata``."""
    return f"metadata[{quoted(key)}] = {quoted(value)}"


def narrow(predicate: Predicate, filter: Mapping[str, str] | None, *, clause: Callable[[str, str], str] = entry) -> str:
    """Return the asker's filter AND the permission, the permission last.

    ``clause`` turns one key and value into SQL, for an index that keeps its metadata in another way than a map column.
    """
    wanted = [f"({clause(key, value)})" for key, value in sorted((filter or {}).items())]
    return " AND ".join([*wanted, f"({predicate.sql()})"]) if wanted else predicate.sql()


def matches(metadata: Mapping[str, str], filter: Mapping[str, str] | None) -> bool:
    """Return whether metadata has every value that a filter asks for: what ``narrow`` says in SQL, for an index in memory."""
    return all(metadata.get(key) == value for key, value in (filter or {}).items())
