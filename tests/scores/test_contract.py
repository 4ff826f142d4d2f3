"""Every built-in metric holds what a plug-in has to hold; and the kit notices one that does not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from groundtune.scores.metrics import METRICS, metric_named
from groundtune.scores.more import MORE
from groundtune.scores.scorer import Context, Mark, Metric, Verdicts
from groundtune.testing.scorer_contract import ScorerContract, made_answer, made_context, made_example
from groundtune.types import Answer, Example

NAMES = [*METRICS, *MORE, "field:label", "refusal:answerable", "macro_f1:label", "judged:correct"]


class Judged(ScorerContract):
    """The kit with a judge's verdict at hand, for the one metric that needs it."""

    def context(self) -> Context:
        marks = {("correct", f"answer:{arm}-1"): Mark(1.0, "yes in 1 of 1: so it is") for arm in ("a", "b")}
        return replace(made_context(), verdicts=Verdicts(identity="judge:made", marks=marks))


def of(name: str) -> type[ScorerContract]:
    base = Judged if name.startswith("judged") else ScorerContract
    return type("Test_" + name.replace(":", "_"), (base,), {"metric": metric_named(name)})


for _name in NAMES:
    globals()[of(_name).__name__] = of(_name)


def _late(answer: Answer, example: Example, context: Context) -> Mark:
    return Mark(random.random(), "by chance")


def _by_arm(answer: Answer, example: Example, context: Context) -> Mark:
    return Mark(float(answer.arm == "a"), "by its arm")


def _raises(answer: Answer, example: Example, context: Context) -> Mark:
    return Mark(float(len(answer.said) / len(answer.said)), "of what is said")


def _if_cited(answer: Answer, example: Example, context: Context) -> str | None:
    return None if answer.cited else "cites nothing"


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"score": _late}, "test_the_same_answer_gets_the_same_mark"),
        ({"score": _by_arm}, "test_the_arm_is_not_looked_at"),
        ({"applies": _if_cited}, "test_a_paired_metric_applies_by_the_question_alone"),
        ({"definition": "no full stop"}, "test_it_says_what_it_is"),
        ({"settings": lambda context: "a|b"}, "test_its_signature_names_name_version_and_settings"),
    ],
)
def test_the_kit_notices_a_scorer_that_breaks_a_rule(changed: dict[str, object], check: str) -> None:
    broken = type("Broken", (ScorerContract,), {"metric": replace(METRICS["exact"], **changed)})
    with pytest.raises((AssertionError, ValueError)):
        getattr(broken(), check)()


def test_the_kit_notices_a_scorer_that_fails_on_odd_text() -> None:
    broken = type("Broken", (ScorerContract,), {"metric": replace(METRICS["exact"], score=_raises)})
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        broken().test_any_text_gets_a_value_in_range_or_a_reason("", True)


def test_the_kit_builds_what_scorers_see() -> None:
    metric = METRICS["citation"]
    assert isinstance(metric, Metric)
    assert metric.score(made_answer("x"), made_example(), made_context()).value == 1.0
