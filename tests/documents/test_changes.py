"""The set difference: what is new, changed, moved, gone; what is out of reach; and that syncing step by step equals reading afresh."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sources import Memory, ids, kinds, origin, synced

from groundtune import plugins
from groundtune.documents import item
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import commit, documents_of, gone_first, survey
from groundtune.documents.given import Policy, Rule
from groundtune.documents.sources.folder import Folder, Once
from groundtune.errors import DocumentError, SourceError, StorageError


def test_new_changed_moved_gone_and_unchanged_are_told_apart() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo", "c.md": "# C\n\nthree", "d.md": "# D\n\nfour"})
    assert set(kinds(synced(catalogue, origin(box))).values()) == {"new"}
    box.texts = {"a.md": "# A\n\none", "b.md": "# B\n\nother", "moved/c.md": "# C\n\nthree", "e.md": "# E\n\nfive"}
    found = synced(catalogue, origin(box))
    assert kinds(found) == {
        "box/a.md": "unchanged",
        "box/b.md": "changed",
        "box/c.md": "gone",
        "box/moved/c.md": "moved",
        "box/d.md": "gone",
        "box/e.md": "new",
    }
    assert next(change.moved_from for change in found.changes if change.kind == "moved") == "box/c.md"
    assert ids(found) == {"document:box/a.md", "document:box/b.md", "document:box/moved/c.md", "document:box/e.md"}


def test_what_has_the_same_stamp_is_not_read_and_what_has_none_is_known_by_its_hash() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none"})
    synced(catalogue, origin(box))
    synced(catalogue, origin(box))
    assert box.reads == ["a.md"]
    plain = Memory({"a.md": "# A\n\none"}, stamped=False)
    assert kinds(synced(catalogue, origin(plain))) == {"box/a.md": "unchanged"} and plain.reads == ["a.md"]


class Frozen(Memory):
    """A source whose stamps say nothing: they stay as they are while the texts change."""

    def items(self) -> Any:
        return (replace(found, stamp="as ever") for found in super().items())


def test_what_a_stamp_hides_is_found_by_reading_everything_again() -> None:
    catalogue, box = Catalogue(None), Frozen({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    box.texts["a.md"], box.reads = "# A\n\nother", []
    assert set(kinds(synced(catalogue, origin(box))).values()) == {"unchanged"} and box.reads == []
    assert kinds(synced(catalogue, origin(box), reread=True)) == {"box/a.md": "changed", "box/b.md": "unchanged"}
    assert box.reads == ["a.md", "b.md"]
    assert set(kinds(synced(catalogue, origin(box))).values()) == {"unchanged"} and box.reads == ["a.md", "b.md"]


def test_reading_everything_again_does_not_bring_back_what_was_dropped() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": b"\xff\xff", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    synced(catalogue, origin(box), drop=["box/a.md"])
    assert kinds(synced(catalogue, origin(box), reread=True))["box/a.md"] == "dropped"
    assert kinds(synced(catalogue, origin(box), retry=True))["box/a.md"] == "failed"


def test_another_release_of_a_parser_reads_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none"})
    synced(catalogue, origin(box))
    item._mark.cache_clear()
    monkeypatch.setattr(plugins, "releases", lambda kind: (f"markdown somebody's-{kind} 2.0",))
    try:
        assert kinds(synced(catalogue, origin(box))) == {"box/a.md": "unchanged"} and box.reads == ["a.md", "a.md"]
    finally:
        item._mark.cache_clear()


def test_a_file_is_trusted_by_its_stamp_only_when_its_clock_has_moved_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, catalogue = tmp_path / "a.md", Catalogue(None)
    page.write_text("# A\n\none")
    assert [found.stamp for found in Folder(tmp_path).items()] == [""]
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_000_000_000)
    synced(catalogue, origin(Folder(tmp_path)))
    times = page.stat().st_atime_ns, page.stat().st_mtime_ns
    page.write_text("# A\n\ntwo")
    os.utime(page, ns=times)
    assert kinds(synced(catalogue, origin(Folder(tmp_path)))) == {"box/a.md": "changed"}, "same size, same time of change"


def test_a_source_is_listed_once_for_two_looks_and_again_after_it_failed() -> None:
    box = Memory({"a.md": "# A\n\none"})
    once = Once(box)
    box.down = True
    for _ in range(2):
        with pytest.raises(SourceError):
            once.items()
    box.down = False
    assert [found.name for found in once.items()] == ["a.md"]
    box.texts["b.md"] = "# B\n\ntwo"
    assert [found.name for found in once.items()] == ["a.md"]


def test_a_source_out_of_reach_loses_nothing_and_is_told() -> None:
    catalogue, box, other = Catalogue(None), Memory({"a.md": "# A\n\none"}), Memory({"x.md": "# X\n\nten"})
    synced(catalogue, origin(box), origin(other, "other"))
    box.down = True
    other.texts = {"y.md": "# Y\n\neleven"}
    found = synced(catalogue, origin(box), origin(other, "other"))
    assert kinds(found) == {"box/a.md": "kept", "other/x.md": "gone", "other/y.md": "new"}
    assert [error.message for error in found.problems] == ["the line is down"]
    assert catalogue.sources()["box"][1] == "the line is down"
    box.down = False
    assert kinds(synced(catalogue, origin(box), origin(other, "other")))["box/a.md"] == "unchanged"
    assert catalogue.sources()["box"][1] == ""


def test_a_source_that_stumbles_in_the_middle_of_its_list_loses_nothing() -> None:
    class Half(Memory):
        def items(self) -> Any:
            yield next(iter(super().items()))
            raise RuntimeError("unforeseen")

    catalogue = Catalogue(None)
    synced(catalogue, origin(Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})))
    found = synced(catalogue, origin(Half({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})))
    assert set(kinds(found).values()) == {"kept"} and "unforeseen" in found.problems[0].message


def test_a_source_that_suddenly_lists_nothing_has_to_be_confirmed() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none"})
    synced(catalogue, origin(box))
    box.texts = {}
    found = synced(catalogue, origin(box))
    assert kinds(found) == {"box/a.md": "kept"} and "--emptied box" in found.problems[0].hint
    assert kinds(synced(catalogue, origin(box), emptied=["box"])) == {"box/a.md": "gone"} and not catalogue.known("box")


def test_an_item_that_cannot_be_fetched_stays_as_it_was_and_is_fetched_the_next_time() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    box.texts["a.md"], box.unfetchable = "# A\n\nnew", {"a.md"}
    found = synced(catalogue, origin(box))
    assert kinds(found) == {"box/a.md": "kept", "box/b.md": "unchanged"} and "timed out" in found.problems[0].message
    assert documents_of(found)["document:box/a.md"].text.endswith("one")
    box.unfetchable = set()
    assert kinds(survey([origin(box)], catalogue))["box/a.md"] == "changed"


def test_a_bad_item_is_hidden_keeps_its_reason_and_stops_nothing() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    box.texts["a.md"] = b"\xff\xfe\xff"
    found = synced(catalogue, origin(box))
    assert kinds(found) == {"box/a.md": "failed", "box/b.md": "unchanged"} and ids(found) == {"document:box/b.md"}
    box.reads.clear()
    again = synced(catalogue, origin(box))
    assert box.reads == [] and [error.message for error in again.problems] == [error.message for error in found.problems] != []
    synced(catalogue, origin(box), retry=True)
    assert box.reads == ["a.md"]


def test_a_dropped_item_is_not_heard_of_until_it_changes() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": b"a\xff", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    dropped = synced(catalogue, origin(box), drop=["box/a.md"])
    assert kinds(dropped)["box/a.md"] == "dropped" and not dropped.problems
    assert not synced(catalogue, origin(box)).problems
    box.texts["a.md"] = b"b\xff"
    assert kinds(synced(catalogue, origin(box)))["box/a.md"] == "failed"
    box.texts["a.md"] = "# A\n\nwell"
    assert kinds(synced(catalogue, origin(box)))["box/a.md"] == "new"


def test_what_was_read_in_part_can_be_taken_as_read_until_it_changes() -> None:
    import made_files as made

    raw = made.zipped({"good.md": "Good.", "odd.xyz": "x"})
    catalogue, box = Catalogue(None), Memory({"a.zip": raw})
    assert [error.message for error in synced(catalogue, origin(box)).problems] != []
    taken = synced(catalogue, origin(box), drop=["box/a.zip"])
    assert kinds(taken) == {"box/a.zip": "unchanged"} and not taken.problems and ids(taken) == {"document:box/a.zip!/good.md"}
    assert not synced(catalogue, origin(box)).problems and not synced(catalogue, origin(box), retry=True).problems
    assert synced(catalogue, origin(box), reread=True).problems
    box.texts["a.zip"] = made.zipped({"good.md": "Better.", "odd.xyz": "x"})
    assert synced(catalogue, origin(box)).problems
    fresh = synced(Catalogue(None), origin(box), drop=["box/a.zip"])
    assert kinds(fresh) == {"box/a.zip": "new"} and not fresh.problems


def test_only_failed_items_can_be_dropped() -> None:
    with pytest.raises(DocumentError, match="no failed document"):
        survey([origin(Memory({"b.md": "# B\n\ntwo"}))], Catalogue(None), drop=["box/b.md"])


@pytest.mark.parametrize(
    "name",
    [
        "../up.md",
        "/etc/passwd.md",
        "a//b.md",
        "a/../../b.md",
        "./a.md",
        "",
        "a\x00b.md",
        "a\x1b[31m.md",
        "x" * 1001 + ".md",
        "\u202egnp.md",
    ],
)
def test_a_name_that_is_no_path_within_its_source_is_refused_and_never_read(name: str) -> None:
    box = Memory({name: "# A\n\none", "good.md": "# G\n\ngood"})
    found = synced(Catalogue(None), origin(box))
    assert ids(found) == {"document:box/good.md"} and box.reads == ["good.md"]
    assert len(found.problems) == 1 and found.counts["failed"] == 1


def test_names_that_differ_in_unicode_form_alone_are_told() -> None:
    found = synced(Catalogue(None), origin(Memory({"é.md": "# A\n\none", "e\u0301.md": "# A\n\ntwo"})))
    assert len(found.problems) == 1 and not ids(found)


def test_two_sources_cannot_give_one_document() -> None:
    one, two = origin(Memory({"wiki/a.md": "# A\n\none"}), "docs", prefix=""), origin(Memory({"a.md": "# A\n\ntwo"}), "wiki")
    found = synced(Catalogue(None), one, two)
    assert ids(found) == {"document:wiki/a.md"} and "same name" in found.problems[0].message


def test_other_readers_or_metadata_given_give_another_document_though_the_bytes_are_the_same() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none"})
    synced(catalogue, origin(box))
    narrow = Policy(readers=frozenset({"hr"}))
    found = synced(catalogue, origin(box, policy=narrow))
    # A default is no part of what the item says: nothing is parsed again for it.
    assert kinds(found) == {"box/a.md": "unchanged"} and documents_of(found)["document:box/a.md"].readers == {"hr"}
    ruled = Policy(readers=frozenset({"hr"}), rules=(Rule(match="box/*", metadata={"product": "x"}),))
    assert documents_of(synced(catalogue, origin(box, policy=ruled)))["document:box/a.md"].metadata == {"product": "x"}


def test_a_source_that_the_project_does_not_name_any_more_is_gone() -> None:
    catalogue, box, other = Catalogue(None), Memory({"a.md": "# A\n\none"}), Memory({"x.md": "# X\n\nten"})
    synced(catalogue, origin(box), origin(other, "other"))
    found = synced(catalogue, origin(box))
    assert found.removed == ("other",) and found.counts["gone"] == 1 and not catalogue.known("other")


def test_what_is_gone_is_known_before_anything_is_read() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    assert gone_first([origin(box)], catalogue) is None
    box.texts = {"a.md": "# A\n\nnew", "c.md": "# C\n\nthree"}
    box.reads.clear()
    left = gone_first([origin(box)], catalogue)
    assert left == {"document:box/a.md"} and box.reads == []
    box.down = True
    assert gone_first([origin(box)], catalogue) is None


def test_a_folder_that_cannot_be_listed_keeps_what_is_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("# A\n\none")
    (tmp_path / "b.md").write_text("# B\n\ntwo")
    catalogue = Catalogue(None)
    synced(catalogue, origin(Folder(tmp_path)))
    real = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("/in"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    found = synced(catalogue, origin(Folder(tmp_path)))
    assert (
        kinds(found)["box/in/a.md"] == "kept" and "document:box/in/a.md" in ids(found) and "cannot be listed" in found.problems[0].message
    )


def test_a_commit_that_is_broken_off_leaves_the_catalogue_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, box = Catalogue(tmp_path / "c.sqlite"), Memory({"a.md": "# A\n\none", "b.md": "# B\n\ntwo"})
    synced(catalogue, origin(box))
    box.texts = {"c.md": "# C\n\nthree"}
    found = survey([origin(box)], catalogue)
    monkeypatch.setattr(catalogue, "listed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        commit(found, catalogue, "now")
    assert set(Catalogue(tmp_path / "c.sqlite").known("box")) == {"a.md", "b.md"}


def test_a_catalogue_that_is_none_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"not a database, and longer than its header would be" * 10)
    with pytest.raises(StorageError, match="cannot be used"):
        Catalogue(path)


NAMES = st.sampled_from([f"{folder}{name}.md" for folder in ("", "in/", "in/deep/") for name in "abc"])
TEXTS = st.one_of(
    st.sampled_from(["# Same\n\nthe same text", "---\nreaders: [hr]\n---\n# Narrow\n\ntext", "---\nreaders: [\n---\nbroken", ""]),
    st.text(alphabet="ab \n#", max_size=12),
)
STEPS = st.lists(st.tuples(st.sampled_from(["write", "remove", "move", "down", "retry", "drop"]), NAMES, NAMES, TEXTS), max_size=10)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, cuts=st.sets(st.integers(0, 10)), stamped=st.booleans())
def test_syncing_step_by_step_equals_reading_everything_afresh(steps: list[Any], cuts: set[int], stamped: bool) -> None:
    catalogue, box = Catalogue(None), Memory({"keep.md": "# Keep\n\nthis"}, stamped=stamped)
    for number, (act, name, other, text) in enumerate(steps):
        box.down = act == "down"
        if act == "write":
            box.texts[name] = text
        elif act == "remove":
            box.texts.pop(name, None)
        elif act == "move" and name in box.texts:
            box.texts[other] = box.texts.pop(name)
        if number in cuts:
            failed = [change.name for change in survey([origin(box)], catalogue).changes if change.kind == "failed"]
            synced(catalogue, origin(box), retry=act == "retry", drop=failed[:1] if act == "drop" and not box.down else [])
    box.down = False
    last = synced(catalogue, origin(box))
    assert documents_of(last) == documents_of(survey([origin(box)], Catalogue(None)))
    assert documents_of(survey([origin(box)], catalogue)) == documents_of(last)
    assert set(kinds(survey([origin(box)], catalogue)).values()) <= {"unchanged", "failed", "dropped"}
