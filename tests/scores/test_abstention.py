import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import beta

from groundtune.scores.abstention import RIDGE, Row, calibrate, choose, cross_fitted, curve, fit, folds, too_few, upper_bound


def row(number: int, *, answerable: bool, source: str = "", willing: bool = True, supported: bool | None = None, **signals: float) -> Row:
    return Row(
        id=f"q{number:03}",
        source=source or f"s{number % 7}",
        answerable=answerable,
        supported=answerable if supported is None else supported,
        willing=willing,
        signals=signals,
    )


def made(having: int = 40, without: int = 20, apart: float = 3.0, seed: int = 1) -> list[Row]:
    """Questions whose signal "dense" is ``apart`` standard deviations higher where there is an answer; "noise" says nothing."""
    draw = random.Random(seed)
    return [
        row(number, answerable=number < having, dense=draw.gauss(apart if number < having else 0.0, 1.0), noise=draw.gauss(0, 1))
        for number in range(having + without)
    ]


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_upper_bound_is_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    count, of = counts
    expected = 1.0 if count == of else float(beta.ppf(0.95, count + 1, of - count))
    assert upper_bound(count, of) == pytest.approx(expected, abs=1e-9)


def test_none_of_nothing_bounds_nothing() -> None:
    assert upper_bound(0, 0) == 1.0


def test_the_weights_are_where_the_penalised_likelihood_is_highest() -> None:
    rows = made(apart=1.0)
    weights = fit(rows, ["dense", "noise"])
    values = np.array([[item.signals["dense"], item.signals["noise"]] for item in rows])
    scaled = np.clip((values - values.mean(axis=0)) / values.std(axis=0), -3, 3)
    wanted = np.array([float(item.supported) for item in rows])

    def loss(given: np.ndarray) -> float:
        total = given[0] + scaled @ given[1:]
        return float(np.sum(np.logaddexp(0, total) - wanted * total) + RIDGE / 2 * np.sum(given[1:] ** 2))

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    assert [weights.intercept, weights.terms["dense"].weight, weights.terms["noise"].weight] == pytest.approx(best, abs=1e-4)


def test_signals_that_part_the_questions_perfectly_still_give_finite_weights() -> None:
    rows = [row(number, answerable=number < 15, dense=float(number < 15)) for number in range(30)]
    weights = fit(rows, ["dense"])
    assert 0 < weights.terms["dense"].weight < 10
    assert weights.probability({"dense": 1.0}) > 0.9 > 0.1 > weights.probability({"dense": 0.0})


def test_an_absent_signal_counts_as_its_mean() -> None:
    weights = fit(made(), ["dense", "noise"])
    mean = {name: term.mean for name, term in weights.terms.items()}
    assert weights.probability({}) == pytest.approx(weights.probability(mean))
    assert weights.probability({"dense": 1e300}) < 1 and weights.probability({"dense": -1e300}) > 0


def test_a_signal_beyond_all_that_was_seen_says_no_more_than_the_edge_of_it() -> None:
    weights = fit(made(), ["dense", "noise"])
    term = weights.terms["noise"]
    edge = weights.probability({"dense": 1.0, "noise": term.mean + 3 * term.scale})
    assert weights.probability({"dense": 1.0, "noise": 1e9}) == pytest.approx(edge)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), min_size=2, max_size=60))
def test_a_source_is_in_one_fold(pairs: list[tuple[str, bool]]) -> None:
    rows = [row(number, answerable=answerable, source=source, dense=0.0) for number, (source, answerable) in enumerate(pairs)]
    parts = folds(rows)
    if len({source for source, _ in pairs}) > 1:
        assert all(len({part for item, part in zip(rows, parts, strict=True) if item.source == source}) == 1 for source, _ in pairs)
    assert len(set(parts)) > 1 or len(rows) == 1


def test_what_a_question_is_judged_by_has_not_seen_its_label() -> None:
    rows = made()
    parts = folds(rows)
    before = cross_fitted(rows, ["dense", "noise"], parts)
    turned = [replace(item, supported=not item.supported) if part == 0 else item for item, part in zip(rows, parts, strict=True)]
    after = cross_fitted(turned, ["dense", "noise"], parts)
    assert all(old == new for old, new, part in zip(before, after, parts, strict=True) if part == 0)
    assert any(old != new for old, new, part in zip(before, after, parts, strict=True) if part != 0)


chosen_rows = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.5, 0.9])), min_size=1, max_size=30
)


@given(chosen_rows)
def test_the_curve_counts_what_its_thresholds_do(items: list[tuple[bool, bool, bool, float]]) -> None:
    rows = [
        row(number, answerable=answerable, supported=answerable and supported, willing=willing, dense=0.0)
        for number, (answerable, supported, willing, _) in enumerate(items)
    ]
    sure = [value for *_, value in items]
    points = curve(rows, sure)
    for point in points:
        assert point.threshold is not None
        told = [item for item, value in zip(rows, sure, strict=True) if item.willing and value >= point.threshold]
        assert point.false_answers == sum(not item.answerable for item in told)
        assert point.answered_answerable == sum(item.answerable for item in told)
        assert point.coverage == len(told) / len(rows)
        assert point.risk == (sum(not item.supported for item in told) / len(told) if told else None)
    assert [point.coverage for point in points] == sorted((point.coverage for point in points), reverse=True)
    assert points[-1].coverage == 0 and points[0].coverage == sum(item.willing for item in rows) / len(rows)


