"""Which segments a version of a table is searched by: written before the version has a name, and never changed after.

    segments/chunks_3f2a/
      9c1e….segment     up to 131,072 rows; versions share them
      17.version        the table as of its commit 17: names and hashes of segments, and the rows of each that it has not any more

A new version keeps the segments of the last one, drops the rows that are gone, and makes one small segment of those that came. Four of
about the same size become one, so a change costs its own rows and, over time, a few times as much; never all of them. Rows are known by
``uid``, a number that each row gets when it is written, so it does not matter how the table moves them about.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from groundtune.chunks.segments import arrays
from groundtune.chunks.segments.segment import READ, Segment, made
from groundtune.chunks.segments.sieve import Part
from groundtune.chunks.segments.view import View
from groundtune.errors import StaleIndex
from groundtune.files import file_sha256

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
MOST_ROWS = 131_072  # rows of a segment
MOST_BYTES = 512 * 2**20  # of text in a segment, about
ALIKE = 4  # segments of about the same size that become one; what counts as the same is a factor of four
WASTED = 0.5  # share of rows that are gone from which a segment is made anew
NAMED = 500  # rows that one condition names

_OPEN: WeakValueDictionary[Path, Segment] = WeakValueDictionary()
_LOCK = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A segment on disk as a version has it."""

    name: str
    sha256: str
    part: Part


