"""The part of Weaviate's HTTP API that the adapter uses; queries are read by a real GraphQL parser, and conditions are checked."""

import math
import re
import uuid
from collections import Counter
from typing import Any

from graphql import GraphQLError, parse
from graphql.language import FieldNode, OperationDefinitionNode
from graphql.utilities import value_from_ast_untyped
from made_http import Reply

KEY = "wv-test"
RESERVED = {"id", "_id", "_additional", "vector"}


class FakeWeaviate:
    def __init__(self) -> None:
        self.classes: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.refuse: str | None = None

    def __call__(self, method: str, path: str, params: dict[str, str], body: Any, headers: dict[str, str]) -> Reply:
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, {"code": 401, "message": "anonymous access not enabled"}, {}
        parts = path.strip("/").split("/")
        if parts[:2] == ["v1", "schema"]:
            return self._schema(method, parts[2:], body)
        if parts == ["v1", "batch", "objects"] and method == "POST":
            return 200, [self._put(item) for item in body["objects"]], {}
        if parts[:2] == ["v1", "objects"]:
            return self._list(params) if len(parts) == 2 else self._one(method, parts[2], parts[3], body)
        if parts == ["v1", "graphql"] and method == "POST":
            return self._graphql(body["query"])
        return 404, {"error": [{"message": f"no {method} {path}"}]}, {}

    def _schema(self, method: str, rest: list[str], body: Any) -> Reply:
        if method == "GET":
            return (200, self.classes[rest[0]], {}) if rest and rest[0] in self.classes else (404, None, {})
        name = body["class"]
        if not re.fullmatch(r"[A-Z][_0-9A-Za-z]*", name):
            return 422, {"error": [{"message": f"'{name}' is not a valid class name"}]}, {}
        if name in self.classes:
            return 422, {"error": [{"message": f"class name {name} already exists"}]}, {}
        for item in body["properties"]:
            if item["name"] in RESERVED or not re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]*", item["name"]):
                return 422, {"error": [{"message": f"'{item['name']}' is a reserved property name"}]}, {}
            if item["dataType"][0] not in ("text", "text[]", "int"):
                return 422, {"error": [{"message": f"unknown data type {item['dataType']}"}]}, {}
        self.classes[name], self.objects[name] = body, {}
        return 200, body, {}

    def _put(self, item: dict[str, Any]) -> dict[str, Any]:
        errors = []
        known = {entry["name"]: entry["dataType"][0] for entry in self.classes[item["class"]]["properties"]}
        kinds = {"text": str, "int": int, "text[]": list}
        for name, value in item["properties"].items():
            if name not in known:
                errors.append(f"no such prop with name '{name}'")  # auto-schema would guess its type
            elif not isinstance(value, kinds[known[name]]):
                errors.append(f"invalid {known[name]} property '{name}'")
        there = next(iter(self.objects[item["class"]].values()), None)
        if there is not None and len(there["vector"]) != len(item["vector"]):
            errors.append(f"new node has a vector with length {len(item['vector'])}. Existing nodes have {len(there['vector'])}")
        if self.refuse is not None and self.refuse in item["properties"]["text"]:
            errors.append("store is read-only due to: disk usage too high")
        if errors:
            return {**item, "result": {"status": "FAILED", "errors": {"error": [{"message": text} for text in errors]}}}
        self.objects[item["class"]][str(uuid.UUID(item["id"]))] = item
        return {**item, "result": {"status": "SUCCESS"}}

    def _one(self, method: str, name: str, key: str, body: Any) -> Reply:
        there = self.objects.get(name, {})
        if key not in there:
            return 404, None, {}
        if method == "PATCH":
            there[key] = {**there[key], "properties": {**there[key]["properties"], **body["properties"]}}
        elif method == "DELETE":
            del there[key]
        return 204, None, {}

    def _list(self, params: dict[str, str]) -> Reply:
        rows = sorted(self.objects[params["class"]].items())
        page = [item for key, item in rows if key > params.get("after", "")][: int(params["limit"])]
        return 200, {"objects": page}, {}

    def _graphql(self, text: str) -> Reply:
        try:
            operation = parse(text).definitions[0]
            assert isinstance(operation, OperationDefinitionNode)
            [kind] = operation.selection_set.selections
            assert isinstance(kind, FieldNode) and kind.selection_set is not None
            [target] = kind.selection_set.selections
            assert isinstance(target, FieldNode)
            name = target.name.value
            if name not in self.classes:
                raise ValueError(f'Cannot query field "{name}" on type "GetObjectsObj"')
            asked = {argument.name.value: value_from_ast_untyped(argument.value) for argument in target.arguments}
            rows = [item for item in self.objects[name].values() if self._meets(name, item["properties"], asked.get("where"))]
            if kind.name.value == "Aggregate":
                return 200, {"data": {"Aggregate": {name: [{"meta": {"count": len(rows)}}]}}}, {}
            return 200, {"data": {"Get": {name: self._found(name, rows, asked, target)}}}, {}
        except (GraphQLError, ValueError, KeyError) as error:
            return 200, {"data": None, "errors": [{"message": str(error)}]}, {}

    def _found(self, name: str, rows: list[dict[str, Any]], asked: dict[str, Any], target: FieldNode) -> list[dict[str, Any]]:
        limit, offset = asked.get("limit", 100), asked.get("offset", 0)
        if limit + offset > 10_000:
            raise ValueError("query maximum results exceeded")
        unknown = asked.keys() - {"limit", "offset", "where", "nearVector", "bm25"}
        if unknown:
            raise ValueError(f"unknown arguments {unknown}")
        more: dict[str, dict[str, Any]] = {}
        if "nearVector" in asked:
            vector = asked["nearVector"]["vector"]
            more = {row["id"]: {"distance": -sum(a * b for a, b in zip(row["vector"], vector, strict=True))} for row in rows}
            rows = sorted(rows, key=lambda row: more[row["id"]]["distance"])
        elif "bm25" in asked:
            scores = self._bm25(name, asked["bm25"])
            rows = sorted((row for row in rows if scores.get(row["id"], 0) > 0), key=lambda row: -scores[row["id"]])
            more = {row["id"]: {"score": str(scores[row["id"]])} for row in rows}
        assert target.selection_set is not None
        wanted = [node.name.value for node in target.selection_set.selections if isinstance(node, FieldNode)]
        return [
            {field: row["properties"].get(field) for field in wanted if field != "_additional"}
            | {"_additional": {"id": row["id"], "vector": row["vector"], **more.get(row["id"], {})}}
            for row in rows[offset : offset + limit]
        ]

    def _bm25(self, name: str, asked: dict[str, Any]) -> dict[str, float]:
        [field] = asked["properties"]
        [entry] = [item for item in self.classes[name]["properties"] if item["name"] == field]
        if not entry["indexSearchable"]:
            raise ValueError(f"property {field} is not searchable")
        texts = {key: Counter(words(item["properties"][field])) for key, item in self.objects[name].items()}
        mean = sum(sum(text.values()) for text in texts.values()) / max(1, len(texts)) or 1.0
        scores: dict[str, float] = Counter()
        for word in set(words(asked["query"])):
            holders = [key for key, text in texts.items() if word in text]
            worth = math.log(1 + (len(texts) - len(holders) + 0.5) / (len(holders) + 0.5))
            for key in holders:
                times, size = texts[key][word], sum(texts[key].values())
                scores[key] += worth * times * 2.2 / (times + 1.2 * (1 - 0.75 + 0.75 * size / mean))
        return scores

    def _meets(self, name: str, properties: dict[str, Any], where: Any) -> bool:
        if where is None:
            return True
        operator = where["operator"]
        if operator in ("And", "Or"):
            if not where["operands"]:
                raise ValueError("empty operands")
            return (all if operator == "And" else any)(self._meets(name, properties, part) for part in where["operands"])
        [field] = where["path"]
        [entry] = [item for item in self.classes[name]["properties"] if item["name"] == field] or [None]
        if entry is None or not entry.get("indexFilterable", True):
            raise ValueError(f"no such prop with name '{field}' found or it is not filterable")
        value = properties.get(field)
        if operator == "ContainsAny":
            if entry["dataType"][0] == "int" or entry["tokenization"] != "field" or not isinstance(where["valueText"], list):
                raise ValueError(f"ContainsAny on {field}")
            held = value if isinstance(value, list) else [value]
            return any(part in where["valueText"] for part in held)
        if entry["dataType"][0] != "int" or not isinstance(where["valueInt"], int):
            raise ValueError(f"{operator} on {field}")
        return {"LessThanEqual": value <= where["valueInt"], "GreaterThan": value > where["valueInt"]}[operator]


def words(text: str) -> list[str]:
    return [word for word in re.split(r"[^\w]+", text.lower()) if word]
