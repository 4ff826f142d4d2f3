from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import ConfigError
from groundtune.examples.schema import check, load_schema

REPLY = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "minLength": 1, "maxLength": 5},
        "label": {"enum": ["a", 1, None]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["answer"],
    "additionalProperties": False,
}


def written(folder: Path, schema: Any) -> Path:
    path = folder / "reply.schema.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        ({"answer": "x"}, []),
        ({"answer": "häß😀", "label": 1.0, "tags": ["b"], "note": None}, []),
        ({}, ["answer is missing"]),
        ({"answer": ""}, ["answer has 0 characters, expected at least 1"]),
        ({"answer": "sixsix"}, ["answer has 6 characters, expected at most 5"]),
        ({"answer": 3}, ["answer is integer, expected string"]),
        ({"answer": "x", "label": True}, ["label is True, expected one of a, 1, None"]),
        ({"answer": "x", "tags": ["a", 2]}, ["tags[1] is integer, expected string"]),
        ({"answer": "x", "note": 2}, ["note is integer, expected string or null"]),
        ({"answer": "x", "more": 1}, ["more is not a known field"]),
        ({"label": "z", "more": 1}, ["answer is missing", "label is 'z', expected one of a, 1, None", "more is not a known field"]),
        ([], ["it is array, expected object"]),
        (None, ["it is null, expected object"]),
    ],
)
def test_replies(tmp_path: Path, reply: Any, wrong: list[str]) -> None:
    assert check(reply, load_schema(written(tmp_path, REPLY))) == wrong


def object_with(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": keywords}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "oneOf": []}, "oneOf is not supported"),
        (object_with(pattern="x"), "a.pattern is not supported"),
        (object_with(type="array", items={"$ref": "#"}), "a.items.$ref is not supported"),
        (object_with(type="text"), "a.type is 'text', which is not supported"),
        (object_with(type=[]), "a.type is []"),
        (object_with(type=[["string"]]), "a.type is [['string']]"),
        (object_with(enum=[]), "a.enum is []"),
        (object_with(maxLength=-1), "a.maxLength is -1"),
        (object_with(maxLength=True), "a.maxLength is True"),
        (object_with(maxLength="3"), "a.maxLength is '3'"),
        (object_with(items=[{}]), "a.items is [{}], expected an object"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "additionalProperties is {'type': 'string'}"),
        ({"type": "object", "required": "answer"}, "required is 'answer'"),
        ({"type": "object", "properties": []}, "properties is []"),
        ({"type": "object", "properties": {"a": True}}, "a is True, expected an object"),
        ({"type": "array"}, 'expected a schema of "type": "object"'),
        ([], 'expected a schema of "type": "object"'),
        ("{", "not JSON"),
    ],
)
def test_a_schema_that_would_be_half_obeyed_is_refused(tmp_path: Path, schema: Any, said: str) -> None:
    path = written(tmp_path, schema)
    with pytest.raises(ConfigError) as raised:
        load_schema(path)
    assert said in raised.value.message
    assert raised.value.message.startswith(str(path))


def test_a_missing_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such schema"):
        load_schema(tmp_path / "gone.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_schema(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.0, 1.0, 1.5]) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, min_size=1, max_size=2, unique=True),
            "enum": st.lists(json_values, min_size=1, max_size=3),
            "const": json_values,
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 3),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "items": inner,
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans(),
            "type": kinds,
        },
    ),
    max_leaves=4,
)


@given(json_values, schemas)
def test_the_verdict_is_that_of_the_reference_validator(value: Any, schema: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert (check(value, schema) == []) == jsonschema.Draft202012Validator(schema).is_valid(value)
