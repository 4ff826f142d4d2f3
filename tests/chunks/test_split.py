from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.chunks.split import split, verify_coverage
from groundtune.errors import DocumentError
from groundtune.types import Chunk, Document


def words(texts: list[str]) -> list[int]:
    """Count like a tokenizer of words and marks with a begin and an end mark."""
    return [2 + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def letters(texts: list[str]) -> list[int]:
    """Count like a tokenizer of bytes: blanks count, nothing is added."""
    return [len(text.encode()) for text in texts]


def document(text: str) -> Document:
    return Document(
        id="document:a/b.md",
        source="a/b.md",
        title="T",
        text=text,
        content_hash="0123456789abcdef",
        readers=frozenset({"hr"}),
        metadata={"v": "5"},
    )


def pieces(text: str, *, most: int = 40, least: int = 10) -> list[Chunk]:
    made = document(text)
    chunks = split(made, words, max_tokens=most, min_tokens=least)
    verify_coverage(made, chunks)
    return chunks


def sentence(number: int, length: int = 9) -> str:
    return " ".join(f"w{number}x{place}" for place in range(length)) + "."


markdown = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "# One",
                "## Two *x*",
                "### Three",
                "#### Four",
                "Setext\n===",
                "Setext two\n---",
                "---",
                "```py\na = 1\n\nb\n```",
                "~~~\nopen",
            ]
        ),
        st.sampled_from(
            [
                "| A | B |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |",
                "- a\n- b\n\n  c\n- d",
                "1. a\n   - b\n2. c",
                "> q\n> r\n\n> s",
                "[ref]: http://x",
            ]
        ),
        st.sampled_from(
            [
                "<div>\n\nx\n</div>",
                "    code\n    more",
                "* * *",
                "\ta\tb",
                "a\r\nb\rc",
                "-",
                ">",
                "a  \nb",
                "[l](u) `c`",
                "\\# no",
                "\u2028x\u2029",
            ]
        ),
        st.text(max_size=60),
        st.integers(1, 40).map(lambda length: sentence(7, length)),
    ),
    max_size=14,
).flatmap(lambda blocks: st.sampled_from(["\n\n", "\n", "\n \n", "\r\n\r\n"]).map(lambda between: between.join(blocks)))


@settings(max_examples=300, deadline=None)
@given(markdown, st.integers(3, 60), st.integers(0, 20), st.sampled_from([words, letters]))
def test_chunks_cover_the_text_exactly_and_keep_the_limit(text: str, most: int, least: int, count: object) -> None:
    made = document(text)
    assert callable(count)
    chunks = split(made, count, max_tokens=most, min_tokens=min(least, most))
    verify_coverage(made, chunks)
    assert [item.ordinal for item in chunks] == list(range(len(chunks)))
    assert len({item.id for item in chunks}) == len(chunks)
    for item in chunks:
        assert item.text == text[item.start : item.end] == item.text.strip()
        assert item.tokens == count([item.text])[0]
        assert item.tokens <= most or len(item.text) == 1


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(1, 8))
def test_any_text_can_be_split(text: str, most: int) -> None:
    made = document(text)
    verify_coverage(made, split(made, letters, max_tokens=most, min_tokens=0))


def test_a_chunk_carries_what_its_document_says() -> None:
    [chunk] = pieces("# Head\n\ntext")
    assert chunk.id == "chunk:a/b.md#0@01234567"
    assert (chunk.document_id, chunk.document_hash, chunk.title) == ("document:a/b.md", "0123456789abcdef", "T")
    assert (chunk.readers, chunk.metadata) == ({"hr"}, {"v": "5"})
    assert (chunk.start, chunk.end, chunk.tokens) == (0, 12, 5)


def test_a_blank_document_has_no_chunks() -> None:
    assert pieces(" \n\n\t") == []


