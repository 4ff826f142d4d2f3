"""A project's runs beside plain tuning: a teacher's answers, preferences, general rows, plans, previews, exports, whole models."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_project import make_project

import groundtune as gt
from groundtune.cli.tune import command
from groundtune.errors import ExampleError, InputError, StateError, UnknownName
from groundtune.files import write_lines
from groundtune.project.tune import job_for, preview, rows_for, told
from groundtune.project.tune_export import export
from groundtune.types import Answer, Example, Seconds

MORE = """
[tuning.pupil]
readers = ["everyone"]
teacher = "rag"
teacher_answers = "teacher.jsonl"
teacher_min = 0.9
epochs = 1

[tuning.general]
recipe = "gentle"
readers = ["everyone"]
rank = 2
epochs = 1
replay = 0.5

[tuning.whole]
readers = ["everyone"]
method = "full"
epochs = 1
learning_rate = 1e-3

[tuning.liked]
recipe = "dpo"
readers = ["everyone"]
preferences = "liked.jsonl"
rank = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = make_project(tmp_path_factory.mktemp("kinds") / "small")
    text = (place / "groundtune.toml").read_text()
    (place / "groundtune.toml").write_text(text.replace("[[arms]]", MORE + "\n[[arms]]", 1))
    common = {"as": "ana", "chosen": "weekly", "rejected": "no", "status": "approved"}
    liked = [{"id": f"l{number}", "question": f"how often {number}", **common} for number in range(12)]
    write_lines(place / "liked.jsonl", liked)
    return place


def answer(example: Example, text: str, **change: object) -> Answer:
    fields = {
        "id": f"answer:{example.id}", "question": example.question, "asker": example.asker, "arm": "rag", "text": text,
        "said": json.loads(text)["answer"], "reply": json.loads(text), "quoted": "", "cited": (), "refused": False, "fallback": False,
        "passages": (), "model": "model:x", "prompt_hash": "p", "prompt_tokens": 1, "completion_tokens": 1, "seconds": Seconds(),
        "cost": 0.0, "example_id": example.id,
    }  # fmt: skip
    return Answer(**{**fields, **change})  # type: ignore[arg-type]


def test_only_answers_that_passed_are_learned(folder: Path) -> None:
    project = gt.open(folder)
    train = project.content.split("train")
    good, bad, failed, unfound, *rest = [example for example in train if example.answerable]
    refuse, made_up = [example for example in train if not example.answerable][:2]

    def said(example: Example) -> str:
        return json.dumps({"answer": example.reply["answer"], "quote": ""})

    answers = [
        answer(good, said(good)),
        answer(bad, '{"answer": "something else", "quote": ""}'),
        answer(failed, said(failed), failure="timed out"),
        answer(unfound, said(unfound), quoted="never written"),
        answer(refuse, said(refuse), refused=True),
        answer(made_up, '{"answer": "of course", "quote": ""}'),
        *(answer(example, said(example), arm="prompt") for example in rest),
    ]
    write_lines(folder / "teacher.jsonl", answers)
    found = rows_for(project, "pupil")
    assert {row.example_id: row.completion for row in found.rows} == {good.id: said(good), refuse.id: said(refuse)}
    assert found.left_out["the teacher has no answer to it that passed"] == len(train) - 2


