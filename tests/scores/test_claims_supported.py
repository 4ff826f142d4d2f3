"""Sentences held against passages: what the numbers say, that the ensemble needs nothing, and that no passage means no support."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import OPEN, answer, context, example, passage

from groundtune.errors import StateError
from groundtune.scores import lexical
from groundtune.scores.claims import sentences
from groundtune.scores.detection import auroc, balanced_accuracy, interval
from groundtune.scores.logistic import Weights, fit
from groundtune.scores.metrics import metric_named
from groundtune.scores.scorer import Metric, mark_of
from groundtune.scores.support import LIKELIHOOD, MEANING, Claim, Ensemble, kinds, likelihood, meaning, names_of

# Written by reference/make_labels.py with scikit-learn; the version is in the file.
REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "detection.json").read_text(encoding="utf-8"))
TEXT = "Slots can be cancelled free of charge until two hours before they start. Kiosks cache 6 hours of bookings."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Dr. Lee moved it to 4 p.m. Why? It rained.", ["Dr. Lee moved it to 4 p.m.", "Why?", "It rained."]),
        ("It takes 2.5 hours. Then e.g. a slot opens!", ["It takes 2.5 hours.", "Then e.g. a slot opens!"]),
        ("1. First thing.\n2. Second thing.", ["1. First thing.", "2. Second thing."]),
        ("J. Smith wrote it. No doubt.", ["J. Smith wrote it.", "No doubt."]),
        ("- one\n- two", ["- one", "- two"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("no end", ["no end"]),
        ("He said \u201cstop.\u201d She went.", ["He said \u201cstop.\u201d", "She went."]),
        ("...", []),
        ("", []),
    ],
)
def test_sentences_end_where_people_end_them(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@given(st.text(max_size=200))
def test_no_word_is_lost_between_sentences(text: str) -> None:
    from groundtune.scores.runs import words

    assert [word for piece in sentences(text) for word in words(piece)] == words(text)


def named(claim: str, passages: Sequence[str] = (TEXT,), question: str = "") -> dict[str, float]:
    return dict(zip(lexical.NAMES, lexical.features(claim, passages, question), strict=True))


def test_what_stands_there_word_for_word_is_covered() -> None:
    found = named("Slots can be cancelled free of charge until two hours before they start.")
    assert found["covered"] == found["fours_covered"] == found["longest_run"] == 1.0
    assert found["missing"] == found["numbers_missing"] == found["negation_differs"] == 0.0


def test_what_does_not_is_not() -> None:
    found = named("Tickets never cost 30 euros.")
    assert found["covered"] == 0.0 and found["missing"] > 1 and found["negation_differs"] == 1.0
    assert found["numbers_missing"] == pytest.approx(np.log(2))
    assert named("Kiosks cache 7 hours.")["numbers_missing"] > 0 == named("Kiosks cache 6 hours.")["numbers_missing"]


def test_a_word_that_the_question_holds_is_told_apart() -> None:
    assert named("Tickets are free.", question="Are tickets free?")["missing_asked"] == 1.0
    assert named("Tickets are free.")["missing_asked"] == 0.0


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3), st.text(max_size=30))
def test_any_texts_have_finite_numbers(claim: str, passages: list[str], question: str) -> None:
    found = named(claim, passages, question)
    assert all(np.isfinite(value) for value in found.values())
    assert all(0 <= found[name] <= 1 for name in ("covered", "covered_by_one", "pairs_covered", "fours_covered", "longest_run", "personal"))


def embed(texts: Sequence[str]) -> Any:
    """Bags of letters as unit vectors: no meaning, but a function of the text alone."""
    rows = np.array([[text.casefold().count(letter) + 1e-3 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_cosines_are_with_the_nearest_sentence_passage_and_question() -> None:
    claim = Claim(text="Kiosks cache 6 hours of bookings.", passages=(TEXT,), question="zzz")
    [[best, whole, asked]] = meaning([claim], embed)
    assert best == pytest.approx(1.0) and whole < best and asked < whole
    assert meaning([Claim(text="x", passages=("",), question="")], embed) == [[0.0, 0.0, 0.0]]


def test_likelihoods_with_and_without_the_passages_are_compared() -> None:
    asked: list[tuple[str, str]] = []

    def told(pairs: Sequence[tuple[str, str]]) -> list[list[float]]:
        asked.extend(pairs)
        return [[-1.0, -5.0] if TEXT in prompt else [-2.0, -4.0] for prompt, _ in pairs]

    [row] = likelihood([Claim(text="claim", passages=(TEXT,), question="Why?")], told)
    assert row == [-3.0, 0.0, -5.0, 0.5, 0.5]
    assert [TEXT in prompt for prompt, _ in asked] == [True, False] and all(prompt.endswith("Why?") for prompt, _ in asked)


def test_a_kind_without_fitted_weights_is_refused() -> None:
    with pytest.raises(StateError, match=r"no weights were fitted for words\+likelihood"):
        Ensemble(None, lambda pairs: [[-1.0] for _ in pairs])


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_ensemble_has_weights_of_its_own_numbers(kind: str) -> None:
    ensemble = Ensemble(
        embed if "meaning" in kind else None,
        (lambda pairs: [[-1.0] for _ in pairs]) if "likelihood" in kind else None,
    )
    assert ensemble.kind == kind and ensemble._weights.names == names_of(kind)
    assert "|" not in ensemble.identity and kind in ensemble.identity
    good, bad, nothing = ensemble.support(
        [
            Claim(text="Slots can be cancelled free of charge until two hours before they start.", passages=(TEXT,), question="How late?"),
            Claim(text="I never liked tickets for 30 euros, do you know Bergen?", passages=(TEXT,), question="How late?"),
            Claim(text="Slots can be cancelled.", passages=(), question="How late?"),
        ]
    )
    assert bad < 0.5 < good and nothing == 0.0


def test_the_numbers_have_names_of_their_own() -> None:
    assert len({*lexical.NAMES, *MEANING, *LIKELIHOOD}) == len(lexical.NAMES) + len(MEANING) + len(LIKELIHOOD)


def grounded() -> Metric:
    metric = metric_named("grounded")
    assert isinstance(metric, Metric)
    return metric


class Fixed:
    """A detector that says what it was told to."""

    identity = "fixed"

    def __init__(self, values: Sequence[float]) -> None:
        self._values = list(values)
        self.seen: list[Claim] = []

    def support(self, claims: Sequence[Claim]) -> list[float]:
        self.seen += claims
        return self._values


def test_the_share_of_sentences_borne_out_is_the_mark() -> None:
    fixed = Fixed([0.9, 0.2])
    given_answer = answer("Slots are free. Tickets are not.", passages=(passage(OPEN, 0, 73),))
    mark = mark_of(grounded(), given_answer, example(), replace(context(), support=fixed))
    assert mark.value == 0.5 and "Tickets are not." in mark.reason
    assert [claim.text for claim in fixed.seen] == ["Slots are free.", "Tickets are not."]
    assert fixed.seen[0].passages == (OPEN.text[:73],) and fixed.seen[0].question == given_answer.question


@pytest.mark.parametrize("values", [[0.5], [0.5, 1.5], [0.5, float("nan")], []])
def test_a_detector_that_gives_no_probability_for_each_is_a_failed_score(values: list[float]) -> None:
    given_answer = answer("Slots are free. Tickets are not.", passages=(passage(OPEN, 0, 73),))
    mark = mark_of(grounded(), given_answer, example(), replace(context(), support=Fixed(values)))
    assert mark.failed and mark.value is None


def test_nothing_is_borne_out_or_not_without_passages_or_claims() -> None:
    for given_answer in (answer("Slots are free."), answer("I don't know.", refused=True, passages=(passage(OPEN, 0, 73),))):
        assert mark_of(grounded(), given_answer, example(), context()).value is None


def test_without_a_detector_the_words_decide() -> None:
    copied = answer(OPEN.text[:73], passages=(passage(OPEN, 0, 73),))
    assert mark_of(grounded(), copied, example(), context()).value == 1.0
    assert grounded().signature(context()).startswith("grounded|v1|ensemble:words,weights:")


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: f"n={len(case['labels'])}")
def test_auroc_and_balanced_accuracy_are_those_of_scikit_learn(case: dict[str, Any]) -> None:
    scores, labels, weights = (np.array(case[name], dtype=float) for name in ("scores", "labels", "weights"))
    assert auroc(scores, labels) == pytest.approx(case["auroc"], abs=1e-12)
    assert auroc(scores, labels, weights) == pytest.approx(case["auroc_weighted"], abs=1e-12)
    assert balanced_accuracy(scores, labels) == pytest.approx(case["balanced"], abs=1e-12)
    assert balanced_accuracy(scores, labels, weights) == pytest.approx(case["balanced_weighted"], abs=1e-12)


def test_one_class_has_no_auroc() -> None:
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([1.0, 1.0])))
    assert np.isnan(balanced_accuracy(np.array([0.1, 0.2]), np.array([0.0, 0.0])))


def test_an_interval_of_auroc_lies_around_it_and_widens_with_clusters() -> None:
    chance = np.random.default_rng(5)
    labels = np.repeat(chance.integers(0, 2, 40), 4).astype(float)
    scores = labels * 0.5 + np.repeat(chance.normal(0, 0.4, 40), 4) + chance.normal(0, 0.05, 160)
    groups = [f"g{number // 4}" for number in range(160)]
    alone = interval(auroc, scores, labels, [f"g{number}" for number in range(160)], resamples=400)
    grouped = interval(auroc, scores, labels, groups, resamples=400)
    assert grouped[0] < auroc(scores, labels) < grouped[1]
    assert grouped[1] - grouped[0] > 1.3 * (alone[1] - alone[0])
    with pytest.raises(ValueError, match="two clusters"):
        interval(auroc, scores, labels, ["one"] * 160)


@pytest.mark.parametrize("case", REFERENCE["fits"], ids=lambda case: f"ridge {case['ridge']}")
def test_the_fit_is_that_of_scikit_learn(case: dict[str, Any]) -> None:
    rows, answers = np.array(REFERENCE["rows"]), [bool(item) for item in REFERENCE["answers"]]
    found = fit(rows, answers, ["a", "b", "c"], ridge=case["ridge"])
    assert found.weights == pytest.approx(case["weights"], abs=1e-5)
    assert found.intercept == pytest.approx(case["intercept"], abs=1e-5)


def test_a_fit_needs_both_answers_and_columns_of_its_names() -> None:
    rows = np.ones((4, 2))
    with pytest.raises(ValueError, match="both answers"):
        fit(rows, [True] * 4, ["a", "b"])
    with pytest.raises(ValueError, match="rows are"):
        fit(rows, [True, False] * 2, ["a"])
    with pytest.raises(ValueError, match="different lengths"):
        Weights.of({"names": ["a"], "centre": [0.0], "scale": [1.0], "weights": [], "intercept": 0})
