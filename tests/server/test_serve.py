"""What serving needs: the extra, the options, and that nothing of it is loaded before."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from made_pages import logged, project

from groundtune.cli.main import main
from groundtune.errors import MissingExtra
from groundtune.server import serve

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["starlette", "uvicorn"])
def test_without_the_extra_the_error_names_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"{module} is not installed") as caught:
        serve.ready()
    assert "groundtune[serve]" in caught.value.hint


def test_the_extra_has_what_is_imported_and_its_versions_are_pinned() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"starlette", "uvicorn", "jinja2"}
    assert {name.partition(">")[0] for name in tables["project"]["optional-dependencies"]["serve"]} == needed
    assert needed <= {name.partition(">")[0] for name in tables["dependency-groups"]["dev"]}
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert needed | {"h11", "anyio", "markupsafe"} <= pinned


def test_the_verbs_load_no_web_stack_before_it_is_asked_for() -> None:
    heavy = "('starlette', 'uvicorn', 'jinja2')"
    code = f"import sys, groundtune.cli.examples, groundtune.cli.audit; print(*[m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["examples", "audit", "--web"], "--web: only with examples review"),
        (["examples", "review", "--port", "8000"], "--port: only with --web"),
        (["examples", "review", "--web", "--status", "draft", "--status", "rejected"], "begins with one --status"),
        (["examples", "review", "--web", "--row", "gone"], "unknown row 'gone'"),
        (["audit", "responses.jsonl", "--port", "8000"], "--port: only with --web"),
        (["audit", "responses.jsonl", "--web", "--report"], "not with --report or --propose"),
        (["audit", "responses.jsonl", "--web", "--labeller", " "], "the labeller's name is empty"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path / "p")
    logged(folder, [{"question": "q", "answer": "a"}])
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--progress", "silent"])
    assert ended.value.code == 2 and says in capsys.readouterr().err
