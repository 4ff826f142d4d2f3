"""One file of rows: their words, vectors, readers, labels and columns; made once, never changed.

rows 0 … n            in the order of their cells; what a later version has not any more is not told here, but in that version's file
uids                  (n,) the number that the table gave to each row's content when it was written
vectors               (n, d) at length 1           centres (c, d), cells (c + 1,)     where each cell begins
term_*, post_*        postings; ``words.Postings`` says what they mean
reader_of             (n,) which set of readers     reader_starts, reader_items        the sets, as numbers of names in the header
label_of              (n,) which set of labels      label_starts, label_items          the sets, as numbers of (name, value) in the header
id_hashes, id_rows    (n,) sorted, to find a row by its id
columns               what is given back of a row, as an Arrow file
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks.segments import arrays
from groundtune.chunks.segments.cells import cells
from groundtune.chunks.segments.words import postings
from groundtune.errors import StaleIndex

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
COLUMNS = (
    "id",
    "document_id",
    "document_hash",
    "ordinal",
    "text",
    "start",
    "end",
    "heading_path",
    "title",
    "readers",
    "tokens",
    "metadata_json",
)
READ = (*COLUMNS, "search_text", "metadata", "vector", "uid")


def hashed(ids: Iterable[str]) -> np.ndarray:
    """Return a number of 64 bits for each id."""
    import numpy as np

    digests = b"".join(hashlib.blake2b(item.encode("utf-8", "surrogatepass"), digest_size=8).digest() for item in ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Names:
    """Sets of things by row: row → number of its set → numbers of what is in it; ``things`` are groups, or (name, value) of metadata."""

    of: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    numbers: dict[Any, int]

    def having(self, wanted: Iterable[Any]) -> np.ndarray:
        """Return for each row whether its set has one of these."""
        import numpy as np

        numbers = [self.numbers[item] for item in wanted if item in self.numbers]
        if not numbers:
            return np.zeros(len(self.of), dtype=bool)
        chosen = np.zeros(len(self.numbers), dtype=bool)
        chosen[numbers] = True
        hits = np.flatnonzero(chosen[self.items])
        sets = np.zeros(len(self.starts) - 1, dtype=bool)
        sets[np.searchsorted(self.starts, hits, side="right") - 1] = True
        found: np.ndarray = sets[self.of]
        return found


class Segment:
    """An opened file, or the same in memory."""

    def __init__(self, meta: dict[str, Any], held: dict[str, np.ndarray], name: str) -> None:
        try:
            self._take(meta, held)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StaleIndex(f"{name}: not a segment of the index: {error!r}", arrays.MEND) from None
        self.name = name

    def _take(self, meta: dict[str, Any], held: dict[str, np.ndarray]) -> None:
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']}, and this program reads {FORMAT}")
        self.uids, self.vectors, self.centres, self.cells = (held[name] for name in ("uids", "vectors", "centres", "cells"))
        self.starts, self.rows_of, self.counts = held["post_starts"], held["post_rows"], held["post_counts"]
        self.lengths, self.most, self.shortest = held["lengths"], held["post_most"], held["post_shortest"]
        self._names, self._name_starts = held["term_names"], held["term_starts"]
        self.readers = Names(held["reader_of"], held["reader_starts"], held["reader_items"], {n: i for i, n in enumerate(meta["groups"])})
        pairs = {(name, value): number for number, (name, value) in enumerate(meta["labels"])}
        self.labels = Names(held["label_of"], held["label_starts"], held["label_items"], pairs)
        self._hashes, self._hash_rows = held["id_hashes"], held["id_rows"]
        self._columns = held["columns"]
        self.rows = len(self.uids)
        by_row = (self.vectors, self.lengths, self.readers.of, self.labels.of, self._hashes, self._hash_rows)
        by_term = (self.most, self.shortest)
        if any(len(array) != self.rows for array in by_row) or any(len(array) != len(self.starts) - 1 for array in by_term):
            raise ValueError("its arrays are not of the same rows")

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Map a file. Raises ``StaleIndex`` where it is missing, cut off or something else."""
        return cls(*arrays.read(path), str(path))

    @cached_property
    def table(self) -> Any:
        """The columns of the rows, read from the file as they are asked for."""
        import pyarrow as pa

        try:
            return pa.ipc.open_file(pa.py_buffer(self._columns)).read_all()
        except pa.ArrowInvalid as error:
            raise StaleIndex(f"{self.name}: not a segment of the index: {error}", arrays.MEND) from None

    def ids(self, rows: np.ndarray) -> list[str]:
        """Return the ids of rows, in their order."""
        found: list[str] = self.table["id"].take(rows.astype("int64")).to_pylist()
        return found

    def term(self, word: bytes) -> int:
        """Return the number of a word, or -1."""
        words = _Sorted(self._names, self._name_starts)
        place = bisect_left(words, word)
        return place if place < len(words) and words[place] == word else -1

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that may be those of ids of these ``hashes``, and the place of each hash; ids themselves decide."""
        import numpy as np

        first = np.searchsorted(self._hashes, hashes, side="left")
        sizes = np.searchsorted(self._hashes, hashes, side="right") - first
        places = np.repeat(np.arange(len(hashes)), sizes)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._hash_rows[first[places] + offsets], places


class _Sorted(Sequence[bytes]):
    """The words of a segment, as ``bisect`` wants them."""

    def __init__(self, names: np.ndarray, starts: np.ndarray) -> None:
        self._names, self._starts = names, starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: Any) -> Any:
        return self._names[self._starts[number] : self._starts[number + 1]].tobytes()


def made(rows: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the arrays of a segment of these rows, an Arrow table with the columns ``READ``."""
    import numpy as np
    import pyarrow as pa

    width = rows.schema.field("vector").type.list_size
    vectors = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    order, starts, centres = cells(vectors)
    rows = rows.drop_columns(["vector"])
    if len(centres):
        rows, vectors = rows.take(order), vectors[order]
    words = postings(rows["search_text"].to_pylist())
    groups, reader = _sets([tuple(sorted(set(item or ()))) for item in rows["readers"].to_pylist()])
    kind = _kinds(rows["metadata"])
    # Rows with the same labels have the same metadata; names and values are read from it, since a label cannot tell them apart.
    _, sample = np.unique(kind, return_index=True)
    pairs = [tuple(sorted(json.loads(text)["metadata"].items())) for text in rows["metadata_json"].take(pa.array(sample)).to_pylist()]
    labels, label = _sets(pairs)
    hashes = hashed(rows["id"].to_pylist())
    by_hash = np.argsort(hashes, kind="stable")
    sink = pa.BufferOutputStream()
    kept = rows.select(list(COLUMNS)).combine_chunks()
    with pa.ipc.new_file(sink, kept.schema) as writer:
        writer.write_table(kept)
    held = {
        "uids": rows["uid"].to_numpy().astype(np.int64),
        "vectors": vectors,
        "centres": centres,
        "cells": starts,
        "lengths": words.lengths,
        "post_starts": words.starts,
        "post_rows": words.rows,
        "post_counts": words.counts,
        "post_most": words.most,
        "post_shortest": words.shortest,
        "term_names": np.frombuffer(b"".join(words.terms), dtype=np.uint8),
        "term_starts": np.cumsum([0, *map(len, words.terms)], dtype=np.int64),
        "reader_of": reader[0],
        "reader_starts": reader[1],
        "reader_items": reader[2],
        "label_of": label[0][kind],
        "label_starts": label[1],
        "label_items": label[2],
        "id_hashes": hashes[by_hash],
        "id_rows": by_hash.astype(np.int32),
        "columns": np.frombuffer(sink.getvalue(), dtype=np.uint8),
    }
    return {"format": FORMAT, "rows": len(rows), "groups": groups, "labels": labels}, held


def _kinds(metadata: Any) -> np.ndarray:
    """Return a number from 0 for each row's list of labels: the same for the same list."""
    import numpy as np

    known: dict[tuple[str, ...], int] = {}
    return np.array([known.setdefault(tuple(item or ()), len(known)) for item in metadata.to_pylist()], dtype=np.int64)


def _sets(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the things that occur, and for each row which set of them it has, where each set begins, and the sets."""
    import numpy as np

    known: dict[tuple[Any, ...], int] = {}
    of = np.array([known.setdefault(row, len(known)) for row in rows], dtype=np.uint32)
    things = {thing: number for number, thing in enumerate(dict.fromkeys(thing for row in known for thing in row))}
    items = np.array([things[thing] for row in known for thing in row], dtype=np.uint32)
    starts = np.cumsum([0, *(len(row) for row in known)], dtype=np.int64)
    return list(things), (of, starts, items)
