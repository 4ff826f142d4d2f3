"""Places: which part of a text is from where, whatever the text is made of."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from groundtune.documents.places import composed, name_of, touched
from groundtune.documents.writer import Writer, fenced, table
from groundtune.types import Place

PAGES = (Place(0, "page 3"), Place(10, "page 4"), Place(20, "page 5"))


def test_a_run_of_places_is_named_by_its_ends() -> None:
    assert name_of(PAGES, 0, 10) == "page 3"
    assert name_of(PAGES, 9, 11) == "pages 3-4"
    assert name_of(PAGES, 10, 20) == "page 4"
    assert name_of(PAGES, 0, 99) == "pages 3-5"
    assert name_of(PAGES, 25, 25) == "page 5"
    rows = (Place(0, "Prices!row 2"), Place(5, "Prices!row 3"), Place(10, "Costs!row 1"))
    assert name_of(rows, 0, 9) == "Prices!rows 2-3"
    assert name_of(rows, 0, 12) == "Prices!row 2 - Costs!row 1"
    assert name_of((), 0, 5) == ""
    assert name_of((Place(5, "part 1"),), 0, 3) == ""


@given(st.lists(st.text(min_size=1), max_size=12), st.data())
def test_every_character_keeps_the_place_that_it_came_from(pieces: list[str], data: st.DataObject) -> None:
    writer = Writer()
    for number, piece in enumerate(pieces):
        writer.at(f"page {number}")
        writer.add(piece)
    text, places = composed(writer.text, writer.places)
    assert text == unicodedata.normalize("NFC", writer.text)
    assert [place.start for place in places] == sorted(place.start for place in places)
    for place, following in zip(places, [*places[1:], Place(len(text), "")], strict=False):
        piece = pieces[int(place.name.removeprefix("page "))].strip("\n").rstrip()
        assert text[place.start : following.start].rstrip() == unicodedata.normalize("NFC", piece).rstrip()
    if text:
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        names = {place.name for at in range(start, end) for place in touched(places, at, at + 1)}
        assert {place.name for place in touched(places, start, end)} == names


@given(st.text())
def test_no_text_breaks_out_of_its_fence(text: str) -> None:
    whole, start = fenced(text)
    fence = whole.split("\n", 1)[0]
    assert whole[start : start + len(text)] == text
    assert fence not in text


@given(st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=4))
def test_a_table_has_one_line_a_row_and_the_same_cells_in_each(rows: list[list[str]]) -> None:
    lines = table(rows).split("\n") if table(rows) else []
    assert len(lines) == (len(rows) + 1 if lines else 0)
    assert len({line.replace("\\|", "").count("|") for line in lines}) <= 1
