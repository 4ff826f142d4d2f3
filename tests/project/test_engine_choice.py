"""``groundtune ingest`` and ``ask`` on engines other than the default, by the settings that a user writes."""

import importlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

import groundtune as gt
from groundtune.cli.main import main
from groundtune.errors import StaleIndex
from groundtune.project.main import Project

CONFIG = """
[project]
name = "small"
owner = "the tests"

[answers]
instructions = "Answer from the passages."

[chat]
use = "scripted"
model = "script.json"

[embed]
use = "hashed"

[[arms]]
name = "rag"
retrieves = true

[index]
"""
TEXTS = {"cranes": ["crew"], "tides": ["crew", "office"], "wages": ["office"]}


def made(folder: Path, index: str) -> Path:
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    for name, readers in TEXTS.items():
        text = f"---\nreaders: {json.dumps(readers)}\n---\n# {name}\n\nEverything about {name} in the harbour, and how they are paid."
        (folder / "documents" / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "groundtune.toml").write_text(CONFIG.replace("script.json", str(folder / "script.json")) + index, encoding="utf-8")
    (folder / "access.toml").write_text('[principals]\nann = ["crew"]\nbob = ["office"]\n', encoding="utf-8")
    (folder / "script.json").write_text('{"": "As the passages say."}', encoding="utf-8")
    quote = "Everything about tides in the harbour"
    example = {
        "id": "one",
        "question": "What about tides?",
        "asker": "ann",
        "reply": {"answer": "All."},
        "evidence": [{"document": "tides.md", "quote": quote}],
        "split": "test",
        "split_group": "one",
    }
    (folder / "examples" / "one.jsonl").write_text(json.dumps(example) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(params=["memory", "pgvector", "qdrant", "chroma"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "pgvector":
        url = request.getfixturevalue("postgres")
        return f'engine = "pgvector"\nurl = "{url}"\nrole = "reader"\nnamespace = "choice"\n'
    if request.param != "memory":
        pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}[request.param])
    return f'engine = "{request.param}"\n'


def opened(folder: Path, before: Project | None = None) -> Project:
    """Open the project anew, as another command would; files that serve one process are closed, and memory is handed on."""
    project = gt.open(folder)
    if before is not None and project.settings.index.engine == "memory":
        project.__dict__["store"] = before.store
    elif before is not None:
        before.store.close()
    return project


def test_a_project_lives_on_any_engine(tmp_path: Path, engine: str) -> None:
    folder = made(tmp_path / "bot", engine)
    project = opened(folder)
    first = project.ingest()
    assert first.version is not None
    assert (first.version.added, first.version.documents, first.version.engine) == (3, 3, project.store.place)
    for asker, wanted in (("ann", {"cranes", "tides"}), ("bob", {"tides", "wages"})):
        answer = project.ask("What about cranes, tides and wages in the harbour?", arm="rag", asker=asker)
        assert {passage.chunk.title for passage in answer.passages} == wanted
    (folder / "documents" / "cranes.md").unlink()
    made_again = (folder / "documents" / "wages.md").read_text(encoding="utf-8").replace('["office"]', '["crew"]')
    (folder / "documents" / "wages.md").write_text(made_again, encoding="utf-8")
    later = opened(folder, project)
    second = later.ingest()
    assert second.version is not None
    assert (second.version.gone, second.version.restamped, second.version.unchanged) == (1, 1, 1)
    assert later.verify_index() == []
    answer = later.ask("What about cranes, tides and wages in the harbour?", arm="rag", asker="ann")
    assert {passage.chunk.title for passage in answer.passages} == {"tides", "wages"}
    last = opened(folder, later)
    unchanged = last.ingest().version
    assert unchanged is not None
    assert unchanged.unchanged == 2
    last.store.close()


def test_an_index_that_another_engine_holds_is_refused_until_it_is_built_there(tmp_path: Path) -> None:
    folder = made(tmp_path / "bot", 'engine = "lance"\n')
    gt.open(folder).ingest()
    toml = folder / "groundtune.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('engine = "lance"', 'engine = "memory"'), encoding="utf-8")
    project = gt.open(folder)
    with pytest.raises(StaleIndex, match="built in lance; the project now names memory"):
        project.ask("What about tides?", arm="rag", asker="ann")
    there = project.ingest().version
    assert there is not None
    assert there.engine == "memory"
    assert project.ask("What about tides?", arm="rag", asker="ann").passages


def test_an_unknown_engine_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path / "bot", 'engine = "elastic"\n')
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "-p", str(folder)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "unknown index plug-in 'elastic'; known: " in said and "lance" in said and "pgvector" in said


def test_every_engine_of_the_package_can_be_imported_without_its_server() -> None:
    path = Path(__file__).parents[2] / "pyproject.toml"
    points: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["entry-points"]["groundtune.index"]
    assert set(points) == {"lance", "memory", "pgvector", "qdrant", "chroma", "weaviate", "pinecone"}
    for target in points.values():
        module, name = target.split(":")
        assert callable(getattr(importlib.import_module(module), name))
