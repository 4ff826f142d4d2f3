"""Sources that the tests make: items in memory, and a whole way from items to documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import Origin, Survey, commit, documents_of, survey
from groundtune.documents.given import Policy
from groundtune.documents.sources.folder import Item
from groundtune.errors import SourceError

OPEN = Policy(readers=frozenset({"everyone"}))


class Memory:
    """A source of texts by name; ``reads`` counts, ``down`` makes it unreachable."""

    def __init__(self, texts: Mapping[str, str | bytes], *, stamped: bool = True) -> None:
        self.texts = dict(texts)
        self.stamped = stamped
        self.reads: list[str] = []
        self.down = False
        self.unfetchable: set[str] = set()

    def items(self) -> Iterator[Item]:
        for name in sorted(self.texts):
            if self.down:
                raise SourceError("the line is down", "wait")
            yield Item(name=name, stamp=f"v{hash(self.texts[name])}" if self.stamped else "", read=lambda name=name: self._read(name))  # type: ignore[misc]
        if self.down:
            raise SourceError("the line is down", "wait")

    def _read(self, name: str) -> bytes:
        self.reads.append(name)
        if name in self.unfetchable:
            raise SourceError(f"{name}: timed out", "wait")
        text = self.texts[name]
        return text if isinstance(text, bytes) else text.encode()


def origin(source: Any, name: str = "box", policy: Policy = OPEN, prefix: str | None = None) -> Origin:
    return Origin(name=name, prefix=f"{name}/" if prefix is None else prefix, source=source, policy=policy)


def synced(catalogue: Catalogue, *origins: Origin, **options: Any) -> Survey:
    found = survey(list(origins), catalogue, **options)
    commit(found, catalogue, "2026-01-01T00:00:00+00:00")
    return found


def kinds(found: Survey) -> dict[str, str]:
    return {change.name: change.kind for change in found.changes}


def ids(found: Survey) -> set[str]:
    return set(documents_of(found))


def settings(use: str, **given: Any) -> dict[str, Any]:
    """Return a [[sources]] table as plug-ins get it."""
    from groundtune.tables import SourceTable

    return SourceTable.model_validate({"name": "box", "use": use, **given}).model_dump()


def read_all(source: Any) -> dict[str, bytes | str]:
    """Return every item's bytes, or the message of why it cannot be read."""
    from groundtune.errors import GroundtuneError

    found: dict[str, bytes | str] = {}
    for item in source.items():
        try:
            found[item.name] = item.read()
        except GroundtuneError as error:
            found[item.name] = error.message
    return found


def by_name(source: Any) -> dict[str, Item]:
    return {item.name: item for item in source.items()}


HERE = Path(__file__).parent
