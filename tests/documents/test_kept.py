"""Texts that stay on disk: fetched when they are asked for and no sooner, the same as ever, also after the catalogue changed its form."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sources import Memory, ids, kinds, origin, synced

from groundtune.documents import alike, catalogue, look
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import documents_of, survey
from groundtune.documents.kept import Kept, but
from groundtune.documents.sources.folder import Folder
from groundtune.errors import StorageError
from groundtune.types import Document

TEXTS = {f"{name}.md": f"---\nproduct: {name}\n---\n# {name}\n\nText of {name}." for name in "abcd"}
HEADS_OF_2 = """
CREATE TABLE items (source TEXT, name TEXT, stamp TEXT, given TEXT, raw TEXT, state TEXT, reasons TEXT, PRIMARY KEY (source, name));
CREATE TABLE documents (id TEXT PRIMARY KEY, source TEXT, item TEXT, row TEXT, signature BLOB);
CREATE INDEX documents_by_item ON documents (source, item);
CREATE TABLE sources (name TEXT PRIMARY KEY, listed_at TEXT, reason TEXT);
"""


def filled(path: Path | None, box: Memory) -> Catalogue:
    made = Catalogue(path)
    synced(made, origin(box))
    return made


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the documents that are read from the catalogue whole, in order."""
    seen: list[str] = []
    real = Catalogue.document

    def document(self: Catalogue, name: str, content_hash: str) -> Document:
        seen.append(name)
        return real(self, name, content_hash)

    monkeypatch.setattr(Catalogue, "document", document)
    monkeypatch.setattr(catalogue, "_READ", {})
    return seen


def test_a_survey_fetches_no_text_and_the_text_is_there_when_it_is_asked_for(tmp_path: Path, fetched: list[str]) -> None:
    box = Memory(TEXTS)
    filled(tmp_path / "c.sqlite", box).close()
    catalogue._READ.clear()
    again = Catalogue(tmp_path / "c.sqlite")
    box.texts["b.md"] = "# b\n\nOther text."
    found = documents_of(survey([origin(box)], again))
    again.close()
    assert fetched == [] and [type(document) is Kept for document in found.values()] == [True, False, True, True]
    assert found["document:box/c.md"].text.endswith("Text of c.") and fetched == ["document:box/c.md"]
    assert found["document:box/c.md"].text and fetched == ["document:box/c.md"]  # fetched once


def test_a_kept_document_is_the_document_that_was_read(tmp_path: Path) -> None:
    box = Memory(TEXTS)
    catalogue._READ.clear()
    fresh = documents_of(survey([origin(box)], Catalogue(None)))
    filled(tmp_path / "c.sqlite", box).close()
    catalogue._READ.clear()
    kept = documents_of(survey([origin(box)], Catalogue(tmp_path / "c.sqlite")))
    assert list(kept) == list(fresh) and all(type(one) is Kept for one in kept.values())
    for name, document in fresh.items():
        assert kept[name] == document and document == kept[name]
        assert kept[name] != replace(document, text=document.text + " ")
        assert replace(kept[name], readers=frozenset({"hr"})).text == document.text


def test_other_readers_and_marks_leave_the_text_on_disk(tmp_path: Path, fetched: list[str]) -> None:
    box = Memory(TEXTS)
    filled(tmp_path / "c.sqlite", box).close()
    catalogue._READ.clear()
    opened = Catalogue(tmp_path / "c.sqlite")
    found = survey([origin(box)], opened)
    versions = alike.Versions(by="product", of=())
    marked, _ = alike.marked(documents_of(found), {}, near=0.8, versions=versions)
    narrowed = but(marked["document:box/a.md"], readers=frozenset({"hr"}), sections=())
    assert fetched == []
    assert (narrowed.readers, narrowed.metadata["current"], narrowed.title) == ({"hr"}, "no", "a")
    assert narrowed.text.endswith("Text of a.") and narrowed.content_hash != found.listed[0].served[0].documents[0].content_hash
    with pytest.raises(TypeError, match="text"):
        but(narrowed, text="else")


def test_a_text_that_another_process_replaced_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    box = Memory(TEXTS)
    filled(tmp_path / "c.sqlite", box).close()
    catalogue._READ.clear()
    before = documents_of(survey([origin(box)], Catalogue(tmp_path / "c.sqlite")))
    box.texts = {**TEXTS, "a.md": "# a\n\nOther text."}
    box.texts.pop("b.md")
    filled(tmp_path / "c.sqlite", box)
    for name in "ab":
        with pytest.raises(StorageError, match=rf"does not hold document:box/{name}.md as it was"):
            _ = before[f"document:box/{name}.md"].text
    assert before["document:box/c.md"].text.endswith("Text of c.")


def test_what_is_read_in_one_go_is_what_is_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[str]) -> None:
    monkeypatch.setattr(catalogue, "MANY", 2)
    box = Memory(TEXTS)
    filled(tmp_path / "c.sqlite", box).close()
    catalogue._READ.clear()
    opened = Catalogue(tmp_path / "c.sqlite")
    found = documents_of(survey([origin(box)], opened))
    opened.fill(found.values())
    assert [document.text for document in found.values()] == [f"# {name}\n\nText of {name}." for name in "abcd"] and fetched == []


