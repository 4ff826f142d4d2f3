"""A small change looks at what it touches: that this comes to what looking at everything comes to, whatever happened before."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.chunks import build, manifest
from groundtune.chunks.store import Stepping
from groundtune.chunks.store_lance import LanceDraft, LanceStore
from groundtune.chunks.verify import verify_version
from groundtune.errors import StaleIndex
from groundtune.files import fingerprint
from groundtune.models.hashed import open as hashed
from groundtune.types import Document, Section

SPLITTER = {"max_tokens": 30, "min_tokens": 5}
EMBED = hashed({})
WORDS = "slot gate kiosk token haulier invoice credit refund leave salary crane quay".split()


def document(name: str, text: int = 0, readers: str = "everyone", parts: bool = False) -> Document:
    body = f"# {name}\n\n" + "\n\n".join(f"## Part {part}\n\n{' '.join(WORDS[(text + part) % 12 :] + WORDS)}." for part in range(3))
    half = len(body) // 2
    sections = (Section(0, half, frozenset({"hr"})), Section(half, len(body), frozenset({"hr", readers}))) if parts else ()
    return Document(
        id=f"document:{name}",
        source=name,
        title=name,
        text=body,
        content_hash=fingerprint(name, body),
        readers=frozenset({"hr"}) if parts else frozenset({readers}),
        sections=sections,
    )


def synced(store: Path, documents: list[Document], **options: Any) -> build.IndexVersion:
    return build.sync(documents, embed=EMBED, splitter=SPLITTER, store=store, **options)


def lance(store: Path) -> LanceStore:
    return LanceStore(store / "lance")


def whole(store: Path, version: build.IndexVersion, documents: list[Document]) -> None:
    """Look at everything that is stored, in every way there is."""
    assert verify_version(version, lance(store), documents=documents).differences == ()
    held = lance(store).held(version.table, version.tag)
    assert held == build._held_by(version.contents) and held.keys() == {item.id for item in documents}
    some = sorted(held)[::2]
    assert lance(store).held_of(version.table, version.tag, [*some, "document:none"]) == (
        {name: held[name] for name in some},
        version.chunks,
    )


@pytest.fixture
def everything_was_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which calls read something of all rows."""
    seen: list[str] = []
    for kind in (LanceStore, LanceDraft):
        real = kind.held

        def held(self: Any, *given: Any, _real: Any = real) -> Any:
            seen.append(type(self).__name__)
            return _real(self, *given)

        monkeypatch.setattr(kind, "held", held)
    return seen


def test_a_change_reads_the_rows_that_it_touches_and_no_others(tmp_path: Path, everything_was_read: list[str]) -> None:
    documents = [document(f"d{number}") for number in range(12)]
    synced(tmp_path, documents)
    everything_was_read.clear()
    asked: list[list[str]] = []
    real = LanceStore.held_of

    def held_of(self: Any, table: str, tag: str, names: Any) -> Any:
        asked.append(sorted(names))
        return real(self, table, tag, names)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LanceStore, "held_of", held_of)
        documents[3] = document("d3", 5)
        documents[4] = replace(documents[4], readers=frozenset({"finance"}))
        del documents[7]
        version = synced(tmp_path, [*documents, document("new")])
    assert (version.added, version.changed, version.restamped, version.gone, version.unchanged) == (1, 1, 1, 1, 9)
    assert asked == [[f"document:{name}" for name in ("d3", "d4", "d7", "new")]] and everything_was_read == []
    whole(tmp_path, version, [*documents, document("new")])


def test_what_was_written_since_the_live_version_is_found_by_looking_at_everything(tmp_path: Path, everything_was_read: list[str]) -> None:
    documents = [document(f"d{number}") for number in range(4)]
    version = synced(tmp_path, documents)
    draft = lance(tmp_path).draft(version.table, EMBED.dimensions)
    draft.delete(["document:d2"])
    draft.restamp({"document:d1": frozenset({"intruder"})})
    everything_was_read.clear()
    documents[0] = document("d0", 3)
    second = synced(tmp_path, documents)
    assert "LanceDraft" in everything_was_read
    whole(tmp_path, second, documents)


