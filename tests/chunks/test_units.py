"""What is searched and what is read: parents, sentence windows, many scripts, blocks that stay whole, and input made to be slow."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split import document, letters, markdown, sentence, words

from groundtune.chunks.index import search_text
from groundtune.chunks.split import split, verify_coverage
from groundtune.errors import DocumentError
from groundtune.types import Chunk

UNITS = ["packed", "child", "sentence"]

HINDI = "मरम्मत हर दो सप्ताह में होती है। जो रस्सी तोड़ता है, वह दस सिक्के देता है। क्या दोपहर में खुला है? हाँ, शाम तक खुला रहता है।"
THAI = "ท่าเรือเปิดทุกวันตั้งแต่เช้าถึงเย็น ผู้ขับขี่ต้องลงทะเบียนก่อนเข้าประตู ค่าธรรมเนียมจะถูกเรียกเก็บเมื่อยกเลิกช้า"
CHINESE = "闸门每天早上六点开放。司机必须提前两小时取消预约，否则收取费用！夜间是否开放？请查看公告。"
ARABIC = "تفتح البوابة كل يوم في السادسة صباحا. هل يمكن الإلغاء قبل ساعتين؟ نعم، بدون رسوم. بعد ذلك تدفع رسوما كاملة."
EMOJI = "Trucks 🚚🚚 wait here 👩🏽‍🔧. The crane 🏗️ moves ⚠️ fast! Flags 🇳🇱🇩🇪 mark the lane… Family 👨‍👩‍👧‍👦 visits end at five."
SCRIPTS = {"hindi": HINDI, "thai": THAI, "chinese": CHINESE, "arabic": ARABIC, "emoji": EMOJI}


def pieces(text: str, unit: str, count: Any = words, **limits: int) -> list[Chunk]:
    made = document(text)
    given: dict[str, Any] = {"max_tokens": 40, "min_tokens": 10, "unit": unit, **limits}
    chunks = split(made, count, **given)
    verify_coverage(made, chunks)
    return chunks


def read_span(chunk: Chunk, chunks: list[Chunk]) -> tuple[int, int]:
    first, last = chunk.reads or (chunk.ordinal, chunk.ordinal)
    return chunks[first].start, chunks[last].end


texts = st.one_of(markdown, st.lists(st.sampled_from(sorted(SCRIPTS.values())), max_size=4).map("\n\n## Part\n\n".join))


@settings(max_examples=150, deadline=None)
@given(texts, st.sampled_from(UNITS), st.integers(3, 60), st.integers(0, 20), st.integers(0, 100), st.integers(0, 4))
def test_every_unit_covers_the_text_with_exact_spans_within_its_limits(
    text: str, unit: str, most: int, least: int, more: int, window: int
) -> None:
    for count in (words, letters):
        limits = {"max_tokens": most, "min_tokens": min(least, most), "parent_tokens": most + more, "window": window}
        chunks = pieces(text, unit, count, **limits)
        together = "".join(chunk.lead + chunk.text for chunk in chunks)
        assert together == text.strip()
        for chunk in chunks:
            assert chunk.text.strip() == chunk.text == text[chunk.start : chunk.end] != ""
            assert chunk.tokens <= most or len(chunk.text) == 1
            start, end = read_span(chunk, chunks)
            assert start <= chunk.start < chunk.end <= end
            first, last = chunk.reads or (chunk.ordinal, chunk.ordinal)
            run = chunks[first : last + 1]
            assert "".join(item.lead + item.text for item in run)[len(run[0].lead) :] == text[start:end]
            assert len({item.heading_path[:2] for item in run}) == 1
            if unit == "child" and chunk.reads:
                assert count([text[start:end]])[0] <= most + more
                assert {item.reads for item in run} == {chunk.reads}
            if unit == "sentence":
                assert chunk.ordinal - window <= first and last <= chunk.ordinal + window
            if unit == "packed":
                assert chunk.reads is None


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_cut_within_the_limit_and_never_inside_a_letter(script: str, unit: str) -> None:
    text = f"# {SCRIPTS[script][:12]}\n\n" + "\n\n".join([SCRIPTS[script]] * 5)
    chunks = pieces(text, unit, letters, max_tokens=90, min_tokens=0)
    assert len(chunks) > 5
    import unicodedata

    for chunk in chunks:
        assert not unicodedata.combining(text[chunk.start])


@pytest.mark.parametrize(("script", "wanted"), [("hindi", 4), ("chinese", 4), ("arabic", 4), ("emoji", 4)])
def test_sentences_are_found_by_the_marks_of_their_script(script: str, wanted: int) -> None:
    chunks = pieces(SCRIPTS[script], "sentence", letters, max_tokens=400, min_tokens=0)
    assert len(chunks) == wanted


def test_a_sentence_is_searched_and_its_neighbours_in_the_section_are_read() -> None:
    text = "# One\n\n## A\n\n" + " ".join(sentence(n) for n in range(5)) + "\n\n## B\n\n" + " ".join(sentence(n) for n in range(5, 7))
    chunks = pieces(text, "sentence", window=1)
    assert [chunk.text.splitlines()[-1] for chunk in chunks] == [sentence(n) for n in range(7)]
    assert chunks[0].text.startswith("# One\n\n## A\n\n") and chunks[5].text.startswith("## B\n\n")
    assert [chunk.reads for chunk in chunks] == [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4), (5, 6), (5, 6)]


def test_items_of_lists_are_sentences_and_fragments_are_joined() -> None:
    chunks = pieces("- the first of the items here\n- No. 3. is the second of them\n- yes", "sentence")
    assert [chunk.text for chunk in chunks] == ["- the first of the items here", "- No. 3. is the second of them\n- yes"]


def test_a_child_is_read_with_its_section_and_not_beyond() -> None:
    section = "\n\n".join(sentence(n, 30) for n in range(4))
    text = f"# T\n\n## A\n\n{section}\n\n## B\n\n{sentence(9, 30)}"
    chunks = pieces(text, "child", parent_tokens=400)
    assert [chunk.reads for chunk in chunks] == [(0, 3)] * 4 + [None]
    narrow = pieces(text, "child", parent_tokens=80)
    assert [chunk.reads for chunk in narrow] == [(0, 1), (0, 1), (2, 3), (2, 3), None]
    assert [replace(chunk, reads=None) for chunk in narrow] == pieces(text, "packed")


@pytest.mark.parametrize("unit", UNITS)
def test_code_and_rows_stay_whole_where_they_fit(unit: str) -> None:
    rows = [f"| r{n} | {' '.join(f'c{n}x{place}' for place in range(6))} |" for n in range(12)]
    code = "```py\n" + "\n".join(f"line_{n} = call({n})  # note. And more." for n in range(3)) + "\n```"
    text = f"# T\n\n{sentence(1)}\n\n| A | B |\n| - | - |\n" + "\n".join(rows) + f"\n\n{sentence(2)}\n\n{code}\n\n{sentence(3)}"
    chunks = pieces(text, unit, max_tokens=60, parent_tokens=200)
    for row in rows:
        assert sum(row in chunk.text for chunk in chunks) == 1
    assert sum(code in chunk.text for chunk in chunks) == 1
    assert next(chunk for chunk in chunks if rows[0] in chunk.text).text.count("| - | - |") == 1


def test_a_row_that_cannot_fit_is_cut_alone() -> None:
    rows = [f"| r{n} | {' '.join(f'c{n}x{place}' for place in range(120 if n == 1 else 3))} |" for n in range(4)]
    chunks = pieces("| A | B |\n| - | - |\n" + "\n".join(rows), "packed")
    assert all(sum(rows[n] in chunk.text for chunk in chunks) == 1 for n in (0, 2, 3))


def test_a_heading_without_end_is_named_by_its_beginning() -> None:
    chunks = pieces("# " + "word " * 3000 + "\n\ntext", "packed", max_tokens=100)
    assert max(len("".join(chunk.heading_path)) for chunk in chunks) <= 160
    assert chunks[-1].heading_path[0].endswith("…")


def test_without_context_the_text_alone_is_searched() -> None:
    made = document("# Head\n\ntext")
    [plain] = split(made, words, max_tokens=40, min_tokens=5, context="none")
    [headed] = split(made, words, max_tokens=40, min_tokens=5)
    assert search_text(plain) == made.text
    assert search_text(headed) == f"T › Head\n{made.text}"
    assert search_text(replace(headed, context="On heads.")) == f"On heads.\n{made.text}"


def test_limits_that_make_no_sense_are_refused() -> None:
    made = document("text")
    for wrong in ({"unit": "page"}, {"window": -1}, {"unit": "child", "parent_tokens": 39}):
        with pytest.raises(ValueError, match="expected"):
            split(made, words, **{"max_tokens": 40, "min_tokens": 5, **wrong})  # type: ignore[arg-type]


def test_coverage_refuses_a_wrong_lead_and_a_read_beyond_the_document() -> None:
    made = document("# A\n\n" + sentence(1, 30) + "\n\n" + sentence(2, 30))
    chunks = split(made, words, max_tokens=40, min_tokens=5, unit="child", parent_tokens=200)
    for wrong, said in (({"lead": " "}, "is not led by"), ({"reads": (0, 2)}, "of 2"), ({"reads": (0, 0)}, "is to be read as")):
        with pytest.raises(DocumentError, match=said):
            verify_coverage(made, [chunks[0], replace(chunks[1], **wrong)])


# ── input made to be slow: steps and tokenised characters are counted, nothing is timed ──


@contextmanager
def steps() -> Iterator[Callable[[], int]]:
    """Count the lines that run in the splitter's own modules."""
    counted = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal counted
        counted += event == "line"
        return local

    def entered(frame: FrameType, event: str, argument: object) -> Any:
        return local if re.search(r"groundtune.chunks.(split|blocks)\.py", frame.f_code.co_filename) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield lambda: counted
    finally:
        sys.settrace(before)


