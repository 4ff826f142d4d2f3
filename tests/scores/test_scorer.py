"""The frame: it stamps, counts failures, and no scorer can bring it down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_scores import OPEN, answer, context, example, passage, refusable

from groundtune.errors import InputError, UnknownName
from groundtune.scores.metrics import METRICS, metric_named, metrics_for
from groundtune.scores.scorer import Context, Mark, Metric, mark_of, score_all
from groundtune.types import Answer, Example


def with_scorer(value: float | None | Exception) -> Metric:
    def score(answer: Answer, example: Example, context: Context) -> Mark:
        if isinstance(value, Exception):
            raise value
        return Mark(value, "said so")

    return replace(METRICS["exact"], name="own", score=score)


def test_scores_are_stamped_in_the_order_of_the_answers() -> None:
    examples = [example(id="e1"), refusable(id="e2")]
    answers = [answer(arm="b", example_id="e2"), answer(arm="a", example_id="e1")]
    scores = score_all(answers, examples, context())
    assert [score.example_id for score in scores] == ["e2"] * len(metrics_for(context())) + ["e1"] * len(metrics_for(context()))
    assert {(score.arm, score.answer_id) for score in scores} == {("b", answers[0].id), ("a", answers[1].id)}
    assert [score.metric for score in scores[: len(scores) // 2]] == list(metrics_for(context()))
    for score in scores:
        name, version, settings = score.signature.split("|")
        assert name == score.metric and version.startswith("v") and settings
    assert not any(score.failed for score in scores)


def test_the_signature_changes_with_what_the_value_depends_on() -> None:
    one, other = context(), replace(context(), answer_field="reply")
    assert METRICS["token_f1"].signature(one) != METRICS["token_f1"].signature(other)
    assert METRICS["valid_json"].signature(one) != METRICS["valid_json"].signature(context(schema={"type": "object"}))
    assert "sacrebleu:" in METRICS["chrf"].signature(one)


@pytest.mark.parametrize("broken", [ValueError("no such thing"), float("nan"), float("inf"), 1.5, -0.1])
def test_a_scorer_that_fails_leaves_a_failed_score(broken: float | Exception) -> None:
    scores = score_all([answer()], [example()], context(), {"own": with_scorer(broken)})
    assert [(score.value, score.failed) for score in scores] == [(None, True)]
    assert "scorer failed" in scores[0].reason


def test_a_metric_without_upper_bound_takes_no_infinity() -> None:
    endless = replace(METRICS["seconds_total"], score=with_scorer(float("inf")).score)
    assert [score.value for score in score_all([answer()], [example()], context(), {"own": endless})] == [None]


def test_an_example_without_the_answer_field_is_a_failed_score() -> None:
    scores = score_all([answer()], [example(reply={"label": "product"})], context())
    failed = {score.metric for score in scores if score.failed}
    assert failed == {"exact", "token_f1", "rouge_l", "chrf"}


def test_a_failed_answer_gets_the_worst_value_and_is_counted() -> None:
    scores = {
        score.metric: score
        for score in score_all([answer("", failure="timed out", reply=None, passages=(passage(OPEN, 0, 80),))], [example()], context())
    }
    for name, metric in metrics_for(context()).items():
        score = scores[name]
        if name in ("false_answer", "field:urgent"):
            assert score.value is None and not score.failed
        else:
            assert score.failed and score.value is not None
            assert metric.worst is None or score.value == metric.worst
    assert scores["false_refusal"].value == 1.0 and scores["token_f1"].value == 0.0
    assert scores["leak"].value == 0.0 and scores["seconds_total"].value == 1.5
    assert "timed out" in scores["token_f1"].reason


def test_an_answer_to_no_known_example_is_an_error() -> None:
    for unknown in ("e9", None):
        with pytest.raises(InputError, match="not among those scored"):
            score_all([answer(example_id=unknown)], [example()], context())


def test_refusals_are_right_exactly_where_a_question_is_unanswerable() -> None:
    table = {}
    for refused in (True, False):
        for wanted in (example(), refusable()):
            table[refused, wanted.answerable] = [
                mark_of(METRICS[name], answer(refused=refused), wanted, context()).value
                for name in ("refusal_right", "false_refusal", "false_answer")
            ]
    assert table == {
        (True, True): [0.0, 1.0, None],
        (True, False): [1.0, None, 0.0],
        (False, True): [1.0, 0.0, None],
        (False, False): [0.0, None, 1.0],
    }


def test_what_was_spent_is_read_off_the_answer() -> None:
    values = {score.metric: score.value for score in score_all([answer()], [example()], context())}
    assert (values["seconds_total"], values["prompt_tokens"], values["completion_tokens"], values["cost"]) == (1.5, 100, 20, 0.002)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_the_table_is_consistent(metric: Metric) -> None:
    assert METRICS[metric.name] is metric
    assert metric.definition.endswith(".") and metric.applies_to
    if metric.worst is not None:
        assert metric.worst == (metric.low if metric.better == "higher" else metric.high)


def test_metrics_go_by_their_names() -> None:
    assert metric_named("token_f1") is METRICS["token_f1"]
    assert metric_named("field:label").name == "field:label"
    for name in ("f1", "field:"):
        with pytest.raises(UnknownName, match="token_f1"):
            metric_named(name)
