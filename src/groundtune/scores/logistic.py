"""Rows of numbers and yes or no → weights of a logistic regression; and rows and weights → probabilities.

Fitted by Newton's steps on the penalised likelihood, both answers weighing half whatever their number, so that 0.5 is the threshold for
balanced accuracy. The penalty is ``ridge`` / 2 times the squared weights of the standardised columns; the intercept goes free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """``names`` of the columns, their ``centre`` and ``scale``, ``weights`` of the standardised columns, and the ``intercept``."""

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Weights:
        """Return the weights that a JSON object holds."""
        lists = {name: tuple(row[name]) for name in ("names", "centre", "scale", "weights")}
        if len({len(item) for item in lists.values()}) != 1:
            raise ValueError("names, centre, scale and weights are of different lengths")
        return cls(**lists, intercept=float(row["intercept"]))

    def predict(self, rows: Floats) -> Floats:
        """Return the probability of yes, (n,), of rows (n, columns)."""
        standard = (rows - np.asarray(self.centre)) / np.asarray(self.scale)
        return _sigmoid(standard @ np.asarray(self.weights) + self.intercept)


def fit(rows: Floats, labels: Sequence[bool] | npt.NDArray[np.bool_], names: Sequence[str], *, ridge: float = 1.0) -> Weights:
    """Fit. Raises ``ValueError`` where only one answer occurs or the columns do not fit their names."""
    wanted = np.asarray(labels, dtype=np.float64)
    yes = int(wanted.sum())
    if yes == 0 or yes == len(wanted):
        raise ValueError("both answers have to occur")
    if rows.shape != (len(wanted), len(names)):
        raise ValueError(f"rows are {rows.shape}, not ({len(wanted)}, {len(names)})")
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    design = np.column_stack([(rows - centre) / scale, np.ones(len(wanted))])
    share = np.where(wanted > 0, len(wanted) / (2 * yes), len(wanted) / (2 * (len(wanted) - yes)))
    penalty = np.append(np.full(rows.shape[1], ridge), 0.0)
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        said = _sigmoid(design @ weights)
        slope = design.T @ (share * (said - wanted)) + penalty * weights
        curve = (design * (share * said * (1 - said))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if float(np.abs(step).max()) < 1e-10:
            break
    return Weights(
        names=tuple(names),
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights[:-1].tolist()),
        intercept=float(weights[-1]),
    )


def _sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.where(values >= 0, 1 / (1 + np.exp(-np.abs(values))), np.exp(-np.abs(values)) / (1 + np.exp(-np.abs(values))))
