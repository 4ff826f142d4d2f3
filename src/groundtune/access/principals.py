"""access.toml → principals: who may ask, and the groups that decide what they read.

[principals]
ana = ["everyone", "support"]
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from groundtune.errors import ConfigError, Problems, UnknownName
from groundtune.types import Principal

_HINT = 'write it as: ana = ["everyone", "support"], then type: groundtune check'


def load(path: Path) -> dict[str, Principal]:
    """Return the principals of an access file by id, in its order. A principal with an empty list is in no group and reads nothing.

    Raises ``ConfigError`` when the file is missing or not TOML, or ``Problems`` with all that is wrong in it.
    """
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; it says who may ask", f"write a [principals] table: {_HINT}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", f"mend its permissions; see: ls -l {path}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune check") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}", _HINT) from error
    problems = [
        ConfigError(f"{path}: unknown key {key!r}; known: principals", f"remove it: {_HINT}") for key in table if key != "principals"
    ]
    rows = table.get("principals")
    if not isinstance(rows, dict) or not rows:
        problems.append(ConfigError(f"{path}: no [principals] table with at least one principal", _HINT))
        rows = {}
    found: dict[str, Principal] = {}
    for name, groups in rows.items():
        wrong = _wrong(name, groups)
        if wrong:
            problems.append(ConfigError(f"{path}: principal {name!r}: {wrong}", _HINT))
        else:
            # Documents name their readers in the same form, so that a group is one whichever keyboard wrote it.
            found[name] = Principal(id=name, groups=frozenset(unicodedata.normalize("NFC", group) for group in groups))
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    return found


def _wrong(name: str, groups: object) -> str | None:
    if not name.strip() or name != name.strip():
        return "its name is empty or has blanks around it"
    if not isinstance(groups, list):
        return "its groups must be a list of names"
    for group in groups:
        if not isinstance(group, str) or not group.strip() or group != group.strip() or "\0" in group:
            return f"{group!r} is not a group name: text, not empty, no blanks around it"
    return None


def named(principals: Mapping[str, Principal], name: str) -> Principal:
    """Return the principal of that name. Raises ``UnknownName`` with the known ones: nobody is let in by a default."""
    if name not in principals:
        raise UnknownName.of("principal", name, list(principals), "add it to the access file, then type: groundtune check")
    return principals[name]
