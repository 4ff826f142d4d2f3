"""Near-duplicates and versions: found, marked, and never a way to learn of a document that one may not read."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.documents.alike import Versions, likeness, marked, near_duplicates, rank, signature, superseded
from groundtune.types import Document, Section

BY_VERSION = Versions(by="version")


def document(name: str, text: str = "text", readers: str = "everyone", **metadata: str) -> Document:
    title = metadata.pop("title", name)
    return Document(
        id=f"document:{name}",
        source=name,
        title=title,
        text=text,
        content_hash=f"hash of {name}",
        readers=frozenset(readers.split()),
        metadata=metadata,
    )


def words(count: int, seed: int) -> list[str]:
    return [f"w{random.Random(seed * 1000 + number).randrange(5000)}" for number in range(count)]


def test_the_estimate_is_near_the_true_share_of_runs() -> None:
    base = words(600, 1)
    for changed in (0, 30, 120, 600):
        other = [*base[: 600 - changed], *words(changed, 2)]
        runs = [{tuple(said[i : i + 3]) for i in range(len(said) - 2)} for said in (base, other)]
        true = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        assert abs(likeness(signature(" ".join(base)), signature(" ".join(other))) - true) < 0.14


def test_case_punctuation_and_unicode_form_make_no_difference() -> None:
    assert likeness(signature("The Café, opens at nine o'clock!"), signature("the cafe\u0301 opens at nine o clock")) == 1.0
    assert signature("...") == b"" and likeness(b"", b"") == 0.0


def test_near_duplicates_are_found_among_many_and_others_are_not() -> None:
    texts = {f"d{number}": " ".join(words(200, number + 10)) for number in range(200)}
    texts["copy"] = texts["d7"].upper()
    texts["near"] = texts["d9"] + " and a few words more"
    groups = near_duplicates({name: signature(text) for name, text in texts.items()}, 0.9)
    assert groups == (("copy", "d7"), ("d9", "near"))


def test_a_thousand_copies_are_one_group() -> None:
    mark = signature(" ".join(words(50, 3)))
    assert [len(group) for group in near_duplicates({f"d{number}": mark for number in range(1000)}, 0.9)] == [1000]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("5.9", "5.10"),
        ("4", "5"),
        ("2025-12-31", "2026-06-09"),
        ("5.0-rc1", "5.0"),
        ("5.0", "5.0.1"),
        ("v4", "v5"),
        ("1.0-alpha", "1.0-beta"),
    ],
)
def test_versions_and_dates_are_ordered(older: str, newer: str) -> None:
    assert rank(older) < rank(newer)


def test_five_and_five_point_nought_are_one_version() -> None:
    assert rank("5") == rank("5.0") == rank("v5.0.0")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_texts_can_be_ordered(written: list[str]) -> None:
    assert len(sorted(written, key=rank)) == len(written)


def test_the_newest_version_supersedes_the_others() -> None:
    found = superseded([document(f"v{v}/slots.md", title="Slots", version=v) for v in ("4", "5", "5.10", "5.9")], BY_VERSION)
    assert found == {f"document:v{v}/slots.md": "document:v5.10/slots.md" for v in ("4", "5", "5.9")}


def test_a_version_that_its_readers_cannot_all_read_supersedes_nothing_for_them() -> None:
    public, draft = document("a", title="Slots", version="4"), document("b", readers="staff", title="Slots", version="5")
    assert superseded([public, draft], BY_VERSION) == {}
    told, _ = marked({d.id: d for d in (public, draft)}, {}, near=0.9, versions=BY_VERSION)
    assert told[public.id].metadata["current"] == "yes"


def test_a_duplicate_that_its_readers_cannot_read_leaves_no_mark() -> None:
    text = " ".join(words(60, 5))
    open_one, secret = document("a", text), document("b", text, readers="hr")
    told, alike = marked(
        {d.id: d for d in (open_one, secret)}, {d.id: signature(text) for d in (open_one, secret)}, near=0.9, versions=Versions()
    )
    assert alike.duplicates == (("a", "b"),) and told[open_one.id] == open_one and told[secret.id] == secret
    both = document("c", text)
    marks = {d.id: signature(text) for d in (open_one, secret, both)}
    told, _ = marked({d.id: d for d in (open_one, secret, both)}, marks, near=0.9, versions=Versions())
    assert told[open_one.id].metadata["near_duplicate"] == told[both.id].metadata["near_duplicate"]
    assert "b" not in str(told[open_one.id].metadata["near_duplicate"]).split() and told[secret.id] == secret


def test_without_marks_a_document_is_left_as_it_is() -> None:
    one = document("a", version="4", title="Slots")
    told, alike = marked({one.id: one}, {one.id: signature("one two three")}, near=0.9, versions=Versions())
    assert told == {one.id: one} and alike.duplicates == alike.superseded == ()


READERS = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(READERS, st.sampled_from(["1", "2", "3"]), st.sampled_from(["x", "y"])), max_size=8))
def test_whoever_could_read_a_version_still_finds_one_that_is_current(rows: list[tuple[frozenset[str], str, str]]) -> None:
    made = [document(f"d{n}", readers=" ".join(readers), title=title, version=version) for n, (readers, version, title) in enumerate(rows)]
    told, _ = marked({d.id: d for d in made}, {}, near=0.9, versions=BY_VERSION)
    for group in "abc":
        for title in "xy":
            mine = [d for d in told.values() if group in d.readers and d.title == title]
            newest = max((rank(d.metadata["version"]) for d in mine), default=None)
            assert all(d.metadata["current"] == "yes" for d in mine if rank(d.metadata["version"]) == newest)
            assert not mine or any(d.metadata["current"] == "yes" for d in mine)


def test_a_version_with_an_open_section_is_not_hidden_by_one_that_is_closed() -> None:
    older, newer = document("a", readers="finance", title="t", version="1"), document("b", readers="finance", title="t", version="2")
    assert superseded([older, newer], BY_VERSION) == {older.id: newer.id}
    parted = replace(older, sections=(Section(0, 2, frozenset({"finance", "everyone"})), Section(2, 4, frozenset({"finance"}))))
    assert superseded([parted, newer], BY_VERSION) == {}
