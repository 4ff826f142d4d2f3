"""An adapter that begins from another: weights, order, lineage, readers, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from made_project import make_project
from safetensors.torch import load_file

import groundtune as gt
from groundtune.errors import ConfigError, Problems, StateError
from groundtune.files import write_lines
from groundtune.project import curve
from groundtune.project.tune import job_for
from groundtune.project.tune_export import export
from groundtune.tuning.rows import Row, TrainSet
from groundtune.tuning.trainset import after
from groundtune.types import Estimate

TABLES = """
[tuning.form]
readers = ["everyone"]
rank = 2
epochs = 1

[tuning.reading]
start = "form"
readers = ["everyone"]
passages = true
rank = 2
epochs = 1
learning_rate = 1e-12

[tuning.liked]
start = "form"
recipe = "dpo"
readers = ["everyone"]
preferences = "liked.jsonl"
rank = 2
alpha = 32
"""


def made(folder: Path, tables: str = TABLES) -> Path:
    place = make_project(folder / "small")
    text = (place / "groundtune.toml").read_text()
    (place / "groundtune.toml").write_text(text.replace("[[arms]]", tables + "\n[[arms]]", 1))
    common = {"as": "ana", "chosen": "weekly", "rejected": "no", "status": "approved"}
    write_lines(place / "liked.jsonl", [{"id": f"l{number}", "question": f"how often {number}", **common} for number in range(6)])
    return place


def test_it_has_the_weights_the_documents_and_the_lineage_of_what_it_began_from(tmp_path: Path) -> None:
    project = gt.open(made(tmp_path))
    project.ingest()
    reading, liked = project.tune(["reading", "liked"])
    form = project.versions()["form"]
    assert reading.started_from == liked.started_from == form.id
    assert form.started_from is None
    assert set(form.document_ids) <= set(reading.document_ids)
    assert set(form.document_ids) <= set(liked.document_ids)
    first = load_file(str(Path(str(form.adapter_path)) / "adapter_model.safetensors"))
    # At this learning rate a run leaves the weights as they were.
    then = load_file(str(Path(str(reading.adapter_path)) / "adapter_model.safetensors"))
    assert all(first[name].allclose(then[name], atol=1e-7) for name in first)
    assert any(bool(first[name].any()) for name in first if "lora_B" in name), "an adapter that learned nothing shows nothing"
    card = (Path(str(reading.adapter_path)) / "README.md").read_text()
    assert form.id in card
    assert json.loads((Path(str(reading.adapter_path)) / "version.json").read_text())["version"]["started_from"] == form.id


def test_another_beginning_is_another_adapter(tmp_path: Path) -> None:
    place = made(tmp_path)
    gt.open(place).ingest()
    before = job_for(gt.open(place), "reading")
    text = (place / "groundtune.toml").read_text()
    (place / "groundtune.toml").write_text(text.replace("[tuning.form]\n", "[tuning.form]\nwarmup = 0.2\n"))
    after_change = job_for(gt.open(place), "reading")
    assert before.key != after_change.key
    assert before.rows.fingerprint == after_change.rows.fingerprint


def test_the_one_before_must_be_unchanged(tmp_path: Path) -> None:
    project = gt.open(made(tmp_path))
    project.ingest()
    [form] = project.tune(["form"])
    weights = Path(str(form.adapter_path)) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(gt.errors.WeightsError, match="sha256"):
        gt.open(project.folder).tune(["reading"])


def test_nobody_who_may_not_read_what_was_learned_first_is_a_reader() -> None:
    def rows(readers: list[str], documents: list[str]) -> TrainSet:
        row = Row(example_id="e", messages=(), completion="x", document_ids=tuple(documents))
        return TrainSet(rows=(row,), left_out={}, readers=frozenset(readers), document_ids=tuple(documents))

    both = after(rows(["a", "b"], ["document:2"]), rows(["b", "c"], ["document:1"]))
    assert both.readers == frozenset(["b"])
    assert both.document_ids == ("document:1", "document:2")
    with pytest.raises(StateError, match="nobody could read this adapter"):
        after(rows(["a"], []), rows(["c"], []))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ('start = "form"\nreaders', 'start = "from"\nreaders'),
            r"tuning\.reading\.start: is 'from': no such \[tuning\.\*\] table; known: closed, form, liked, reader, reading",
        ),
        (
            ('start = "form"\nreaders', 'start = "reading"\nreaders'),
            r"tuning\.reading\.start: is 'reading': tables that begin from each other have no beginning",
        ),
        (
            ("[tuning.form]\n", '[tuning.form]\nstart = "reading"\n'),
            r"tuning\.form\.start: is 'reading': tables that begin from each other have no beginning",
        ),
        (
            ("passages = true\nrank = 2", "passages = true\nrank = 4"),
            r"tuning\.reading\.rank: is 4, but 'form', from which it begins, has 2",
        ),
        (("[tuning.form]\n", '[tuning.form]\nmethod = "full"\n'), r"tuning\.reading\.start: is for adapters"),
    ],
)
def test_what_cannot_begin_so_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises((ConfigError, Problems)) as raised:
        gt.open(made(tmp_path, TABLES.replace(*change)))
    assert re.search(rf"groundtune\.toml:\d+: {said}", str(raised.value))


@pytest.mark.parametrize("form", ["axolotl", "openai"])
def test_an_export_would_not_begin_there_and_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(StateError, match="begins from form"):
        export(gt.open(made(tmp_path)), "liked", form)  # type: ignore[arg-type]


def test_what_the_one_before_learned_is_tried_for_extraction_and_without_its_rows_no_gate_is_passed(tmp_path: Path) -> None:
    """Its rows are in the weights: they could come out, although the version's own rows do not hold them."""
    project = gt.open(made(tmp_path))
    [liked] = project.tune(["liked"])
    form = project.versions()["form"]

    def extracted() -> tuple[Estimate, bool]:
        models = gt.open(project.folder).models
        found, outcomes = models.compare(liked.id)
        [estimate] = [item for item in found.estimates if item.metric == "extracted"]
        [outcome] = [outcome for outcome in outcomes if outcome.gate.metric == "extracted"]
        return estimate, outcome.passed

    own, before = (len((Path(str(v.adapter_path)) / "rows.jsonl").read_text().splitlines()) for v in (liked, form))
    estimate, passed = extracted()
    assert before > 9 and (estimate.state, estimate.n, passed) == ("measured", own + before, True)

    # Whoever takes the one before out of service is told where its rows are as well.
    assert project.models.retire(form.id, by="ana", why="a row had to be withdrawn").after == (liked.id,)

    place = Path(str(form.adapter_path))
    place.rename(place.with_name(".away"))
    estimate, passed = extracted()
    assert (estimate.state, passed) == ("failed", False) and form.id in estimate.reason
    place.with_name(".away").rename(place)
    assert extracted()[1]


def test_a_part_of_a_curve_begins_there_too_and_holds_its_documents(tmp_path: Path) -> None:
    place = made(tmp_path, TABLES.replace('preferences = "liked.jsonl"', 'preferences = "liked.jsonl"\nmax_rows = 4'))
    project = gt.open(place)
    form = job_for(project, "form")
    planned = curve.plan(project, "liked")
    assert [step.rows for step in planned.steps] == [1, 2, 4]
    for step in planned.steps:
        assert set(form.rows.document_ids) <= set(step.job.rows.document_ids) and step.job.rows.readers == {"everyone"}
    keys = {step.job.key for step in planned.steps}
    text = (place / "groundtune.toml").read_text()
    (place / "groundtune.toml").write_text(text.replace("[tuning.form]\n", "[tuning.form]\nwarmup = 0.2\n"))
    assert not keys & {step.job.key for step in curve.plan(gt.open(place), "liked").steps}
    # The one before is made first, as tune does.
    assert [version.name for version in [curve.tune.made_after(gt.open(place), planned.steps[0].job)]] == ["liked"]
