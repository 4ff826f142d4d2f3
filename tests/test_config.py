from pathlib import Path

import pytest

from groundtune import config, tables
from groundtune.errors import ConfigError, Problems

MINIMAL = """
[project]
name = "p"
owner = "o"

[answers]
instructions = "Answer."

[[arms]]
name = "prompt"
"""


def written(folder: Path, text: str) -> Path:
    (folder / "groundtune.toml").write_text(text)
    return folder


def test_a_minimal_file_is_enough_and_says_where_each_value_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE__CHAT__BATCH", "3")
    loaded = config.load(written(tmp_path, MINIMAL))
    assert loaded.settings.chat.batch == 3
    assert loaded.sources["chat.batch"] == "environment"
    assert loaded.sources["project.name"] == "project"
    assert loaded.sources["passages.limit"] == "default"
    assert loaded.sources["arms.0.name"] == "project"
    assert {key for key, _ in config.leaves(loaded.settings)} == set(loaded.sources)


def test_all_problems_are_reported_at_once_with_line_key_and_what_is_allowed(tmp_path: Path) -> None:
    text = MINIMAL + '\n[passages]\nlimit = 0\nlimits = 3\n\n[chat]\ndtype = "int4"\n'
    with pytest.raises(Problems) as caught:
        config.load(written(tmp_path, text))
    lines = text.splitlines()
    messages = [problem.message for problem in caught.value.problems]
    assert len(messages) == 3
    by_key = {message.split(": ")[1].split(" ")[0]: message for message in messages}
    assert f":{lines.index('limit = 0') + 1}:" in by_key["passages.limit"]
    assert "greater than or equal to 1" in by_key["passages.limit"]
    assert f":{lines.index('limits = 3') + 1}:" in by_key["passages.limits"]
    known = ", ".join(sorted(tables.PassagesTable.model_fields))
    assert f"known here: candidates, {known.removeprefix('candidates, ')}" in by_key["passages.limits"]
    assert "'auto', 'float32' or 'bfloat16'" in by_key["chat.dtype"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + '\n[[arms]]\nname = "prompt"\n', "two arms of one name"),
        (MINIMAL + '\n[[arms]]\nname = "tuned"\nadapter = "x"\n', "no such [tuning.*] table; known: none"),
        (MINIMAL + '\n[[arms]]\nname = "both"\nretrieves = true\nwhole_corpus = true\n', "both retrieves and takes the whole corpus"),
        (MINIMAL + '\n[[arms]]\nname = "json"\nconstrained = true\n', "[examples] names no schema"),
        (MINIMAL + "\n[chunks]\nmax_tokens = 50\nmin_tokens = 60\n", "more than max_tokens (50)"),
        (MINIMAL + '\n[chunks]\nunit = "child"\nmax_tokens = 50\nmin_tokens = 9\nparent_tokens = 40\n', "less than max_tokens (50)"),
        (MINIMAL + "\n[examples]\nnear = 0\n", "greater than 0"),
        (MINIMAL + '\n[[rubric.gates]]\nmetric = "valid_json"\n', "give either min or max"),
        (MINIMAL.replace('owner = "o"', ""), "project.owner: missing"),
        ("[project\n", "not TOML"),
    ],
)
def test_one_problem_is_one_error_that_names_the_file(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(written(tmp_path, text))
    assert expected in caught.value.message
    assert str(tmp_path / "groundtune.toml") in caught.value.message
    assert caught.value.hint.endswith("groundtune check")


def test_a_missing_folder_and_a_folder_without_a_project_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        config.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds no groundtune.toml"):
        config.load(tmp_path)


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "groundtune.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 5"):
        config.load(tmp_path)


def test_the_line_of_a_key_in_the_second_arm_is_found() -> None:
    text = '[[arms]]\nname = "a"\n\n[[arms]]\nname = "b"\nshots = 99\n'
    assert config.line_of(text, ["arms", "1", "shots"]) == 6
    assert config.line_of(text, ["arms", "0", "name"]) == 2
    assert config.line_of(text, ["nowhere"]) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[access.sql]\nquery = "SELECT 1, 2"\n', "access.sql: give either url or url_env"),
        ('[access.sql]\nquery = "SELECT 1, 2"\nurl = "a"\nurl_env = "B"\n', "access.sql: give either url or url_env"),
        ('[access.tokens]\nissuer = "i"\naudience = "a"\n', "access.tokens: give one of jwks_file, jwks_url and secret_env"),
        (
            '[access.tokens]\nissuer = "i"\naudience = "a"\njwks_file = "k"\njwks_url = "https://i/k"\n',
            "access.tokens: give one of jwks_file, jwks_url and secret_env",
        ),
        ('[access.tokens]\nissuer = ""\naudience = "a"\njwks_file = "k"\n', "access.tokens.issuer"),
        ('[access.tokens]\nissuer = "i"\naudience = "a"\njwks_file = "k"\nalgorithms = ["none"]\n', "unknown key"),
    ],
)
def test_who_asks_is_said_in_one_way(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.load(written(tmp_path, MINIMAL + more))
