"""Rows in Chroma: a collection per table, conditions on metadata lists. A server by ``index.url``, else files in the project folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from groundtune.chunks.engines.rows import Row, Where
from groundtune.chunks.engines.store import RowStore
from groundtune.chunks.store import secret
from groundtune.errors import ConfigError, MissingExtra, StorageError

if TYPE_CHECKING:
    import numpy as np

PAGE = 500
# Candidates that HNSW keeps in view, while building and while searching.
EF = 200


def open(settings: Mapping[str, Any], folder: Path) -> RowStore:
    """Open the engine ``chroma``: ``url`` and ``key_env`` of a server, else files in the project folder; ``namespace``."""
    return RowStore(
        ChromaRows(
            url=settings.get("url"),
            folder=folder / "chroma",
            key=secret(settings),
            namespace=settings.get("namespace") or "groundtune",
        )
    )


class ChromaRows:
    """The collections of one namespace."""

    negates = False

    def __init__(self, *, url: str | None, folder: Path, key: str | None = None, namespace: str = "groundtune") -> None:
        try:
            import chromadb
            from chromadb.config import Settings
        except ModuleNotFoundError as error:
            raise MissingExtra.of(error.name or "chromadb", "chroma") from error
        self._namespace = namespace
        self.place = f"chroma {url or 'files'} {namespace}"
        quiet = Settings(anonymized_telemetry=False)
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
            self._client: Any = chromadb.PersistentClient(path=str(folder), settings=quiet)
            return
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"index.url is {url!r}: not an address", 'write it as: url = "http://localhost:8000"')
        secure = parts.scheme == "https"
        headers = {"x-chroma-token": key} if key else None
        try:
            self._client = chromadb.HttpClient(
                host=parts.hostname, port=parts.port or (443 if secure else 8000), ssl=secure, headers=headers, settings=quiet
            )
        except ValueError as error:
            raise StorageError(f"{self.place} cannot be reached: {error}", "see that the server runs: chroma run") from error

    def _name(self, table: str) -> str:
        return f"{self._namespace}_{table}"

    def _of(self, table: str) -> Any:
        return self._client.get_collection(self._name(table), embedding_function=None)

    def has(self, table: str) -> bool:
        """Look for the collection's name."""
        from chromadb.errors import NotFoundError

        try:
            self._of(table)
        except NotFoundError:
            return False
        return True

    def create(self, table: str, dimensions: int) -> None:
        """Make the collection; its width is that of the first vector."""
        hnsw = {"space": "ip", "ef_construction": EF, "ef_search": EF}
        self._client.get_or_create_collection(self._name(table), embedding_function=None, configuration={"hnsw": hnsw})

    def put(self, table: str, rows: Sequence[Row]) -> None:
        """Upsert records. An empty list is no value here, and a field left out would keep its old one: ``None`` takes it away."""
        self._of(table).upsert(
            ids=[row.key for row in rows],
            embeddings=[row.vector.tolist() for row in rows],
            metadatas=[{name: None if value == [] else value for name, value in row.payload.items()} for row in rows],
        )

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        """Change one field of the metadata."""
        self._of(table).update(ids=list(keys), metadatas=[{"died": died}] * len(keys))

    def erase(self, table: str, keys: Sequence[str]) -> None:
        """Delete records."""
        self._of(table).delete(ids=list(keys))

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        """Read the records that are so, page by page."""
        import numpy as np

        collection = self._of(table)
        include = ["metadatas", "embeddings"] if vectors else ["metadatas"]
        begin = 0
        while not where.nothing():
            found = collection.get(where=_where(where), limit=PAGE, offset=begin, include=include)
            for number, (key, payload) in enumerate(zip(found["ids"], found["metadatas"], strict=True)):
                vector = found["embeddings"][number] if vectors else ()
                yield Row(key, np.asarray(vector, dtype=np.float32), dict(payload))
            begin += PAGE
            if len(found["ids"]) < PAGE:
                return

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        """Query by inner product of unit vectors; the distance is one less it."""
        if where.nothing():
            return []
        found = self._of(table).query(
            query_embeddings=[vector.tolist()], n_results=limit, where=_where(where), include=["metadatas", "distances"]
        )
        pairs = zip(found["metadatas"][0], found["distances"][0], strict=True)
        return [(payload["chunk_id"], 1.0 - float(distance)) for payload, distance in pairs]

    def count(self, table: str, where: Where) -> int:
        """Count the records by reading their ids."""
        return len(self._of(table).get(where=_where(where), include=[])["ids"])

    def close(self) -> None:
        """Do nothing: the client has no way to be closed, and holds no lock that others wait for."""


def _where(where: Where) -> dict[str, Any] | None:
    """Return the condition in Chroma's words, which takes "all of" and "one of" only over two or more."""
    conditions: list[dict[str, Any]] = []
    if where.at is not None:
        conditions += [{"born": {"$lte": where.at}}, {"died": {"$gt": where.at}}]
    for field, values in where.any_of():
        if field in ("document_id", "chunk_id"):
            conditions.append({field: {"$in": list(values)}})
        else:
            held: list[dict[str, Any]] = [{field: {"$contains": value}} for value in values]
            conditions.append(held[0] if len(held) == 1 else {"$or": held})
    if len(conditions) > 1:
        return {"$and": conditions}
    return conditions[0] if conditions else None
