from collections.abc import Callable

import numpy as np
import pytest

from groundtune.chunks.segments import dense
from groundtune.chunks.segments.cells import FEWEST, cells
from groundtune.chunks.segments.sieve import Part, Seen

WIDTH = 48
SIZES = (40_000, 24_000, 700)
SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)


def clustered(draw: np.random.Generator, count: int) -> np.ndarray:
    centres = np.random.default_rng(1).standard_normal((150, WIDTH))
    return centres[draw.integers(0, len(centres), count)] + 0.7 * draw.standard_normal((count, WIDTH))


def scattered(draw: np.random.Generator, count: int) -> np.ndarray:
    """No clusters at all, and variances that fall as those of embeddings do: the hard case for cells."""
    return draw.standard_normal((count, WIDTH)) / np.sqrt(np.arange(1, WIDTH + 1))


def unit(vectors: np.ndarray) -> np.ndarray:
    made: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


class _Only:
    """As much of a segment as a search for vectors needs."""

    def __init__(self, vectors: np.ndarray) -> None:
        order, self.cells, self.centres = cells(vectors)
        self.vectors = vectors[order]
        self.rows = len(vectors)


@pytest.fixture(scope="module", params=[clustered, scattered])
def large(request: pytest.FixtureRequest) -> tuple[list[_Only], np.ndarray]:
    make: Callable[[np.random.Generator, int], np.ndarray] = request.param
    draw = np.random.default_rng(3)
    return [_Only(unit(make(draw, size))) for size in SIZES], unit(make(draw, 25))


@pytest.mark.parametrize("share", SHARES)
def test_of_the_ten_nearest_that_may_be_seen_nearly_all_are_found(large: tuple[list[_Only], np.ndarray], share: float) -> None:
    segments, questions = large
    draw = np.random.default_rng(int(1000 * share))
    masks = [draw.random(segment.rows) < share for segment in segments]
    seen = [
        Seen(Part(segment, None, segment.rows), None if mask.all() else mask, int(mask.sum()))  # type: ignore[arg-type]
        for segment, mask in zip(segments, masks, strict=True)
    ]
    vectors = np.concatenate([segment.vectors[mask] for segment, mask in zip(segments, masks, strict=True)])
    right, looked_at = [], []
    for question in questions:
        found = dense.search(question, seen, 40)
        scores = np.concatenate([part.scores for part in found])
        for part in found:
            owner = next(visible for visible in seen if visible.part is part.part)
            assert owner.mask is None or owner.mask[part.rows].all()
            assert np.allclose(part.part.segment.vectors[part.rows] @ question, part.scores, atol=1e-5)
        exact = np.sort(vectors @ question)[::-1]
        tenth = exact[min(9, len(exact) - 1)]
        assert len(scores) >= min(40, len(exact))
        right.append(np.count_nonzero(scores >= tenth - 1e-6) / np.count_nonzero(exact >= tenth - 1e-6))
        looked_at.append(len(scores))
    assert np.mean(right) >= 0.98
    if share == 1.0 and len(segments[0].centres):
        # It is no search of everything by another name.
        assert np.median(looked_at) < 0.5 * sum(SIZES)


def test_cells_hold_each_vector_once_and_the_nearest_centre_is_its_own() -> None:
    draw = np.random.default_rng(9)
    vectors = unit(clustered(draw, FEWEST))
    order, starts, centres = cells(vectors)
    assert sorted(order) == list(range(FEWEST))
    assert starts[0] == 0 and starts[-1] == FEWEST and (np.diff(starts) >= 0).all() and len(starts) == len(centres) + 1
    owner = np.repeat(np.arange(len(centres)), np.diff(starts))
    assert (np.argmax(vectors[order] @ centres.T, axis=1) == owner).mean() > 0.999
    assert np.array_equal(cells(vectors)[0], order)


@pytest.mark.parametrize(
    "vectors", [np.zeros((FEWEST, 4), np.float32), np.tile(unit(np.ones((1, 4))), (FEWEST, 1)), np.zeros((0, 4), np.float32)]
)
def test_vectors_that_are_all_alike_are_put_into_cells_too(vectors: np.ndarray) -> None:
    order, starts, centres = cells(vectors)
    assert sorted(order) == list(range(len(vectors)))
    assert starts[-1] == len(vectors) and np.isfinite(centres).all()


def test_a_search_of_cells_finds_as_many_as_there_are() -> None:
    draw = np.random.default_rng(4)
    segment = _Only(unit(clustered(draw, FEWEST * 2)))
    seen = [Seen(Part(segment, None, segment.rows), None, segment.rows)]  # type: ignore[arg-type]
    found = dense.search(segment.vectors[5], seen, segment.rows)
    assert sum(len(part.rows) for part in found) == segment.rows
