"""Of several versions of a document, the newest that the asker may read, unless the question's filter asks for another.

newest({}, "version")                 →  {"current": "yes"}
newest({"version": "4"}, "version")   →  {"version": "4"}
"""

from __future__ import annotations

from groundtune.access.conditions import Filter

CURRENT = "current"


def newest(filter: Filter, by: str | None) -> Filter:
    """Return the filter, narrowed to current documents where the project has a rule for versions and the filter names none."""
    return filter if not by or by in filter or CURRENT in filter else {**filter, CURRENT: "yes"}
