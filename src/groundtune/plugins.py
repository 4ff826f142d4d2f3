"""The name that the user wrote → its entry point. Only that one is imported; built-ins come in by the same door."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from groundtune.errors import MissingExtra, UnknownName

KINDS = ("loader", "source", "chat", "embed", "rerank", "index", "scorer", "detector")


@cache
def _points(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"groundtune.{kind}")}


def known(kind: str) -> list[str]:
    """Return the names that can be written for this kind of plug-in, sorted."""
    return sorted(_points(kind))


@cache
def releases(kind: str) -> tuple[str, ...]:
    """Return each plug-in of this kind with the package that brings it and its version: "pdf groundtune 0.1.0", sorted."""
    return tuple(
        sorted(f"{point.name} {point.dist.name} {point.dist.version}" if point.dist else point.name for point in _points(kind).values())
    )


def load(kind: str, name: str) -> Any:
    """Import and return what ``name`` stands for. Raises ``UnknownName`` or ``MissingExtra``."""
    points = _points(kind)
    if name not in points:
        raise UnknownName.of(f"{kind} plug-in", name, known(kind), "correct groundtune.toml, then type: groundtune check")
    try:
        return points[name].load()
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or name, "local") from error
