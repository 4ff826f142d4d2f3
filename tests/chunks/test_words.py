import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.chunks.words import stem, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Gate's slots, v5.2_b!", ["the", "gate", "s", "slots", "v5", "2_b"]),
        ("हिन्दी किताबें", ["हिन्दी", "किताबें"]),
        ("北京大学 in Beijing", ["北京", "京大", "大学", "in", "beijing"]),
        ("水", ["水"]),
        ("สถานี", ["สถ", "ถา", "าน", "นี"]),
        ("iPhone手机5", ["iphone", "手机", "5"]),
        ("STRASSE Straße ﬁn", ["strasse", "strasse", "fin"]),
        ("المكتبة الكبيرة", ["المكتبة", "الكبيرة"]),
        ("🚚 — ?", []),
    ],
)
def test_words_of_any_script(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.text(max_size=40), st.text(max_size=40))
def test_words_of_two_lines_are_the_words_of_each(left: str, right: str) -> None:
    assert words(f"{left}\n{right}") == words(left) + words(right)


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_plain_text_is_cut_the_same_way_beside_other_letters(text: str) -> None:
    assert words(text) == [word for word in words(f"{text} é") if word != "é"]


@pytest.mark.parametrize(
    "forms",
    ["cancel cancels cancelled cancelling", "book books booked booking", "address addresses", "gate gates", "charge charged charges"],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(word) for word in forms.split()}) == 1


@given(st.text(max_size=20))
def test_a_stem_is_the_beginning_of_its_word(word: str) -> None:
    assert word.startswith(stem(word)) and bool(stem(word)) == bool(word)