@given(chosen_rows, st.sampled_from([0.05, 0.1, 0.3, 0.6]), st.sampled_from(["value", "bound"]))
def test_the_threshold_is_the_lowest_that_meets_the_target(items: list[tuple[bool, bool, bool, float]], target: float, on: str) -> None:
    rows = [row(number, answerable=answerable, willing=willing, dense=0.0) for number, (answerable, _, willing, _) in enumerate(items)]
    points = curve(rows, [value for *_, value in items])
    chosen = choose(points, target, on)
    meets = [point for point in points if (point.false_rate if on == "value" else point.false_upper) <= target]
    if chosen is None:
        assert all(point.answered_answerable == 0 for point in meets)
    else:
        assert chosen == meets[0] and chosen.answered_answerable > 0


def test_questions_far_apart_are_told_apart_and_the_target_holds_on_new_ones() -> None:
    found = calibrate(made(60, 40), target=0.1)
    assert found.state == "measured" and found.threshold is not None and found.chosen is not None and found.checked is not None
    assert found.chosen.false_rate <= 0.1 and found.chosen.answered_answerable > 45
    fresh = made(400, 400, seed=2)
    answered = [item for item in fresh if found.weights.probability(item.signals) >= found.threshold]
    assert sum(not item.answerable for item in answered) / 400 < 0.2
    assert sum(item.answerable for item in answered) / 400 > 0.75
    assert found.chosen.false_upper > found.chosen.false_rate
    # At a rate of the target itself no number of questions shows that it is below; with some room, a larger number does.
    assert found.chosen.false_rate == 0.1 and found.needed is None
    roomier = calibrate(made(60, 40), target=0.12)
    assert roomier.chosen == found.chosen and roomier.needed is not None and roomier.needed > 40
    count = roomier.needed
    assert upper_bound(-(-count // 10), count) <= 0.12 < upper_bound(4, 40)


def test_signals_that_say_nothing_are_not_made_to_say_something() -> None:
    coverages, rates = [], []
    for seed in range(8):
        found = calibrate(made(40, 40, apart=0.0, seed=seed), target=0.2)
        assert found.checked is not None
        coverages.append(found.checked.answered_answerable / 40)
        rates.append(found.checked.false_rate)
    # By chance alone as many of the one kind pass as of the other.
    assert abs(np.mean(coverages) - np.mean(rates)) < 0.12


@pytest.mark.parametrize(("having", "without"), [(9, 40), (40, 9), (0, 40), (40, 0), (0, 0)])
def test_too_few_questions_of_a_kind_give_no_threshold(having: int, without: int) -> None:
    found = calibrate(made(having, without), target=0.1)
    assert found.state == "too few" and found.threshold is None and not found.curve
    assert f"{having} with an answer and {without} without" in found.reason


def test_a_stricter_target_needs_more_questions_without_an_answer() -> None:
    assert not too_few(20, 10, 0.1)
    assert "at least 10 with an answer and 20 without" in too_few(20, 10, 0.05)


def test_one_kind_from_one_source_cannot_be_judged_by_the_others() -> None:
    rows = [replace(item, source="same" if not item.answerable else item.source) for item in made()]
    assert "from one source only" in calibrate(rows, target=0.1).reason


def test_signals_that_never_differ_give_no_threshold() -> None:
    rows = [replace(item, signals={"dense": 0.5}) for item in made()]
    assert "no signal differs" in calibrate(rows, target=0.1).reason


def test_a_bound_that_so_few_questions_cannot_reach_is_a_state_with_a_reason() -> None:
    found = calibrate(made(40, 20), target=0.1, on="bound")
    assert found.state == "out of reach" and found.threshold is None and found.curve
    assert "even with no false answer among 20" in found.reason
    reached = calibrate(made(60, 60, apart=6.0), target=0.1, on="bound")
    assert reached.state == "measured" and reached.chosen is not None and reached.chosen.false_upper <= 0.1


def test_where_every_answer_is_refused_by_the_model_no_threshold_is_made_up() -> None:
    found = calibrate([replace(item, willing=not item.answerable) for item in made()], target=0.1)
    assert found.state == "out of reach" and "refuses all that has an answer" in found.reason


def test_a_question_without_passages_is_counted_and_never_answered() -> None:
    rows = made()
    rows[0] = replace(rows[0], signals={}, willing=False)
    found = calibrate(rows, target=0.1)
    assert found.curve[0].coverage == (len(rows) - 1) / len(rows)
    assert found.answerable + found.unanswerable == len(rows)


def test_a_signal_that_most_lack_is_not_used() -> None:
    rows = [
        replace(item, signals=item.signals | ({"rerank": 1.0 * number} if number % 3 == 0 else {})) for number, item in enumerate(made())
    ]
    assert set(calibrate(rows, target=0.1).weights.terms) == {"dense", "noise"}


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_questions_changes_nothing(shuffle: random.Random) -> None:
    rows = made()
    other = list(rows)
    shuffle.shuffle(other)
    one, two = calibrate(rows, target=0.1), calibrate(other, target=0.1)
    assert one.state == two.state and one.chosen is not None and two.chosen is not None
    assert one.chosen.false_answers == two.chosen.false_answers and one.chosen.answered_answerable == two.chosen.answered_answerable
    assert one.weights.intercept == pytest.approx(two.weights.intercept, abs=1e-6)
