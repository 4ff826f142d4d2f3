"""Valid replies and their closed fields."""

from __future__ import annotations

from typing import Any

import pytest
from made_scores import answer, context, example

from groundtune.scores.metrics import METRICS, field_metric, metrics_for
from groundtune.scores.scorer import mark_of


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ({"answer": "x", "quote": "", "label": "product"}, 1.0),
        ({"answer": "x", "quote": "", "label": "weather"}, 0.0),
        ({"answer": "x", "label": "product"}, 0.0),
        (None, 0.0),
    ],
)
def test_valid_json_is_what_the_schema_accepts(reply: Any, value: float) -> None:
    assert mark_of(METRICS["valid_json"], answer("x", reply=reply), example(), context()).value == value


def test_valid_json_does_not_apply_without_a_schema() -> None:
    mark = mark_of(METRICS["valid_json"], answer("x", reply=None), example(), context(schema=None))
    assert mark.value is None and not mark.failed


def test_fields_with_one_right_value_are_found_in_the_schema() -> None:
    assert context().fields == ("label", "urgent")
    assert {"field:label", "field:urgent"} <= metrics_for(context()).keys()
    assert not any(name.startswith("field:") for name in metrics_for(context(schema=None)))


@pytest.mark.parametrize(
    ("given", "value"), [("product", 1.0), (" product\n", 1.0), ("billing", 0.0), ("Product", 0.0), (None, 0.0), (["product"], 0.0)]
)
def test_field_equality(given: Any, value: float) -> None:
    marked = mark_of(field_metric("label"), answer(reply={"label": given}), example(), context())
    assert marked.value == value


def test_field_of_a_reply_that_is_none_or_lacks_it_is_wrong_and_true_is_not_one() -> None:
    wanted = example(reply={"answer": "x", "urgent": True})
    assert mark_of(field_metric("urgent"), answer(reply={"urgent": 1}), wanted, context()).value == 0.0
    assert mark_of(field_metric("urgent"), answer(reply={"urgent": True}), wanted, context()).value == 1.0
    assert mark_of(field_metric("urgent"), answer(reply={}), wanted, context()).value == 0.0
    assert mark_of(field_metric("urgent"), answer(reply=None), wanted, context()).value == 0.0
    assert mark_of(field_metric("label"), answer(), wanted, context()).value is None
