"""The shape of a reply: whether it is valid by the schema, and whether its closed fields hold the right values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from groundtune.examples.schema import check
from groundtune.files import fingerprint
from groundtune.scores.scorer import Applies, Context, Mark, Scorer
from groundtune.types import Answer, Example


def needs_schema(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why the shape of replies cannot be judged."""
    return "the project has no reply schema" if context.reply_schema is None else None


def valid_json(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when the whole output is one JSON object that the reply schema accepts."""
    if context.reply_schema is None:
        return Mark(None, "the project has no reply schema")
    if answer.reply is None:
        return Mark(0.0, "the output is not one JSON object")
    problems = check(answer.reply, context.reply_schema)
    return Mark(0.0, "; ".join(problems)) if problems else Mark(1.0, "one JSON object, valid by the schema")


def schema_settings(context: Context) -> str:
    """Return which schema counts."""
    return "schema:" + ("none" if context.reply_schema is None else fingerprint(context.reply_schema))


def field_equals(name: str) -> Scorer:
    """Return a scorer that marks 1 when the reply's field equals the wanted reply's; blanks around a text do not count."""

    def score(answer: Answer, example: Example, context: Context) -> Mark:
        wanted = _bare(example.reply[name])
        if answer.reply is None:
            return Mark(0.0, f"no reply object; wanted {name} {wanted!r}")
        if name not in answer.reply:
            return Mark(0.0, f"the reply has no {name}; wanted {wanted!r}")
        given = _bare(answer.reply[name])
        right = type(given) is type(wanted) and given == wanted
        return Mark(float(right), f"{name} is {given!r}" + ("" if right else f"; wanted {wanted!r}"))

    return score


def field_wanted(name: str) -> Applies:
    """Return the check that an example's wanted reply has the field."""

    def applies(answer: Answer, example: Example, context: Context) -> str | None:
        return None if name in example.reply else f"the wanted reply has no {name}"

    return applies


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every value of a reply with its path, as texts: ``("slots[].city", '"Oslo"')``. Blanks around a text do not count."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, json.dumps(_bare(value), ensure_ascii=False)


def pairs_of(reply: Mapping[str, Any], context: Context) -> Counter[tuple[str, str]]:
    """Return the values of a reply, less the answer and the quote, which are texts of many right wordings."""
    free = {context.answer_field, context.quote_field}
    return Counter(leaves({name: value for name, value in reply.items() if name not in free}))


def wants_fields(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why there are no fields to compare."""
    return None if pairs_of(example.reply, context) else "the wanted reply has no field but the answer and the quote"


def field_f1(answer: Answer, example: Example, context: Context) -> Mark:
    """Return the F1 of the reply's values, each at its path, against those of the wanted reply."""
    wanted = pairs_of(example.reply, context)
    given = pairs_of(answer.reply or {}, context)
    shared = (wanted & given).total()
    return Mark(2 * shared / (wanted.total() + given.total()), f"{shared} values right; {wanted.total()} wanted, {given.total()} given")


def _bare(value: object) -> object:
    return value.strip() if isinstance(value, str) else value
