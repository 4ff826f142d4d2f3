from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from made_project import CONFIG
from made_project import make_project as make_whole_project

from groundtune.errors import ConfigError
from groundtune.progress import Silent
from groundtune.project.main import Project

ROOT = Path(__file__).resolve().parents[2]


class Noting(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def make_project(folder: Path) -> None:
    # No chat model is loaded here, so none is made.
    (folder.parent / "tiny-model").mkdir(parents=True)
    make_whole_project(folder)


def opened(folder: Path, passages: str, progress: Noting | None = None) -> Project:
    made = folder / "project"
    if not made.is_dir():
        make_project(made)
    text = (made / "groundtune.toml").read_text()
    (made / "groundtune.toml").write_text(text.replace("[passages]\nlimit = 2\n", f"[passages]\nlimit = 2\n{passages}"))
    return Project(made, progress=progress)


def test_the_switches_of_the_file_reach_the_search(tmp_path: Path) -> None:
    make_project(tmp_path / "project")
    (tmp_path / "project" / "words.txt").write_text("breakwater, quay\n")
    project = opened(tmp_path, 'synonyms = "words.txt"\nfusion = "convex"\ndense_weight = 0.0\ndiversity = 0.2\n')
    project.ingest()
    found = project.retriever()("breakwater", project.principal("ana"), {})
    assert found[0].chunk.document_id == "document:quay.md"
    assert found[0].found_by["bm25"] == 1
    assert project.steps.identity != opened(tmp_path / "other", "").steps.identity


def test_a_filter_of_any_kind_reaches_the_index(tmp_path: Path) -> None:
    make_project(tmp_path / "project")
    for number, topic in enumerate(["crane", "quay", "pilot"]):
        page = tmp_path / "project" / "documents" / f"{topic}.md"
        page.write_text(page.read_text().replace("readers:", f'version: "4.{8 + number}"\nreaders:', 1))
    project = opened(tmp_path, "")
    project.ingest()
    ana = project.principal("ana")

    def documents(**filter: object) -> set[str]:
        found = project.retriever(limit=40)("crane quay pilot buoy", ana, filter)
        return {passage.chunk.document_id.removeprefix("document:") for passage in found}

    assert documents(version={"from": "4.9", "to": "4.10"}) == {"quay.md", "pilot.md"}
    assert documents(version=["4.8", "4.9"]) == {"crane.md", "quay.md"}
    assert not documents(version={"not": ["4.8", "4.9"]}) & {"crane.md", "quay.md", "keel.md"}


def test_a_missing_file_of_synonyms_is_named(tmp_path: Path) -> None:
    project = opened(tmp_path, 'synonyms = "words.txt"\n')
    with pytest.raises(ConfigError, match="words.txt: cannot be read"):
        _ = project.steps


def test_check_names_wrong_synonyms_and_an_unknown_reranker_before_anything_runs(tmp_path: Path) -> None:
    make_project(tmp_path / "project")
    (tmp_path / "project" / "words.txt").write_text("alone\n")
    project = opened(tmp_path, 'synonyms = "words.txt"\n\n[rerank]\nuse = "nonsense"\n')
    told = [problem.message for problem in project.check().problems]
    assert any("words.txt:1: one word alone" in message for message in told)
    assert any("unknown rerank plug-in 'nonsense'" in message for message in told)


def test_a_model_that_fails_to_write_queries_is_noted(tmp_path: Path) -> None:
    make_project(tmp_path / "project")
    (tmp_path / "project" / "script.json").write_text('{"never asked": "x"}')
    shown = Noting()
    text = (tmp_path / "project" / "groundtune.toml").read_text()
    script = tmp_path / "project" / "script.json"
    chat = text[text.index("[chat]") : text.index("[embed]")]
    (tmp_path / "project" / "groundtune.toml").write_text(text.replace(chat, f'[chat]\nuse = "scripted"\nmodel = "{script}"\n\n'))
    project = opened(tmp_path, "variants = 2\n", shown)
    project.ingest()
    assert project.retriever()("crane", project.principal("ana"), {})
    assert any(note.startswith("search: scripted failed") for note in shown.notes)


@pytest.mark.parametrize("kind", ["embed", "rerank", "chat", "loader"])
def test_every_plug_in_of_this_package_can_be_opened(kind: str) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][f"groundtune.{kind}"]
    for name, place in points.items():
        module, function = place.split(":")
        assert callable(getattr(import_module(module), function)), name


def test_the_config_of_these_tests_has_the_table_that_is_changed() -> None:
    assert "[passages]\nlimit = 2\n" in CONFIG
