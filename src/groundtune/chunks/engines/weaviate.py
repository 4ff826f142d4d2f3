"""Rows in Weaviate by its HTTP API: a class per table, REST to write, GraphQL to search. Weaviate ranks words by BM25 itself.

    {Get {Groundtune_chunks_3f2a(limit: 10, nearVector: {vector: […]}, where: {operator: And, operands: […]})
      {chunk_id _additional {distance}}}}

Everything an asker wrote stands in the query as a JSON string, which is a GraphQL string too.
"""

from __future__ import annotations

import json
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

# Rows of one page, and the most that Weaviate pages through (QUERY_MAXIMUM_RESULTS, if its administrator changed nothing).
PAGE, MOST = 500, 10_000
EF = 200
TEXTS = ("chunk_id", "document_id", "document_hash", "text", "heading_path", "title", "metadata")
LISTS = ("readers", "labels", "words")
NUMBERS = ("ordinal", "begin", "finish", "tokens", "part_of", "born", "died")


def open(settings: Mapping[str, Any], folder: Path) -> RowStore:
    """Open the engine ``weaviate``: ``url``, ``key_env``, ``namespace``."""
    return RowStore(
        WeaviateRows(
            address(settings, "weaviate"),
            key=secret(settings),
            namespace=settings.get("namespace") or "groundtune",
            timeout=settings.get("timeout_seconds") or 30.0,
        )
    )


