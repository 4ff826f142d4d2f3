"""A principal → the one predicate that every search asks before it ranks; the asker's own filter is ANDed to it and can only narrow.

    allowed(ana).sql()                                    array_has_any(readers, ['everyone', 'support'])
    narrow(allowed(ana), {"version": "5"})                array_has_any(metadata, ['version=5']) AND array_has_any(readers, [...])
    narrow(allowed(ana), {"version": ["4", "5"]})         array_has_any(metadata, ['version=4', 'version=5']) AND ...
    narrow(allowed(ana), {"audience": {"not": "staff"}})  NOT array_has_any(metadata, ['audience=staff']) AND ...

Ranges (``{"date": {"from": "2025-03"}}``) compare values as people do, which no engine's SQL does; ``settled`` turns them into "one of"
over the values that the index holds. The algebra is in ``access/conditions.py``. The permission comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.access.conditions import Filter, Labels, Range, parts_of, settled
from groundtune.types import Principal

__all__ = ["Filter", "Labels", "Predicate", "allowed", "literal", "narrow", "settled"]


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


def narrow(predicate: Predicate, filter: Filter | None = None) -> str:
    """Return the asker's filter AND the permission, the permission last, for list columns ``metadata`` (``name=value``) and ``readers``.

    Raises ``InputError`` on a condition that is none, and ``ValueError`` on a range, which has to be ``settled`` before.
    """
    clauses = []
    for part in parts_of(filter):
        if isinstance(part, Range):
            raise ValueError(f"the range on {part.name!r} was not settled before it was asked")
        has = _has(Labels(part.name, part.values))
        clauses.append(has if not part.negated else "true" if has == "false" else f"NOT {has}")
    return " AND ".join([*clauses, predicate.sql()])


def _has(labels: Labels) -> str:
    """Return the SQL for "the metadata has one of these". No document holds a NUL character, so to ask for one is to ask for nothing."""
    wanted = [literal(f"{labels.name}={value}") for value in sorted(labels.values) if "\0" not in f"{labels.name}{value}"]
    return f"array_has_any(metadata, [{', '.join(wanted)}])" if wanted else "false"
