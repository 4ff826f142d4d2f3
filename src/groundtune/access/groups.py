"""Groups in groups → for each group, itself and all that its members are in as well.

{"payroll": ["finance"], "finance": ["staff"]}  →  {"payroll": {payroll, finance, staff}, "finance": {finance, staff}, …}
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from groundtune.errors import ConfigError

USER = "user:"


def own(name: str) -> str:
    """Return the group that only this principal is in. Nothing but the principal's own id puts anybody into it."""
    return USER + unicodedata.normalize("NFC", name)


def closed(nested: Mapping[str, Iterable[str]], place: str = "groups") -> dict[str, frozenset[str]]:
    """Return every group named, with itself and all groups above it. Raises ``ConfigError`` that names the cycle, if there is one."""
    above: dict[str, frozenset[str]] = {}
    for first in sorted({*nested, *(item for items in nested.values() for item in items)}):
        way: list[str] = []
        todo = [(first, False)]
        while todo:
            group, finished = todo.pop()
            if finished:
                way.pop()
                above[group] = frozenset({group}).union(*(above[item] for item in nested.get(group, ())))
            elif group in way:
                cycle = " → ".join([*way[way.index(group) :], group])
                raise ConfigError(f"{place}: groups are in each other: {cycle}", "take one of them out, then type: groundtune check")
            elif group not in above:
                way.append(group)
                todo.append((group, True))
                todo += [(item, False) for item in sorted(set(nested.get(group, ())), reverse=True)]
    return above


def widened(groups: Iterable[str], above: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the groups, and all that they are in."""
    return frozenset().union(*(above.get(group, frozenset({group})) for group in groups))


def wrong_name(group: object) -> str | None:
    """Return what is wrong with a group's name, or ``None``."""
    if not isinstance(group, str) or not group.strip() or group != group.strip() or "\0" in group:
        return f"{group!r} is not a group name: text, not empty, no blanks around it"
    return None
