"""A database of rows in a dictionary: what ``RowStore`` itself does, held to the kit without anybody's server or client between."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from groundtune.chunks.engines.rows import Row, Where


class DictRows:
    place = "dictionary"
    negates = True

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}

    def has(self, table: str) -> bool:
        return table in self.tables

    def create(self, table: str, dimensions: int) -> None:
        self.tables.setdefault(table, {})

    def put(self, table: str, rows: Sequence[Row]) -> None:
        self.tables[table] |= {row.key: replace(row, payload=dict(row.payload)) for row in rows}

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        for key in keys:
            self.tables[table][key].payload["died"] = died

    def erase(self, table: str, keys: Sequence[str]) -> None:
        for key in keys:
            self.tables[table].pop(key, None)

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        return iter([replace(row, payload=dict(row.payload)) for row in self.tables[table].values() if _is_so(row, where)])

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        found = [(row.payload["chunk_id"], float(row.vector @ vector)) for row in self.tables[table].values() if _is_so(row, where)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def count(self, table: str, where: Where) -> int:
        return sum(_is_so(row, where) for row in self.tables[table].values())

    def close(self) -> None:
        pass


def _is_so(row: Row, where: Where) -> bool:
    if where.at is not None and not row.payload["born"] <= where.at < row.payload["died"]:
        return False
    if set(row.payload["labels"]) & set(where.without):
        return False
    for field, values in where.any_of():
        held = row.payload[field]
        if not set(held if isinstance(held, list) else [held]) & set(values):
            return False
    return True