def test_a_teacher_of_test_questions_is_refused(folder: Path) -> None:
    project = gt.open(folder)
    example = project.content.split("test")[0]
    write_lines(folder / "teacher.jsonl", [answer(example, '{"answer": "x", "quote": ""}')])
    with pytest.raises(InputError, match=r"teacher\.jsonl:1: answers .*, which is not a training question"):
        rows_for(project, "pupil")
    (folder / "teacher.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"teacher\.jsonl:1: is no answer"):
        rows_for(project, "pupil")
    (folder / "teacher.jsonl").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        rows_for(project, "pupil")


def test_a_teacher_is_asked_once(folder: Path) -> None:
    from groundtune.project.teach import taught_by

    project = gt.open(folder)
    recipe = project.settings.tuning["pupil"].model_copy(update={"teacher": "prompt", "teacher_answers": None, "teacher_min": 0.0})
    first = taught_by(project, recipe)
    project.chat.complete = None  # type: ignore[assignment]
    assert taught_by(project, recipe) == first
    with pytest.raises(UnknownName, match="unknown metric 'bleurt'"):
        taught_by(project, recipe.model_copy(update={"teacher_metric": "bleurt"}))


def test_general_rows_are_mixed_in_and_bind_nobody(folder: Path) -> None:
    found = rows_for(gt.open(folder), "general")
    general = [row for row in found.rows if row.example_id.startswith("general:")]
    assert len(general) * 2 == len(found.rows) and found.readers == {"everyone"}


def test_settings_are_told_by_where_they_are_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE__TUNING__GENERAL__PATIENCE", "5")
    lines = told(job_for(gt.open(folder), "general"))
    assert lines[0] == "from the environment: patience = 5"
    assert "rank = 2" in lines[1] and lines[1].startswith("written here: recipe = 'gentle'")
    assert "batch = 8" in lines[2] and lines[2].startswith("from the recipe: ")
    assert "warmup = 0.1" in lines[3] and lines[3].startswith("default: ")


def test_pairs_and_whole_models_are_tuned_and_kept_with_what_they_took(folder: Path) -> None:
    project = gt.open(folder)
    for version, file in zip(project.tune(["liked", "whole"]), ("adapter_model.safetensors", "model.safetensors"), strict=True):
        place = Path(str(version.adapter_path))
        row = json.loads((place / "version.json").read_text())
        assert row["weights"] == file and (place / file).is_file() and row["version"]["template_hash"]
        assert row["sources"]["rank"] == ("project" if version.name == "liked" else "default")
        assert version.metrics["peak_bytes"] > 0 and version.metrics["estimated_bytes"] > 0
        assert version.metrics["estimated_seconds"] >= 0
    assert project.tune(["whole"])[0].id == version.id
    assert (place / "tokenizer.json").is_file()
    assert set(project.versions()) == {"liked", "whole"}
    history = json.loads((project.state / "models" / json_folder(project, "liked") / "history.json").read_text())
    assert all({"step", "loss"} <= set(item) for item in history)


def json_folder(project: gt.Project, name: str) -> str:
    return next(path.parent.name for path in (project.state / "models").glob(f"{name}-*/version.json"))


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_pairs_and_ratings_that_ask_what_arms_are_compared_by_are_refused(folder: Path, objective: str) -> None:
    held = gt.open(folder).content.split("test")[0]
    common = {"as": "ana", "chosen": "weekly", "rejected": "no"}
    asked = {"same": held.question.upper() + "?", "other": "how deep is it"}
    place = folder / f"seen-{objective}.jsonl"
    write_lines(place, [{"id": name, "question": question, **common} for name, question in asked.items()])
    table = f'[tuning.seen]\nobjective = "{objective}"\nreaders = ["everyone"]\npreferences = "{place.name}"\nrank = 2\n\n'
    text = (folder / "groundtune.toml").read_text()
    try:
        (folder / "groundtune.toml").write_text(text.replace("[[arms]]", table + "[[arms]]", 1))
        with pytest.raises(ExampleError, match=rf"leak: 1 of 2 ask what .* such as same and {held.id} \(test\)"):
            rows_for(gt.open(folder), "seen")
        write_lines(place, [{"id": name, "question": q, **common, "status": "rejected"} for name, q in asked.items() if name == "same"])
        with place.open("a") as stream:
            stream.write(json.dumps({"id": "other", "question": asked["other"], **common}) + "\n")
        assert {row.example_id for row in rows_for(gt.open(folder), "seen").rows} == {"other"}
    finally:
        (folder / "groundtune.toml").write_text(text)


def test_too_little_memory_is_told_before_anything_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundtune.models import memory
    from groundtune.tuning import methods

    monkeypatch.setattr(memory, "free", lambda: (1000, "in memory"))
    monkeypatch.setattr(methods, "load", lambda *given: pytest.fail("weights were read"))
    with pytest.raises(StateError, match=r"tuning closed needs about .* GB more, and 0\.0 GB are free in memory"):
        gt.open(folder).tune(["closed"])


def test_a_preview_of_pairs_shows_both_replies_with_their_loss(folder: Path) -> None:
    chosen, rejected = preview(gt.open(folder), "liked", 1)
    assert "".join(text for text, carries in chosen if carries) == "weekly<|im_end|>"
    assert "".join(text for text, carries in rejected if carries) == "no<|im_end|>"
    assert "".join(text for text, carries in chosen if not carries) == "".join(text for text, carries in rejected if not carries)


def test_the_verb_plans_lists_recipes_and_exports(folder: Path) -> None:
    run = CliRunner().invoke
    plan = run(command, ["general", "--plan", "-p", str(folder)])
    assert plan.exit_code == 0, plan.output
    assert "from the recipe: " in plan.output and "weights trained; about" in plan.output
    told_json = json.loads(run(command, ["general", "--plan", "--json", "-p", str(folder), "--progress", "silent"]).stdout)
    assert told_json["general"]["sources"]["batch"] == "recipe" and told_json["general"]["plan"]["steps"] > 0
    listed = run(command, ["--recipes"])
    assert 'recipe = "reader"' in listed.output
    axolotl = run(command, ["general", "--export", "axolotl", "-p", str(folder)])
    assert axolotl.exit_code == 0 and (folder / "exports/general-axolotl/axolotl.yml").is_file()
    hosted = run(command, ["general", "--export", "openai", "-p", str(folder)])
    assert hosted.exit_code == 0 and "hosted tuning can be withdrawn" in hosted.stderr and "readable by everyone" in hosted.stderr
    assert run(command, ["general", "--submit", "-p", str(folder)]).exit_code == 2


def test_an_export_names_the_layers_that_were_found(folder: Path) -> None:
    done = export(gt.open(folder), "liked", "axolotl")
    assert "q_proj" in done.files[0].read_text() and "rl: dpo" in done.files[0].read_text()
