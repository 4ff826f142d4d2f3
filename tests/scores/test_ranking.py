import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.scores.ranking import average_precision, ndcg, recall, reciprocal_rank

# Made-up rankings and judgements; the values are trec_eval's own, by reference/make_ranking.py.
REFERENCE = json.loads((Path(__file__).parent / "reference" / "ranking.json").read_text())
items = st.sampled_from([f"d{number}" for number in range(12)])


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: case["name"])
def test_values_are_those_of_trec_eval(case: dict) -> None:
    for measure, value in case["values"].items():
        if measure in ("recip_rank", "map"):
            mine = (reciprocal_rank if measure == "recip_rank" else average_precision)(case["ranked"], case["grades"])
        else:
            name, depth = measure.rsplit("_", 1)
            mine = (ndcg if name == "ndcg_cut" else recall)(case["ranked"], case["grades"], int(depth))
        assert mine == pytest.approx(value, abs=1e-12), measure


@given(st.lists(items, unique=True), st.dictionaries(items, st.integers(-1, 4)), st.integers(1, 15))
def test_they_lie_between_none_and_all(ranked: list[str], grades: dict[str, int], depth: int) -> None:
    best = sorted(grades, key=lambda item: -grades[item])
    assert 0 <= ndcg(ranked, grades, depth) <= 1 + 1e-12
    assert ndcg(ranked, grades, depth) <= ndcg(best, grades, depth) + 1e-12
    assert recall(ranked, grades, depth) <= recall(ranked, grades, depth + 1) <= 1
    assert 0 <= average_precision(ranked, grades) <= reciprocal_rank(best, grades) <= 1


def test_an_item_that_comes_twice_counts_once() -> None:
    assert ndcg(["a", "a", "b"], {"a": 1, "b": 1}, 2) == ndcg(["a", "b"], {"a": 1, "b": 1}, 2) == 1.0
    assert recall(["a", "a", "b"], {"a": 1, "b": 1}, 2) == 1.0


def test_nothing_relevant_is_nothing_gained() -> None:
    assert ndcg(["a"], {"a": 0, "b": -1}, 5) == recall(["a"], {}, 5) == 0.0
