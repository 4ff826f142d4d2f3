"""Write the reference values beside this file, from packages that nobody here wrote: ``python tests/scores/reference/make.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rouge_score
import sacrebleu
import scipy
from rouge_score.rouge_scorer import RougeScorer
from scipy import stats

HERE = Path(__file__).parent
TEXTS = [
    ("You can cancel up to 2 hours before the slot.", "Cancel free of charge until 2 hours before the slot starts."),
    ("The rate limit is 300 requests per minute per client.", "300 requests a minute for each client."),
    ("I don't know.", "Growth promises 99.5 % uptime."),
    ("Growth promises 99.5 % uptime.", "Growth promises 99.5 % uptime."),
    ("a b c d e f", "f e d c b a"),
    ("the the the cat", "the cat the"),
    ("Straße, naïve café — déjà vu!", "Strasse, naive café: déjà vu"),
    ("webhooks retry 12 times over 24 hours", "Version 5 retries webhooks 12 times within 24 hours, then gives up."),
    ("x", "a completely different sentence"),
    ("one two three one two three one two", "two three one two one three two one two three"),
]


def texts() -> dict[str, Any]:
    """ROUGE-L F-measure and chrF / 100 of each pair."""
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    chrf = sacrebleu.metrics.CHRF()
    rows = [
        {
            "said": said,
            "wanted": wanted,
            "rouge_l": scorer.score(wanted, said)["rougeL"].fmeasure,
            "chrf": chrf.sentence_score(said, [wanted]).score / 100,
        }
        for said, wanted in TEXTS
    ]
    return {"made_with": {"rouge-score": "0.1.2", "sacrebleu": sacrebleu.__version__}, "rows": rows}


def mcnemar() -> dict[str, Any]:
    """Exact McNemar as the two-sided binomial test of the discordant pairs at one half."""
    pairs = [(0, 1), (1, 1), (3, 0), (8, 2), (10, 4), (15, 15), (30, 12), (41, 59), (700, 620)]
    rows = [{"gained": b, "lost": c, "p": float(stats.binomtest(b, b + c, 0.5).pvalue)} for b, c in pairs]
    return {"made_with": {"scipy": scipy.__version__}, "rows": rows}


def flips() -> dict[str, Any]:
    """Exact sign-flip tests by scipy's permutation test of paired samples against 0."""
    generator = np.random.default_rng(3)
    rows = []
    for size, shift, digits in [(5, 0.4, 1), (8, 0.0, 2), (10, 0.3, 1), (12, 0.6, 2), (14, 0.2, 2)]:
        sums = np.round(generator.normal(shift, 1, size), digits)
        found = stats.permutation_test(
            (sums, np.zeros(size)),
            lambda x, y, axis: np.sum(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        rows.append({"sums": sums.tolist(), "p": float(found.pvalue)})
    return {"made_with": {"scipy": scipy.__version__, "numpy": np.__version__}, "rows": rows}


def intervals() -> dict[str, Any]:
    """BCa intervals of the ratio of clustered sums and counts, by scipy's bootstrap of pairs.

    scipy knows nothing of the widening for few clusters, so its level is set to what the widened tails come to.
    """
    generator = np.random.default_rng(11)
    rows = []
    for clusters, most, kind in [(30, 1, "skewed"), (40, 4, "binary"), (25, 6, "difference"), (12, 1, "very skewed")]:
        counts = generator.integers(1, most + 1, clusters).astype(float)
        draw = {
            "skewed": lambda n: generator.exponential(0.2, n),
            "very skewed": lambda n: generator.exponential(0.4, n) ** 3,
            "binary": lambda n: (generator.random(n) < generator.beta(4, 2)).astype(float),
            "difference": lambda n: generator.normal(0.05 + generator.normal(0, 0.1), 0.3, n),
        }[kind]
        sums = np.round([float(draw(int(n)).sum()) for n in counts], 6)
        reach = np.sqrt(clusters / (clusters - 1)) * stats.t.ppf(0.975, clusters - 1)
        found = stats.bootstrap(
            (sums, counts),
            lambda s, n, axis: np.sum(s, axis=axis) / np.sum(n, axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=400_000,
            batch=20_000,
            confidence_level=float(1 - 2 * stats.norm.cdf(-reach)),
            method="BCa",
            rng=np.random.default_rng(5),
        )
        rows.append(
            {
                "kind": kind,
                "sums": list(map(float, sums)),
                "counts": counts.tolist(),
                "low": float(found.confidence_interval.low),
                "high": float(found.confidence_interval.high),
                "error": float(found.standard_error),
            }
        )
    return {"made_with": {"scipy": scipy.__version__, "numpy": np.__version__}, "rows": rows}


def quantiles() -> dict[str, Any]:
    """Quantiles of Student's t, and exact binomial bounds for none and for all of k."""
    rows = [{"freedom": f, "probability": p, "t": float(stats.t.ppf(p, f))} for f in (4, 6, 9, 15, 30, 83, 400) for p in (0.95, 0.975)]
    none = [{"k": k, "high": float(stats.binomtest(0, k).proportion_ci(0.95, method="exact").high)} for k in (10, 25, 84, 300)]
    return {"made_with": {"scipy": scipy.__version__}, "student": rows, "none_of": none}


if __name__ == "__main__":
    assert rouge_score is not None
    for make in (texts, mcnemar, flips, intervals, quantiles):
        (HERE / f"{make.__name__}.json").write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
