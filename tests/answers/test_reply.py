import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.answers.reply import cite, parse, refuses
from groundtune.types import Chunk, Passage

REFUSALS = ("I can't answer that", "i don't know")


def parsed(text: str, structured: bool = True):  # type: ignore[no-untyped-def]
    return parse(text, structured=structured, answer_field="answer", quote_field="quote")


def test_a_whole_object_is_a_reply_and_one_inside_prose_is_only_read() -> None:
    text = '{"quote": "two years", "answer": "Two years."}'
    assert parsed(text).reply == {"quote": "two years", "answer": "Two years."}
    inside = parsed(f"Sure! {text} Hope that helps.")
    assert inside.reply is None and (inside.said, inside.quoted) == ("Two years.", "two years")


@pytest.mark.parametrize("text", ["", "plain words", '{"answer": ', "[1, 2]", "{" * 5000, '{"answer": 5}', "null", '"text"'])
def test_anything_else_is_taken_as_it_stands(text: str) -> None:
    found = parsed(text)
    assert found.said == text.strip() and found.quoted == ""


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert isinstance(parsed(text).said, str)
    assert parsed(text, structured=False).said == text.strip()


@pytest.mark.parametrize(
    ("said", "refused"),
    [("I can’t answer  that from here.", True), ("Well, I DON'T KNOW.", True), ("", True), ("Two years.", False), ("I know that.", False)],
)
def test_refusals_are_known_however_they_are_typed(said: str, refused: bool) -> None:
    assert refuses(said, REFUSALS) is refused


def passage(text: str, start: int, name: str) -> Passage:
    chunk = Chunk(
        id=f"chunk:{name}", document_id=f"document:{name}", document_hash="0", ordinal=0, text=text, start=start, end=start + len(text),
        heading_path=(), title="T", readers=frozenset(["everyone"]), tokens=1,
    )  # fmt: skip
    return Passage(chunk=chunk, rank=1, score=1.0, similarity=None, found_by={}, allowed_by=("everyone",))


def test_a_citation_is_a_quote_at_its_exact_place_in_the_document() -> None:
    shown = [passage("Nothing here.", 0, "a"), passage("The term is **two\nyears** from delivery.", 100, "b")]
    [citation] = cite("is two years from", shown)
    assert citation.document_id == "document:b"
    assert shown[1].chunk.text[citation.start - 100 : citation.end - 100] == citation.quote == "is **two\nyears** from"


@pytest.mark.parametrize("quote", ["three years", "", "   ", "The term is two years from delivery and more"])
def test_what_is_not_found_is_not_cited(quote: str) -> None:
    assert cite(quote, [passage("The term is two years from delivery.", 0, "a")]) == ()
