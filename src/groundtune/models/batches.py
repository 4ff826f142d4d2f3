"""Lengths → batches of neighbours in length, so that little is padded. A function of the lengths alone."""

from __future__ import annotations

from collections.abc import Sequence


def by_length(lengths: Sequence[int], rows: int, budget: int | None = None) -> list[list[int]]:
    """Return batches of indices, longest first, of at most ``rows`` each; ties keep their order.

    ``budget`` bounds rows × longest length of a batch. One that is longer than the budget stands alone.
    """
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
