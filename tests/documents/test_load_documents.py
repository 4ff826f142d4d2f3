from __future__ import annotations

import os
from pathlib import Path

import made_files as made
import pytest

from groundtune import plugins
from groundtune.documents import load as loading
from groundtune.documents import sandbox
from groundtune.documents.load import read
from groundtune.errors import DocumentError

FRONT = "---\nreaders: [everyone]\n---\n"


def write(folder: Path, name: str, content: str | bytes = FRONT + "# Hello\n\nText.") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def only_problem(folder: Path) -> str:
    reading = read(folder)
    assert reading.documents == ()
    [problem] = reading.problems
    assert isinstance(problem, DocumentError)
    assert problem.hint
    return problem.message


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.md", "a/b/c.md", "c.txt", "d.HTML"):
        write(tmp_path, name, "<p>x" if name.endswith("L") else "text" if name.endswith("txt") else FRONT + "x")
    reading = read(tmp_path, defaults={"readers": ["hr"]})
    assert [item.id for item in reading.documents] == [f"document:{name}" for name in ("a/b/c.md", "a/z.md", "b.md", "c.txt", "d.HTML")]
    assert [sorted(item.readers) for item in reading.documents] == [["everyone"]] * 3 + [["hr"]] * 2
    assert reading.problems == ()


def test_all_problems_are_collected_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, "good.md")
    write(tmp_path, "empty.md", FRONT + "  \n")
    write(tmp_path, "nobody-said.md", "# No readers\n\ntext")
    write(tmp_path, "latin.md", FRONT.encode() + b"caf\xe9")
    write(tmp_path, "picture.png", b"\x89PNG")
    write(tmp_path, "no-suffix", "x")
    reading = read(tmp_path)
    assert [item.source for item in reading.documents] == ["good.md"]
    said = [problem.message.removeprefix(f"{tmp_path}/") for problem in reading.problems]
    assert said[0] == "empty.md: holds no text"
    assert said[1] == "latin.md: not UTF-8: byte 0xe9 at offset 31"
    assert said[2].startswith("no-suffix: no loader for a file without a suffix; known: .csv, .docm, .docx")
    assert said[3].startswith("nobody-said.md: names no readers")
    assert said[4].startswith("picture.png: no loader for .png")


def test_not_supplied_is_not_empty(tmp_path: Path) -> None:
    write(tmp_path, "nobody.md", "---\nreaders: []\n---\ntext")
    write(tmp_path, "default.md", "text")
    nobody_by_default = read(tmp_path, defaults={"readers": []})
    assert [item.readers for item in nobody_by_default.documents] == [frozenset(), frozenset()]
    reading = read(tmp_path, defaults={"readers": ["everyone"]})
    assert {item.source: set(item.readers) for item in reading.documents} == {"nobody.md": set(), "default.md": {"everyone"}}


def test_the_hash_is_of_what_is_written_not_of_who_may_read(tmp_path: Path) -> None:
    def hash_of(front: str, text: str = "text") -> str:
        write(tmp_path, "a.md", f"---\n{front}\n---\n{text}")
        return read(tmp_path).documents[0].content_hash

    first = hash_of("readers: [hr]\nversion: 5")
    assert hash_of("version: 5\nreaders: [hr, everyone]") == first
    assert (
        len(
            {first, hash_of("readers: [hr]"), hash_of("readers: [hr]\nversion: 5", "text."), hash_of("readers: [hr]\ntitle: b\nversion: 5")}
        )
        == 4
    )


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "documents"
    write(outside, "secret.md")
    write(folder, "real.md")
    (folder / "out.md").symlink_to(outside / "secret.md")
    (folder / "relative.md").symlink_to("../outside/secret.md")
    (folder / "tree").symlink_to(outside)
    (folder / "within.md").symlink_to("real.md")
    (folder / "gone.md").symlink_to("nothing.md")
    (folder / "loop.md").symlink_to("loop.md")
    reading = read(folder)
    assert [item.source for item in reading.documents] == ["real.md", "within.md"]
    said = {problem.message.removeprefix(f"{folder}/") for problem in reading.problems}
    assert {
        "out.md: is a link out of the documents folder",
        "relative.md: is a link out of the documents folder",
        "tree: is a link out of the documents folder",
        "gone.md: is a link to a file that is not there",
    } < said
    assert any(text.startswith("loop.md: cannot be read") for text in said)


