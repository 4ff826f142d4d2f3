import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundtune.files
from groundtune import files
from groundtune.errors import StorageError
from groundtune.files import file_sha256, fingerprint, known_sha256, objects, strict_json, text_of, write_atomic, write_json, write_lines


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


def told(path: Path, most: int | None = None) -> tuple[list[tuple[int, object]], list[tuple[str, str]]]:
    problems: list[tuple[str, str]] = []

    def tell(message: str, hint: str) -> None:
        problems.append((message.removeprefix(str(path)), hint))

    text = text_of(path, tell, "groundtune check", most)
    return [] if text is None else list(objects(path, text, tell, "groundtune check")), problems


def test_objects_are_given_with_their_lines_and_every_other_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    bad = ["[1]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": "\\ud800"}', "[" * 100_000, "1" * 5000]
    path.write_bytes(("\ufeff" + '{"a": "x\u2028y"}\r\n \n' + "\n".join(bad) + '\n{"b": 2}').encode())
    found, problems = told(path)
    assert found == [(1, {"a": "x\u2028y"}), (len(bad) + 3, {"b": 2})]
    words = [
        "expected a JSON object, found list",
        "not JSON at column 2",
        "'a' stands twice",
        "NaN is not JSON",
        "half of a surrogate pair",
    ]
    for number, (message, hint) in enumerate(problems, start=3):
        assert message.startswith(f":{number}: ") and hint == "mend that line, then type: groundtune check"
    assert len(problems) == len(bad) and all(word in message for word, (message, _) in zip(words, problems, strict=False))
    assert "nested too deep" in problems[5][0] and "4300 digits" in problems[6][0]


def test_a_file_that_is_no_text_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(b"x" * 101)
    (tmp_path / "locked").symlink_to("locked")
    wanted = [
        ("latin", "not UTF-8 at byte 3"),
        ("large", "101 bytes; at most 100 are read"),
        ("none", "no such file"),
        ("locked", "cannot be"),
    ]
    for name, words in [*wanted, ("", "is a folder")]:
        found, [(message, hint)] = told(tmp_path / name, 100)
        assert not found and words in message and hint


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_whatever_can_be_written_as_json_is_read_as_it_was(value: object) -> None:
    assert strict_json(json.dumps(value)) == value


def test_garbage_is_looked_for_as_usual_again_after_however_many_and_whatever_went_wrong() -> None:
    import gc

    usual = gc.get_threshold()
    with pytest.raises(KeyError), files.SeldomCollecting():
        assert gc.get_threshold()[0] >= 100_000 and gc.get_threshold()[1:] == usual[1:]
        with files.SeldomCollecting():
            pass
        assert gc.get_threshold()[0] >= 100_000
        raise KeyError
    assert gc.get_threshold() == usual
    gc.set_threshold(0)
    try:
        with files.SeldomCollecting():
            assert gc.get_threshold()[0] == 0  # whoever switched it off is left alone
    finally:
        gc.set_threshold(*usual)


def test_what_is_plain_already_has_the_fingerprint_that_it_always_had() -> None:
    parts = ([["document:é", "9c", ["a", "b"]]], {"max_tokens": 40}, 4, None)
    assert files.fingerprint_plain(*parts) == files.fingerprint(*parts)
    assert files.fingerprint([("document:é", "9c", frozenset({"b", "a"}))], {"max_tokens": 40}, 4, None) == files.fingerprint_plain(*parts)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to hash them."""
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(groundtune.files, "file_sha256", counted)
    return read


def test_a_file_is_hashed_once_and_again_after_every_kind_of_change(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groundtune.files, "SETTLED_NANOSECONDS", -1)
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    first = known_sha256(path)
    assert known_sha256(path) == first == file_sha256(path) and len(hashed) == 1
    stat = path.stat()
    with path.open("r+b") as stream:  # the same inode, size and time of change: only the time of status tells
        stream.write(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known_sha256(path) == file_sha256(path) != first and len(hashed) == 2
    other = tmp_path / "b.bin"
    other.write_bytes(b"six")
    other.replace(path)
    assert known_sha256(path) == file_sha256(path) and len(hashed) == 3
    path.unlink()
    with pytest.raises(FileNotFoundError):
        known_sha256(path)


def test_a_file_that_changed_just_now_is_hashed_each_time(tmp_path: Path, hashed: list[Path]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    assert known_sha256(path) == known_sha256(path) and len(hashed) == 2
