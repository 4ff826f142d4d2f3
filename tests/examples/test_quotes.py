from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example as tried
from hypothesis import given
from hypothesis import strategies as st

from groundtune.examples.quotes import Library, locate


def found(quote: str, text: str) -> str | None:
    span = locate(quote, text)
    return None if span is None else text[slice(*span)]


@pytest.mark.parametrize(
    ("quote", "text", "stands"),
    [
        ("until 2 hours", "free until 2 hours before", "until 2 hours"),
        ("  until 2 hours\n", "free until 2 hours before", "until 2 hours"),
        ("until 2 hours", "free until\n  2\u00a0hours before", "until\n  2\u00a0hours"),
        ("the driver's badge", "scan the driver’s badge now", "the driver’s badge"),
        ('say "go" - then', "say “go” — then wait", "say “go” — then"),
        ("a -- b", "x a – b y", "a – b"),
        ("wait...", "so wait… now", "wait…"),
        ("cooperate", "to co\u00adoperate\u200b fully", "co\u00adoperate"),
        ("Cancel until 2 hours before", "Cancel **until 2 hours** before.", "Cancel **until 2 hours** before"),
        ("until 2 hours", "Cancel **until 2 hours** before.", "until 2 hours"),
        ("send X-Harbour-Key now", "send `X-Harbour-Key` now", "send `X-Harbour-Key` now"),
        ("set retry_after to 5", r"set retry\_after to 5", r"set retry\_after to 5"),
        ("1. no list", r"1\. no list", r"1\. no list"),
        ("R&D costs", "R&amp;D costs", "R&amp;D costs"),
        ("see Fees and pay", 'see [Fees](fees.md "Fees") and pay', 'see [Fees](fees.md "Fees") and pay'),
        ("one two", "- one\n- two", "one\n- two"),
        ("a long quote goes on", "> a long quote\n> goes on", "a long quote\n> goes on"),
        ("Fees What it costs", "## Fees\n\nWhat it costs", "Fees\n\nWhat it costs"),
        ("Start 390", "| Plan | EUR |\n| --- | --- |\n| Start | 390 |", "Start | 390"),
        ("EUR Start", "| Plan | EUR |\n| --- | --- |\n| Start | 390 |", "EUR |\n| --- | --- |\n| Start"),
        ("**until 2 hours**", "Cancel until 2 hours before.", "until 2 hours"),
        ("café", "the cafe\u0301 bar", "cafe\u0301"),
        ("cafe\u0301", "the café bar", "café"),
        ("夜は閉まる", "港は開く。夜は閉まる。", "夜は閉まる"),
        ("snake_case stays", "a snake_case stays", "snake_case stays"),
        ("un**believ**able", "unbelievable", "unbelievable"),
        ("2 hours", "12 hours, or 2 hours", "2 hours"),
    ],
)
def test_a_quote_is_found_where_it_stands(quote: str, text: str, stands: str) -> None:
    assert found(quote, text) == stands


def test_the_place_is_that_of_the_whole_quote() -> None:
    assert locate("2 hours", "12 hours, or 2 hours") == (13, 20)
    assert locate("b c", "a *b*\n\nc d") == (3, 8)


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("", "text"),
        ("   ", "text"),
        ("**", "a **b**"),
        (".", "It ends. So."),
        ("Until", "until 2 hours"),
        ("until 3 hours", "until 2 hours"),
        ("hours 2", "2 hours"),
        ("2 hours", "12 hours"),
        ("EUR 1", "EUR 150"),
        ("EUR 1", "EUR 1,150"),
        ("150", "EUR 1,150"),
        ("99", "99.5 %"),
        ("5 %", "99.5 %"),
        ("able", "unable to say"),
        ("53", "5*3"),
        ("5 3", "5 * 3"),
        ("snakecase", "snake_case"),
        ("not there", "it is there"),
        ("text", ""),
    ],
)
def test_other_words_numbers_and_torn_ones_are_not_found(quote: str, text: str) -> None:
    assert locate(quote, text) is None


def test_a_quote_that_a_limit_cut_off_inside_its_last_word_is_found() -> None:
    assert found("cancel until 2 ho", "You may cancel until 2 hours before") == "cancel until 2 ho"


letters = st.text(st.sampled_from("abcd 12*_`\\|#>-[]()&;~.,'\"’—\n\té日😀\u0301\u00ad"), max_size=60)


@given(letters, st.integers(0, 60), st.integers(1, 30))
@tried(r"a\*b", 0, 4)
def test_every_run_of_whole_words_is_found_and_reads_the_same(text: str, start: int, length: int) -> None:
    quote = text[start : start + length].strip()
    before, after = text[:start][-1:], text[start + length :][:1]
    if not any(letter.isalnum() for letter in quote) or before.strip() or after.strip():
        return
    assert found(quote, text) == quote


@given(letters, letters)
def test_what_is_found_is_a_span_of_the_text_and_found_again(quote: str, text: str) -> None:
    span = locate(quote, text)
    if span is not None:
        start, end = span
        assert 0 <= start < end <= len(text)
        assert locate(text[start:end], text) is not None


@given(st.lists(st.sampled_from(["alpha", "Beta", "12", "x-y", "it's", "99.5", "end."]), min_size=1, max_size=6), st.data())
def test_marks_blanks_and_typography_do_not_hide_words(said: list[str], data: st.DataObject) -> None:
    marks = st.sampled_from(["{}", "**{}**", "*{}*", "_{}_", "`{}`", "[{}](u.md)"])
    blanks = st.sampled_from([" ", "\n", "  ", "\u00a0", "\n> ", " \n- "])
    written = "".join(data.draw(blanks) + data.draw(marks).format(word.replace("'", "’")) for word in said)
    text = f"Before.{written}\n\nAfter"
    span = locate(" ".join(said), text)
    assert span is not None
    plain = unicodedata.normalize("NFC", text[slice(*span)])
    assert [word for word in said if word.replace("'", "’") not in plain] == []


def test_long_texts_are_searched_quickly_enough_to_finish() -> None:
    """Quadratic work on any of these would take minutes."""
    for text in (
        "[" * 200_000,
        "](" * 100_000,
        "*" * 200_000,
        "&amp" * 50_000,
        "\\" * 200_000,
        "|" * 200_000,
        "-" * 200_000,
        "> " * 100_000,
        "a_" * 100_000,
    ):
        assert locate("not in it", text) is None


PIECES = "**Two hours**|two|hours|- first|“quoted”|&amp;|12.5|2|\n\n|# Head|x_y|[link](a.md)|—|¶".split("|") + ["| a | b |"]


@given(
    st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join), max_size=5),
    st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join),
)
def test_a_library_finds_the_first_text_that_holds_a_quote(texts: dict[str, str], quote: str) -> None:
    names = sorted(texts, reverse=True)
    assert Library(texts).first(quote, names) == next((name for name in names if locate(quote, texts[name]) is not None), None)
    assert Library(texts).first(quote, []) is None
