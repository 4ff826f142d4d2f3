"""Who may see which rows, for one asker and filter: a mask for each part of a version, made before anything is ranked.

    {"everyone", "support"}, {"version": "5"}     part 0: 4,096 of 131,072 rows     part 1: all of them     part 2: none

Each distinct set of readers is asked once, not each row, and the answer is remembered for as long as the version is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from groundtune.access.conditions import Filter, Labels, Range, parts_of
from groundtune.access.filter import Predicate
from groundtune.chunks.segments.segment import Segment

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A segment as a version has it: ``alive`` are the rows that are in it, ``None`` where all are; ``count`` how many that is."""

    segment: Segment
    alive: np.ndarray | None
    count: int


@dataclass(eq=False)
class Seen:
    """The rows of one part that may be seen: ``mask`` (n,), ``None`` where all may; and how many."""

    part: Part
    mask: np.ndarray | None
    count: int
    # Their vectors, side by side, once a search has read them.
    vectors: np.ndarray | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """Their numbers, ascending."""
        import numpy as np

        return np.arange(self.part.segment.rows) if self.mask is None else np.flatnonzero(self.mask)

    @cached_property
    def by_cell(self) -> np.ndarray:
        """How many of them lie before the beginning of each cell; the last is all of them."""
        import numpy as np

        cells = self.part.segment.cells
        return cells if self.mask is None else np.searchsorted(self.rows, cells)

    @property
    def size(self) -> int:
        """Bytes that are held."""
        rows = self.__dict__.get("rows")
        arrays = (self.mask, self.vectors, rows, self.__dict__.get("by_cell"))
        return sum(array.nbytes for array in arrays if array is not None)


def sieve(parts: Sequence[Part], allowed: Predicate, filter: Filter | None) -> list[Seen]:
    """Return what may be seen of each part. Ranges in the filter have to be ``settled`` before; the permission is ANDed last."""
    return [_seen(part, allowed, filter) for part in parts]


def _seen(part: Part, allowed: Predicate, filter: Filter | None) -> Seen:
    import numpy as np

    mask = np.ones(part.segment.rows, dtype=bool) if part.alive is None else part.alive.copy()
    for condition in parts_of(filter):
        if isinstance(condition, Range):
            raise ValueError(f"the range on {condition.name!r} was not settled before it was asked")
        has = part.segment.labels.having(_pairs(condition))
        mask &= ~has if condition.negated else has
    mask &= part.segment.readers.having(allowed.groups)
    count = int(np.count_nonzero(mask))
    return Seen(part, None if count == len(mask) else mask, count)


def _pairs(condition: Labels) -> list[tuple[str, str]]:
    return [(condition.name, value) for value in condition.values]
