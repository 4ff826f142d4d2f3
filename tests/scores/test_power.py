"""What a test set can show, checked by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_scores import scores_of

from groundtune.scores.estimate import compare, mean, minimum_detectable, questions_needed, spread_of


def test_textbook_value() -> None:
    # (1.959964 + 0.841621) · 0.4 / √100
    assert minimum_detectable(100, 0.4) == pytest.approx(0.112063, abs=1e-5)
    assert minimum_detectable(400, 0.4) == pytest.approx(minimum_detectable(100, 0.4) / 2)


def test_the_difference_promised_is_found_as_often_as_promised() -> None:
    generator = np.random.default_rng(5)
    effect = minimum_detectable(80, 0.4)
    means = generator.normal(effect, 0.4, (4000, 80)).mean(axis=1)
    found = float(np.mean(np.abs(means) > 1.959964 * 0.4 / math.sqrt(80)))
    assert found == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 4000))


@pytest.mark.parametrize("bad", [(0, 0.4), (10, -1.0)])
def test_nonsense_is_refused(bad: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        minimum_detectable(*bad)


def test_questions_needed_are_those_that_make_the_effect_detectable() -> None:
    generator = np.random.default_rng(6)
    left = np.clip(generator.normal(0.55, 0.3, 60), 0, 1)
    right = np.clip(left - generator.normal(0.05, 0.3, 60), 0, 1)
    lead = compare([*scores_of(list(left)), *scores_of(list(right), arm="b")], "token_f1", "a", "b", resamples=2000)
    sd = spread_of(lead)
    assert sd == pytest.approx(float(np.std(left - right, ddof=1)), rel=0.15)
    further = questions_needed(lead, 0.05)
    assert further is not None and sd is not None
    assert minimum_detectable(60 + further, sd) <= 0.05 < minimum_detectable(60 + further - 1, sd)
    assert questions_needed(lead, 0.05, alpha=0.01) > further  # type: ignore[operator]
    assert questions_needed(lead, 5.0) == 1


def test_nothing_measured_needs_an_unknown_number() -> None:
    few = mean(scores_of([1.0] * 3), "token_f1", "a")
    assert spread_of(few) is None and questions_needed(few, 0.05) is None
