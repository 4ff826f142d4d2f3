"""groundtune.toml → ``Settings``. Unknown keys are refused, and all problems are reported at once, each with its line.

A value comes from the default written here, from the project's file, or from the environment: ``GROUNDTUNE__CHAT__MODEL=…`` sets
``chat.model``. A [tuning.*] table that names a recipe takes what it does not say from that recipe. ``groundtune check`` prints which.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from groundtune.errors import ConfigError, GroundtuneError, Problems, meant
from groundtune.tables import Settings, Table, TuningTable
from groundtune.tables.evidence import LimitTable

FILE = "groundtune.toml"
PREFIX = "GROUNDTUNE__"
# What a value has to be, by the beginning of pydantic's name for the fault.
WANTED = {
    "bool": "true or false, without quotes",
    "int_": "a whole number",
    "float_": "a number",
    "string_type": "a text in quotes",
    "list_type": "a list in square brackets",
    "string_pattern_mismatch": "small letters and digits, a letter first: {pattern}",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each leaf (``chat.model``) where it came from: ``default``, ``recipe``, ``project`` or ``environment``."""

    settings: Settings
    sources: Mapping[str, str]


def load(folder: Path) -> Loaded:
    """Read ``folder/groundtune.toml``. Raises ``ConfigError`` for one problem and ``Problems`` for several."""
    path = folder / FILE
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder", f"name a folder that holds a {FILE}, or type: groundtune init {folder}")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{folder}: holds no {FILE}", f"type: groundtune init {folder}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune check") from None
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        said = f"{path}:{place[2]}: not TOML at column {place[3]}: {place[1]}" if place else f"{path}: not TOML: {error}"
        said += "; a text stands in quotes, true and false without" if "Invalid value" in said else ""
        raise ConfigError(said, "mend that line, then type: groundtune check") from None
    overlay = dict(_environment())
    merged = _merge(written, overlay)
    problems: list[GroundtuneError] = []
    from_recipes = _fill_from_recipes(path, text, merged, problems)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        problems += [_explain(path, text, detail) for detail in error.errors()]
    if settings is not None:
        problems += list(_cross_check(path, text, settings))
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    assert settings is not None  # noqa: S101
    levels = {"environment": overlay, "project": written, "recipe": from_recipes}
    sources = {key: next((name for name, tree in levels.items() if _has(tree, key)), "default") for key, _ in leaves(settings)}
    return Loaded(settings, sources)


def recipes() -> dict[str, str]:
    """Return the TOML text of every recipe that the package brings, by name."""
    folder = files("groundtune").joinpath("tuning", "recipes")
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for name, entry in found}


def _fill_from_recipes(path: Path, text: str, merged: dict[str, Any], problems: list[GroundtuneError]) -> dict[str, Any]:
    """Put the values of named recipes where a [tuning.*] table says nothing; return just those, as a tree of their own."""
    tables = merged.get("tuning")
    taken: dict[str, Any] = {}
    if not isinstance(tables, dict):
        return taken
    for name, table in tables.items():
        asked = table.get("recipe") if isinstance(table, dict) else None
        if not isinstance(asked, str):
            continue
        known = recipes()
        if asked not in known:
            message = f"{path}:{line_of(text, ['tuning', name, 'recipe'])}: tuning.{name}.recipe is {asked!r}; known: {', '.join(known)}"
            problems.append(ConfigError(message, "see what each sets: groundtune tune --recipes"))
            continue
        values = {key: value for key, value in tomllib.loads(known[asked]).items() if key not in table}
        tables[name] = {**values, **table}
        taken.setdefault("tuning", {})[name] = values
    return taken


