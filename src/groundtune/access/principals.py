"""access.toml → principals: who may ask, and the groups that decide what they read.

[principals]
ana = ["everyone", "support"]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from groundtune.access import directory
from groundtune.errors import UnknownName
from groundtune.types import Principal


def load(path: Path) -> dict[str, Principal]:
    """Return the principals and service accounts of an access file by id, in its order, each in all groups by nesting and in its own.

    A principal with an empty list reads only what names them: ``user:ana``. Raises as ``directory.read()``.
    """
    return dict(directory.read(path).principals)


def named(principals: Mapping[str, Principal], name: str) -> Principal:
    """Return the principal of that name. Raises ``UnknownName`` with the known ones: nobody is let in by a default."""
    if name not in principals:
        raise UnknownName.of("principal", name, list(principals), "add it to the access file, then type: groundtune check")
    return principals[name]
