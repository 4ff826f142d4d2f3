"""One file among many changes: what is read then, in calls; and that many such changes come to what one ingestion of all comes to."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ingest import make, write

import groundtune as gt
from groundtune.access.filter import Predicate
from groundtune.chunks.build import open_live
from groundtune.chunks.store_lance import LanceDraft, LanceStore
from groundtune.documents import catalogue
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.sources import folder as folders

PAGES = {f"p{number:02d}": f"# Page {number}\n\nThe crane of quay {number} lifts {number} crates." for number in range(24)}


def ingested(folder: Path) -> Any:
    return gt.open(folder).ingest(strict=False)


def named(folder: Path, word: str) -> set[str]:
    project = gt.open(folder)
    index, _ = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
    may = Predicate(frozenset(["everyone"]))
    chunks = index.chunks([hit.id for hit in index.keyword(word, may, None, 5)], may)
    return {chunk.document_id for chunk in chunks.values()}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What costs something for each thing that it is done to: files and texts that are read, tables that are looked through."""
    seen: list[str] = []

    def watched(place: Any, name: str, said: Any) -> None:
        real = getattr(place, name)

        def call(*given: Any, **named: Any) -> Any:
            seen.append(said(*given))
            return real(*given, **named)

        monkeypatch.setattr(place, name, call)

    watched(folders, "_bytes", lambda path: f"file {Path(path).name}")
    watched(Catalogue, "document", lambda _, name, __: f"text {name}")
    watched(Catalogue, "_read", lambda *_: "catalogue")
    watched(LanceStore, "held", lambda *_: "all rows")
    watched(LanceDraft, "held", lambda *_: "all rows")
    monkeypatch.setattr(folders, "SETTLED_NANOSECONDS", -(10**12))  # whatever was just written counts as settled
    return seen


def test_of_unchanged_files_none_is_read_and_of_their_texts_and_rows_none_is_looked_at(tmp_path: Path, calls: list[str]) -> None:
    folder = make(tmp_path / "p", **PAGES)
    ingested(folder)
    calls.clear()
    for change in range(3):
        write(folder, "p07.md", f"# Page 7\n\nThe zyxwvut{change} stands here.")
        assert ingested(folder).counts == {"changed": 1, "unchanged": 23}
        assert named(folder, f"zyxwvut{change}") == {"document:p07.md"}
    assert [call for call in calls if call != "catalogue"] == ["file p07.md"] * 3 and calls.count("catalogue") <= 1
    calls.clear()
    catalogue._READ.clear()  # as in a process of its own
    (folder / "documents" / "p03.md").unlink()
    assert ingested(folder).counts == {"gone": 1, "unchanged": 23}
    assert not [call for call in calls if call.startswith(("file", "text"))] and calls.count("catalogue") == 1
    project = gt.open(folder)
    assert [item.message for item in project.index.verify().differences] == []
    rows = project.ledger._db.execute("SELECT count(*) FROM lineage").fetchone()[0]
    steps = project.ledger._db.execute("SELECT count(*) FROM lineage_changes").fetchone()[0]
    assert (rows, steps) == (24, 1)


def test_what_the_catalogue_holds_is_fetched_where_the_index_has_to_be_written_again(tmp_path: Path, calls: list[str]) -> None:
    folder = make(tmp_path / "p", **{name: PAGES[name] for name in ("p01", "p02")})
    before = ingested(folder).version
    shutil.rmtree(folder / ".groundtune" / "index")
    catalogue._READ.clear()
    calls.clear()
    after = ingested(folder).version
    assert after.contents == before.contents and {call for call in calls if call.startswith(("file", "text"))} == {
        "text document:p01.md",
        "text document:p02.md",
    }
    assert gt.open(folder).ingest(strict=False, rebuild=True).version.contents == before.contents


ACTS = st.tuples(
    st.sampled_from(["write", "write", "readers", "move", "remove", "rule", "break"]),
    st.sampled_from("abcd"),
    st.sampled_from("abcd"),
    st.integers(0, 3),
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=st.lists(st.lists(ACTS, min_size=1, max_size=3), min_size=2, max_size=4))
def test_many_small_changes_come_to_what_one_ingestion_comes_to(rounds: list[list[Any]]) -> None:
    """Files that come, change, move and go, and readers and rules that change: the version is the one that a fresh project makes."""
    place = Path(tempfile.mkdtemp())
    usual, folders.SETTLED_NANOSECONDS = folders.SETTLED_NANOSECONDS, -(10**12)
    try:
        folder = make(place / "p", keep="# Keep\n\nThis stays.")
        documents = folder / "documents"
        ingested(folder)
        for acts in rounds:
            for act, name, other, number in acts:
                file = documents / f"{name}.md"
                if act in ("write", "readers"):
                    write(
                        folder,
                        file.name,
                        f"# {name}\n\nThe crane {number} lifts crates.",
                        readers=("everyone", "finance")[act == "readers"],
                    )
                elif act == "move" and file.exists():
                    file.rename(documents / f"{other}.md")
                elif act == "remove":
                    file.unlink(missing_ok=True)
                elif act == "break":
                    file.write_text("---\nreaders: [\n---\nbroken")
                elif act == "rule":
                    rules = f'[[rules]]\nmatch = "{name}.md"\nreaders = ["finance"]\n' if number else ""
                    (folder / "access.toml").write_text(f'[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n{rules}')
            last = gt.open(folder).ingest(strict=False, accept=True).version
        shutil.copytree(folder, place / "fresh", ignore=shutil.ignore_patterns(".groundtune"))
        afresh = gt.open(place / "fresh").ingest(strict=False).version
        assert last is not None and afresh is not None
        assert (last.id, last.contents) == (afresh.id, afresh.contents)
        assert [item.message for item in gt.open(folder).index.verify().differences] == []
    finally:
        folders.SETTLED_NANOSECONDS = usual
        shutil.rmtree(place)
