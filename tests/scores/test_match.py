"""Exact, token F1, ROUGE-L and chrF against outsiders, by hand, and by their properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import answer, context, example, refusable

from groundtune.scores.match import chrf, common_subsequence, exact, normalised, rouge_l, token_f1
from groundtune.scores.metrics import METRICS
from groundtune.scores.scorer import mark_of

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "reference" / "texts.json").read_text(encoding="utf-8"))["rows"]
TEXT = st.text(alphabet="abc de.,", max_size=30)


@pytest.mark.parametrize("row", ROWS, ids=[row["said"][:20] for row in ROWS])
def test_rouge_l_and_chrf_are_the_packages_own(row: dict[str, Any]) -> None:
    assert rouge_l(row["said"], row["wanted"]) == pytest.approx(row["rouge_l"], abs=1e-12)
    assert chrf(row["said"], row["wanted"]) == pytest.approx(row["chrf"], abs=1e-9)


def test_rouge_l_agrees_with_the_installed_package_on_the_fly() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)

    @given(st.text(alphabet="ab C1é-\n", max_size=25), st.text(alphabet="ab C1é-\n", max_size=25))
    def agrees(said: str, wanted: str) -> None:
        assert rouge_l(said, wanted) == pytest.approx(scorer.score(wanted, said)["rougeL"].fmeasure, abs=1e-12)

    agrees()


@pytest.mark.parametrize(
    ("said", "wanted", "is_exact", "f1"),
    [
        ("The Slot.", "slot", 1.0, 1.0),
        ("a an the", "", 1.0, 1.0),
        ("", "slot", 0.0, 0.0),
        ("two hours before", "until two hours", 0.0, 2 / 3),
        ("slot slot gate", "slot gate gate", 0.0, 2 / 3),
        ("theatre another", "the atre an other", 0.0, 0.0),
        ("99.5 %", "995", 1.0, 1.0),
    ],
)
def test_squad_by_hand(said: str, wanted: str, is_exact: float, f1: float) -> None:
    assert exact(said, wanted) == is_exact
    assert token_f1(said, wanted) == pytest.approx(f1)


def test_normalised_takes_whole_articles_only() -> None:
    assert normalised("An  Answer: the\tgate, a Gate!") == "answer gate gate"


@given(TEXT, TEXT)
def test_all_are_symmetric_or_bounded_and_perfect_on_themselves(said: str, wanted: str) -> None:
    for measure in (exact, token_f1, rouge_l):
        assert measure(said, wanted) == pytest.approx(measure(wanted, said))
    for measure in (exact, token_f1, rouge_l, chrf):
        assert 0 <= measure(said, wanted) <= 1
    assert exact(said, said) == token_f1(said, said) == 1
    assert exact(said, wanted) <= token_f1(said, wanted)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_common_subsequence_is_the_textbook_one(left: list[str], right: list[str]) -> None:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(left, right) == table[-1][-1]


@pytest.mark.parametrize("name", ["exact", "token_f1", "rouge_l", "chrf"])
def test_an_unanswerable_question_wants_a_refusal_and_says_so(name: str) -> None:
    wanted = refusable()
    right = mark_of(METRICS[name], answer("No idea at all.", refused=True), wanted, context())
    wrong = mark_of(METRICS[name], answer(str(wanted.reply["answer"])), wanted, context())
    assert (right.value, wrong.value) == (1.0, 0.0)
    assert "unanswerable" in right.reason and "unanswerable" in wrong.reason


@pytest.mark.parametrize("name", ["exact", "token_f1", "rouge_l", "chrf"])
@given(said=TEXT, others=st.lists(TEXT, max_size=3))
def test_of_several_right_wordings_the_nearest_counts(name: str, said: str, others: list[str]) -> None:
    wordings = [str(example().reply["answer"]), *others]
    alone = [mark_of(METRICS[name], answer(said), example(reply={"answer": text}), context()).value for text in wordings]
    together = mark_of(METRICS[name], answer(said), example(also=tuple(others)), context()).value
    assert together == max(alone)


def test_the_answer_field_is_what_is_compared() -> None:
    mark = mark_of(METRICS["exact"], answer("until two hours BEFORE"), example(), context())
    assert mark.value == 1.0
    assert mark_of(METRICS["exact"], answer("product"), example(), context()).value == 0.0
