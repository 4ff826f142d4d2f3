"""Versions of full tuning through the registry: they are listed, measured, switched and exported as adapters are."""

import json
import shutil
from pathlib import Path

import pytest
from made_project import make_project
from safetensors.torch import load_file, save_file
from test_models import DEV, TRAIN, settings, write

import groundtune as gt
from groundtune.errors import ExportRefused, OtherTemplate, StateError, WeightsError
from groundtune.registry.export import verify

FULL = {"epochs = 1\nrank = 2": 'epochs = 1\nmethod = "full"\nlearning_rate = 1e-3\nrank = 2'}
FULL_TWICE = {"epochs = 1\nrank = 2": 'epochs = 2\nmethod = "full"\nlearning_rate = 1e-3\nrank = 2'}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions of full tuning, both compared; the first is live."""
    import torch

    torch.set_num_threads(1)
    folder = make_project(tmp_path_factory.mktemp("whole") / "small")
    path = folder / "examples/all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["split"] = "dev" if row["split_group"] in DEV else "train" if row["split_group"] in TRAIN else "test"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(folder, settings(**FULL))
    project = gt.open(folder)
    [first] = project.tune(["closed"])
    project.models.compare(first.id)
    assert project.models.promote(first.id, by="ana", why="the first").done
    write(folder, settings(**FULL_TWICE))
    project = gt.open(folder)
    [second] = project.tune(["closed"])
    project.models.compare(second.id)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent, tmp_path / "copy")
    write(tmp_path / "copy/small", settings(**FULL_TWICE))
    return tmp_path / "copy/small"


def both(project: gt.Project) -> tuple[str, str]:
    """Return the ids of the first and the second version."""
    found, troubles = project.models.listed()
    assert troubles == []
    first, second = sorted(found, key=lambda item: item.version.metrics["steps"])
    return first.version.id, second.version.id


def test_a_whole_model_is_compared_promoted_rolled_back_and_retired(folder: Path) -> None:
    project = gt.open(folder)
    first, second = both(project)
    assert project.models.show(first)["stage"] == "live" and project.models.show(first)["rows"] == 15
    found, outcomes = project.models.compare(second)
    cell = {(e.metric, e.arm, e.versus): e for e in found.estimates}
    assert found.against == first and found.differences == () and cell["parity", "candidate", None].value == 1.0
    assert cell["extracted", "candidate", None].n == 15 and all(outcome.passed for outcome in outcomes)
    assert project.ask("How often is the rope checked?", arm="tuned", asker="ana").model == first
    assert project.models.promote(second, by="ben", why="better").was == first
    assert project.models.rollback("closed", by="cleo", why="worse").id == first
    project.models.retire(second, by="cleo", why="leaks")
    with pytest.raises(StateError, match="is retired"):
        project.models.promote(second, by="ben", why="once more")


@pytest.mark.parametrize(("form", "kind"), [("merged", "float32"), ("gguf", "f32")])
def test_a_whole_model_is_exported_as_it_answers(folder: Path, form: str, kind: str) -> None:
    project = gt.open(folder)
    first, _ = both(project)
    done = project.models.export(first, form=form, target=folder / "out", kind=kind, by="ben", why="pilot")  # type: ignore[arg-type]
    assert done.differences == () and done.prompts == 12 and verify(folder / "out")["version"]["id"] == first
    assert project.models.history()[-1].verb == "export"
    if form == "merged":
        mine = load_file(str(folder / ".groundtune/models" / first.removeprefix("model:") / "model.safetensors"))
        theirs = load_file(str(folder / "out/model.safetensors"))
        assert mine.keys() == theirs.keys() and all(bool((mine[name] == theirs[name]).all()) for name in mine)


def test_a_whole_model_is_no_adapter_to_export(folder: Path) -> None:
    project = gt.open(folder)
    first, _ = both(project)
    with pytest.raises(ExportRefused, match="was tuned in full: its weights are a whole model") as raised:
        project.models.export(first, form="adapter", target=folder / "out", kind="float32", by="ben", why="x")
    assert "--as merged" in raised.value.hint and not (folder / "out").exists()


def test_a_whole_model_whose_files_were_changed_is_refused(folder: Path) -> None:
    project = gt.open(folder)
    first, _ = both(project)
    place = folder / ".groundtune/models" / first.removeprefix("model:")
    listed = json.loads((place / "version.json").read_text())["files"]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(listed) and all(len(mark) == 64 for mark in listed.values())
    config = (place / "config.json").read_text()
    (place / "config.json").write_text(config + " ")
    with pytest.raises(WeightsError, match=r"config\.json: sha256"):
        gt.open(folder).ask("How?", arm="tuned", asker="ana")
    (place / "config.json").write_text(config)
    tensors = load_file(str(place / "model.safetensors"))
    save_file({name: value * 1.01 for name, value in tensors.items()}, str(place / "model.safetensors"), {"format": "pt"})
    with pytest.raises(WeightsError, match=r"model\.safetensors: sha256"):
        gt.open(folder).ask("How?", arm="tuned", asker="ana")
    _, [trouble] = gt.open(folder).models.listed()
    assert isinstance(trouble.error, WeightsError)


def test_a_base_with_another_template_is_refused_for_every_use(folder: Path) -> None:
    project = gt.open(folder)
    first, second = both(project)
    place = folder / ".groundtune/models" / second.removeprefix("model:")
    record = json.loads((place / "version.json").read_text())
    record["version"]["template_hash"] = "0123456789abcdef"
    (place / "version.json").write_text(json.dumps(record))
    with pytest.raises(OtherTemplate, match="was tuned under the chat template 0123456789abcdef"):
        gt.open(folder).models.promote(second, by="ben", why="x")
    with pytest.raises(OtherTemplate):
        gt.open(folder).models.export(second, form="merged", target=folder / "out", kind="float32", by="ben", why="x")
