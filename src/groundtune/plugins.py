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
    points = list(_points(kind).values())
    # One package brings most of them, and its description is long.
    brought_by = {id(point.dist): point.dist for point in points if point.dist}
    packages = {key: f"{package.name} {package.version}" for key, package in brought_by.items()}
    return tuple(sorted(f"{point.name} {packages.get(id(point.dist), '')}".rstrip() for point in points))


def load(kind: str, name: str) -> Any:
    """Import and return what ``name`` stands for. Raises ``UnknownName`` or ``MissingExtra``."""
    points = _points(kind)
    if name not in points:
        raise UnknownName.of(f"{kind} plug-in", name, known(kind), "correct groundtune.toml, then type: groundtune check")
    try:
        return points[name].load()
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or name, "local") from error