class Versions:
    """The segments of one table, in one folder. One process at a time may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def view(self, table: Any, version: int) -> View:
        """Open the version for searching; ``table`` is the table at that version, from which it is made where it was not."""
        if not self._path(version).is_file():
            self.make(table, version)
        return View([stored.part for stored in self._stored(version)])

    def passing(self, table: Any, version: int) -> View:
        """Return search over a version that is not kept: what has no segment is made into one in memory."""
        kept, missing = self._difference(table, self._last(version), merging=False)
        return View([stored.part for stored in kept] + [_part(Segment(*made(rows), "memory")) for rows in _batches(table, missing)])

    def make(self, table: Any, version: int) -> None:
        """Write what the version is searched by. Raises ``StorageError``."""
        import numpy as np

        kept, missing = self._difference(table, self._last(version), merging=True)
        for rows in _batches(table, missing):
            name = secrets.token_hex(8)
            meta, held = made(rows)
            kept.append(Stored(name, arrays.write(self._segment(name), held, meta), _part(Segment(meta, held, name))))
        meta = {
            "format": FORMAT,
            "rows": sum(stored.part.count for stored in kept),
            "segments": [{"name": stored.name, "sha256": stored.sha256, "rows": stored.part.segment.rows} for stored in kept],
        }
        gone = {
            f"gone{number}": np.flatnonzero(~stored.part.alive).astype(np.int32)
            for number, stored in enumerate(kept)
            if stored.part.alive is not None
        }
        arrays.write(self._path(version), gone, meta)

    def damage(self, table: Any, version: int) -> list[str]:
        """Return in words what of the version's files is not as it was written, or not what the table has."""
        import numpy as np

        if not self._path(version).is_file():
            return [f"{self._path(version)} is missing; the next search makes it again"]
        wrong = []
        try:
            described, _ = self._described(version)
            for item in described["segments"]:
                if file_sha256(self._segment(item["name"])) != item["sha256"]:
                    wrong.append(f"{self._segment(item['name'])} is not the file that was written")
            stored = self._stored(version)
        except FileNotFoundError as error:
            return [*wrong, f"{error.filename} is missing"]
        except StaleIndex as error:
            return [*wrong, error.message]
        there = np.concatenate([np.zeros(0, np.int64), *(_alive(item.part) for item in stored)])
        if not np.array_equal(np.sort(there), np.sort(_uids(table))):
            wrong.append(f"{self._path(version)}: its rows are not those of the table")
        return wrong

    def reclaim(self, kept: Iterable[int]) -> None:
        """Remove what no version of ``kept`` is searched by. Call it while writing: a segment that is new has no version yet.

        A version whose file is damaged is removed as well: the next search makes it again from the table's rows.
        """
        wanted = set(kept)
        for version in self._there():
            if version not in wanted:
                self._path(version).unlink(missing_ok=True)
        named = set()
        for version in self._there():
            try:
                named |= {item["name"] for item in self._described(version)[0]["segments"]}
            except StaleIndex:
                self._path(version).unlink(missing_ok=True)
        for path in self.folder.glob("*.segment"):
            if path.stem not in named:
                path.unlink(missing_ok=True)

    def _path(self, version: int) -> Path:
        return self.folder / f"{version}.version"

    def _segment(self, name: str) -> Path:
        return self.folder / f"{name}.segment"

    def _there(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.version") if path.stem.isdigit())

    def _last(self, version: int) -> list[Stored]:
        """Return the segments of the newest version up to this one that can be read; what is in none is made from the table's rows."""
        for before in reversed([item for item in self._there() if item <= version]):
            # Who opens a damaged version is told; a new one, which may be there to mend it, does without.
            with suppress(StaleIndex):
                return self._stored(before)
        return []

    def _described(self, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        path = self._path(version)
        meta, gone = arrays.read(path)
        named = meta.get("segments")
        names = [item.get("name") for item in named] if isinstance(named, list) else [None]
        # A name is a name in this folder and nothing else.
        if meta.get("format") != FORMAT or not all(isinstance(name, str) and name.isalnum() for name in names):
            raise StaleIndex(f"{path}: not a version of the index that this program reads", arrays.MEND)
        return meta, gone

    def _stored(self, version: int) -> list[Stored]:
        import numpy as np

        meta, gone = self._described(version)
        found = []
        for number, item in enumerate(meta["segments"]):
            segment = _opened(self._segment(item["name"]))
            alive = None
            if f"gone{number}" in gone:
                alive = np.ones(segment.rows, dtype=bool)
                alive[gone[f"gone{number}"]] = False
            found.append(Stored(item["name"], item["sha256"], _part(segment, alive)))
        if sum(stored.part.count for stored in found) != meta["rows"]:
            raise StaleIndex(f"{self._path(version)}: its segments do not hold its {meta['rows']} rows", arrays.MEND)
        return found

    def _difference(self, table: Any, last: Sequence[Stored], *, merging: bool) -> tuple[list[Stored], np.ndarray]:
        """Return the segments that the table is still searched by, and the uids of the rows that need a new one."""
        import numpy as np

        uids = _uids(table)
        kept: list[Stored] = []
        for stored in last:
            mask = _among(stored.part.segment.uids, uids)
            alive = None if mask.all() else mask
            if mask.any() and not (merging and np.count_nonzero(mask) < WASTED * len(mask)):
                kept.append(Stored(stored.name, stored.sha256, _part(stored.part.segment, alive)))
        missing = _without(uids, kept)
        if merging and len(missing):
            kept = _unmerged(kept, len(missing))
            missing = _without(uids, kept)
        return kept, missing


def _without(uids: np.ndarray, kept: Sequence[Stored]) -> np.ndarray:
    import numpy as np

    found: np.ndarray = uids[~_among(uids, np.concatenate([np.zeros(0, np.int64), *(_alive(stored.part) for stored in kept)]))]
    return found


def _among(uids: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of ``uids`` whether it is one of ``others``: what ``np.isin`` does, in half the time for such numbers."""
    import numpy as np

    if not len(others):
        return np.zeros(len(uids), dtype=bool)
    ordered = np.sort(others)
    found: np.ndarray = ordered[np.minimum(np.searchsorted(ordered, uids), len(ordered) - 1)] == uids
    return found


def _unmerged(kept: Sequence[Stored], coming: int) -> list[Stored]:
    """Return the segments that stay, where ``coming`` rows are to have one of their own: of each size, fewer than ``ALIKE``."""
    staying = list(kept)
    while True:
        alike = [stored for stored in staying if _level(stored.part.count) == _level(coming)]
        if len(alike) < ALIKE - 1 or coming >= MOST_ROWS // 2:
            return staying
        staying = [stored for stored in staying if _level(stored.part.count) != _level(coming)]
        coming += sum(stored.part.count for stored in alike)


def _level(rows: int) -> int:
    return max(0, rows - 1).bit_length() // 2


def _part(segment: Segment, alive: np.ndarray | None = None) -> Part:
    import numpy as np

    return Part(segment, alive, segment.rows if alive is None else int(np.count_nonzero(alive)))


def _alive(part: Part) -> np.ndarray:
    return part.segment.uids if part.alive is None else part.segment.uids[part.alive]


def _opened(path: Path) -> Segment:
    """Map a segment once for all versions that are open."""
    with _LOCK:
        known = _OPEN.get(path)
        if known is None or not path.is_file():
            known = _OPEN[path] = Segment.open(path)
        return known


def _uids(table: Any) -> np.ndarray:
    rows = max(1, table.count_rows())
    found: np.ndarray = table.search().select(["uid"]).limit(rows).to_arrow()["uid"].to_numpy()
    return found


def _batches(table: Any, uids: np.ndarray) -> Iterator[Any]:
    """Yield these rows of a table in Arrow tables that make one segment each."""
    import pyarrow as pa

    if not len(uids):
        return
    if len(uids) <= NAMED:
        query = table.search().where(f"uid IN ({', '.join(map(str, uids.tolist()))})").limit(len(uids))
        yield query.select(list(READ)).to_arrow()
        return
    rows_there = max(1, table.count_rows())
    held: list[Any] = []
    rows = size = 0
    for batch in table.search().select(list(READ)).limit(rows_there).to_batches(batch_size=8_192):
        found = batch.filter(pa.array(_among(batch["uid"].to_numpy(), uids))) if len(uids) < rows_there else batch
        for begin in range(0, len(found), MOST_ROWS):
            part = found.slice(begin, MOST_ROWS)
            if held and (rows + len(part) > MOST_ROWS or size + part["search_text"].nbytes > MOST_BYTES):
                yield pa.Table.from_batches(held)
                held, rows, size = [], 0, 0
            held, rows, size = [*held, part], rows + len(part), size + part["search_text"].nbytes
    if held:
        yield pa.Table.from_batches(held)
