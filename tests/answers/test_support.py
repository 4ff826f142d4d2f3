from __future__ import annotations

import pytest

from groundtune.answers.support import held_to, sentences, unsupported
from groundtune.examples.quotes import locate
from groundtune.types import Chunk, Passage


def passage(text: str) -> Passage:
    chunk = Chunk(
        id="chunk:a#0", document_id="document:a", document_hash="0", ordinal=0, text=text, start=0, end=len(text), heading_path=(),
        title="a", readers=frozenset({"everyone"}), tokens=1,
    )  # fmt: skip
    return Passage(chunk=chunk, rank=1, score=1.0, similarity=None, found_by={}, allowed_by=("everyone",))


SHOWN = [passage("The mooring fee is 1,150 euros on workdays."), passage("Berths are booked until 2 hours before arrival.")]


def test_a_sentence_with_the_passages_words_and_numbers_is_supported() -> None:
    assert unsupported("The mooring fee is 1150 euros. Berths are booked until 2 hours before arrival!", SHOWN) == ()


def test_another_number_and_another_subject_are_not_supported() -> None:
    said = "The mooring fee is 1,250 euros. Dogs travel without charge."
    assert unsupported(said, SHOWN) == tuple(sentences(said))


def test_support_has_to_stand_in_one_passage() -> None:
    assert unsupported("The mooring fee is 2 euros on workdays.", SHOWN) == ("The mooring fee is 2 euros on workdays.",)


@pytest.mark.parametrize(
    ("shown", "stands", "does_not"),
    [
        ("图书馆的开放时间是上午九点到下午六点。", "图书馆开放时间是上午九点。", "游泳池每天免费开放给所有学生使用。"),
        ("ห้องสมุดเปิดเวลา 9 นาฬิกาทุกวันทำการ", "ห้องสมุดเปิดเวลา 9 นาฬิกา", "สระว่ายน้ำปิดให้บริการในเดือนมกราคม"),
        ("पुस्तकालय सुबह ९ बजे खुलता है।", "पुस्तकालय सुबह 9 बजे खुलता है।", "पुस्तकालय सुबह 8 बजे खुलता है।"),
        ("تفتح المكتبة أبوابها في الساعة 9 صباحا.", "تفتح المكتبة في الساعة 9 صباحا.", "المسبح مغلق طوال شهر يناير."),
        ("Die Größe der Lücke beträgt 3 Meter.", "Die Größe der Lücke beträgt 3 Meter.", "Die Höhe des Krans überrascht Gäste."),
    ],
)
def test_support_is_seen_in_other_scripts(shown: str, stands: str, does_not: str) -> None:
    assert unsupported(stands, [passage(shown)]) == ()
    assert unsupported(does_not, [passage(shown)]) == (does_not,)


def test_sentences_end_at_the_marks_of_other_scripts() -> None:
    assert sentences("खुला है। बंद है। किसके लिए?") == ["खुला है।", "बंद है।", "किसके लिए?"]
    assert sentences("هل هو مفتوح؟ نعم.") == ["هل هو مفتوح؟", "نعم."]
    assert sentences("开了。关了！为什么？") == ["开了。", "关了！", "为什么？"]


def test_what_is_not_supported_is_kept_flagged_or_dropped() -> None:
    said = "The mooring fee is 1,150 euros. Dogs travel without charge."
    assert held_to(said, SHOWN, "keep") == (said, ())
    assert held_to(said, SHOWN, "flag") == (said, ("Dogs travel without charge.",))
    assert held_to(said, SHOWN, "drop") == ("The mooring fee is 1,150 euros.", ("Dogs travel without charge.",))
    assert held_to("Dogs travel without charge.", SHOWN, "drop") == ("", ("Dogs travel without charge.",))


def test_quotes_are_found_through_typography_hyphens_and_ligatures_at_exact_offsets() -> None:
    text = "He said “the ﬁrst of\u00a0ﬁve – non\u2011re\u00adfundable”."
    for quote in ('"the first of five - non-refundable"', "first of five", "the ﬁrst of ﬁve"):
        span = locate(quote, text)
        assert span is not None, quote
        assert locate(text[slice(*span)], text) == span
    assert text[slice(*(locate("first of five", text) or (0, 0)))] == "ﬁrst of\u00a0ﬁve"
