import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import groundtune
from groundtune import errors

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = [
    "Answer", "Arm", "Chunk", "Decision", "Document", "Estimate", "Example", "GroundtuneError", "ModelVersion",
    "Passage", "Principal", "Project", "Release", "Run", "Score", "open",
]  # fmt: skip


def test_the_public_names_are_these_and_at_most_twenty() -> None:
    assert groundtune.__all__ == PUBLIC
    assert len(PUBLIC) <= 20


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(groundtune, name).__module__.startswith("groundtune.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        groundtune.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "code",
    ["import groundtune", "from groundtune.cli.main import group; group.main(['--help'], standalone_mode=False)"],
    ids=["import", "help"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    heavy = {"torch", "transformers", "numpy", "fastapi", "lancedb", "pyarrow", "pydantic", "onnxruntime", "httpx"}
    script = f"import sys\n{code}\nprint('LOADED', *sorted(m for m in {heavy!r} if m in sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.rsplit("LOADED", 1)[1].split() == []


def all_errors() -> list[type[errors.GroundtuneError]]:
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in kinds if issubclass(kind, errors.GroundtuneError) and kind is not errors.Problems]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_is_two_lines_and_in_the_drawn_tree(kind: type[errors.GroundtuneError]) -> None:
    assert str(kind("what is wrong", "type: groundtune check")).splitlines() == ["what is wrong", "type: groundtune check"]
    assert kind.__name__ in (errors.__doc__ or "")


def test_problems_lists_them_all() -> None:
    several = errors.Problems([errors.ConfigError("first", "a"), errors.DocumentError("second", "b")])
    assert "2 problems" in several.message
    assert "first" in several.message and "second" in several.message


def test_every_import_layer_of_the_contract_exists() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    there = {path.stem if path.suffix else path.name for path in (ROOT / "src/groundtune").iterdir() if not path.name.startswith("__")}
    assert there - {"py"} <= named | {"py"}