def cost(text: str, unit: str) -> tuple[int, int, int]:
    """Return the steps taken, the characters that were tokenised and those kept in heading paths, to split a text."""
    tokenised = 0

    def count(texts: list[str]) -> list[int]:
        nonlocal tokenised
        tokenised += sum(map(len, texts))
        return [len(text) // 4 + 2 for text in texts]

    made = document(text)
    with steps() as taken:
        chunks = split(made, count, max_tokens=200, min_tokens=40, unit=unit, parent_tokens=800)  # type: ignore[arg-type]
        done = taken()
    verify_coverage(made, chunks)
    return done, tokenised, sum(len("".join(chunk.heading_path)) for chunk in chunks)


SLOW: dict[str, Callable[[int], str]] = {
    "one line without blanks": lambda n: "x" * n,
    "one line of words": lambda n: "word " * (n // 5),
    "one line of ends of sentences": lambda n: "a. " * (n // 3),
    "headings and nothing else": lambda n: "\n".join(f"{'#' * (i % 6 + 1)} h{i}" for i in range(n // 10)),
    "empty headings": lambda n: "#\n" * (n // 10),
    "one long heading": lambda n: "# " + "word " * (n // 5),
    "a table": lambda n: "| a | b |\n| - | - |\n" + "| 1 | 2 |\n" * (n // 10),
    "marks of quotes": lambda n: "> " * (n // 1200) + "x\n" + "y\n" * (n // 10),
    "a list within a list": lambda n: "".join("  " * (i % 12) + f"- i{i}\n" for i in range(n // 20)),
}


@pytest.mark.parametrize("unit", ["packed", "sentence"])
@pytest.mark.parametrize("kind", SLOW)
def test_twice_the_text_takes_about_twice_the_steps(kind: str, unit: str) -> None:
    small, large = cost(SLOW[kind](6_000), unit), cost(SLOW[kind](12_000), unit)
    for before, after in zip(small, large, strict=True):
        assert after <= 2.3 * before + 50


def test_a_line_of_a_megabyte_and_ten_thousand_headings_can_be_split() -> None:
    for text in ("x" * 1_000_000, "word " * 200_000, "\n\n".join(f"## Heading {n}\n\nText {n}." for n in range(10_000))):
        made = document(text)
        tokenised = 0

        def count(texts: list[str]) -> list[int]:
            nonlocal tokenised
            tokenised += sum(map(len, texts))
            return [len(text) // 4 + 2 for text in texts]

        verify_coverage(made, split(made, count, max_tokens=200, min_tokens=40))
        assert tokenised <= 6 * len(text)
