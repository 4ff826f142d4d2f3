"""Write whole.json: an F1 over clusters by scipy's bootstrap and permutation test. ``python tests/scores/reference/make_whole.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy import stats

HERE = Path(__file__).parent


def f1(right: Any, given: Any, wanted: Any) -> Any:
    """F1 of sums of (right, given, wanted)."""
    return 2 * right / (given + wanted)


def made(generator: np.random.Generator, clusters: int, share: float) -> Any:
    """Counts of (right, given, wanted) by cluster of one to four questions, (clusters, 3)."""
    rows = []
    for _ in range(clusters):
        wanted = generator.random(int(generator.integers(1, 5))) < 0.6
        given = np.where(generator.random(len(wanted)) < share, wanted, ~wanted)
        rows.append([float((wanted & given).sum()), float(given.sum()), float(wanted.sum())])
    return np.array(rows)


def interval(counts: Any) -> dict[str, Any]:
    """BCa of the F1; scipy knows nothing of the widening for few clusters, so its level is set to what the widened tails come to."""
    clusters = len(counts)
    reach = np.sqrt(clusters / (clusters - 1)) * stats.t.ppf(0.975, clusters - 1)
    found = stats.bootstrap(
        tuple(counts.T),
        lambda right, given, wanted, axis: f1(right.sum(axis=axis), given.sum(axis=axis), wanted.sum(axis=axis)),
        paired=True,
        vectorized=True,
        n_resamples=100_000,
        batch=10_000,
        confidence_level=float(1 - 2 * stats.norm.cdf(-reach)),
        method="BCa",
        rng=np.random.default_rng(5),
    )
    return {
        "counts": counts.tolist(),
        "low": float(found.confidence_interval.low),
        "high": float(found.confidence_interval.high),
        "error": float(found.standard_error),
    }


def swap(mine: Any, theirs: Any) -> dict[str, Any]:
    """Exact p-value of the difference of two F1s: whole clusters change sides. The samples that scipy permutes are row numbers."""
    rows = np.vstack([mine, theirs])

    def apart(left: Any, right: Any, axis: int) -> Any:
        return f1(*np.moveaxis(rows[left.astype(int)].sum(axis=axis), -1, 0)) - f1(
            *np.moveaxis(rows[right.astype(int)].sum(axis=axis), -1, 0)
        )

    k = len(mine)
    found = stats.permutation_test(
        (np.arange(k), np.arange(k, 2 * k)),
        lambda left, right: float(apart(left, right, 0)),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    return {"mine": mine.tolist(), "theirs": theirs.tolist(), "p": float(found.pvalue)}


if __name__ == "__main__":
    chance = np.random.default_rng(21)
    kept = {
        "made_with": {"scipy": scipy.__version__, "numpy": np.__version__},
        "intervals": [interval(made(chance, clusters, share)) for clusters, share in [(20, 0.7), (40, 0.85), (80, 0.8)]],
        "swaps": [swap(made(chance, k, one), made(chance, k, other)) for k, one, other in [(6, 0.9, 0.5), (9, 0.8, 0.6), (11, 0.7, 0.7)]],
    }
    (HERE / "whole.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
