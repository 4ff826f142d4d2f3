"""Several rankings → one, by rank or by score.

    reciprocal_rank({"bm25": ["x", "y"], "dense": ["y", "z"]}, k=10)              y 0.1742…, x 0.0909…, z 0.0833…
    convex({"bm25": [("x", 9.0), ("y", 3.0)], "dense": [("y", 0.7), …]}, …)       each score on a scale from 0 to 1, then weighted

Both take weights by ranking; without them all weigh the same. Equal scores are ordered by id, so a ranking is a function of its inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

# The lowest score that a search could give: BM25 of a text without any of the words; the cosine of opposite vectors.
FLOORS = {"bm25": 0.0, "dense": -1.0}


def reciprocal_rank(rankings: Mapping[str, Sequence[str]], k: int, weights: Mapping[str, float] | None = None) -> list[tuple[str, float]]:
    """Fuse rankings of ids by reciprocal rank: score = Σ weight / (k + rank), rank from 1; equal scores are ordered by id.

    Cormack, Clarke and Büttcher 2009. Their k = 60 was set for long rankings; a small k trusts the top more.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    scores: dict[str, float] = {}
    for name, ranking in rankings.items():
        weight = _weight(weights, name)
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return _ordered(scores)


def convex(
    rankings: Mapping[str, Sequence[tuple[str, float]]],
    *,
    normalise: str = "theoretical",
    weights: Mapping[str, float] | None = None,
    cut: Collection[str] = (),
) -> list[tuple[str, float]]:
    """Fuse rankings of (id, score), best first, by a weighted mean of their scores, each brought to the scale from 0 to 1.

    ``theoretical``: (score - floor) / (best - floor), with the lowest score that the search could give as the floor, so that a search
    that finds little it is sure of has little to say. ``minmax``: the worst score found takes the place of the floor. Bruch, Gai and
    Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 42(1), call them TMM and MM.

    They score every item by every search; here an item may be missing in a ranking. Where that was ``cut`` off at its limit, the item
    scores as its last one does, the most it can have; else as the floor.
    """
    if normalise not in ("theoretical", "minmax"):
        raise ValueError(f"normalise must be theoretical or minmax, not {normalise!r}")
    every = {item for ranking in rankings.values() for item, _ in ranking}
    total = sum(_weight(weights, name) for name in rankings)
    fused = dict.fromkeys(every, 0.0)
    for name, ranking in rankings.items():
        if not ranking or not total:
            continue
        values = [score for _, score in ranking]
        best, worst = max(values), min(values)
        floor = min(FLOORS.get(name, worst), worst) if normalise == "theoretical" else worst
        width = best - floor
        scaled = {item: (score - floor) / width if width > 0 else 1.0 for item, score in ranking}
        absent = min(scaled.values()) if name in cut and normalise == "theoretical" else 0.0
        for item in every:
            fused[item] += _weight(weights, name) / total * scaled.get(item, absent)
    return _ordered(fused)


def _weight(weights: Mapping[str, float] | None, name: str) -> float:
    weight = 1.0 if weights is None else weights.get(name, 1.0)
    if not 0 <= weight < float("inf"):
        raise ValueError(f"the weight of {name!r} must be a number of at least 0, not {weight}")
    return weight


def _ordered(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
