"""Rows in Qdrant: a collection per table, conditions on the payload. A server by ``index.url``, else files of one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.chunks.engines.rows import Row, Where
from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import secret
from groundtune.errors import MissingExtra, StorageError

if TYPE_CHECKING:
    import numpy as np

PAGE = 500
# Candidates that a server's HNSW search keeps in view.
EF = 200
FIELDS = {"readers": "keyword", "labels": "keyword", "words": "keyword", "document_id": "keyword", "chunk_id": "keyword"}


def open(settings: Mapping[str, Any], folder: Path) -> RowStore:
    """Open the engine ``qdrant``: ``url`` and ``key_env`` of a server, else files in the project folder; ``namespace``."""
    return RowStore(
        QdrantRows(
            url=settings.get("url"),
            folder=folder / "qdrant",
            key=secret(settings),
            namespace=settings.get("namespace") or "groundtune",
            timeout=settings.get("timeout_seconds") or 30.0,
        )
    )


class QdrantRows:
    """The collections of one namespace."""

    negates = True

    def __init__(
        self, *, url: str | None, folder: Path, key: str | None = None, namespace: str = "groundtune", timeout: float = 30.0
    ) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ModuleNotFoundError as error:
            raise MissingExtra.of(error.name or "qdrant_client", "qdrant") from error
        self._models: Any = models
        self._namespace, self._server = namespace, url is not None
        self.place = f"qdrant {url or 'files'} {namespace}"
        try:
            if url is None:
                folder.mkdir(parents=True, exist_ok=True)
                self._client: Any = QdrantClient(path=str(folder))
            else:
                self._client = QdrantClient(url=url, api_key=key, timeout=max(1, round(timeout)))
        except RuntimeError as error:
            raise StorageError(f"{folder} is open in another process, and Qdrant's files serve one", "name a server: index.url") from error

    def _name(self, table: str) -> str:
        return f"{self._namespace}_{table}"

    def has(self, table: str) -> bool:
        """Ask for the collection."""
        return bool(self._client.collection_exists(self._name(table)))

    def create(self, table: str, dimensions: int) -> None:
        """Make the collection, and indices over what conditions name."""
        if self.has(table):
            return
        models = self._models
        params = models.VectorParams(size=dimensions, distance=models.Distance.DOT)
        self._client.create_collection(self._name(table), vectors_config=params)
        if self._server:
            for field, kind in {**FIELDS, "born": "integer", "died": "integer"}.items():
                self._client.create_payload_index(self._name(table), field, field_schema=kind, wait=True)

    def put(self, table: str, rows: Sequence[Row]) -> None:
        """Upsert points, and wait until they are found."""
        points = [self._models.PointStruct(id=row.key, vector=row.vector.tolist(), payload=row.payload) for row in rows]
        self._client.upsert(self._name(table), points, wait=True)

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        """Change one field of the payload."""
        self._client.set_payload(self._name(table), {"died": died}, points=list(keys), wait=True)

    def erase(self, table: str, keys: Sequence[str]) -> None:
        """Delete points."""
        self._client.delete(self._name(table), self._models.PointIdsList(points=list(keys)), wait=True)

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        """Scroll through the points that are so."""
        import numpy as np

        after = None
        while not where.nothing():
            found, after = self._client.scroll(
                self._name(table), scroll_filter=self._filter(where), limit=PAGE, offset=after, with_payload=True, with_vectors=vectors
            )
            for point in found:
                yield Row(str(point.id), np.asarray(point.vector or (), dtype=np.float32), point.payload)
            if after is None:
                return

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        """Query points by inner product of unit vectors."""
        if where.nothing():
            return []
        more = {"search_params": self._models.SearchParams(hnsw_ef=max(EF, limit))} if self._server else {}
        found = self._client.query_points(
            self._name(table), query=vector.tolist(), query_filter=self._filter(where), limit=limit, with_payload=["chunk_id"], **more
        )
        return [(point.payload["chunk_id"], float(point.score)) for point in found.points]

    def count(self, table: str, where: Where) -> int:
        """Count points exactly."""
        return int(self._client.count(self._name(table), count_filter=self._filter(where), exact=True).count)

    def close(self) -> None:
        """Close the client, which frees its files for other processes."""
        self._client.close()

    def _filter(self, where: Where) -> Any:
        models = self._models
        must = []
        if where.at is not None:
            must.append(models.FieldCondition(key="born", range=models.Range(lte=where.at)))
            must.append(models.FieldCondition(key="died", range=models.Range(gt=where.at)))
        must += [models.FieldCondition(key=field, match=models.MatchAny(any=list(values))) for field, values in where.any_of()]
        without = [models.FieldCondition(key="labels", match=models.MatchAny(any=list(where.without)))] if where.without else None
        return models.Filter(must=must, must_not=without)
