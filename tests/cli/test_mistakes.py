"""What people type wrongly in their first hour: each mistake is named where it is, and the next thing to type works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from groundtune.annex import Grid
from groundtune.cli.common import grid
from groundtune.cli.main import main
from groundtune.errors import meant
from groundtune.project.starter import create

Said = tuple[int, str, str]


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A new project as ``init`` makes it, with the embedder that needs no weights."""
    folder = tmp_path / "bot"
    create(folder)
    added(folder, '[embed]\nuse = "hashed"\n')
    return folder


@pytest.fixture
def said(bot: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a verb on that project; return its exit code, stdout and stderr."""

    def run(*words: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main([*words, "-p", str(bot)])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def added(folder: Path, text: str) -> None:
    with (folder / "groundtune.toml").open("a", encoding="utf-8") as stream:
        stream.write(f"\n{text}")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[index]\nengine = "lanse"\n', "unknown index plug-in 'lanse'; did you mean 'lance'?; known: "),
        ('[rerank]\nuse = "minlm"\n', "unknown rerank plug-in 'minlm'; did you mean 'minilm'?; known: "),
        ('[chat]\nuse = "endpoints"\n', "unknown chat plug-in 'endpoints'; did you mean 'endpoint'?; known: "),
        ('[chat]\nuse = "endpoint"\nmodel = "m"\n', "chat.base_url is ''; expected http:// or https://"),
        ('[chat]\nuse = "endpoint"\nbase_url = "http://localhost:9/v1"\nkey_env = "NO_SUCH_KEY"\n', "chat.key_env names NO_SUCH_KEY"),
        ('[chat]\nmodel = "./models/none"\n', "chat.model: ./models/none: no such model folder"),
        ('[judge]\nuse = "endpoint"\nmodel = "m"\n', "judge.base_url is ''"),
    ],
)
def test_check_says_what_would_stop_the_first_verb_that_opens_a_model(
    bot: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    added(bot, text)
    code, _, error = said("check")
    assert code == 2
    assert words in error and "Traceback" not in error


def test_check_names_an_embedder_that_does_not_exist(bot: Path, said: Callable[..., Said]) -> None:
    changed(bot / "groundtune.toml", 'use = "hashed"', 'use = "hashd"')
    code, _, error = said("check")
    assert code == 2 and "unknown embed plug-in 'hashd'; did you mean 'hashed'?" in error


def test_a_model_that_only_the_hub_may_have_is_a_warning(bot: Path, said: Callable[..., Said]) -> None:
    added(bot, '[chat]\nmodel = "smollm2-135m-instrukt"\n')
    code, printed, _ = said("check")
    assert code == 0
    assert "warning: chat.model 'smollm2-135m-instrukt' is no embedded model and no folder here" in printed


def test_check_warns_of_readers_that_are_nobody_and_of_the_owner_that_was_never_written(bot: Path, said: Callable[..., Said]) -> None:
    code, printed, _ = said("check")
    assert code == 0 and "is nobody" not in printed
    assert "warning: project.owner is still what groundtune init wrote" in printed
    changed(bot / "documents/goodwill.md", "readers: [support]", "readers: [support, suport]")
    changed(bot / "groundtune.toml", 'owner = "write the name of who answers for this after launch"', 'owner = "Ana"')
    code, printed, _ = said("check")
    assert code == 0 and "project.owner" not in printed
    assert "goodwill.md: reader 'suport' is nobody: no group 'suport'; did you mean 'support'?" in printed


def test_check_shows_no_split_that_is_empty(said: Callable[..., Said]) -> None:
    _, printed, _ = said("check")
    assert "  test: 2 answerable, 1 forbidden" in printed
    assert not any(line.startswith(("  train:", "  dev:")) for line in printed.splitlines())


def test_a_file_that_cannot_name_its_readers_is_told_where_they_go(bot: Path, said: Callable[..., Said]) -> None:
    (bot / "documents/notes.txt").write_text("A note.", encoding="utf-8")
    code, _, error = said("check")
    assert code == 2 and "notes.txt: names no readers" in error
    assert 'write readers = ["everyone"] into notes.txt.meta.toml beside it' in error
    # The advice is good: that is all it takes.
    (bot / "documents/notes.txt.meta.toml").write_text('readers = ["everyone"]\n', encoding="utf-8")
    assert said("check")[0] == 0


def test_a_source_that_lists_nothing_is_confirmed_by_a_command_that_a_shell_takes(bot: Path, said: Callable[..., Said]) -> None:
    assert said("ingest")[0] == 0
    for path in (bot / "documents").iterdir():
        path.unlink()
    code, _, error = said("check")
    assert code == 2 and "groundtune ingest --emptied '[documents]'" in error


def test_nothing_to_tune_is_said(said: Callable[..., Said]) -> None:
    code, _, error = said("tune")
    assert code == 2 and "no [tuning.*] table, so there is nothing to tune" in error and len(error.splitlines()) == 2


def test_no_test_examples_names_the_folder(bot: Path, said: Callable[..., Said]) -> None:
    (bot / "examples/questions.jsonl").write_text("", encoding="utf-8")
    code, _, error = said("check")
    assert code == 2 and f'{bot / "examples"}: no test examples (rows with "split": "test")' in error


def test_a_document_that_evidence_names_wrongly_is_suggested(bot: Path, said: Callable[..., Said]) -> None:
    changed(bot / "examples/questions.jsonl", '"returns.md"', '"retruns.md"')
    code, _, error = said("check")
    assert code == 2 and "evidence names 'retruns.md', which is no document; did you mean 'returns.md'?" in error


def test_importing_a_table_with_other_columns_or_marks_says_what_was_found(bot: Path, said: Callable[..., Said], tmp_path: Path) -> None:
    table = tmp_path / "old.csv"
    table.write_text("question|answer\nHow late may I return it?|30 days.\n", encoding="utf-8")
    _, printed, _ = said("examples", "import", str(table), "--as", "agent")
    assert "old.csv:2: no question in its columns ('question|answer' alone: cells have to be apart by a comma" in printed
    table.write_text("Frage;Antwort\nHow late may I return it?;30 days.\n", encoding="utf-8")
    _, printed, _ = said("examples", "import", str(table), "--as", "agent")
    assert "no question in its columns ('Frage', 'Antwort'): name the right one with --column question=NAME" in printed


def test_importing_without_saying_who_asked_tells_how_to_say_it(said: Callable[..., Said], tmp_path: Path) -> None:
    table = tmp_path / "old.csv"
    table.write_text("question,answer\nHow late may I return it?,30 days.\n", encoding="utf-8")
    _, printed, _ = said("examples", "import", str(table), "--dry-run")
    assert "note: say whose questions these are: --as NAME" in printed


def test_importing_a_file_that_is_not_there_is_an_error(said: Callable[..., Said], tmp_path: Path) -> None:
    code, printed, error = said("examples", "import", str(tmp_path / "gone.csv"), "--as", "agent")
    assert (code, printed) == (2, "")
    assert "gone.csv: no such file" in error and len(error.splitlines()) == 2


def test_a_wrong_arm_is_answered_for_the_verb_that_was_typed(said: Callable[..., Said]) -> None:
    assert said("lock")[0] == 0
    code, _, error = said("evaluate", "--arm", "rga")
    assert code == 2 and "unknown arm 'rga'; did you mean 'rag'?; known: prompt, rag" in error
    assert error.splitlines()[1] == "  name one of these, as in: groundtune ask --arm prompt QUESTION"


def test_a_verb_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["chek"])
    assert "unknown verb 'chek'; did you mean 'check'?" in capsys.readouterr().err


def test_a_key_is_suggested_and_a_value_explained_with_their_lines(bot: Path, said: Callable[..., Said]) -> None:
    path = bot / "groundtune.toml"
    text = path.read_text(encoding="utf-8")
    for old, new, words in (
        ("primary =", "primry =", "rubric.primry: unknown key; did you mean 'primary'?"),
        ("retrieves = true", 'retrieves = "maybe"', "arms.1.retrieves is 'maybe': expected true or false, without quotes"),
        ('name = "rag"', 'name = "RAG 2"', "arms.1.name is 'RAG 2': expected small letters and digits, a letter first: ^[a-z]"),
        ("retrieves = true", "retrieves = yes", "not TOML at column "),
    ):
        path.write_text(text.replace(old, new), encoding="utf-8")
        line = next(number for number, row in enumerate(path.read_text().splitlines(), start=1) if new in row)
        code, _, error = said("check")
        assert code == 2 and f"groundtune.toml:{line}: " in error and words in error, error


def test_an_answer_that_a_server_never_gave_says_how_to_look(bot: Path, said: Callable[..., Said]) -> None:
    added(bot, '[chat]\nuse = "endpoint"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nretries = 0\n')
    code, printed, _ = said("ask", "How late?", "--as", "agent", "--arm", "prompt")
    assert code == 1
    assert printed.startswith("no answer: the connection failed") and "curl http://127.0.0.1:9/v1/models" in printed


def test_who_decides_has_to_be_said_where_the_system_has_no_name(
    bot: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    log = bot / "log.jsonl"
    log.write_text(json.dumps({"question": "Open?", "answer": "Yes."}) + "\n", encoding="utf-8")
    for words, option in (
        (("audit", str(log)), "--labeller"),
        (("examples", "review"), "--by"),
        (("models", "rollback", "reader", "--why", "x"), "--by"),
    ):
        code, _, error = said(*words)
        assert code == 2 and error.endswith(f"say who it is: {option} NAME\n")
    # Looking needs no name.
    assert said("audit", str(log), "--report")[0] == 0


def test_a_table_without_rows_says_none(capsys: pytest.CaptureFixture[str]) -> None:
    grid(Grid(title="Break-evens", head=("arms", "at"), rows=(), note="A note."))
    assert capsys.readouterr().out == "\nBreak-evens\nnone\nA note.\n"


def test_of_very_many_names_none_is_suggested() -> None:
    assert meant("nam-7", ["name-7"]) == "; did you mean 'name-7'?"
    assert meant("nam-7", (f"name-{number}" for number in range(3_000))) == ""
