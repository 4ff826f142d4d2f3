"""Write labels.json and detection.json, from scikit-learn: ``python tests/scores/reference/make_labels.py``."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

HERE = Path(__file__).parent


def labels() -> None:
    """Macro-F1 over the wanted labels; precision, recall and F1 of refusals."""
    chance = random.Random(2)
    macro = []
    for number, (names, more, size) in enumerate([("ab", "ab", 20), ("abcd", "abcde", 40), ("abc", "xyz", 15), ("ab", "a", 12)]):
        wanted = [chance.choice(names) for _ in range(size)]
        given = [label if chance.random() < 0.5 and label in more else chance.choice(more) for label in wanted]
        value = f1_score(wanted, given, labels=sorted(set(wanted)), average="macro", zero_division=0)
        macro.append({"name": f"case {number}", "wanted": wanted, "given": given, "macro_f1": value})
    refusal = []
    for number, (share, right, size) in enumerate([(0.3, 0.8, 40), (0.5, 0.5, 25), (0.1, 0.9, 60)]):
        rows = []
        for _ in range(size):
            answerable = chance.random() >= share
            rows.append((answerable, (not answerable) if chance.random() < right else answerable))
        wanted, given = [not row[0] for row in rows], [row[1] for row in rows]
        refusal.append(
            {
                "name": f"case {number}",
                "rows": rows,
                "precision": precision_score(wanted, given),
                "recall": recall_score(wanted, given),
                "f1": f1_score(wanted, given),
            }
        )
    found = {"made_with": {"scikit-learn": sklearn.__version__}, "macro": macro, "refusal": refusal}
    (HERE / "labels.json").write_text(json.dumps(found, indent=1) + "\n")


def detection() -> None:
    """AUROC with and without ties and weights, balanced accuracy, and a balanced logistic regression."""
    generator = np.random.default_rng(6)
    cases = []
    for size, digits in [(12, 1), (40, 2), (200, 1), (60, 6)]:
        wanted = (generator.random(size) < 0.4).astype(int)
        scores = np.round(np.clip(generator.normal(0.4 + 0.2 * wanted, 0.2), 0, 1), digits)
        weights = generator.integers(0, 4, size).astype(float)
        cases.append(
            {
                "labels": wanted.tolist(),
                "scores": scores.tolist(),
                "weights": weights.tolist(),
                "auroc": roc_auc_score(wanted, scores),
                "auroc_weighted": roc_auc_score(wanted, scores, sample_weight=weights),
                "balanced": balanced_accuracy_score(wanted, scores >= 0.5),
                "balanced_weighted": balanced_accuracy_score(wanted, scores >= 0.5, sample_weight=weights),
            }
        )
    rows = generator.normal(0, 1, (80, 3))
    answers = (rows @ [1.0, -2.0, 0.5] + generator.normal(0, 1, 80) > 0.7).astype(int)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    fits = []
    for ridge in (0.5, 4.0):
        model = LogisticRegression(C=1 / ridge, class_weight="balanced", tol=1e-12, max_iter=10_000).fit(standard, answers)
        fits.append({"ridge": ridge, "weights": model.coef_[0].tolist(), "intercept": float(model.intercept_[0])})
    found = {
        "made_with": {"scikit-learn": sklearn.__version__},
        "cases": cases,
        "rows": rows.tolist(),
        "answers": answers.tolist(),
        "fits": fits,
    }
    (HERE / "detection.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    labels()
    detection()
