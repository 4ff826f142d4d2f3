import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import StorageError
from groundtune.files import fingerprint, write_atomic, write_json, write_lines


def test_a_fingerprint_does_not_depend_on_the_order_of_keys_or_sets() -> None:
    assert fingerprint({"a": 1, "b": {"x", "y"}}) == fingerprint({"b": {"y", "x"}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


@given(st.lists(st.text(), max_size=5), st.lists(st.text(), max_size=5))
def test_different_lists_have_different_fingerprints(left: list[str], right: list[str]) -> None:
    assert (fingerprint(left) == fingerprint(right)) == (left == right)


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes"])
def test_what_cannot_be_hashed_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        fingerprint(value)


def test_no_space_left_names_the_file_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"no space left while writing .*a\.json"):
        write_json(path, {"new": True})
    monkeypatch.undo()
    assert "old" in path.read_text()
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_lines_end_in_newlines_and_keep_unicode(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"q": "Größe"}, {"q": "二"}])
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == '{"q": "Größe"}\n{"q": "二"}\n'


def test_a_really_full_disk_is_a_storage_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match="no space left"):
        from groundtune.files import storing

        with storing(Path("/dev/full")), Path("/dev/full").open("w") as stream:
            stream.write("x")
            stream.flush()


def test_write_atomic_makes_folders(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b.txt", "x")
    assert (tmp_path / "a" / "b.txt").read_text() == "x"