class WeaviateRows:
    """The classes of one namespace."""

    negates = False

    def __init__(self, url: str, *, key: str | None = None, namespace: str = "groundtune", timeout: float = 30.0) -> None:
        self._namespace = namespace
        self.place = f"weaviate {url} {namespace}"
        self._http = Http(url, self.place, {"Authorization": f"Bearer {key}"} if key else {}, timeout)

    def _class(self, table: str) -> str:
        return f"{self._namespace}_{table}".capitalize()

    def has(self, table: str) -> bool:
        """Ask for the class."""
        return bool(self._http.send("GET", f"/v1/schema/{self._class(table)}", missing=True).status_code == 200)

    def create(self, table: str, dimensions: int) -> None:
        """Make the class; ids, groups and labels are compared as they are, only the searched text is cut into words."""
        if self.has(table):
            return
        exact = {"tokenization": "field", "indexFilterable": True, "indexSearchable": False}
        silent = {"tokenization": "field", "indexFilterable": False, "indexSearchable": False}
        found = ("chunk_id", "document_id")
        properties = [{"name": name, "dataType": ["text"], **(exact if name in found else silent)} for name in TEXTS]
        properties += [{"name": name, "dataType": ["text[]"], **exact} for name in LISTS]
        properties += [{"name": name, "dataType": ["int"], "indexFilterable": True} for name in NUMBERS]
        searched = {"tokenization": "word", "indexFilterable": False, "indexSearchable": True}
        properties.append({"name": "search_text", "dataType": ["text"], **searched})
        self._http.send(
            "POST",
            "/v1/schema",
            {
                "class": self._class(table),
                "vectorizer": "none",
                "vectorIndexType": "hnsw",
                "vectorIndexConfig": {"distance": "dot", "ef": EF},
                "properties": properties,
            },
        )

    def put(self, table: str, rows: Sequence[Row]) -> None:
        """Put objects in one batch, each of which is accepted or refused on its own. Raises ``StorageError`` with the first refusal."""
        objects = [
            {"class": self._class(table), "id": row.key, "properties": row.payload, "vector": [float(value) for value in row.vector]}
            for row in rows
        ]
        if not objects:
            return
        done = self._http.send("POST", "/v1/batch/objects", {"objects": objects}).json()
        refused = [item["result"]["errors"] for item in done if (item.get("result") or {}).get("errors")]
        if refused:
            raise StorageError(f"{self.place} refuses {len(refused)} of {len(objects)} rows: {refused[0]}", "type: groundtune ingest")

    def end(self, table: str, keys: Sequence[str], died: int) -> None:
        """Change one property, object by object: there is no batch for that."""
        name = self._class(table)
        for key in keys:
            self._http.send("PATCH", f"/v1/objects/{name}/{key}", {"class": name, "id": key, "properties": {"died": died}})

    def erase(self, table: str, keys: Sequence[str]) -> None:
        """Delete objects."""
        for key in keys:
            self._http.send("DELETE", f"/v1/objects/{self._class(table)}/{key}", missing=True)

    def find(self, table: str, where: Where, *, vectors: bool = False) -> Iterator[Row]:
        """Read what is so: by GraphQL where few documents, ids or words are named, else object after object."""
        if where.nothing():
            return
        if where.groups is None and where.documents is None and where.ids is None:
            yield from self._all(table, where)
            return
        import numpy as np

        fields = " ".join(("id", "vector") if vectors else ("id",))
        for begin in range(0, MOST, PAGE):
            page = self._get(
                table, f"limit: {PAGE}, offset: {begin}", where, f"{' '.join((*TEXTS, *LISTS, *NUMBERS, 'search_text'))}", fields
            )
            for item in page:
                more = item.pop("_additional")
                yield Row(more["id"], np.asarray(more.get("vector") or (), dtype=np.float32), item)
            if len(page) < PAGE:
                return
        raise StorageError(f"{self.place}: more than {MOST} rows in one reading", "raise QUERY_MAXIMUM_RESULTS on the server")

    def _all(self, table: str, where: Where) -> Iterator[Row]:
        """Read every object by a cursor, which takes no condition, and keep those of the version."""
        import numpy as np

        after = ""
        while True:
            params = {"class": self._class(table), "limit": PAGE, "include": "vector", "after": after}
            objects = self._http.send("GET", "/v1/objects", params=params).json()["objects"]
            for item in objects:
                payload = item["properties"]
                if where.at is None or payload["born"] <= where.at < payload["died"]:
                    yield Row(item["id"], np.asarray(item["vector"], dtype=np.float32), payload)
            if len(objects) < PAGE:
                return
            after = objects[-1]["id"]

    def nearest(self, table: str, vector: np.ndarray, where: Where, limit: int) -> list[tuple[str, float]]:
        """Search by inner product of unit vectors, of which Weaviate's distance is the negative."""
        near = f"limit: {int(limit)}, nearVector: {{vector: {json.dumps([float(value) for value in vector])}}}"
        found = [] if where.nothing() else self._get(table, near, where, "chunk_id", "distance")
        return [(item["chunk_id"], -float(item["_additional"]["distance"])) for item in found]

    def keyword(self, table: str, text: str, where: Where, limit: int) -> list[tuple[str, float]]:
        """Search by Weaviate's BM25."""
        query = f'limit: {int(limit)}, bm25: {{query: {_quoted(text)}, properties: ["search_text"]}}'
        found = [] if where.nothing() else self._get(table, query, where, "chunk_id", "score")
        return [(item["chunk_id"], float(item["_additional"]["score"])) for item in found]

    def count(self, table: str, where: Where) -> int:
        """Ask for the number of rows that are so."""
        name = self._class(table)
        data = self._graphql(f"{{Aggregate {{{name}(where: {_where(where)}) {{meta {{count}}}}}}}}")
        return int(data["Aggregate"][name][0]["meta"]["count"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, table: str, how: str, where: Where, fields: str, additional: str) -> list[dict[str, Any]]:
        name = self._class(table)
        data = self._graphql(f"{{Get {{{name}({how}, where: {_where(where)}) {{{fields} _additional {{{additional}}}}}}}}}")
        found: list[dict[str, Any]] = data["Get"][name] or []
        return found

    def _graphql(self, query: str) -> Any:
        answer = self._http.send("POST", "/v1/graphql", {"query": query}).json()
        if answer.get("errors"):
            raise StorageError(f"{self.place} refuses: {answer['errors'][0].get('message')}", "type: groundtune index verify")
        return answer["data"]


def _quoted(text: str) -> str:
    """Return text as a GraphQL string: JSON's, whose escapes for control characters GraphQL shares; other letters stand as they are."""
    return json.dumps(text, ensure_ascii=False)


def _where(where: Where) -> str:
    operands = []
    if where.at is not None:
        operands.append(f'{{path: ["born"], operator: LessThanEqual, valueInt: {int(where.at)}}}')
        operands.append(f'{{path: ["died"], operator: GreaterThan, valueInt: {int(where.at)}}}')
    for field, values in where.any_of():
        listed = ", ".join(_quoted(value) for value in values)
        operands.append(f'{{path: ["{field}"], operator: ContainsAny, valueText: [{listed}]}}')
    return operands[0] if len(operands) == 1 else f"{{operator: And, operands: [{', '.join(operands)}]}}"