def test_a_chunk_never_crosses_a_heading_of_level_one_or_two() -> None:
    chunks = pieces("intro\n\n# A\n\na text\n\n## B\n\nb text\n\nC\n---\n\nc text\n\n# D\n\nd text")
    assert [item.text for item in chunks] == ["intro", "# A\n\na text", "## B\n\nb text", "C\n---\n\nc text", "# D\n\nd text"]
    assert [item.heading_path for item in chunks] == [(), ("A",), ("A", "B"), ("A", "C"), ("D",)]


@given(st.lists(st.sampled_from(["# A", "## B", "### C", "some text", sentence(3, 30), "- item"]), max_size=12))
def test_only_headings_stand_above_a_high_heading_in_a_chunk(blocks: list[str]) -> None:
    for item in pieces("\n\n".join(blocks)):
        lines = [line for line in item.text.splitlines() if line]
        for number, line in enumerate(lines):
            if line.startswith(("# ", "## ")):
                assert all(above.startswith("#") for above in lines[:number])


def test_headings_alone_go_with_what_follows() -> None:
    chunks = pieces("# A\n\n## B\n\n### C\n\ntext\n\n## D")
    assert [item.text for item in chunks] == ["# A\n\n## B\n\n### C\n\ntext", "## D"]
    assert [item.heading_path for item in chunks] == [("A", "B", "C"), ("A", "D")]


def test_a_heading_is_named_by_its_words() -> None:
    [chunk] = pieces("## The *new* `kiosk` [guide](x.md) ##\n\ntext")
    assert chunk.heading_path == ("The new kiosk guide",)


def test_what_looks_like_a_heading_inside_code_or_a_list_is_none() -> None:
    [chunk] = pieces("# A\n\n```\n# not\n```\n\n- # nor this\n\n> ## nor that")
    assert chunk.heading_path == ("A",)


def test_blocks_are_packed_until_full_and_subheadings_begin_a_chunk() -> None:
    text = "\n\n".join(["## A", *(sentence(number) for number in range(5)), "### B", sentence(8), "### C", sentence(9)])
    chunks = pieces(text)
    assert [item.heading_path for item in chunks] == [("A",), ("A",), ("A", "B"), ("A", "C")]
    assert [len(re.findall(r"\.", item.text)) for item in chunks] == [3, 2, 1, 1]


def test_short_subsections_are_joined_under_one_heading_only() -> None:
    chunks = pieces("## A\n\nmany words stand here, more than ten of them for sure\n\n### B\n\nshort\n\n## C\n\nshort")
    assert [item.text.splitlines()[0] for item in chunks] == ["## A", "## C"]
    assert "### B" in chunks[0].text


def test_a_heading_never_stands_alone_before_a_block_that_fills_a_chunk() -> None:
    chunks = pieces("## A heading of six words here\n\n" + " ".join(sentence(number, 6) for number in range(5)))
    assert len(chunks) == 2
    assert chunks[0].text.startswith("## A heading of six words here\n\nw0x0")


def test_an_overlong_paragraph_is_cut_at_sentence_ends() -> None:
    text = " ".join(sentence(number) for number in range(12))
    chunks = pieces(text)
    assert len(chunks) == 4
    assert all(item.text.endswith(".") for item in chunks)
    closing = 'He said "go now." Then (it is so.) 港は開く。夜は閉まる。' * 6
    assert all(re.search(r"[.。][\"”)]?$", item.text) for item in pieces(closing, most=20, least=0))


def test_an_overlong_sentence_is_cut_at_words_and_an_overlong_word_anywhere() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    assert " ".join(item.text for item in pieces(text)) == text
    made = document("x" * 1000)
    chunks = split(made, letters, max_tokens=64, min_tokens=8)
    verify_coverage(made, chunks)
    assert 16 <= len(chunks) <= 20


def test_an_accent_stays_with_its_letter() -> None:
    made = document("e\u0301" * 60)
    chunks = split(made, letters, max_tokens=10, min_tokens=0)
    assert not any(item.text.startswith("\u0301") for item in chunks)


