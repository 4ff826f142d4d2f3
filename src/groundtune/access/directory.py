"""access.toml, a database, and the rules of groundtune.toml → who there is, in which groups, and who reads what.

[groups]                              # may be left out; where it stands, every group has to be in it
payroll = ["finance"]                 # whoever is in payroll is in finance too
finance = []
[principals]
ana = ["payroll"]
[services]
crawler = ["finance"]
[[rules]]
match = "finance/"
section = ["Salaries"]
readers = ["payroll"]
deny = ["user:bob"]
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune.access.groups import USER, closed, own, widened, wrong_name
from groundtune.access.paths import wrong_pattern
from groundtune.access.rules import OPEN, People, Rule
from groundtune.access.sql import Members
from groundtune.errors import ConfigError, GroundtuneError, Problems, meant
from groundtune.types import Principal

HINT = 'write it as: ana = ["everyone", "support"], then type: groundtune check'
GROUP_HINT = 'write it as: payroll = ["finance"], then type: groundtune check'
RULE_HINT = 'write it as: [[rules]] match = "finance/" readers = ["finance"], then type: groundtune check'
_KNOWN = ("groups", "principals", "rules", "services")
_RULE = ("deny", "match", "overrides", "readers", "section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who there is, and the rules. ``declared``: every group is in [groups]. ``read``: from where and when the membership was read.

    ``tokens``: there may be principals whom only a token names, in groups that nobody here is in.
    """

    principals: Mapping[str, Principal]
    services: frozenset[str] = frozenset()
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    declared: bool = False
    rules: tuple[Rule, ...] = ()
    read: tuple[tuple[str, datetime], ...] = ()
    open_groups: frozenset[str] = OPEN
    tokens: bool = False

    @property
    def people(self) -> People:
        """Return who there is, for working out readers."""
        return People(principals=self.principals, above=closed(self.nested), open=self.open_groups)

    @property
    def groups(self) -> frozenset[str]:
        """Return every group that is known: declared, or one that somebody is in."""
        return frozenset(self.nested).union(*(person.groups for person in self.principals.values()))

    def unknown(self, reader: str) -> str | None:
        """Return why a reader is nobody: a group that is not known, a user who is not there; ``None`` where it may be somebody."""
        if reader.startswith(USER):
            name = reader.removeprefix(USER)
            return None if name in self.principals or self.tokens else f"no principal {name!r}{meant(name, self.principals)}"
        if reader in self.groups or (self.tokens and not self.declared):
            return None
        return f"no group {reader!r}{meant(reader, (group for group in self.groups if not group.startswith(USER)))}"


def read(
    path: Path,
    *,
    members: Members | None = None,
    tables: Sequence[Mapping[str, Any]] = (),
    tokens: bool = False,
    open_groups: Iterable[str] = OPEN,
) -> Directory:
    """Return what an access file says, with the ``members`` of a database and the rules of groundtune.toml (``tables``).

    The file may be missing only where there are members. Raises ``ConfigError`` where it cannot be read, or ``Problems`` with all that is
    wrong in it.
    """
    table = {} if members is not None and not path.exists() else _toml(path)
    problems: list[GroundtuneError] = [
        ConfigError(f"{path}: unknown key {key!r}{meant(key, _KNOWN)}; known: {', '.join(_KNOWN)}", f"remove it: {HINT}")
        for key in table
        if key not in _KNOWN
    ]
    nested = _groups(path, table.get("groups", {}), problems)
    try:
        above = closed(nested, str(path))
    except ConfigError as error:
        problems.append(error)
        above = {}
    listed = table.get("principals")
    if not isinstance(listed, dict) or not (listed or members or tokens):
        if listed is not None or not (members or tokens):
            problems.append(ConfigError(f"{path}: no [principals] table with at least one principal", HINT))
        listed = {}
    services = table.get("services", {})
    if not isinstance(services, dict):
        problems.append(ConfigError(f"{path}: services must be a table", HINT))
        services = {}
    declared = frozenset(nested) if "groups" in table else None
    people: dict[str, Principal] = {}
    theirs = [] if members is None else [(members.read_from, name, list(groups)) for name, groups in members.groups.items()]
    for place, name, groups in [*((str(path), *item) for item in [*listed.items(), *services.items()]), *theirs]:
        wrong = "two principals of one name" if unicodedata.normalize("NFC", name) in people else _wrong(name, groups, declared)
        if wrong:
            problems.append(ConfigError(f"{place}: principal {name!r}: {wrong}", HINT))
        else:
            person = member(name, groups, above)
            people[person.id] = person
    sources = [(str(path), datetime.fromtimestamp(path.stat().st_mtime, UTC))] if path.exists() else []
    if members is not None:
        sources.append((members.read_from, members.read_at))
    found = Directory(
        principals=people,
        services=frozenset(unicodedata.normalize("NFC", name) for name in services),
        nested=nested,
        declared=declared is not None,
        read=tuple(sources),
        open_groups=frozenset(open_groups),
        tokens=tokens,
    )
    rules = table.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(row, dict) for row in rules):
        problems.append(ConfigError(f"{path}: rules must be [[rules]] tables", RULE_HINT))
        rules = []
    made = [_rule(path.name, str(path), number, row, found, problems) for number, row in enumerate(rules, start=1)]
    for number, row in enumerate(tables, start=1):
        if row.get("readers") is not None or row.get("deny"):
            given = {key: row[key] for key in _RULE if row.get(key) is not None}
            made.append(_rule("groundtune.toml", "groundtune.toml: [[documents.rules]]", number, given, found, problems))
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    return replace(found, rules=tuple(made))


