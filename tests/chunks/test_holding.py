from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.chunks import holding
from groundtune.chunks.store import Row
from groundtune.chunks.verify import digest, uncovered
from groundtune.errors import StateError
from groundtune.types import Document


class Thing:
    """Something that has a version open."""


def test_there_is_one_writer_and_the_next_one_is_told_who(tmp_path: Path) -> None:
    with holding.writing(tmp_path):
        with pytest.raises(StateError, match=r"process \d+ is writing"), holding.writing(tmp_path, patience=0):
            pass
    with holding.writing(tmp_path, patience=0):
        pass


def test_a_version_is_held_for_as_long_as_its_reader_lives(tmp_path: Path) -> None:
    one, two = Thing(), Thing()
    assert not holding.held(tmp_path, "index:ab")
    assert holding.hold(tmp_path, "index:ab", one) and holding.hold(tmp_path, "index:ab", two)
    assert holding.held(tmp_path, "index:ab") and not holding.held(tmp_path, "index:cd")
    del one
    assert holding.held(tmp_path, "index:ab")
    del two
    assert not holding.held(tmp_path, "index:ab")


def test_nobody_opens_what_is_being_removed(tmp_path: Path) -> None:
    with holding.alone(tmp_path, "index:ab") as free:
        assert free
        assert not holding.hold(tmp_path, "index:ab", Thing())
        holding.forget(tmp_path, "index:ab")
    assert not holding.held(tmp_path, "index:ab")


TEXT = st.text(st.sampled_from("ab c\n\té漢"), max_size=60)


@given(TEXT, st.lists(st.integers(0, 60), max_size=8), st.data())
def test_spans_that_are_a_texts_own_cover_it_and_any_loss_is_told(text: str, cuts: list[int], data: st.DataObject) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    document = Document(id="d", source="d", title="d", text=text, content_hash="h", readers=frozenset())
    spans = [pair for pair in zip(places, places[1:], strict=False) if text[pair[0] : pair[1]].strip()]
    rows = [Row("d", f"c{number}", number, begin, end, text[begin:end]) for number, (begin, end) in enumerate(spans)]
    assert uncovered(document, rows) == ""
    if not rows:
        return
    lost = data.draw(st.integers(0, len(rows) - 1))
    fewer = [row for row in rows if row.ordinal != lost]
    assert "in no chunk" in uncovered(document, fewer)
    assert digest(fewer) != digest(rows) == digest(list(reversed(rows)))
    other = rows[lost]._replace(text=rows[lost].text + "x")
    assert "is not what stands" in uncovered(document, [*fewer, other]) and digest([*fewer, other]) != digest(rows)
