"""The folder of model versions → those that are whole and safe to load, and what is wrong with the others.

    .groundtune/models/
      hybrid-3f2a9c1e/   version.json, adapter_model.safetensors, …      → a version
      hybrid-77aa0b42/   adapter_model.safetensors, but no version.json  → trouble: half written
      reader-10ffee12/   adapter_model.bin                               → trouble: a pickle

Everything is looked at as bytes here; no weight file is opened before it has passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import GroundtuneError, HalfWritten, UnknownName, UnsafeWeights, WeightsError
from groundtune.files import known_sha256
from groundtune.models.tuned import RECORD
from groundtune.tuning.adapter import read_version
from groundtune.types import ModelVersion

# Suffixes under which pickled weights travel, and the first bytes of a pickle (protocol 2 and up) and of torch's zip form of one.
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz"})
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
# The header of a safetensors file is at most 100 MB: https://github.com/huggingface/safetensors#format
MOST_HEADER = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A folder that holds no usable version, and why."""

    folder: Path
    error: GroundtuneError


def folders(store: Path) -> list[Path]:
    """Return the folders of the store that are meant for versions, sorted; what begins with a dot is work in progress."""
    return sorted(path for path in store.iterdir() if path.is_dir() and not path.name.startswith(".")) if store.is_dir() else []


def survey(store: Path) -> tuple[list[ModelVersion], list[Trouble]]:
    """Return all versions that are whole, and what is wrong with the other folders."""
    found: list[ModelVersion] = []
    troubles: list[Trouble] = []
    for folder in folders(store):
        try:
            found.append(whole(folder))
        except GroundtuneError as error:
            troubles.append(Trouble(folder=folder, error=error))
    return sorted(found, key=lambda version: (version.name, version.made_at, version.id)), troubles


def folder_of(store: Path, version_id: str) -> Path:
    """Return where the version of that id lives, be it there or not."""
    return store / version_id.removeprefix("model:")


def named(store: Path, name: str) -> ModelVersion:
    """Return the version of that id, or of the one id that begins so, after looking at it in full.

    Raises ``UnknownName``, or what ``whole`` raises for the version that is meant.
    """
    return whole(meant(store, name))


def meant(store: Path, name: str) -> Path:
    """Return the folder of the version of that id, or of the one id that begins so. Raises ``UnknownName``."""
    known = {f"model:{folder.name}": folder for folder in folders(store)}
    begin = name if name.startswith("model:") else f"model:{name}"
    found = [begin] if begin in known else [item for item in known if item.startswith(begin)]
    if len(found) != 1:
        raise UnknownName.of("model version", name, list(known), "see what there is: groundtune models list")
    return known[found[0]]


def whole(folder: Path) -> ModelVersion:
    """Return the version in a folder: every file is recorded, and as it was recorded.

    A process that asks again hashes only files that are not the ones it hashed, by inode, size and times. Nothing is loaded.

    Raises ``HalfWritten``, ``UnsafeWeights`` or ``WeightsError``.
    """
    safe(folder)
    record = folder / RECORD
    if not record.is_file():
        raise HalfWritten(
            f"{folder}: holds no {RECORD}, so writing it was broken off", f"remove it (rm -r {folder}), then type: groundtune tune"
        )
    hint = f"remove the version (rm -r {folder}), then type: groundtune tune"
    try:
        row = json.loads(record.read_text(encoding="utf-8"))
        files: Mapping[str, Any] = row["files"]
        names = frozenset(files)
        version = read_version(folder)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{record}: is not a version's record ({error})", hint) from error
    if version is None:
        raise HalfWritten(f"{folder}: holds no {RECORD}, so writing it was broken off", hint)
    if version.id != f"model:{folder.name}":
        raise WeightsError(f"{record}: is the record of {version.id}, but lies in {folder.name}", hint)
    for path in sorted(folder.rglob("*")):
        # What a loader would take is known by name, and the file managers' own marks are not among it.
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.name.startswith(".") and name not in names and name != RECORD:
            raise WeightsError(
                f"{path}: came here after training: {RECORD} does not name it", f"remove it (rm {path}), then type: groundtune models list"
            )
    for name, wanted in sorted(files.items()):
        path = folder / name
        found = known_sha256(path) if path.is_file() else "no file"
        if found != wanted:
            raise WeightsError(f"{path}: sha256 {found[:16]}…, expected {str(wanted)[:16]}…", hint)
    return version


def safe(folder: Path) -> None:
    """Raise ``UnsafeWeights`` where a folder holds a pickle, a link, or a malformed safetensors file."""
    for path in sorted(folder.rglob("*")):
        why = _why_not(path)
        if why:
            raise UnsafeWeights(f"{path}: {why}; it was not opened", f"remove it (rm {path}), then type: groundtune models list")


def _why_not(path: Path) -> str | None:
    if path.is_symlink():
        return "is a link, and what it leads to may change"
    if not path.is_file():
        return None
    if path.suffix.lower() in PICKLES:
        return "is a pickle by its name, which could run code when it is loaded"
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(PICKLE_STARTS) and path.suffix.lower() != ".safetensors":
        return "begins as a pickle does, which could run code when it is loaded"
    return header_fault(path) if path.suffix.lower() == ".safetensors" else None


def header_fault(path: Path) -> str | None:
    """Return what is wrong with the header of a safetensors file, or ``None``.

    The form: eight bytes with the header's length, a JSON object of tensors with their offsets, the numbers without gap or overlap.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(MOST_HEADER, size - 8):
            return "is no safetensors file (its header does not fit into it)"
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError):
            return "is no safetensors file (its header is not JSON)"
    if not isinstance(header, dict):
        return "is no safetensors file (its header is not an object)"
    try:
        spans = sorted(_spans(header))
    except (KeyError, TypeError, ValueError):
        return "is no safetensors file (a tensor has no offsets)"
    reached = 0
    for begin, end in spans:
        if begin != reached or end < begin:
            return "is no safetensors file (its tensors overlap or leave gaps)"
        reached = end
    return None if reached == size - 8 - length else f"was cut short or added to ({size - 8 - length} bytes of numbers, {reached} expected)"


def _spans(header: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield int(begin), int(end)