def leaves(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield every setting as ``("chat.model", value)``, arms and gates with their number (``arms.0.name``)."""

    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, item)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value):
                yield from walk(f"{prefix}.{number}", item)
        else:
            yield prefix, value

    yield from walk("", settings.model_dump(by_alias=True))


def _environment() -> Iterator[tuple[str, str]]:
    for name, value in sorted(os.environ.items()):
        if name.startswith(PREFIX):
            yield name[len(PREFIX) :].lower().replace("__", "."), value


def _merge(written: dict[str, Any], overlay: Mapping[str, str]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in written.items()}
    for dotted, value in overlay.items():
        *tables, leaf = dotted.split(".")
        target = merged
        for table in tables:
            copied = target.get(table)
            target[table] = dict(copied) if isinstance(copied, dict) else {}
            target = target[table]
        target[leaf] = value
    return merged


def _has(tree: Any, dotted: str) -> bool:
    if isinstance(tree, dict) and dotted in tree:
        return True
    for part in dotted.split("."):
        if isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        elif isinstance(tree, dict) and part in tree:
            tree = tree[part]
        else:
            return False
    return True


def _explain(path: Path, text: str, detail: Any) -> ConfigError:
    key = ".".join(str(part) for part in detail["loc"])
    value = detail.get("input")
    shown = f" is {value!r}" if isinstance(value, str | int | float | bool) else ""
    if detail["type"] == "extra_forbidden":
        known = _known_keys(detail["loc"])
        near = meant(str(detail["loc"][-1]), known)
        message = f"{key}: unknown key{near}; known here: {', '.join(known)}" if known else f"{key}: unknown key"
    elif detail["type"] == "missing":
        message = f"{key}: missing; it is required"
    else:
        wanted = next((words for kind, words in WANTED.items() if detail["type"].startswith(kind)), "")
        said = f"expected {wanted.format(**detail.get('ctx', {}))}" if wanted else f"{detail['msg'][0].lower()}{detail['msg'][1:]}"
        message = f"{key}{shown}: {said}"
    number = line_of(text, [str(part) for part in detail["loc"]])
    return ConfigError(f"{path}:{number}: {message}", "mend that, then type: groundtune check")


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Return the keys that the table at ``location`` (less its last part) knows."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        if isinstance(model, type) and issubclass(model, Table) and part in model.model_fields:
            model = model.model_fields[part].annotation
        inner = [item for item in getattr(model, "__args__", ()) if isinstance(item, type) and issubclass(item, Table)]
        model = inner[0] if inner else model
    if not (isinstance(model, type) and issubclass(model, Table)):
        return []
    return sorted(field.alias or name for name, field in model.model_fields.items())


def line_of(text: str, location: list[str]) -> int:
    """Return the line (from 1) where a key stands in TOML text, or the nearest table above it; 1 when nothing fits."""
    best, depth = 1, 0
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[(\[)?\s*([^\]]+?)\s*\]", line)
        if header and not re.match(r"\s*[\w.\"-]+\s*=", line):
            name = header[2].replace('"', "").split(".")
            if header[1]:
                joined = ".".join(name)
                counts[joined] = counts.get(joined, -1) + 1
                name = [*name, str(counts[joined])]
            table, here = name, name
        else:
            key = re.match(r"\s*\"?([\w.-]+)\"?\s*=", line)
            if not key:
                continue
            here = [*table, *key[1].split(".")]
        matched = 0
        for mine, wanted in zip(here, location, strict=False):
            if mine != wanted:
                break
            matched += 1
        if matched == len(here) and matched > depth:
            best, depth = number, matched
    return best


def _cross_check(path: Path, text: str, settings: Settings) -> Iterator[ConfigError]:
    """Yield what no single field can see: names that refer to other tables."""

    def problem(location: list[str], message: str) -> ConfigError:
        return ConfigError(f"{path}:{line_of(text, location)}: {message}", "mend that, then type: groundtune check")

    seen: set[str] = set()
    for number, arm in enumerate(settings.arms):
        where = ["arms", str(number)]
        if arm.name in seen:
            yield problem([*where, "name"], f"arms.{number}.name is {arm.name!r}: two arms of one name")
        seen.add(arm.name)
        if arm.adapter is not None and arm.adapter not in settings.tuning:
            known = ", ".join(sorted(settings.tuning)) or "none"
            yield problem([*where, "adapter"], f"arms.{number}.adapter is {arm.adapter!r}: no such [tuning.*] table; known: {known}")
        if arm.whole_corpus and arm.retrieves:
            yield problem([*where, "whole_corpus"], f"arm {arm.name!r} both retrieves and takes the whole corpus; choose one")
        if arm.constrained and settings.examples.schema_file is None:
            yield problem([*where, "constrained"], f"arm {arm.name!r} is constrained, but [examples] names no schema")
    if settings.chunks.min_tokens > settings.chunks.max_tokens:
        message = f"chunks.min_tokens is {settings.chunks.min_tokens}: more than max_tokens ({settings.chunks.max_tokens})"
        yield problem(["chunks", "min_tokens"], message)
    if settings.chunks.unit == "child" and settings.chunks.parent_tokens < settings.chunks.max_tokens:
        message = f"chunks.parent_tokens is {settings.chunks.parent_tokens}: less than max_tokens ({settings.chunks.max_tokens})"
        yield problem(["chunks", "parent_tokens"], message)
    members, tokens = settings.access.sql, settings.access.tokens
    if members is not None and (members.url is None) == (members.url_env is None):
        yield problem(["access", "sql"], "access.sql: give either url or url_env")
    if tokens is not None and [tokens.jwks_file, tokens.jwks_url, tokens.secret_env].count(None) != 2:
        yield problem(["access", "tokens"], "access.tokens: give one of jwks_file, jwks_url and secret_env")
    arms = [arm.name for arm in settings.arms]
    for name, table in settings.tuning.items():
        for key, wrong in _misfits(name, table, settings):
            yield problem(["tuning", name, key], f"tuning.{name}.{key}: {wrong}")
        if table.teacher is not None and table.teacher not in arms:
            yield problem(["tuning", name, "teacher"], f"tuning.{name}.teacher is {table.teacher!r}: no such arm; known: {', '.join(arms)}")
    for number, source in enumerate(settings.sources):
        if source.name in [other.name for other in settings.sources[:number]]:
            yield problem(["sources", str(number), "name"], f"sources.{number}.name is {source.name!r}: two sources of one name")
    limits: dict[str, Sequence[LimitTable]] = {"gates": settings.rubric.gates, "stop": settings.rubric.stop}
    for part, gates in limits.items():
        for number, gate in enumerate(gates):
            if (gate.min is None) == (gate.max is None):
                yield problem(["rubric", part, str(number)], f"rubric.{part}.{number} ({gate.metric}): give either min or max")
    for number, rule in enumerate(settings.gates):
        if (rule.at_least is None) == (rule.at_most is None):
            yield problem(["gates", str(number)], f"gates.{number} ({rule.metric}): give either at_least or at_most")
        if rule.adapter is not None and rule.adapter not in settings.tuning:
            known = ", ".join(sorted(settings.tuning)) or "none"
            yield problem(["gates", str(number)], f"gates.{number}.adapter is {rule.adapter!r}: no such [tuning.*] table; known: {known}")


def _false_starts(name: str, table: TuningTable, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield why an adapter cannot begin from the one that it names."""
    if table.start is None:
        return
    before = settings.tuning.get(table.start)
    if before is None:
        yield "start", f"is {table.start!r}: no such [tuning.*] table; known: {', '.join(sorted(settings.tuning))}"
        return
    chain = [name]
    while before is not None and before.start is not None and before.start not in chain:
        chain.append(before.start)
        before = settings.tuning.get(before.start)
    if table.start == name or (before is not None and before.start is not None):
        yield "start", f"is {table.start!r}: tables that begin from each other have no beginning"
        return
    first = settings.tuning[table.start]
    if "full" in (table.method, first.method):
        yield "start", "is for adapters; with method full there is none"
        return
    for key in ("method", "rank", "alpha", "layers"):
        if getattr(table, key) != getattr(first, key):
            yield key, f"is {getattr(table, key)!r}, but {table.start!r}, from which it begins, has {getattr(first, key)!r}"


def _misfits(name: str, table: TuningTable, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the keys of a [tuning.*] table that contradict another, and why."""
    if table.objective != "sft":
        for key in ("packing", "replay", "teacher"):
            if getattr(table, key):
                yield key, f"is for objective sft, and the objective is {table.objective}"
    yield from _false_starts(name, table, settings)
    if table.objective != "kto":
        for key in ("desirable_weight", "undesirable_weight"):
            if getattr(table, key) != 1.0:
                yield key, f"is for objective kto, and the objective is {table.objective}"
    if table.teacher_answers is not None and table.teacher is None:
        yield "teacher_answers", "needs teacher, the arm that gave them"
    for arm in settings.arms:
        if arm.name == table.teacher and arm.adapter is not None:
            above = settings.tuning.get(arm.adapter)
            if arm.adapter == name or (above is not None and above.teacher is not None):
                yield "teacher", f"arm {arm.name!r} answers with an adapter that has a teacher itself, or with this very one"
