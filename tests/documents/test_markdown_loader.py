from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.documents.markdown import load
from groundtune.errors import DocumentError

PATH = Path("slots.md")


def test_front_matter_is_no_part_of_the_text() -> None:
    front = b'title: "Slots: moving"\r\nversion: "5"\r\ndate: 2026-06-09\r\nreaders: [everyone, hr]\r\n'
    loaded = load(PATH, b"\xef\xbb\xbf---\r\n" + front + b"---\r\n# Head\r\n\r\nText.\r\n")
    assert loaded.text == "# Head\n\nText."
    assert loaded.title == "Slots: moving"
    assert loaded.metadata == {"version": "5", "date": "2026-06-09"}
    assert loaded.readers == {"everyone", "hr"}


def test_values_stay_as_they_are_written() -> None:
    loaded = load(PATH, b"---\nversion: 5.10\nlive: no\nid: 012\nnone: null\ntags: [a, 1.0]\n---\nx")
    assert loaded.metadata == {"version": "5.10", "live": "no", "id": "012", "none": "null", "tags": "a, 1.0"}


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Head *x* #\n\ntext", "Head *x*", "# Head *x* #\n\ntext"),
        ("no heading", "slots", "no heading"),
        ("text\n\n---\n\nmore", "slots", "text\n\n---\n\nmore"),
        ("----\ntext", "slots", "----\ntext"),
        ("---\n---\ntext", "slots", "text"),
        ("---\n# only a comment\n---\n    code\n", "slots", "    code"),
        ("---\ntitle: T\n...\ntext", "T", "text"),
    ],
)
def test_title_and_text(text: str, title: str, body: str) -> None:
    loaded = load(PATH, text.encode())
    assert (loaded.title, loaded.text, loaded.readers) == (title, body, None)


def test_readers_may_be_nobody_and_one_string() -> None:
    assert load(PATH, b"---\nreaders: []\n---\nx").readers == frozenset()
    assert load(PATH, b"---\nreaders: hr, support\n---\nx").readers == {"hr", "support"}


BOMB = "a: &a [x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("front", "said"),
    [
        (BOMB, "slots.md:2: front matter uses a YAML anchor or alias"),
        ("a: 1\nb: *a", "slots.md:3: front matter uses a YAML anchor or alias"),
        ("a: !!python/object/apply:os.system [id]", "slots.md:2: front matter uses a YAML tag"),
        ("readers:\nversion: 5", "slots.md:2: front matter 'readers' has no value"),
        ("title: x\nreaders: [hr]\nreaders: [everyone]", "slots.md:4: front matter has 'readers' twice"),
        ("a: b: c", "slots.md:2: front matter is not YAML: mapping values are not allowed here"),
        ("x: 1\n\ty: 2", "slots.md:3: front matter is not YAML"),
        ("a: [1", "front matter is not YAML"),
        ("a: \x01", "front matter is not YAML"),
        ("- a", "slots.md:2: front matter is not a table"),
        ("just words", "slots.md:2: front matter is not a table"),
        ("a:\n  b: c", "slots.md:3: front matter 'a' holds more than"),
        ("a: [[b]]", "slots.md:2: front matter 'a' holds more than"),
        ("<<: {readers: [everyone]}", "slots.md:2: front matter '<<' holds more than"),
        ("a: " + "[" * 9000, "slots.md:2: front matter"),
        ("a: " + "x" * 20_001, "slots.md:1: front matter of 20,00"),
        ("readers: ['']", "slots.md: readers is ['']; expected a list of group names"),
    ],
)
def test_bad_front_matter_is_refused_where_it_stands(front: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        load(PATH, f"---\n{front}\n---\ntext".encode())
    assert said in raised.value.message


def test_front_matter_that_is_never_closed_does_not_lose_its_readers() -> None:
    with pytest.raises(DocumentError, match=r"slots\.md:1: front matter is opened"):
        load(PATH, b"---\nreaders: [hr]\n\n# Salaries\n")


def test_stars_and_ampersands_inside_values_are_just_text() -> None:
    assert load(PATH, b"---\ntitle: R&D *now* & then\nnote: '&a *b !c'\n---\nx").metadata == {"note": "&a *b !c"}