def test_a_link_to_a_folder_within_would_read_files_twice(tmp_path: Path) -> None:
    write(tmp_path, "a/one.md")
    (tmp_path / "b").symlink_to("a")
    reading = read(tmp_path)
    assert [item.source for item in reading.documents] == ["a/one.md"]
    assert "b: is a link to a folder" in reading.problems[0].message


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    assert "is no regular file" in only_problem(tmp_path)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with write(tmp_path, "big.txt", b"").open("wb") as stream:
        stream.truncate(loading.MOST_BYTES + 1)
    assert "big.txt: 40,000,001 bytes; at most 40,000,000 are read" in only_problem(tmp_path)


def test_what_has_pictures_in_it_may_be_larger_than_a_text_in_every_source(tmp_path: Path) -> None:
    from groundtune.documents.sources.folder import Folder

    for name in ("manual.pdf", "dump.txt", "huge.pdf"):
        with write(tmp_path, name, b"").open("wb") as stream:
            stream.truncate(loading.MOST_BYTES_PACKED + 1 if name == "huge.pdf" else loading.MOST_BYTES + 1)
    said = {}
    for item in Folder(tmp_path).items():
        try:
            said[item.name] = len(item.read())
        except DocumentError as error:
            said[item.name] = error.state  # type: ignore[assignment]
    assert said == {"manual.pdf": 40_000_001, "dump.txt": "too large", "huge.pdf": "too large"}


@pytest.mark.parametrize(("name", "instead"), [("old.doc", ".docx"), ("mail.msg", ".eml"), ("all.tar.gz", ".zip"), ("x.strange", "mend")])
def test_a_format_without_a_loader_is_told_with_one_that_has(name: str, instead: str) -> None:
    _, [problem] = loading.documents_from(name, b"x", readers=frozenset({"everyone"}))
    assert isinstance(problem, DocumentError) and problem.state == "unsupported" and instead in problem.hint


def test_hidden_files_are_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, ".git/config.md")
    write(tmp_path, ".DS_Store", b"\0\0")
    write(tmp_path, "a.md")
    reading = read(tmp_path)
    assert [item.source for item in reading.documents] == ["a.md"]
    assert not reading.problems


def test_no_folder_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no such folder of documents"):
        read(tmp_path / "missing")
    assert "holds no documents" in only_problem(tmp_path)


def test_names_of_one_look_are_one_document(tmp_path: Path) -> None:
    write(tmp_path, "caf\u00e9.md")
    write(tmp_path, "cafe\u0301.md")
    reading = read(tmp_path)
    assert [item.source for item in reading.documents] == ["caf\u00e9.md"]
    assert "same name but for its Unicode form" in reading.problems[0].message


def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a\nb.md")
    assert "cannot be shown" in only_problem(tmp_path)


def test_letters_are_composed_in_text_and_title(tmp_path: Path) -> None:
    write(tmp_path, "a.md", FRONT + "# Cafe\u0301\n\nnai\u0308ve")
    document = read(tmp_path).documents[0]
    assert (document.title, document.text) == ("Caf\u00e9", "# Caf\u00e9\n\nna\u00efve")


def test_another_loader_comes_in_by_its_suffix_and_its_failure_is_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from groundtune.documents.load import Loaded
def tickets(path, raw):
    if not raw:
        raise IndexError("no rows")
    return Loaded(title="T", text=raw.decode(), metadata={"a=b": "c"} if raw == b"=" else {}, readers=frozenset({"hr"}))
"""
    made.install(tmp_path / "site", "ticketloader", ["tickets"], source)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    plugins._points.cache_clear()
    sandbox.close()
    folder = tmp_path / "documents"
    write(folder, "good.tickets", "a,b")
    write(folder, "bad.tickets", "")
    write(folder, "odd.tickets", "=")
    try:
        reading = read(folder)
    finally:
        plugins._points.cache_clear()
        sandbox.close()
    assert [(item.source, item.text) for item in reading.documents] == [("good.tickets", "a,b")]
    assert "the tickets loader failed: IndexError: no rows" in reading.problems[0].message
    assert "metadata 'a=b' holds =" in reading.problems[1].message