def test_an_overlong_table_is_cut_between_rows_and_its_head_is_not_left_alone() -> None:
    rows = [f"| plan {number} | EUR {number} |" for number in range(20)]
    text = "\n".join(["Prices:", "", "| Plan | Price |", "| --- | --- |", *rows])
    chunks = pieces(text)
    assert len(chunks) > 3
    assert all(line in text.splitlines() for item in chunks for line in item.text.splitlines())
    [head] = [item for item in chunks if "| --- |" in item.text]
    assert "| plan 0 | EUR 0 |" in head.text


def test_an_overlong_list_is_cut_between_items_and_a_long_item_between_its_own_parts() -> None:
    items = [f"- {sentence(number)}" for number in range(8)]
    long = "- " + sentence(20, 15) + "\n\n  " + sentence(21, 15) + "\n\n  " + sentence(22, 15)
    chunks = pieces("\n".join([*items, long]))
    starts = [item.text.split()[0:2] for item in chunks]
    assert all(first == "-" or second.endswith("x1") for first, second in starts)
    assert any(item.text.startswith("w22x0") or item.text.startswith("w21x0") for item in chunks)


def test_overlong_code_is_cut_between_lines() -> None:
    text = "```\n" + "\n".join(f"value_{number} = {number}" for number in range(60)) + "\n```"
    chunks = pieces(text)
    assert len(chunks) > 4
    assert all(line in text.splitlines() for item in chunks for line in item.text.splitlines())


def test_a_full_chunk_is_not_followed_by_a_few_words() -> None:
    chunks = pieces("## A\n\n" + "\n\n".join([*(sentence(number, 7) for number in range(4)), "just four words here"]), most=38, least=12)
    assert len(chunks) == 2
    assert all(item.tokens >= 12 for item in chunks)


def test_counting_is_done_in_batches() -> None:
    calls: list[int] = []

    def counted(texts: list[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    split(document("\n\n".join(sentence(number, 70) for number in range(300))), counted, max_tokens=40, min_tokens=10)
    assert len(calls) < 8


def test_the_same_text_gives_the_same_chunks() -> None:
    text = "\n\n".join(sentence(number) for number in range(30))
    assert pieces(text) == pieces(text)


def test_deeply_nested_markdown_is_split() -> None:
    for text in (">" * 2000 + " x", "- " * 2000 + "x", "[" * 20_000, "*" * 20_000 + "a", "`" * 9_999 + "x", "|" * 5_000 + "\n|-|-|"):
        made = document(text)
        verify_coverage(made, split(made, letters, max_tokens=500, min_tokens=10))


@pytest.mark.parametrize(("most", "least"), [(0, 0), (10, 11), (10, -1)])
def test_limits_that_make_no_sense_are_refused(most: int, least: int) -> None:
    with pytest.raises(ValueError, match="min_tokens"):
        split(document("x"), words, max_tokens=most, min_tokens=least)


def test_coverage_finds_every_kind_of_damage() -> None:
    made = document("## A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree")
    chunks = split(made, words, max_tokens=40, min_tokens=1)
    assert len(chunks) == 3
    a, b, c = chunks
    damaged = {
        "missing first": [b, c],
        "missing middle": [a, replace(c, ordinal=1)],
        "missing last": [a, b],
        "none at all": [],
        "twice": [a, b, replace(b, ordinal=2), replace(c, ordinal=3)],
        "out of order": [a, c, b],
        "other words": [a, replace(b, text="## B\n\ntwx"), c],
        "shifted": [a, replace(b, start=b.start + 1), c],
        "overlap": [a, replace(b, start=a.end - 1, text=made.text[a.end - 1 : b.end]), c],
        "empty": [replace(a, end=a.start, text=""), b, c],
        "another document": [a, replace(b, document_id="document:other"), c],
        "an older text": [a, replace(b, document_hash="f" * 16), c],
    }
    verify_coverage(made, chunks)
    for name, wrong in damaged.items():
        with pytest.raises(DocumentError, match="do not cover it"):
            verify_coverage(made, wrong)
            pytest.fail(name)
