"""The part of Pinecone's data plane (API 2025-10) that the adapter uses, with its limits, its floats and its delay."""

import json
import time
from typing import Any

from made_http import Reply

KEY = "pc-test"
DELAY = 0.01  # seconds until a write is seen


class FakePinecone:
    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.names: dict[str, dict[str, dict[str, Any]]] = {}
        self.pending: list[tuple[float, int, Any]] = []
        self.given = self.indexed = 0
        self.requests: list[str] = []
        self.broken = 0

    def __call__(self, method: str, path: str, params: dict[str, str], body: Any, headers: dict[str, str]) -> Reply:
        self.requests.append(path)
        if headers.get("api-key") != KEY:
            return 401, "Unauthorized", {}
        if headers.get("x-pinecone-api-version") != "2025-10":
            return self._bad("no API version")
        if self.broken:
            self.broken -= 1
            return 503, {"code": 14, "message": "unavailable"}, {}
        while self.pending and self.pending[0][0] <= time.monotonic():
            _, self.indexed, work = self.pending.pop(0)
            work()
        handler = getattr(self, "do" + path.replace("/", "_"), None)
        if handler is None or method != "POST":
            return 404, {"code": 5, "message": f"no {method} {path}"}, {}
        reply: Reply = handler(body)
        return reply

    def _bad(self, message: str) -> Reply:
        return 400, {"code": 3, "message": message, "details": []}, {}

    def _later(self, work: Any, body: Any) -> Reply:
        self.given += 1
        self.pending.append((time.monotonic() + DELAY, self.given, work))
        return 200, body, {"x-pinecone-request-lsn": str(self.given)}

    def do_describe_index_stats(self, body: Any) -> Reply:
        spaces = {name: {"vectorCount": len(rows)} for name, rows in self.names.items()}
        return 200, {"dimension": self.dimension, "metric": "dotproduct", "namespaces": spaces, "vectorType": "dense"}, {}

    def do_vectors_upsert(self, body: Any) -> Reply:
        vectors = body["vectors"]
        if not 1 <= len(vectors) <= 1000:
            return self._bad("1 to 1000 vectors")
        if len(json.dumps(body)) > 2 * 1024 * 1024:
            return self._bad("request size exceeds 2MB")
        for item in vectors:
            if len(item["values"]) != self.dimension:
                return self._bad(f"Vector dimension {len(item['values'])} does not match the dimension of the index {self.dimension}")
            if not any(item["values"]):
                return self._bad("Dense vectors must contain at least one non-zero value.")
            if len(json.dumps(item["metadata"], ensure_ascii=False).encode()) > 40_960:
                return self._bad("Metadata size exceeds the limit of 40960 bytes per vector")
            for name, value in item["metadata"].items():
                listed = isinstance(value, list) and all(isinstance(part, str) for part in value)
                if not (listed or isinstance(value, str | int | float | bool)):
                    return self._bad(f"Metadata value must be a string, number, boolean or list of strings, got {value!r} for {name}")
        space = body.get("namespace", "")

        def work() -> None:
            for item in vectors:
                # Numbers are kept as 64-bit floats, and an upsert replaces the whole record.
                metadata = {name: float(value) if type(value) is int else value for name, value in item["metadata"].items()}
                self.names.setdefault(space, {})[item["id"]] = {"id": item["id"], "values": item["values"], "metadata": metadata}

        return self._later(work, {"upsertedCount": len(vectors)})

    def do_vectors_update(self, body: Any) -> Reply:
        def work() -> None:
            row = self.names.get(body["namespace"], {}).get(body["id"])
            if row is not None:
                row["metadata"] |= {name: float(value) for name, value in body["setMetadata"].items()}

        return self._later(work, {})

    def do_vectors_delete(self, body: Any) -> Reply:
        if not 1 <= len(body["ids"]) <= 1000:
            return self._bad("1 to 1000 ids")

        def work() -> None:
            for key in body["ids"]:
                self.names.get(body["namespace"], {}).pop(key, None)

        return self._later(work, {})

    def do_query(self, body: Any) -> Reply:
        if len(body["vector"]) != self.dimension or not 1 <= body["topK"] <= 10_000:
            return self._bad("vector or topK out of range")
        try:
            rows = [row for row in self.names.get(body["namespace"], {}).values() if meets(row["metadata"], body.get("filter"))]
        except ValueError as error:
            return self._bad(str(error))
        scored = sorted(
            ((sum(a * b for a, b in zip(row["values"], body["vector"], strict=True)), row) for row in rows), key=lambda p: -p[0]
        )
        matches = [
            {"id": row["id"], "score": score, **({"metadata": row["metadata"]} if body.get("includeMetadata") else {})}
            for score, row in scored[: body["topK"]]
        ]
        return 200, {"matches": matches, "namespace": body["namespace"]}, {"x-pinecone-max-indexed-lsn": str(self.indexed)}

    def do_vectors_fetch_by_metadata(self, body: Any) -> Reply:
        if not 1 <= body["limit"] <= 100:
            return self._bad("limit out of range")
        try:
            rows = [row for row in self.names.get(body["namespace"], {}).values() if meets(row["metadata"], body["filter"])]
        except ValueError as error:
            return self._bad(str(error))
        rows.sort(key=lambda row: row["id"])
        token = body.get("paginationToken")
        page = [row for row in rows if token is None or row["id"] > token][: body["limit"]]
        more = bool(page) and page[-1]["id"] != rows[-1]["id"]
        found = {"vectors": {row["id"]: row for row in page}, "namespace": body["namespace"]}
        return 200, found | ({"pagination": {"next": page[-1]["id"]}} if more else {}), {}


def meets(metadata: dict[str, Any], filter: Any) -> bool:
    """Evaluate Pinecone's filter language; what it does not know is refused."""
    if filter is None:
        return True
    if not isinstance(filter, dict) or not filter:
        raise ValueError("filter must be a non-empty object")
    for name, wanted in filter.items():
        if name in ("$and", "$or"):
            if not isinstance(wanted, list) or not wanted:
                raise ValueError(f"{name} needs a list of conditions")
            if not (all if name == "$and" else any)(meets(metadata, part) for part in wanted):
                return False
            continue
        if name.startswith("$") or not isinstance(wanted, dict):
            raise ValueError(f"unknown operator {name}")
        value = metadata.get(name)
        for operator, operand in wanted.items():
            if operator == "$in":
                if not isinstance(operand, list) or not operand or len(operand) > 10_000:
                    raise ValueError("$in needs a list of 1 to 10000 values")
                held = value if isinstance(value, list) else [value]
                good = any(part in operand for part in held)
            elif operator in ("$lte", "$gt", "$gte") and isinstance(operand, int | float):
                if not isinstance(value, float):
                    return False
                good = {"$lte": value <= operand, "$gt": value > operand, "$gte": value >= operand}[operator]
            else:
                raise ValueError(f"unknown operator {operator} on {operand!r}")
            if not good:
                return False
    return True
