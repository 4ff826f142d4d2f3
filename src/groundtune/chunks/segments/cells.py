"""Vectors → cells of neighbours (k-means on the sphere), so that a search looks at some of them and not at all.

131,072 vectors → 256 cells of about 512, each one piece of the file; the centre of each is compared first
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CELL = 512  # vectors in a cell, on average
FEWEST = 16_384  # vectors below which there is but one cell: all are compared
SAMPLE = 48  # vectors that decide the place of a centre, on average
ROUNDS = 6
BLOCK = 16_384  # vectors that are compared with all centres at once


def cells(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the order that puts vectors (n, d) of length 1 cell by cell, where each cell begins (and the last ends), and the centres.

    The same vectors give the same cells. Without centres (0, d) all are one cell.
    """
    import numpy as np

    count, width = vectors.shape
    if count < FEWEST:
        return np.arange(count), np.array([0, count], dtype=np.int64), np.zeros((0, width), dtype=np.float32)
    wanted = count // CELL
    random = np.random.default_rng(count)
    sample = vectors[np.sort(random.choice(count, min(count, SAMPLE * wanted), replace=False))]
    centres = sample[random.choice(len(sample), wanted, replace=False)]
    for _ in range(ROUNDS):
        near = _nearest(sample, centres)
        order = np.argsort(near, kind="stable")
        there, begins = np.unique(near[order], return_index=True)
        sums = np.add.reduceat(sample[order], begins, axis=0)
        # A centre that has no vectors begins again at one of them.
        centres = sample[random.choice(len(sample), wanted, replace=False)]
        centres[there] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    near = _nearest(vectors, centres)
    starts = np.zeros(wanted + 1, dtype=np.int64)
    np.cumsum(np.bincount(near, minlength=wanted), out=starts[1:])
    return np.argsort(near, kind="stable"), starts, centres.astype(np.float32)


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    import numpy as np

    blocks = [np.argmax(vectors[begin : begin + BLOCK] @ centres.T, axis=1) for begin in range(0, len(vectors), BLOCK)]
    return np.concatenate(blocks)
