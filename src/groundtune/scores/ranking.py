"""How good a ranking is, by judgements: nDCG, recall, reciprocal rank and average precision, as trec_eval computes them.

ranked ["d3", "d1"], grades {"d1": 2, "d2": 1}  →  ndcg 0.479…, recall 0.5, reciprocal rank 0.5, average precision 0.25
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``depth``: gain is the grade, discount log2(rank + 1).

    Järvelin and Kekäläinen 2002, with the grade itself as gain, which is trec_eval's ``ndcg_cut``; its ideal is cut at ``depth`` too.
    Grades below 0 count as 0. 0.0 where nothing is relevant. An item that is ranked twice counts once.
    """
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:depth]
    best = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(ideal, start=1))
    if not best:
        return 0.0
    first = list(dict.fromkeys(ranked))[:depth]
    return sum(max(0, grades.get(item, 0)) / math.log2(rank + 1) for rank, item in enumerate(first, start=1)) / best


def recall(ranked: Sequence[str], grades: Mapping[str, int], depth: int, *, least: int = 1) -> float:
    """Return the share of the items with a grade of at least ``least`` that are among the first ``depth``; 0.0 where there are none."""
    relevant = {item for item, grade in grades.items() if grade >= least}
    found = relevant.intersection(list(dict.fromkeys(ranked))[:depth])
    return len(found) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int], *, least: int = 1) -> float:
    """Return 1 / the rank of the first item with a grade of at least ``least``; 0.0 where none is ranked. trec_eval's ``recip_rank``."""
    for rank, item in enumerate(dict.fromkeys(ranked), start=1):
        if grades.get(item, 0) >= least:
            return 1 / rank
    return 0.0


def average_precision(ranked: Sequence[str], grades: Mapping[str, int], *, least: int = 1) -> float:
    """Return the mean, over all relevant items, of the precision at the rank of each; 0 for one that is not ranked. trec_eval's ``map``."""
    relevant = sum(grade >= least for grade in grades.values())
    hits = 0
    total = 0.0
    for rank, item in enumerate(dict.fromkeys(ranked), start=1):
        if grades.get(item, 0) >= least:
            hits += 1
            total += hits / rank
    return total / relevant if relevant else 0.0
