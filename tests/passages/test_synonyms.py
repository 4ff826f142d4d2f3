from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import ConfigError, GroundtuneError, Problems
from groundtune.passages.synonyms import MOST_ADDED, Synonyms, load

FILE = """\ufeff# the words of the terminal
TOS, terminal operating system   # what everyone says
haulier, carrier, trucking company
ULD => unit load device

Straße, Weg
"""


def written(folder: Path, text: str) -> Synonyms:
    (folder / "synonyms.txt").write_text(text, encoding="utf-8")
    return load(folder / "synonyms.txt")


def test_words_are_widened_both_ways_and_arrows_one_way(tmp_path: Path) -> None:
    known = written(tmp_path, FILE)
    assert known.widen("Is the tos down?") == "Is the tos down? terminal operating system"
    assert known.widen("Is the terminal operating system down?") == "Is the terminal operating system down? tos"
    assert known.widen("Which carrier?") == "Which carrier? haulier trucking company"
    assert known.widen("a ULD") == "a ULD unit load device"
    assert known.widen("a unit load device") == "a unit load device"
    assert known.widen("STRASSE") == "STRASSE weg"


def test_only_whole_words_and_phrases_count_and_no_word_comes_twice(tmp_path: Path) -> None:
    known = written(tmp_path, FILE)
    assert known.widen("the TOSser") == "the TOSser"
    assert known.widen("an operating system") == "an operating system"
    assert known.widen("a haulier or carrier company") == "a haulier or carrier company trucking"


def test_a_question_does_not_drown(tmp_path: Path) -> None:
    known = written(tmp_path, "a, " + ", ".join(f"w{number}" for number in range(90)))
    assert len(known.widen("a").split()) == 1 + MOST_ADDED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alone\n", "one word alone"),
        ("a => b => c\n", "more than one arrow"),
        ("=> b\n", "one word alone"),
        ("a =>\n", "one word alone"),
        ("a, ???\n", "no letter or digit"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        written(tmp_path, "# fine\n" + text)
    assert "synonyms.txt:2:" in caught.value.message


def test_all_wrong_lines_are_named_at_once_and_a_missing_or_broken_file_too(tmp_path: Path) -> None:
    with pytest.raises(Problems) as caught:
        written(tmp_path, "one\na, b\ntwo\n")
    assert [problem.message.split(":")[1] for problem in caught.value.problems] == ["1", "3"]
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nowhere.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9, coffee")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 3"):
        load(tmp_path / "latin.txt")


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_file_is_read_or_refused_and_a_question_is_only_added_to(
    tmp_path_factory: pytest.TempPathFactory, text: str, question: str
) -> None:
    path = tmp_path_factory.mktemp("s") / "s.txt"
    path.write_text(text, encoding="utf-8", errors="ignore", newline="")
    try:
        known = load(path)
    except GroundtuneError:
        return
    assert known.widen(question).startswith(question)
