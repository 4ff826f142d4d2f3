"""What every store of index versions has to hold, on top of what every index has to.

class TestMyStore(StoreContract):
    def store(self):
        return MyStore(self.place)                  a new handle on the same rows, each time

    def opener(self):
        return "from mine import MyStore; store = MyStore('...')"      the same in another process

``GROUNDTUNE_CASES=10000`` sets how many random histories are drawn instead of ``cases``; ``--hypothesis-seed=7`` draws the same ones again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from groundtune.access.filter import Predicate
from groundtune.chunks.index import Index
from groundtune.chunks.store import TORN, Draft, Held, Store, joined
from groundtune.chunks.store_memory import MemoryStore
from groundtune.errors import StaleIndex
from groundtune.testing.histories import Told, apply, cases, histories, no_leak, same
from groundtune.testing.index_contract import GROUPS, WIDTH, IndexContract
from groundtune.testing.store_damage import damage_is_found, rows_are_listed
from groundtune.testing.store_rows import seen, written
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np

_CHILD = """
{opener}
import sys
from groundtune.testing.store_contract import CHILDREN
CHILDREN[sys.argv[1]](store.draft(sys.argv[2], {width}))
"""


def _write_on(draft: Draft) -> None:
    for number in range(1000):
        draft.write(*written(number, edition=1))
        print(number, flush=True)  # noqa: T201 - what was promised


def _write_once(draft: Draft) -> None:
    draft.write(*written(7))
    draft.delete(["document:d1.md"])
    draft.restamp({"document:d2.md": frozenset(["finance"])})
    draft.restamp({"document:d0.md": (frozenset(["finance"]), frozenset(), frozenset(["everyone"]))})
    print("done", flush=True)  # noqa: T201 - tells the parent


CHILDREN = {"write on": _write_on, "write once": _write_once}


class StoreContract(IndexContract):
    """Versions, writes, other processes and kills, for any store."""

    # Random histories that are compared with the exact index, where GROUNDTUNE_CASES sets no other number.
    cases = 20

    def store(self) -> Store:
        """Return a new handle on the same place."""
        raise TypeError("say how to open your store: override store()")

    def opener(self) -> str | None:
        """Return Python that leaves such a handle in ``store``, for another process; ``None`` where only one process can have it open."""
        return None

    def build(self, chunks: Sequence[Chunk], vectors: np.ndarray) -> Index:
        """Write, publish, and open what was published."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(chunks, vectors)
        draft.publish("only")
        return store.snapshot(table, "only")

    def table(self) -> str:
        """Return the name of a table that is not there yet."""
        return f"t{uuid.uuid4().hex[:12]}"

    def _child(self, work: str, table: str) -> subprocess.Popen[str]:
        opener = self.opener()
        if opener is None:
            pytest.skip("only one process can have this store open")
        code = _CHILD.format(opener=opener, width=WIDTH)
        return subprocess.Popen([sys.executable, "-c", code, work, table], stdout=subprocess.PIPE, text=True)  # noqa: S603

    # ── versions ──

    def test_a_version_is_unaffected_by_later_writes(self) -> None:
        """Replaced, deleted and restamped documents stay in it as they were; for who has it open, and for who opens it later."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        for number in range(4):
            draft.write(*written(number))
        draft.publish("first")
        opened = store.snapshot(table, "first")
        before = seen(opened), store.held(table, "first"), opened.count()
        assert len(before[0]) == before[2] == 12
        draft.write(*written(0, edition=1))
        draft.delete(["document:d1.md"])
        draft.restamp({"document:d2.md": frozenset(), "document:d3.md": frozenset(["finance"])})
        assert (seen(opened), store.held(table, "first"), opened.count()) == before
        draft.publish("second")
        again = self.store().snapshot(table, "first")
        assert (seen(opened), seen(again), again.count()) == (before[0], before[0], 12)
        second = store.snapshot(table, "second")
        assert second.count() == 9
        assert seen(second) == {chunk.id: chunk for part in (written(0, 1), written(3, readers=["finance"])) for chunk in part[0]}
        assert store.tags(table) == ["first", "second"]

    def test_a_document_is_replaced_whole(self) -> None:
        """Of an edition that was longer nothing is left, and what is held is counted back."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(*written(0))
        chunks, vectors = written(0, edition=1, readers=["finance"])
        draft.write(chunks[:1], vectors[:1])
        assert draft.held() == {"document:d0.md": Held(f"{1:016d}", frozenset(["finance"]), 1)}
        draft.publish("one")
        assert store.held(table, "one") == draft.held()
        assert seen(store.snapshot(table, "one")) == {chunks[0].id: chunks[0]}

    def test_a_name_that_is_published_again_moves(self) -> None:
        """The version of a name is the last that was published under it."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(*written(0))
        draft.publish("live")
        draft.write(*written(1))
        draft.publish("live")
        assert store.tags(table) == ["live"]
        assert store.snapshot(table, "live").count() == 6

    def test_a_version_that_is_dropped_takes_no_other_with_it(self) -> None:
        """The others and the draft keep their rows; the dropped name stands for nothing."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        draft.write(*written(0))
        draft.publish("first")
        draft.write(*written(0, edition=1))
        draft.publish("second")
        draft.write(*written(0, edition=2))
        store.drop(table, "first")
        store.drop(table, "first")
        assert store.tags(table) == ["second"]
        with pytest.raises(StaleIndex, match="first"):
            store.snapshot(table, "first")
        with pytest.raises(StaleIndex, match="first"):
            store.held(table, "first")
        assert {chunk.document_hash for chunk in seen(store.snapshot(table, "second")).values()} == {f"{1:016d}"}
        store.drop(table, "second")
        assert draft.held() == {"document:d0.md": Held(f"{2:016d}", frozenset(["everyone"]), 3)}
        draft.publish("third")
        assert store.snapshot(table, "third").count() == 3

    def test_what_was_never_made_is_not_there(self) -> None:
        """A table or a version that does not exist is an error that says what to do, and lists nothing."""
        store = self.store()
        table = self.table()
        assert store.tags(table) == []
        store.draft(table, WIDTH)
        assert store.tags(table) == []
        with pytest.raises(StaleIndex, match="no version") as caught:
            store.snapshot(table, "x' OR '1'='1")
        assert "groundtune ingest" in caught.value.hint

    # ── readers ──

    def test_readers_change_apart_from_content(self) -> None:
        """Who lost a group sees nothing of the document at once, who gained it sees all of it; its text and order stay."""
        draft = self.store().draft(self.table(), WIDTH)
        chunks, vectors = written(0, readers=["support"])
        draft.write(chunks, vectors)
        draft.publish("one")
        for readers in (["finance"], [], ["support", 'it\'s "odd"']):
            draft.restamp({"document:d0.md": frozenset(readers), "document:unknown.md": frozenset(GROUPS)})
            index = draft.index()
            for group in GROUPS:
                may = Predicate(frozenset([group]))
                found = index.chunks([chunk.id for chunk in chunks], may)
                assert found == {chunk.id: replace(chunk, readers=frozenset(readers)) for chunk in chunks if group in readers}
                assert {hit.id for hit in index.dense(vectors[0], may, None, 10)} == found.keys()
            assert draft.held() == {"document:d0.md": Held(f"{0:016d}", frozenset(readers), 3)}

    def test_readers_of_each_chunk_change_apart_from_its_neighbours(self) -> None:
        """A chunk may have narrower readers than the rest of its document: each asker finds those chunks that name them, and no other."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        chunks, vectors = written(0, readers=["support"])
        draft.write(chunks, vectors)
        draft.write(*written(1))
        draft.publish("before")
        everyone = frozenset(["everyone"])
        for each in (
            (frozenset(["finance"]), frozenset(), frozenset(["support", "finance"])),
            (frozenset(), everyone, frozenset(['it\'s "odd"'])),
            (everyone, everyone, everyone),
            # One set short: the chunk that it says nothing of is read by nobody.
            (everyone, frozenset(["finance"])),
        ):
            draft.restamp({"document:d0.md": each, "document:unknown.md": each})
            full = (*each, frozenset[str]())[:3]
            stamped = {chunk.id: replace(chunk, readers=full[chunk.ordinal]) for chunk in chunks}
            draft.publish("after")
            for index in (draft.index(), store.snapshot(table, "after")):
                for group in GROUPS:
                    may = Predicate(frozenset([group]))
                    found = index.chunks(list(stamped), may)
                    assert found == {name: chunk for name, chunk in stamped.items() if group in chunk.readers}
                    near = {hit.id for hit in index.dense(vectors[0], may, None, 10)}
                    assert near & stamped.keys() == found.keys()
            wanted = Held(f"{0:016d}", joined(full), 3)
            assert draft.held()["document:d0.md"] == store.held(table, "after")["document:d0.md"] == wanted
            assert draft.held()["document:d1.md"].readers == everyone
        assert store.held(table, "before")["document:d0.md"].readers == frozenset(["support"])
        assert {chunk.readers for chunk in seen(store.snapshot(table, "before")).values()} == {frozenset(["support"]), everyone}
        draft.restamp({"document:d0.md": everyone})
        assert draft.held()["document:d0.md"] == Held(f"{0:016d}", everyone, 3)

    def test_chunks_written_with_different_readers_are_held_one_by_one(self) -> None:
        """What is held of a document says who reads each of its chunks, by ordinal, in whatever order they were written."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        chunks, vectors = written(0)
        each = (frozenset(["everyone"]), frozenset(["finance"]), frozenset[str]())
        stamped = [replace(chunk, readers=each[chunk.ordinal]) for chunk in chunks]
        draft.write([stamped[2], stamped[0], stamped[1]], vectors[[2, 0, 1]])
        draft.publish("only")
        assert draft.held() == store.held(table, "only") == {"document:d0.md": Held(f"{0:016d}", each, 3)}

    # ── others who look ──

    def test_writes_are_visible_at_once_through_another_handle(self) -> None:
        """What a call wrote, another connection finds when the call has returned."""
        table = self.table()
        mine, theirs = self.store().draft(table, WIDTH), self.store().draft(table, WIDTH)
        for number in range(3):
            mine.write(*written(number))
            assert len(seen(theirs.index())) == 3 * (number + 1)
        mine.delete(["document:d0.md"])
        assert {chunk.document_id for chunk in seen(theirs.index()).values()} == {"document:d1.md", "document:d2.md"}
        mine.restamp({"document:d1.md": frozenset()})
        assert {chunk.document_id for chunk in seen(theirs.index()).values()} == {"document:d2.md"}
        assert mine.held() == theirs.held()

    def test_writes_of_another_process_are_visible_at_once(self) -> None:
        """A handle that was open before sees what a second process wrote, deleted and restamped."""
        table = self.table()
        draft = self.store().draft(table, WIDTH)
        for number in range(3):
            draft.write(*written(number))
        draft.index().count()
        with self._child("write once", table) as child:
            assert child.stdout is not None and child.stdout.readline() == "done\n"
            found = seen(draft.index())
        assert {chunk.document_id for chunk in found.values()} == {"document:d0.md", "document:d2.md", "document:d7.md"}
        assert draft.held()["document:d2.md"].readers == frozenset(["finance"])
        assert draft.held()["document:d0.md"].readers == (frozenset(["finance"]), frozenset(), frozenset(["everyone"]))

    # ── kills ──

    def test_kill_in_a_write_leaves_no_half_document(self) -> None:
        """What was acknowledged is there whole; what was not is there whole, or not, or known as torn and mended by the next write."""
        store, table = self.store(), self.table()
        draft = store.draft(table, WIDTH)
        for number in range(3):
            draft.write(*written(number))
        draft.publish("before")
        before = seen(store.snapshot(table, "before"))
        with self._child("write on", table) as child:
            assert child.stdout is not None
            acknowledged = [int(child.stdout.readline()) for _ in range(6)]
            time.sleep(0.003)
            child.send_signal(signal.SIGKILL)
            child.wait()
            acknowledged += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        assert child.returncode == -signal.SIGKILL
        later = self.store()
        draft = later.draft(table, WIDTH)
        held = draft.held()
        wanted = Held(f"{1:016d}", frozenset(["everyone"]), 3)
        for number in acknowledged:
            assert held[f"document:d{number}.md"] == wanted
        shown = seen(draft.index())
        for name, item in held.items():
            if item.hash != TORN:
                assert len([chunk for chunk in shown.values() if chunk.document_id == name]) == item.chunks == 3
        assert seen(later.snapshot(table, "before")) == before
        assert later.tags(table) == ["before"]
        for number in range(len(acknowledged) + 2):
            draft.write(*written(number, edition=1))
        assert set(draft.held().values()) == {wanted}

    # ── rows are listed, and damage is found ──

    def test_the_rows_of_a_version_are_listed(self) -> None:
        """All of them, or those of some documents; whatever the draft has become since."""
        table = self.table()
        rows_are_listed(self.store(), table)
        with pytest.raises(StaleIndex, match="no version never"):
            list(self.store().rows(table, "never"))

    def test_rows_that_are_not_what_was_written_are_found_by_verify(self) -> None:
        """Another text, span, id, order, hash, readers, or a chunk too few: each is told, of that document and of no other."""
        damage_is_found(self.store(), self.table())

    # ── the exact index decides ──

    def test_random_histories_are_answered_as_the_exact_index_does(self) -> None:
        """Random documents, readers, writes and versions; random askers, filters and queries: no leak, no loss, the oracle's scores."""
        from hypothesis import HealthCheck, given, settings

        store, exact, table = self.store(), MemoryStore(), self.table()
        drafts = store.draft(table, WIDTH), exact.draft(table, WIDTH)

        @settings(max_examples=cases(self.cases), deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)
        @given(histories())
        def compare(history: Mapping[str, Any]) -> None:
            told = Told()
            for draft in drafts:
                draft.delete(sorted(draft.held()))
            for step in history["steps"]:
                told.apply(step)
                for draft in drafts:
                    apply(draft, step)
            assert drafts[0].held() == drafts[1].held()
            pair: tuple[Index, Index] = (drafts[0].index(), drafts[1].index())
            if history["publish"]:
                for draft in drafts:
                    draft.publish("case")
                    draft.delete(sorted(draft.held()))
                pair = (store.snapshot(table, "case"), exact.snapshot(table, "case"))
            for asked in history["asked"]:
                no_leak(pair[0], told, asked)
                same(*pair, asked)

        compare()
