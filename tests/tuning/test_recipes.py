from pathlib import Path

import pytest

from groundtune import config
from groundtune.errors import ConfigError, Problems, StateError
from groundtune.tables import TuningTable
from groundtune.tuning.replay import SYSTEM, general, replayed

HEAD = """
[project]
name = "p"
owner = "o"

[answers]
instructions = "Reply."

[[arms]]
name = "prompt"

[[arms]]
name = "tuned"
adapter = "one"

[tuning.one]
"""


def loaded(folder: Path, table: str) -> config.Loaded:
    (folder / "groundtune.toml").write_text(HEAD + table)
    return config.load(folder)


@pytest.mark.parametrize("name", list(config.recipes()))
def test_every_recipe_is_a_table_that_stands_by_itself(name: str, tmp_path: Path) -> None:
    import tomllib

    text = config.recipes()[name]
    assert text.startswith("# ") and text.splitlines()[0].endswith(".")
    written = tomllib.loads(text)
    found = loaded(tmp_path, f'recipe = "{name}"')
    table = found.settings.tuning["one"]
    assert table == TuningTable(recipe=name, **written)
    for key in TuningTable.model_fields:
        wanted = "project" if key == "recipe" else "recipe" if key in written else "default"
        assert found.sources[f"tuning.one.{key}"] == wanted


def test_what_is_written_wins_over_the_recipe_and_the_environment_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE__TUNING__ONE__BATCH", "3")
    found = loaded(tmp_path, 'recipe = "gentle"\nrank = 4\nbatch = 2\n')
    table = found.settings.tuning["one"]
    assert (table.rank, table.batch, table.replay, table.patience) == (4, 3, 0.1, 3)
    sources = {key: found.sources[f"tuning.one.{key}"] for key in ("rank", "batch", "replay", "patience")}
    assert sources == {"rank": "project", "batch": "environment", "replay": "recipe", "patience": "default"}


def test_an_unknown_recipe_is_named_with_its_line_and_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"groundtune\.toml:17: tuning\.one\.recipe is 'foam'; known: .*form.*reader"):
        loaded(tmp_path, 'recipe = "foam"')


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('objective = "dpo"\npacking = true', "packing: is for objective sft"),
        ('objective = "orpo"\nreplay = 0.2', "replay: is for objective sft"),
        ('objective = "dpo"\nteacher = "prompt"', "teacher: is for objective sft"),
        ('teacher = "nobody"', "teacher is 'nobody': no such arm; known: prompt, tuned"),
        ('teacher = "tuned"', "answers with an adapter that has a teacher itself, or with this very one"),
        ('teacher_answers = "a.jsonl"', "needs teacher"),
        ("replay = 1.0", "less than 1"),
        ("undesirable_weight = 2.0", "undesirable_weight: is for objective kto, and the objective is sft"),
        ('objective = "kto"\nreplay = 0.2', "replay: is for objective sft"),
        ('method = "qlorra"', "'lora', 'qlora', 'dora' or 'full'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises((ConfigError, Problems)) as raised:
        loaded(tmp_path, table)
    assert said in raised.value.message


def test_replayed_rows_are_the_share_that_was_asked_for() -> None:
    for rows, share in ((90, 0.1), (10, 0.5), (400, 0.2)):
        found = replayed(rows, share, 7, instructions="Reply.")
        assert len(found) / (len(found) + rows) == pytest.approx(share, abs=0.01)
        assert found == replayed(rows, share, 7, instructions="Reply.")
        assert not any(row.document_ids for row in found)
    assert replayed(90, 0.1, 7, instructions="x") != replayed(90, 0.1, 8, instructions="x")
    assert len({row.example_id for row in replayed(400, 0.1, 7, instructions="x")}) == 44


def test_general_rows_are_many_and_none_comes_twice() -> None:
    rows = general()
    assert len(rows) >= 50
    assert len({row.messages[-1]["content"] for row in rows}) == len({row.example_id for row in rows}) == len(rows)
    assert all(row.completion.strip() == row.completion and row.completion for row in rows)


def test_general_rows_do_not_stand_under_the_prompt_of_the_project() -> None:
    with pytest.raises(StateError, match="under the very instructions of this project"):
        replayed(10, 0.1, 7, instructions=SYSTEM)