def downgraded(path: Path) -> None:
    """Put a catalogue into the form that it had before texts stood apart."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT d.id, d.source, d.item, t.row, d.signature FROM documents d JOIN texts t ON t.id = d.id").fetchall()
    items, sources = db.execute("SELECT * FROM items").fetchall(), db.execute("SELECT * FROM sources").fetchall()
    for table in ("items", "documents", "texts", "state", "sources"):
        db.execute(f"DROP TABLE {table}")
    db.executescript(HEADS_OF_2)
    db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", items)
    db.executemany("INSERT INTO sources VALUES (?, ?, ?)", sources)
    db.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", rows)
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()


def test_a_catalogue_of_the_form_before_is_lifted_and_nothing_is_read_again(tmp_path: Path) -> None:
    box, path = Memory({**TEXTS, "bad.md": b"\xff\xff"}), tmp_path / "c.sqlite"
    made = filled(path, box)
    synced(made, origin(box), drop=["box/bad.md"])
    before = documents_of(survey([origin(box)], made))
    made.fill(before.values())
    made.close()
    downgraded(path)
    catalogue._READ.clear()
    size, box.reads = path.stat().st_size, []
    looking = Catalogue(path, read_only=True)
    assert documents_of(survey([origin(box)], looking)) == before
    looking.close()
    assert path.stat().st_size == size and sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (2,)
    found = synced(Catalogue(path), origin(box))
    assert documents_of(found) == before and kinds(found)["box/bad.md"] == "dropped" and box.reads == []
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (3,)


def test_a_catalogue_of_an_unknown_form_is_made_again(tmp_path: Path) -> None:
    box, path = Memory(TEXTS), tmp_path / "c.sqlite"
    filled(path, box).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    assert Catalogue(path, read_only=True).known("box") == {}
    assert ids(synced(Catalogue(path), origin(box))) == {f"document:box/{name}.md" for name in "abcd"}


def test_what_a_process_read_holds_until_somebody_writes_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_READ", {})
    box, path = Memory(TEXTS), tmp_path / "c.sqlite"
    first = filled(path, box)
    reads: list[str] = []
    real = Catalogue._read
    monkeypatch.setattr(Catalogue, "_read", lambda self, source: reads.append(source) or real(self, source))
    second = Catalogue(path)
    assert second.known("box") == first.known("box") and len(reads) <= 1
    box.texts["a.md"] = "# a\n\nNew."
    synced(second, origin(box))
    reads.clear()
    assert first.known("box") == second.known("box") and first.known("box")["a.md"].documents[0].text.endswith("New.") and reads == []
    with pytest.raises(KeyboardInterrupt), first.writing():
        first.forget("box", ["b.md"])
        raise KeyboardInterrupt
    assert "b.md" in first.known("box") and "b.md" in second.known("box")
    path.unlink()
    for beside in ("c.sqlite-wal", "c.sqlite-shm"):
        (tmp_path / beside).unlink(missing_ok=True)
    assert Catalogue(path).known("box") == {}


def test_an_item_with_a_new_stamp_alone_is_not_written_again(tmp_path: Path) -> None:
    box = Memory(TEXTS, stamped=False)
    made = filled(tmp_path / "c.sqlite", box)
    box.stamped = True
    synced(made, origin(box))
    statements: list[str] = []
    made._db.set_trace_callback(statements.append)
    made._known.clear()
    box.stamped = False
    synced(made, origin(box))
    assert any(text.startswith("INSERT OR REPLACE INTO items") for text in statements)
    assert not any("INTO documents" in text or "INTO texts" in text for text in statements)


NAMES = st.lists(st.tuples(st.sampled_from(["a", "a-b", "a.d", "a b", "é", "Z"]), st.sampled_from(["a", "b.md", "a.md", "-"])), max_size=8)


@given(names=NAMES)
def test_a_folder_lists_its_files_in_the_order_of_their_paths(
    names: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("listed")
    for above, name in names:
        (folder / above).mkdir(exist_ok=True)
        (folder / above / name).write_text("x")
        (folder / f"{above}.md").write_text("x")
    there = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    assert [item.name for item in Folder(folder).items()] == ["/".join(parts) for parts in sorted(there)]


@given(keys=st.lists(st.integers(0, 6), max_size=30))
def test_keys_that_stand_more_than_once_are_found_with_their_places_in_order(keys: list[int]) -> None:
    import numpy as np

    found = [places.tolist() for places in alike._shared(np.array(keys, dtype=np.uint64))]
    wanted = [[place for place, key in enumerate(keys) if key == one] for one in sorted(set(keys))]
    assert found == [places for places in wanted if len(places) > 1]


@given(name=st.text(alphabet="./ab\n", max_size=9))
def test_a_name_is_refused_for_the_parts_that_it_has(name: str) -> None:
    parts = name.split("/")
    wrong = not name.isprintable() or not name or name.startswith("/") or not {"", ".", ".."}.isdisjoint(parts)
    assert bool(look._bad_name(name)) == wrong
