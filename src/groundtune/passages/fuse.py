"""Several rankings → one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def reciprocal_rank(rankings: Mapping[str, Sequence[str]], k: int) -> list[tuple[str, float]]:
    """Fuse rankings of ids by reciprocal rank: score = Σ 1 / (k + rank), rank from 1; equal scores are ordered by id.

    Cormack, Clarke and Büttcher 2009. Their k = 60 was set for long rankings; a small k trusts the top more.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    scores: dict[str, float] = {}
    for ranking in rankings.values():
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
