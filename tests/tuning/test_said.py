from hypothesis import given
from hypothesis import strategies as st

from groundtune.tuning.said import shorter, spread


def asked(length: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": "x" * length}]


@given(st.lists(st.integers(0, 10)), st.integers(0, 12))
def test_a_spread_keeps_the_order_and_repeats_nothing(items: list[int], count: int) -> None:
    places = spread(list(range(len(items))), count)
    assert places == sorted(set(places))
    assert len(places) == min(len(items), count)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 12))
def test_the_prompts_that_are_kept_are_of_the_shorter_half(lengths: list[int], count: int) -> None:
    kept = [len(prompt[0]["content"]) for prompt in shorter([asked(length) for length in lengths], count)]
    assert len(kept) == min(len(lengths), count)
    half = sorted(lengths)[: max(count, (len(lengths) + 1) // 2)]
    assert all(length <= half[-1] for length in kept)
