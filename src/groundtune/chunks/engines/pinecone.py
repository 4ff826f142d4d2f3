"""Rows in Pinecone by its HTTP API: a namespace per table in the one index that ``index.url`` names, conditions on metadata.

Pinecone shows a write some time after it was accepted. Each write comes back with a number (``x-pinecone-request-lsn``), and each query
with the number it has got to (``x-pinecone-max-indexed-lsn``); a write here returns when a query has reached its number.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks.engines.http import Http
from groundtune.chunks.engines.rows import Row, Where
from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import address, secret
from groundtune.errors import StorageError

if TYPE_CHECKING:
    import numpy as np

API = "2025-10"
# Limits of the service: bytes of metadata in a record, records of one page, results of one query with their metadata.
METADATA, PAGE, TOP = 40_960, 100, 1000
SENT = 50
WAIT = 0.05


def open(settings: Mapping[str, Any], folder: Path) -> RowStore:
    """Open the engine ``pinecone``: ``url`` of a dense index with the metric dotproduct, ``key_env``, ``namespace``."""
    return RowStore(
        PineconeRows(
            address(settings, "pinecone"),
            key=secret(settings) or "",
            namespace=settings.get("namespace") or "groundtune",
            timeout=settings.get("timeout_seconds") or 30.0,
        )
    )


class PineconeRows:
    """The namespaces of one index whose names begin alike."""

    negates = False

    def __init__(self, url: str, *, key: str, namespace: str = "groundtune", timeout: float = 30.0) -> None:
        self._namespace, self._timeout = namespace, timeout
        self.place = f"pinecone {url} {namespace}"
        self._http = Http(url, self.place, {"Api-Key": key, "X-Pinecone-Api-Version": API}, timeout)
        self._width: int | None = None

    def _name(self, table: str) -> str:
        return f"{self._namespace}_{table}"

    def _dimensions(self) -> int:
        if self._width is None:
            stats = self._http.send("POST", "/describe_index_stats", {}).json()
            self._width = int(stats["dimension"])
            if stats.get("metric", "dotproduct") != "dotproduct":
                raise StorageError(
                    f"{self.place} is an index of metric {stats['metric']}", "make one of metric dotproduct, and name its url"
                )
        return self._width

    def has(self, table: str) -> bool:
        """Say yes: a namespace comes into being with its first row, and before that is read as empty."""
        return True

    def create(self, table: str, dimensions: int) -> None:
        """Check that the index takes such vectors; a namespace comes into being with its first row."""
        if self._dimensions() != dimensions:
            raise StorageError(
                f"{self.place} takes vectors of {self._dimensions()} dimensions, the embedder makes {dimensions}",
                f"make an index of {dimensions} dimensions, and name its url",
            )

    def put(self, table: str, rows: Sequence[Row]) -> None:
        """Upsert records, and wait until they are found. Raises ``StorageError`` for a chunk that is more than the service takes."""
        for begin in range(0, len(rows), SENT):
            records = []
            for row in rows[begin : begin + SENT]:
                size = len(json.dumps(row.payload, ensure_ascii=False).encode())
                if size > METADATA:
                    raise StorageError(
                        f"{row.payload['chunk_id']} has {size} bytes with its text, Pinecone takes {METADATA}", "lower chunks.max_tokens"
                    )
                records.append({"id": row.key, "values": [float(value) for value in row.vector], "metadata": row.payload})
            self._write(table, "/vectors/upsert", {"vectors": records})

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        """Change one field of the metadata, record by record."""
        for key in keys:
            self._write(table, "/vectors/update", {"id": key, "setMetadata": {"died": died}}, wait=key == keys[-1])

    def erase(self, table: str, keys: Sequence[str]) -> None:
        """Delete records."""
        if keys:
            self._write(table, "/vectors/delete", {"ids": list(keys)})

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        """Fetch by metadata, page by page."""
        import numpy as np

        token = None
        while not where.nothing():
            body = {"namespace": self._name(table), "filter": _where(where), "limit": PAGE}
            found = self._http.send("POST", "/vectors/fetch_by_metadata", body | ({"paginationToken": token} if token else {})).json()
            for key, record in found["vectors"].items():
                yield Row(key, np.asarray(record.get("values") or (), dtype=np.float32), record["metadata"])
            token = (found.get("pagination") or {}).get("next")
            if not token:
                return

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        """Query by inner product of unit vectors."""
        if where.nothing():
            return []
        body = {
            "namespace": self._name(table),
            "vector": [float(value) for value in vector],
            "topK": min(limit, TOP),
            "filter": _where(where),
            "includeMetadata": True,
        }
        found = self._http.send("POST", "/query", body).json()
        return [(match["metadata"]["chunk_id"], float(match["score"])) for match in found["matches"]]

    def count(self, table: str, where: Where) -> int:
        """Count by reading: the service counts a namespace, not a condition."""
        return sum(1 for _ in self.find(table, where))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _write(self, table: str, path: str, body: dict[str, Any], *, wait: bool = True) -> None:
        response = self._http.send("POST", path, {"namespace": self._name(table), **body})
        written = response.headers.get("x-pinecone-request-lsn")
        if written is None or not wait:
            return
        until = time.monotonic() + self._timeout
        probe = {"namespace": self._name(table), "vector": [1.0] + [0.0] * (self._dimensions() - 1), "topK": 1}
        while True:
            reached = self._http.send("POST", "/query", probe).headers.get("x-pinecone-max-indexed-lsn")
            if reached is None or int(reached) >= int(written):
                return
            if time.monotonic() > until:
                raise StorageError(f"{self.place} does not show what it took after {self._timeout:.0f} s", "issue the same command again")
            time.sleep(WAIT)


def _where(where: Where) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = []
    if where.at is not None:
        conditions += [{"born": {"$lte": where.at}}, {"died": {"$gt": where.at}}]
    conditions += [{field: {"$in": list(values)}} for field, values in where.any_of()]
    # Every row has been born: a condition that all meet, since to have none is not allowed.
    return {"$and": conditions} if conditions else {"born": {"$gte": 0}}
