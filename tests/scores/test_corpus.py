"""Metrics of whole arms: scikit-learn's values, intervals and tests that keep what they promise, and failures in the open."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import answer, context, example, refusable

from groundtune.errors import InputError, StateError
from groundtune.scores.corpus import Tally, tallies_of, whole_compare, whole_mean
from groundtune.scores.metrics import metric_named
from groundtune.scores.resample import swapped
from groundtune.scores.scorer import CorpusMetric
from groundtune.types import Answer, Example

# Written by reference/make_labels.py with scikit-learn; the version is in the file.
REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "labels.json").read_text(encoding="utf-8"))


def whole(name: str) -> CorpusMetric:
    metric = metric_named(name)
    assert isinstance(metric, CorpusMetric)
    return metric


def labelled(wanted: Sequence[str]) -> list[Example]:
    return [
        example(id=f"q{number:03d}", reply={"answer": "x", "quote": "", "label": label}, split_group=f"g{number}")
        for number, label in enumerate(wanted)
    ]


def said(given: Sequence[str | None], arm: str = "a") -> list[Answer]:
    return [
        answer("x", arm=arm, example_id=f"q{number:03d}", reply=None if label is None else {"answer": "x", "quote": "", "label": label})
        for number, label in enumerate(given)
    ]


def counted(given: Sequence[str | None], wanted: Sequence[str], arm: str = "a") -> list[Tally]:
    return tallies_of(said(given, arm), labelled(wanted), context(), {"m": whole("macro_f1:label")})


def refusals(flags: Sequence[tuple[bool, bool]], arm: str = "a") -> tuple[list[Answer], list[Example]]:
    examples = [example(id=f"q{n:03d}") if ok else refusable(id=f"q{n:03d}") for n, (ok, _) in enumerate(flags)]
    return [answer("x", arm=arm, example_id=f"q{n:03d}", refused=refused) for n, (_, refused) in enumerate(flags)], examples


@pytest.mark.parametrize("case", REFERENCE["macro"], ids=lambda case: case["name"])
def test_macro_f1_is_that_of_scikit_learn(case: dict[str, Any]) -> None:
    found = whole_mean(counted(case["given"], case["wanted"]), whole("macro_f1:label"), "a", resamples=200)
    assert found.value == pytest.approx(case["macro_f1"], abs=1e-12)
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high
    assert found.n == len(case["wanted"]) and "macro_f1:label|v1|-,examples:" in found.signature


@pytest.mark.parametrize("case", REFERENCE["refusal"], ids=lambda case: case["name"])
def test_refusals_are_valued_as_by_scikit_learn(case: dict[str, Any]) -> None:
    answers, examples = refusals([tuple(row) for row in case["rows"]])
    for name in ("precision", "recall", "f1"):
        metric = whole(f"refusal_{name}")
        found = whole_mean(tallies_of(answers, examples, context(), {"m": metric}), metric, "a", resamples=200)
        assert found.value == pytest.approx(case[name], abs=1e-12), name


def test_a_reply_that_is_none_is_a_miss_and_a_failed_answer_too() -> None:
    wanted = ["billing", "product"] * 10
    right = counted(wanted, wanted)
    missed = tallies_of(
        [replace(item, failure="timed out") if number < 5 else item for number, item in enumerate(said([None] * 5 + wanted[5:]))],
        labelled(wanted),
        context(),
        {"m": whole("macro_f1:label")},
    )
    best, worse = (whole_mean(rows, whole("macro_f1:label"), "a", resamples=200) for rows in (right, missed))
    assert best.value == 1.0 and worse.value is not None and worse.value < 0.9
    assert (best.n_failed, worse.n_failed) == (0, 5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=12, max_size=25), st.randoms())
def test_the_order_of_answers_changes_nothing(rows: list[tuple[str, str]], chance: random.Random) -> None:
    tallies = counted([row[0] for row in rows], [row[1] for row in rows])
    mixed = list(tallies)
    chance.shuffle(mixed)
    clusters = {f"q{number:03d}": f"g{number % 7}" for number in range(len(rows))}
    one, other = (whole_mean(given_rows, whole("macro_f1:label"), "a", clusters, resamples=100) for given_rows in (tallies, mixed))
    assert one == other


def test_an_arm_against_its_double_differs_by_nothing() -> None:
    wanted = ["billing", "product", "billing", "other"] * 6
    given_labels = wanted[:15] + wanted[:9]
    rows = [*counted(given_labels, wanted, "a"), *counted(given_labels, wanted, "b")]
    found = whole_compare(rows, whole("macro_f1:label"), "a", "b", resamples=500)
    assert (found.value, found.p_value) == (0.0, 1.0)


def test_a_clear_difference_is_seen() -> None:
    wanted = ["billing", "product"] * 20
    rows = [*counted(wanted, wanted, "a"), *counted(["billing"] * 40, wanted, "b")]
    found = whole_compare(rows, whole("macro_f1:label"), "a", "b", resamples=2000)
    assert found.value == pytest.approx(1 - 1 / 3) and found.p_value is not None and found.p_value < 0.01
    assert found.low is not None and found.low > 0


def test_chance_differences_have_p_values_that_are_spread_evenly() -> None:
    """Two arms of one quality: p below 0.2 in about a fifth of the simulated test sets."""
    chance = np.random.default_rng(4)
    metric = whole("refusal_f1")
    found = []
    for _ in range(300):
        wanted = chance.random(40) < 0.5
        arms = []
        for _arm in range(2):
            refused = np.where(chance.random(40) < 0.75, wanted, ~wanted)
            arms.append(np.column_stack([refused & wanted, refused, wanted]).astype(float))
        found.append(swapped(arms[0], arms[1], metric.value, resamples=199, seed=1)[0])
    below = float(np.mean(np.array(found) <= 0.2))
    # Three standard errors of a share of 0.2 in 300.
    assert abs(below - 0.2) < 3 * (0.2 * 0.8 / 300) ** 0.5


def test_intervals_of_f1_hold_the_truth_about_as_often_as_they_say() -> None:
    """True F1 of refusals is 0.8 where a fifth of both kinds is told wrong, of as many each."""
    chance = np.random.default_rng(8)
    metric = whole("refusal_f1")
    held, runs = 0, 150
    for _ in range(runs):
        wanted = chance.random(80) < 0.5
        refused = np.where(chance.random(80) < 0.8, wanted, ~wanted)
        rows = [
            Tally(example_id=f"q{n:03d}", arm="a", metric=metric.name, counts=(float(w and r), float(r), float(w)), signature="s")
            for n, (w, r) in enumerate(zip(wanted, refused, strict=True))
        ]
        found = whole_mean(rows, metric, "a", resamples=400)
        assert found.low is not None and found.high is not None
        held += found.low <= 0.8 <= found.high
    # 95 % less three standard errors of a share in 150.
    assert held / runs > 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5


def test_what_was_not_measured_is_a_state() -> None:
    metric = whole("macro_f1:label")
    wanted = ["billing", "product"] * 4
    assert whole_mean([], metric, "a").state == "not run"
    assert whole_mean(counted(wanted, wanted), metric, "a").state == "too few"
    nothing = tallies_of(said(wanted), [example(id=f"q{n:03d}", reply={"answer": "x"}) for n in range(8)], context(), {"m": metric})
    assert whole_mean(nothing, metric, "a").state == "not run"
    assert whole_compare(counted(wanted, wanted), metric, "a", "b").state == "not run"


def test_a_metric_that_raises_is_a_failed_estimate() -> None:
    def broken(examples: Sequence[Example], given_context: object) -> Any:
        raise RuntimeError("boom")

    def breaks(examples: Sequence[Example], given_context: object) -> Any:
        def count(item: Answer, wanted: Example) -> tuple[float, ...]:
            raise RuntimeError("bang")

        return count

    wanted = ["billing", "product"] * 10
    for prepare, word in ((broken, "boom"), (breaks, "bang")):
        metric = replace(whole("macro_f1:label"), prepare=prepare)
        found = whole_mean(tallies_of(said(wanted), labelled(wanted), context(), {"m": metric}), metric, "a")
        assert found.state == "failed" and word in found.reason and found.value is None


def test_counts_that_do_not_belong_together_are_refused() -> None:
    wanted = ["billing", "product"] * 10
    metric = whole("macro_f1:label")
    rows = counted(wanted, wanted)
    with pytest.raises(StateError, match="two macro_f1:label counts"):
        whole_mean([*rows, rows[0]], metric, "a")
    with pytest.raises(StateError, match="different making"):
        whole_mean([replace(rows[0], signature="other"), *rows[1:]], metric, "a")
    with pytest.raises(StateError, match="not scored on the same questions"):
        whole_compare([*rows, *counted(wanted, wanted, "b")[1:]], metric, "a", "b")
    with pytest.raises(InputError, match="not among those scored"):
        tallies_of(said(wanted), labelled(wanted)[1:], context(), {"m": metric})


def test_all_right_still_has_an_interval() -> None:
    wanted = ["billing", "product"] * 10
    found = whole_mean(counted(wanted, wanted), whole("macro_f1:label"), "a", resamples=200)
    assert found.value == found.high == 1.0 and found.low is not None and 0.7 < found.low < 1.0
