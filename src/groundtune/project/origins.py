"""groundtune.toml → the sources of a project, opened: the documents folder, and each ``[[sources]]`` table.

[documents] path = "documents"          →  Origin("documents", prefix "")
[[sources]] name = "wiki", use = "web"  →  Origin("wiki", prefix "wiki/")
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from groundtune import plugins
from groundtune.access import rules as access
from groundtune.documents.alike import Versions
from groundtune.documents.changes import Origin
from groundtune.documents.given import Policy, matches, rules_of
from groundtune.documents.load import readers_of
from groundtune.documents.sources.folder import Folder, Item, Once, Source
from groundtune.errors import ConfigError, GroundtuneError
from groundtune.tables import Settings, SourceTable

# The documents folder's own name in the catalogue; no [[sources]] table can have it.
FOLDER = "[documents]"
# Whoever may write these may write readers too; into all others, customers and colleagues write.
TRUSTED = ("folder", "git")


def origins(folder: Path, settings: Settings, *, fetch: bool, rules: Sequence[access.Rule] = ()) -> list[Origin]:
    """Return the project's sources. Without ``fetch`` only the documents folder is asked, and the others are as they were last read.

    ``rules`` of readers cover what names none itself, but for those of sections.
    """
    table = settings.documents
    covering = [rule.match for rule in rules if rule.allow is not None and not rule.section]
    told = rules_of([rule.model_dump() for rule in table.rules], covering)
    default = _readers(table.readers)
    found: list[Origin] = []
    here = folder / table.path
    # A project of sources alone needs no folder; one that names its folder gets an error when it is not there.
    if not settings.sources or "path" in table.model_fields_set or here.is_dir():
        found.append(Origin(name=FOLDER, prefix="", source=Once(Folder(here)), policy=Policy(rules=told, readers=default)))
    for named in settings.sources:
        trusted = named.use in TRUSTED if named.trust_readers is None else named.trust_readers
        own = _readers(named.readers)
        policy = Policy(rules=told, readers=default if own is None else own, metadata=named.metadata, trusted=trusted)
        found.append(Origin(name=named.name, prefix=f"{named.name}/", source=Once(_Late(named, folder)) if fetch else None, policy=policy))
    return found


def versions(settings: Settings) -> Versions:
    """Return how the project tells versions of a document apart."""
    return Versions(by=settings.documents.newest_wins or "", of=tuple(settings.documents.versions_of))


class _Late:
    """A source that is opened when it is listed, so that one which cannot be opened is out of reach like any other."""

    def __init__(self, table: SourceTable, folder: Path) -> None:
        self.table = table
        self.folder = folder

    def items(self) -> Iterator[Item]:
        """Open the source, and list what the table wants of it."""
        settings = self.table.model_dump()
        settings["options"] = {key: resolved(self.table.name, key, value) for key, value in settings["options"].items()}
        if self.table.url_env:
            settings["url"] = resolved(self.table.name, "url_env", f"${self.table.url_env}")
        opened: Source = plugins.load("source", self.table.use)(settings, self.folder)
        return (item for item in opened.items() if _wanted(item, self.table))


def _wanted(item: Item, table: SourceTable) -> bool:
    name = item.name.removesuffix(".meta.toml")
    return item.below or not table.match or any(matches(pattern, name) for pattern in table.match)


def resolved(source: str, key: str, value: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a value, or for ``$NAME`` what the environment holds. Raises ``ConfigError`` where it holds nothing."""
    if not value.startswith("$"):
        return value
    found = (os.environ if environment is None else environment).get(value[1:], "")
    if not found:
        raise ConfigError(
            f"source {source}: {key} names the environment variable {value[1:]}, which is not set", f"type: export {value[1:]}=…"
        )
    return found


def _readers(given: list[str] | None) -> frozenset[str] | None:
    try:
        return None if given is None else readers_of(Path("groundtune.toml"), given)
    except GroundtuneError as error:
        raise ConfigError(error.message, error.hint) from None
