"""Membership from a database: what it gives, and that nothing that goes wrong with it is taken for "in no group"."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from groundtune.access.directory import read
from groundtune.access.sql import members
from groundtune.errors import ConfigError, GroundtuneError

QUERY = "SELECT login, team FROM members ORDER BY login, team"


def database(folder: Path, *rows: tuple[object, object]) -> None:
    with sqlite3.connect(folder / "people.db") as db:
        db.execute("CREATE TABLE members (login, team)")
        db.executemany("INSERT INTO members VALUES (?, ?)", rows)
    db.close()


def asked(folder: Path, query: str = QUERY, url: str = "sqlite:///people.db", most: int = 100) -> dict[str, tuple[str, ...]]:
    return dict(members(url, query, folder, timeout=5, most=most).groups)


def test_rows_are_principals_and_groups_and_null_is_no_group(tmp_path: Path) -> None:
    database(tmp_path, ("ana", "payroll"), ("ana", "everyone"), ("bo", None))
    assert asked(tmp_path) == {"ana": ("everyone", "payroll"), "bo": ()}


def test_members_are_nested_and_stand_beside_those_of_the_file(tmp_path: Path) -> None:
    database(tmp_path, ("ana", "payroll"), ("bo", None))
    path = tmp_path / "access.toml"
    found = members("sqlite:///people.db", QUERY, tmp_path, timeout=5, most=9)
    alone = read(path, members=found)
    assert alone.principals["ana"].groups == {"payroll", "user:ana"} and alone.principals["bo"].groups == {"user:bo"}
    path.write_text('[groups]\npayroll = ["finance"]\nfinance = []\n[services]\nbot = ["finance"]\n')
    both = read(path, members=found)
    assert both.principals["ana"].groups == {"payroll", "finance", "user:ana"}
    assert list(both.principals) == ["bot", "ana", "bo"] and both.services == {"bot"}
    assert [place for place, _ in both.read] == [str(path), "sqlite:///" + "people.db"]
    path.write_text('[principals]\nana = ["everyone"]\n')
    with pytest.raises(GroundtuneError, match="two principals of one name"):
        read(path, members=found)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("ana", "user:bo")], "somebody's own group"),
        ([("ana", "user:ana")], "somebody's own group"),
        ([(" ana", "x")], "blanks around it"),
        ([("ana", "")], "not a group name"),
        ([("ana", "x\0y")], "not a group name"),
        ([("ana", 3)], "expected two texts"),
        ([(None, "x")], "expected two texts"),
        ([("ana", "undeclared")], "no group 'undeclared'"),
    ],
)
def test_a_bad_row_is_told_and_nobody_is_let_in_by_it(tmp_path: Path, rows: list[tuple[object, object]], said: str) -> None:
    database(tmp_path, *rows)
    path = tmp_path / "access.toml"
    path.write_text("[groups]\nx = []\n")
    with pytest.raises(GroundtuneError, match=said):
        read(path, members=members("sqlite:///people.db", QUERY, tmp_path, timeout=5, most=9))


@pytest.mark.parametrize(
    ("query", "url", "said"),
    [
        ("DELETE FROM members", "sqlite:///people.db", "does not begin with SELECT"),
        ("SELECT login FROM members", "sqlite:///people.db", "1 columns; expected two"),
        ("SELECT login, team, 1 FROM members", "sqlite:///people.db", "3 columns; expected two"),
        ("SELECT nothing, team FROM members", "sqlite:///people.db", "its query failed"),
        ("WITH x AS (SELECT 1) DELETE FROM members RETURNING login, team", "sqlite:///people.db", "its query failed"),
        (QUERY, "sqlite:///other.db", "no such file"),
        (QUERY, "nonsense", "Could not parse"),
        (QUERY, "postgresql+nodriver://me:hunter2@host/db", "access.sql"),
    ],
)
def test_a_query_that_cannot_be_asked_is_an_error_without_the_password(tmp_path: Path, query: str, url: str, said: str) -> None:
    database(tmp_path, ("ana", "x"))
    with pytest.raises(ConfigError, match=said) as raised:
        asked(tmp_path, query, url)
    assert "hunter2" not in str(raised.value)
    assert asked(tmp_path) == {"ana": ("x",)}


def test_more_rows_than_are_allowed_are_an_error(tmp_path: Path) -> None:
    database(tmp_path, *(("ana", f"g{number}") for number in range(5)))
    assert len(asked(tmp_path, most=5)["ana"]) == 5
    with pytest.raises(ConfigError, match="more than 4 rows"):
        asked(tmp_path, most=4)
