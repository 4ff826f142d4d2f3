"""Prompts → batches of neighbours in length, so that little is padded; and what the prompts of a batch have in common."""

from __future__ import annotations

from collections.abc import Sequence


def by_length(lengths: Sequence[int], rows: int, budget: int | None = None) -> list[list[int]]:
    """Return batches of indices, longest first, of at most ``rows`` each and of like size; ties keep their order.

    ``budget`` bounds rows × longest length of a batch. One that is longer than the budget stands alone.
    """
    # 147 rows in batches of at most 56 are three of 49, not two of 56 and one of 35.
    rows = -(-len(lengths) // max(1, -(-len(lengths) // rows)))
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        last = batches[-1] if batches else None
        # Longest first: the first of a batch is its longest, so only the number of rows can exceed the budget.
        fits = last is not None and len(last) < rows and (budget is None or lengths[last[0]] * (len(last) + 1) <= budget)
        if last is not None and fits:
            last.append(index)
        else:
            batches.append([index])
    return batches


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all prompts share, leaving each at least one of its own."""
    if not prompts:
        return 0
    shortest = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    for position in range(shortest):
        if any(prompt[position] != first[position] for prompt in prompts[1:]):
            return position
    return max(0, shortest)
