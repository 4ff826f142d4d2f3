"""Stems, METEOR, ROUGE-1 and -2, BLEU and TER against packages that nobody here wrote; numbers and fields by hand and by properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import answer, context, example, refusable

from groundtune.scores.corpus import tallies_of
from groundtune.scores.form import field_f1
from groundtune.scores.match import rouge_1, rouge_2
from groundtune.scores.meteor import meteor, of_words
from groundtune.scores.metrics import metric_named
from groundtune.scores.numbers import number_f1, numbers
from groundtune.scores.scorer import CorpusMetric, Metric, mark_of
from groundtune.scores.stem import stem
from groundtune.scores.whole import bleu_counts, bleu_value, ter_counts, ter_value

# Written by reference/make_texts.py with NLTK, rouge-score and sacrebleu; the versions are in the file.
REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "more_texts.json").read_text(encoding="utf-8"))
TEXT = st.text(alphabet="abc de.,1", max_size=30)


def single(name: str) -> Metric:
    metric = metric_named(name)
    assert isinstance(metric, Metric)
    return metric


def test_stems_are_those_of_nltk() -> None:
    wrong = {word: (stem(word), theirs) for word, theirs in REFERENCE["stems"].items() if stem(word) != theirs}
    assert not wrong and len(REFERENCE["stems"]) > 250


@pytest.mark.parametrize("row", REFERENCE["pairs"], ids=lambda row: row["said"][:20])
def test_pairs_are_valued_as_their_packages_do(row: dict[str, Any]) -> None:
    assert meteor(row["said"], row["wanted"]) == pytest.approx(row["meteor"], abs=1e-12)
    assert rouge_1(row["said"], row["wanted"]) == pytest.approx(row["rouge_1"], abs=1e-12)
    assert rouge_2(row["said"], row["wanted"]) == pytest.approx(row["rouge_2"], abs=1e-12)


@pytest.mark.parametrize("corpus", REFERENCE["corpora"], ids=lambda corpus: f"{len(corpus['rows'])} rows")
def test_bleu_and_ter_of_a_corpus_are_those_of_sacrebleu(corpus: dict[str, Any]) -> None:
    for counts, value, theirs in ((bleu_counts, bleu_value, corpus["bleu"]), (ter_counts, ter_value, corpus["ter"])):
        sums = np.array([counts(said, wanted) for said, wanted in corpus["rows"]]).sum(axis=0)
        assert float(value(sums)) == pytest.approx(theirs, abs=1e-9)


def test_bleu_and_ter_take_all_right_wordings_as_references() -> None:
    from sacrebleu.metrics import BLEU, TER

    rows = [
        ("the cat sat on the mat today", ["the cat was on the mat", "a cat sat on the mat today", "today the cat sat there"]),
        ("it closes at ten in the evening", ["at ten", "it closes at ten o'clock in the evening", "closing time is ten in the evening"]),
    ]
    answers = [answer(said, example_id=f"q{number}") for number, (said, _) in enumerate(rows)]
    examples = [example(id=f"q{number}", reply={"answer": wanted[0]}, also=tuple(wanted[1:])) for number, (_, wanted) in enumerate(rows)]
    for name, theirs in (("bleu", BLEU()), ("ter", TER())):
        metric = metric_named(name)
        assert isinstance(metric, CorpusMetric)
        tallies = tallies_of(answers, examples, context(), {name: metric})
        sums = np.array([tally.counts for tally in tallies]).sum(axis=0)
        reference = theirs.corpus_score([said for said, _ in rows], [list(column) for column in zip(*(w for _, w in rows), strict=True)])
        assert float(metric.value(sums)) == pytest.approx(reference.score / 100, abs=1e-9)


def test_bleu_and_ter_of_nothing_are_no_number_out_of_range() -> None:
    assert float(bleu_value(np.zeros(10))) == 0.0
    assert float(ter_value(np.zeros(2))) == 0.0
    assert float(ter_value(np.array([3.0, 0.0]))) == 1.0


@given(TEXT, TEXT)
def test_meteor_lies_between_nothing_and_all(said: str, wanted: str) -> None:
    assert 0.0 <= meteor(said, wanted) <= 1.0


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8, unique=True))
def test_the_same_words_in_one_run_are_worth_nearly_all(words: list[str]) -> None:
    assert of_words(words, words) == pytest.approx(1 - 0.5 / len(words) ** 3)
    assert of_words(words, list("xyz")) == 0.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("300 requests", ["300"]),
        ("1,500.50 EUR, 3 %", ["1500.5", "3"]),
        ("1.500,50 EUR", ["1500.5"]),
        ("1.000.000 and 1'000'000 and 1\u00a0000\u00a0000", ["1000000"] * 3),
        ("99,5 %", ["99.5"]),
        ("007 and 7.0", ["7", "7"]),
        ("-3 and \u22123 and +3, 5-3, x-3", ["-3", "-3", "3", "5", "3", "3"]),
        ("version 5.0.1 of v4.10", ["5.0.1", "4.10"]),
        ("1,2,3", ["1", "2", "3"]),
        ("12:30, 10/12, 2026-11-21", ["12", "30", "10", "12", "2026", "11", "21"]),
        ("H2O costs 2.", ["2", "2"]),
        ("no number", []),
        ("", []),
        ("٣ items", ["3"]),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, found: list[str]) -> None:
    assert numbers(text) == found


@given(st.lists(st.integers(0, 10**9), max_size=6))
def test_whole_numbers_are_read_back(values: list[int]) -> None:
    assert numbers(" ; ".join(str(value) for value in values)) == [str(value) for value in values]
    assert numbers(" ; ".join(f"{value:,}" for value in values)) == [str(value) for value in values]


@given(st.text(max_size=60))
def test_any_text_has_some_numbers_or_none(text: str) -> None:
    assert number_f1(text, text) == 1.0
    assert all(item.strip() for item in numbers(text))


def test_a_number_is_right_whatever_the_words_around_it() -> None:
    wanted = example(reply={"answer": "Until 2 hours before.", "quote": "", "label": "product"})
    values = {said: mark_of(single("numeric"), answer(said), wanted, context()).value for said in ("2", "two", "2 or 3", "12 hours")}
    assert values == {"2": 1.0, "two": 0.0, "2 or 3": pytest.approx(2 / 3), "12 hours": 0.0}
    assert mark_of(single("numeric"), answer("2"), refusable(), context()).value is None
    assert mark_of(single("numeric"), answer("2"), example(), context()).value is None


def test_fields_are_compared_value_by_value() -> None:
    wanted = example(
        reply={"answer": "x", "quote": "y", "label": "product", "slots": [{"city": "Oslo"}, {"city": "Bergen"}], "urgent": True}
    )
    given_reply = {"answer": "other", "quote": "", "label": " product ", "slots": [{"city": "Bergen"}], "urgent": 1}
    # label and one city are right, urgent is 1 and not true; 4 wanted, 3 given.
    assert field_f1(answer(reply=given_reply), wanted, context()).value == pytest.approx(2 * 2 / (4 + 3))
    assert field_f1(answer("prose", reply=None), wanted, context()).value == 0.0
    assert mark_of(single("field_f1"), answer(), example(reply={"answer": "x"}), context()).value is None


def test_refusals_are_scored_by_kind() -> None:
    metric = single("refusal:forbidden")
    forbidden = refusable(kind="forbidden")
    assert mark_of(metric, answer(refused=True), forbidden, context()).value == 1.0
    assert mark_of(metric, answer(refused=False), forbidden, context()).value == 0.0
    assert mark_of(metric, answer(refused=True), refusable(), context()).value is None