def member(name: str, groups: Iterable[str], above: Mapping[str, frozenset[str]]) -> Principal:
    """Return a principal with all groups that they are in by nesting, and their own ``user:`` group.

    Documents name their readers in the same Unicode form, so that a group is one whichever keyboard wrote it.
    """
    direct = [unicodedata.normalize("NFC", group) for group in groups]
    return Principal(id=unicodedata.normalize("NFC", name), groups=widened(direct, above) | {own(name)})


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; it says who may ask", f"write a [principals] table: {HINT}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", f"mend its permissions; see: ls -l {path}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune check") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}", HINT) from error


def _groups(path: Path, rows: Any, problems: list[GroundtuneError]) -> dict[str, tuple[str, ...]]:
    if not isinstance(rows, dict):
        problems.append(ConfigError(f"{path}: groups must be a table", GROUP_HINT))
        return {}
    found: dict[str, tuple[str, ...]] = {}
    names = {unicodedata.normalize("NFC", name) for name in rows}
    for name, above in rows.items():
        wrong = wrong_name(name) or (
            f"{name!r} begins with {USER}, which only a principal's own group does" if name.startswith(USER) else None
        )
        if wrong is None and not isinstance(above, list):
            wrong = "the groups that it is in must be a list of names"
        for item in above if wrong is None else ():
            wrong = wrong or wrong_name(item)
            if wrong is None and unicodedata.normalize("NFC", item) not in names:
                wrong = f"no group {item!r}{meant(item, names)}"
        if wrong:
            problems.append(ConfigError(f"{path}: group {name!r}: {wrong}", GROUP_HINT))
        else:
            found[unicodedata.normalize("NFC", name)] = tuple(unicodedata.normalize("NFC", item) for item in above)
    return found


def _wrong(name: str, groups: object, declared: frozenset[str] | None) -> str | None:
    if not name.strip() or name != name.strip() or "\0" in name:
        return "its name is empty or has blanks around it"
    if not isinstance(groups, list):
        return "its groups must be a list of names"
    for group in groups:
        wrong = wrong_name(group)
        if wrong:
            return wrong
        if group.startswith(USER):
            return f"{group!r} is somebody's own group; nobody else can be put into it"
        if declared is not None and unicodedata.normalize("NFC", group) not in declared:
            return f"no group {group!r} in [groups]{meant(group, declared)}"
    return None


def _rule(file: str, place: str, number: int, row: Mapping[str, Any], found: Directory, problems: list[GroundtuneError]) -> Rule:
    def problem(message: str) -> None:
        problems.append(ConfigError(f"{place}: rule {number}: {message}", RULE_HINT))

    for key in row:
        if key not in _RULE:
            problem(f"unknown key {key!r}{meant(key, _RULE)}; known: {', '.join(_RULE)}")
    match, section = row.get("match"), row.get("section", [])
    wrong = wrong_pattern(match)
    if wrong:
        problem(f"match: {wrong}")
        match = ""
    section = [section] if isinstance(section, str) else section
    if not isinstance(section, list) or not all(isinstance(item, str) and item.strip() for item in section):
        problem("section must be a heading, or a list of headings from the outer to the inner")
        section = []
    if "readers" not in row and not row.get("deny"):
        problem("names neither readers nor deny")
    if not isinstance(row.get("overrides", False), bool):
        problem("overrides must be true or false")
    named: dict[str, frozenset[str]] = {}
    for key in ("readers", "deny"):
        groups = row.get(key, [])
        if not isinstance(groups, list):
            problem(f"{key} must be a list of groups and users")
            continue
        named[key] = frozenset(unicodedata.normalize("NFC", item) for item in groups if isinstance(item, str))
        for item in groups:
            wrong = wrong_name(item) or found.unknown(unicodedata.normalize("NFC", item))
            if wrong:
                problem(f"{key}: {wrong}")
    return Rule(
        number=number,
        match=unicodedata.normalize("NFC", str(match)),
        section=tuple(unicodedata.normalize("NFC", " ".join(item.split())) for item in section),
        allow=named.get("readers", frozenset()) if "readers" in row else None,
        deny=named.get("deny", frozenset()),
        overrides=row.get("overrides") is True,
        written_in=file,
    )
