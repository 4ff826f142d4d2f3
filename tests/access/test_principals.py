from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.access.principals import load, named
from groundtune.errors import ConfigError, GroundtuneError, Problems, UnknownName


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "access.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_principals_are_read_in_order_with_their_groups(tmp_path: Path) -> None:
    people = load(written(tmp_path, '[principals]\nzoe = ["everyone", "it\'s"]\n"ana@example.com" = []\n'))
    assert list(people) == ["zoe", "ana@example.com"]
    assert people["zoe"].groups == {"everyone", "it's", "user:zoe"}
    assert people["ana@example.com"].groups == {"user:ana@example.com"}


def test_a_group_is_one_in_whichever_unicode_form(tmp_path: Path) -> None:
    people = load(written(tmp_path, '[principals]\nana = ["cafe\u0301"]\n'))
    assert people["ana"].groups == {"caf\u00e9", "user:ana"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [principals] table"),
        ("[principals]\n", "no [principals] table"),
        ("principals = 3\n", "no [principals] table"),
        ("[principals]\nana = 'everyone'\n", "must be a list"),
        ("[principals]\nana = ['everyone', 3]\n", "3 is not a group name"),
        ("[principals]\nana = ['']\n", "'' is not a group name"),
        ("[principals]\nana = [' hr']\n", "' hr' is not a group name"),
        ('[principals]\nana = ["h\\u0000r"]\n', "is not a group name"),
        ("[principals]\n' ' = ['hr']\n", "empty or has blanks"),
        ("[principals]\nana = ['hr'\n", "not TOML"),
        (b"[principals]\nan\xff = ['hr']\n", "not UTF-8 at byte 15"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert said in raised.value.message
    assert raised.value.message.startswith(str(path))
    assert "type: groundtune" in raised.value.hint


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(Problems) as raised:
        load(written(tmp_path, "[group]\n[principals]\nana = 1\nbob = ['x']\ncy = [2]\n"))
    assert len(raised.value.problems) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GroundtuneError, match=r"access\.toml: no such file"):
        load(tmp_path / "access.toml")


def test_an_unknown_principal_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    people = load(written(tmp_path, "[principals]\nzoe = ['everyone']\nana = ['hr']\n"))
    assert named(people, "zoe").id == "zoe"
    for name in ("bob", "", "Zoe"):
        with pytest.raises(UnknownName, match="known: ana, zoe"):
            named(people, name)