def test_a_version_that_is_not_the_last_one_written_is_no_ground_to_step_from(tmp_path: Path, everything_was_read: list[str]) -> None:
    documents = [document(f"d{number}") for number in range(4)]
    first = synced(tmp_path, documents)
    synced(tmp_path, [*documents, document("waits")], promote=False)
    assert not lance(tmp_path).untouched(first.table, first.tag) and not lance(tmp_path).untouched("none", first.tag)
    everything_was_read.clear()
    third = synced(tmp_path, [document("d0", 3), *documents[1:]])
    assert everything_was_read
    whole(tmp_path, third, [document("d0", 3), *documents[1:]])


@pytest.mark.parametrize("lost", [True, False], ids=["a row too few", "a row too many"])
def test_a_row_of_another_document_that_goes_or_comes_with_a_change_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    documents = [document(f"d{number}") for number in range(4)]
    first = synced(tmp_path, documents)
    real = LanceDraft.write

    def write(self: Any, chunks: Any, vectors: Any) -> None:
        real(self, chunks, vectors)
        if lost:
            self._table.delete("document_id = 'document:d3' AND ordinal = 0")
        else:
            rows = self._table.search().where("document_id = 'document:d3'").limit(1).to_arrow()
            self._table.add(rows.select([name for name in rows.column_names if not name.startswith("_")]))

    monkeypatch.setattr(LanceDraft, "write", write)
    with pytest.raises(StaleIndex, match="chunks, .* were expected") as caught:
        synced(tmp_path, [document("d0", 3), *documents[1:]])
    assert "--rebuild" in caught.value.hint
    live = manifest.live(tmp_path)
    assert live is not None and live.id == first.id
    monkeypatch.undo()
    whole(tmp_path, synced(tmp_path, [document("d0", 3), *documents[1:]]), [document("d0", 3), *documents[1:]])


def test_rows_that_were_lost_are_written_again_with_the_next_change(tmp_path: Path) -> None:
    documents = [document(f"d{number}") for number in range(3)]
    version = synced(tmp_path, documents)
    last = version.contents["document:d1"]["chunks"] - 1
    lance(tmp_path)._database.open_table(version.table).delete(f"document_id = 'document:d1' AND ordinal = {last}")
    second = synced(tmp_path, [*documents, document("new")])
    whole(tmp_path, second, [*documents, document("new")])


def test_only_an_engine_that_knows_its_states_takes_steps() -> None:
    from groundtune.chunks.store_memory import MemoryStore

    assert isinstance(LanceStore, type) and issubclass(LanceStore, Stepping) and not issubclass(MemoryStore, Stepping)


def test_what_is_remembered_of_a_manifest_is_what_is_written(tmp_path: Path) -> None:
    documents = [document("a"), document("b", parts=True), document("c", readers="hr")]
    version = synced(tmp_path, documents)
    path = manifest.path_of(tmp_path, version.id)
    assert manifest.read(tmp_path, version.id) == manifest._parsed(path)
    path.write_text(path.read_text().replace('"document:a"', '"document:z"'))
    again = manifest.read(tmp_path, version.id)
    assert again is not None and "document:z" in again.contents


STEP = st.tuples(
    st.sampled_from("abcde"),
    st.sampled_from(["write", "write", "readers", "parts", "gone"]),
    st.integers(0, 3),
    st.sampled_from(["everyone", "hr"]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=st.lists(st.lists(STEP, min_size=1, max_size=3), min_size=1, max_size=4), aside=st.sets(st.integers(0, 3)))
def test_step_by_step_is_what_is_built_afresh(rounds: list[list[tuple[str, str, int, str]]], aside: set[int]) -> None:
    """Versions that were stepped to hold what those hold that were built at once; ``aside``: rounds that are not made live."""
    folder = Path(tempfile.mkdtemp())
    now = {name: document(name) for name in "abc"}
    try:
        synced(folder / "steps", list(now.values()))
        for number, steps in enumerate(rounds):
            for name, act, text, readers in steps:
                if act == "gone":
                    now.pop(name, None)
                elif act == "write" or name not in now:
                    now[name] = document(name, text, readers)
                elif act == "parts":
                    now[name] = document(name, text, readers, parts=True)
                else:
                    now[name] = replace(now[name], readers=frozenset({readers}), sections=())
            documents = [now[name] for name in sorted(now)] or [document("left")]
            stepped = synced(folder / "steps", documents, promote=number not in aside)
            whole(folder / "steps", stepped, documents)
        afresh = synced(folder / "afresh", documents)
        assert (stepped.id, stepped.contents) == (afresh.id, afresh.contents)
    finally:
        shutil.rmtree(folder)
