import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.passages.diverse import diverse
from groundtune.passages.fuse import convex, reciprocal_rank

scores = st.floats(-1, 50, allow_nan=False).map(lambda value: round(value, 3))
rankings = st.dictionaries(
    st.sampled_from(["bm25", "dense"]),
    st.dictionaries(st.sampled_from("abcdef"), scores, max_size=6).map(lambda found: sorted(found.items(), key=lambda pair: -pair[1])),
    max_size=2,
)


def test_a_convex_combination_is_the_published_formula() -> None:
    found = convex({"bm25": [("x", 8.0), ("y", 2.0)], "dense": [("y", 0.6), ("z", 0.2)]}, weights={"bm25": 0.2, "dense": 0.8})
    assert dict(found) == {
        "y": pytest.approx(0.2 * 2 / 8 + 0.8 * 1.0),
        "z": pytest.approx(0.8 * (0.2 + 1) / (0.6 + 1)),
        "x": pytest.approx(0.2 * 1.0),
    }
    low = dict(convex({"bm25": [("x", 8.0), ("w", 5.0), ("y", 2.0)]}, normalise="minmax"))
    assert low == {"x": 1.0, "w": pytest.approx(0.5), "y": 0.0}


def test_what_a_cut_ranking_does_not_name_scores_as_its_last() -> None:
    given_ = {"bm25": [("x", 8.0)], "dense": [("y", 0.6), ("z", 0.2)]}
    whole, cut = dict(convex(given_)), dict(convex(given_, cut={"dense"}))
    assert whole["x"] == pytest.approx(0.5)
    assert cut["x"] == pytest.approx(0.5 + 0.5 * 1.2 / 1.6)
    assert cut["y"] == whole["y"]


def test_a_weight_of_nothing_leaves_the_other_ranking_and_more_weight_helps_it() -> None:
    given_ = {"bm25": ["x", "y"], "dense": ["y", "z"]}
    assert [item for item, _ in reciprocal_rank(given_, 10, {"bm25": 1.0, "dense": 0.0})][:2] == ["x", "y"]
    assert [item for item, _ in reciprocal_rank(given_, 10, {"bm25": 0.0, "dense": 1.0})][:2] == ["y", "z"]


@given(rankings, st.sampled_from(["theoretical", "minmax"]), st.floats(0, 1))
def test_fused_scores_lie_between_none_and_all_and_hold_every_item_once(
    found: dict[str, list[tuple[str, float]]], normalise: str, share: float
) -> None:
    fused = convex(found, normalise=normalise, weights={"bm25": 1 - share, "dense": share}, cut=found)
    assert sorted(item for item, _ in fused) == sorted({item for ranking in found.values() for item, _ in ranking})
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in fused)
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)


@given(rankings)
def test_what_is_better_in_both_is_better_in_all(found: dict[str, list[tuple[str, float]]]) -> None:
    fused = dict(convex(found))
    held = [dict(ranking) for ranking in found.values()]
    everywhere = [item for item in fused if all(item in ranking for ranking in held)]
    for left in everywhere:
        for right in everywhere:
            if all(ranking[left] >= ranking[right] for ranking in held):
                assert fused[left] >= fused[right] - 1e-9


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_an_impossible_weight_or_scale_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        convex({"bm25": [("x", 1.0)]}, weights={"bm25": weight})
    with pytest.raises(ValueError, match="weight"):
        reciprocal_rank({"bm25": ["x"]}, 10, {"bm25": weight})
    with pytest.raises(ValueError, match="normalise"):
        convex({}, normalise="softmax")


TEXTS = ["A slot lasts thirty minutes at gate one.", "A slot lasts thirty minutes at gate two.", "Refunds take ten days."]


def test_a_text_that_repeats_another_comes_later() -> None:
    assert diverse(TEXTS, [0.9, 0.8, 0.5], share=0.5, limit=3) == [0, 2, 1]
    assert diverse(TEXTS, [0.9, 0.8, 0.5], share=1.0, limit=3) == [0, 1, 2]
    assert diverse(TEXTS, [0.9, 0.8, 0.5], share=0.5, limit=2) == [0, 2]


@given(st.lists(st.text(max_size=20), max_size=8), st.floats(0, 1), st.integers(0, 9))
def test_diversity_only_reorders(texts: list[str], share: float, limit: int) -> None:
    places = diverse(texts, [1 / (place + 1) for place in range(len(texts))], share=share, limit=limit)
    assert len(places) == min(limit, len(texts)) == len(set(places))
    if texts and limit:
        assert places[0] == 0
