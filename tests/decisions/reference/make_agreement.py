"""Write agreement.json: Cohen's kappa by scikit-learn, its interval and Wilson's by statsmodels, for made-up labels.

pip install --target SOME_FOLDER scikit-learn statsmodels
PYTHONPATH=SOME_FOLDER python tests/decisions/reference/make_agreement.py
"""

import json
import random
from pathlib import Path

import sklearn
import statsmodels
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

LABELS = ["wrong fact", "wrong format", "wrong tone", "wrong reasoning", "should have refused", "not a failure"]


def pairs_of(seed: int, n: int, noise: float, kinds: int) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    made = []
    for _ in range(n):
        one = generator.choice(LABELS[:kinds])
        other = generator.choice(LABELS[:kinds]) if generator.random() < noise else one
        made.append((one, other))
    return made


def table_of(pairs: list[tuple[str, str]]) -> list[list[int]]:
    names = sorted({name for pair in pairs for name in pair})
    return [[sum(pair == (row, column) for pair in pairs) for column in names] for row in names]


kappas = []
for seed, n, noise, kinds in [(1, 20, 0.3, 2), (2, 50, 0.5, 6), (3, 200, 0.2, 6), (4, 200, 1.0, 3), (5, 33, 0.1, 4), (6, 400, 0.05, 2)]:
    pairs = pairs_of(seed, n, noise, kinds)
    result = cohens_kappa(table_of(pairs))
    kappas.append(
        {
            "pairs": pairs,
            "sklearn": float(cohen_kappa_score([one for one, _ in pairs], [other for _, other in pairs])),
            "statsmodels": float(result.kappa),
            "low": float(result.kappa_low),
            "high": float(result.kappa_upp),
        }
    )
shares = []
for count, n in [(0, 10), (1, 10), (5, 10), (10, 10), (3, 200), (31, 200), (100, 200), (199, 200), (1, 1), (640, 1000)]:
    low, high = proportion_confint(count, n, alpha=0.05, method="wilson")
    shares.append({"count": count, "n": n, "low": float(low), "high": float(high)})
made_with = {"scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__}
target = Path(__file__).parent / "agreement.json"
target.write_text(json.dumps({"made_with": made_with, "kappa": kappas, "wilson": shares}, indent=1) + "\n", encoding="utf-8")
