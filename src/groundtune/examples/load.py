"""JSON lines → ``Example``s, with every problem named by file and line.

    {"id": "slots-003", "question": "…", "asker": "cust", "kind": "version", "filter": {"version": "4"}, "split": "train",
     "split_group": "slots", "evidence": [{"document": "product/v4/slots.html", "quote": "…"}], "reply": {"answer": "…"}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from groundtune.access.filter import allowed
from groundtune.errors import ExampleError
from groundtune.examples.quotes import locate
from groundtune.types import Document, Evidence, Example, Kind, Principal, Split

FIELDS = ("id", "question", "asker", "kind", "filter", "split", "split_group", "evidence", "reply")
REQUIRED = ("id", "question", "asker", "split", "split_group", "reply")
HINT = "mend that line, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleReading:
    """The examples in the order of files and lines, and what could not be read."""

    examples: tuple[Example, ...]
    problems: tuple[ExampleError, ...]


def read(place: Path, documents: Sequence[Document], principals: Mapping[str, Principal]) -> ExampleReading:
    """Read a JSONL file, or all of a folder. Evidence is located in the documents; what can't be found there is a problem."""
    if place.is_dir():
        files = sorted(path for path in place.rglob("*.jsonl") if not path.name.startswith("."))
    else:
        files = [place] if place.is_file() else []
    if not files:
        problem = ExampleError(f"{place}: holds no examples (*.jsonl)", "correct [examples] path, then type: groundtune check")
        return ExampleReading(examples=(), problems=(problem,))
    by_id = {document.id: document for document in documents}
    examples: list[Example] = []
    problems: list[ExampleError] = []
    seen: dict[str, str] = {}
    for path in files:
        for where, row in _rows(path, problems):
            found = list(_wrong(row, by_id, principals))
            example_id = row.get("id")
            if isinstance(example_id, str):
                if example_id in seen:
                    found.append(f"id {example_id!r} was used before, at {seen[example_id]}")
                seen.setdefault(example_id, where)
            if found:
                problems += [ExampleError(f"{where}: {text}", HINT) for text in found]
            else:
                examples.append(_example(row, by_id))
    return ExampleReading(examples=tuple(examples), problems=tuple(problems))


def _rows(path: Path, problems: list[ExampleError]) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(ExampleError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune check"))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(ExampleError(f"{where}: not JSON at column {error.colno}: {error.msg}", HINT))
            continue
        except RecursionError:
            problems.append(ExampleError(f"{where}: nested too deep to be an example", HINT))
            continue
        if isinstance(row, dict):
            yield where, row
        else:
            problems.append(ExampleError(f"{where}: expected a JSON object, found {type(row).__name__}", HINT))


def _wrong(row: Mapping[str, Any], documents: Mapping[str, Document], principals: Mapping[str, Principal]) -> Iterator[str]:
    """Yield what is wrong with a row, in words."""
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        yield f"unknown field {', '.join(unknown)}; known: {', '.join(FIELDS)}"
    for name in REQUIRED:
        if name not in row:
            yield f"{name} is missing"
    for name in ("id", "question", "asker", "split", "split_group"):
        if name in row and (not isinstance(row[name], str) or not row[name].strip()):
            yield f"{name} is {row[name]!r}; expected a text"
            return
    kind = row.get("kind", "answerable")
    if kind not in get_args(Kind):
        yield f"kind is {kind!r}; known: {', '.join(get_args(Kind))}"
    if row.get("split") not in (None, *get_args(Split)):
        yield f"split is {row['split']!r}; known: {', '.join(get_args(Split))}"
    if "reply" in row and not isinstance(row["reply"], dict):
        yield f"reply is {type(row['reply']).__name__}; expected a JSON object"
    given = row.get("filter", {})
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        yield f"filter is {given!r}; expected texts by name"
    asker = principals.get(row.get("asker", ""))
    if asker is None and "asker" in row:
        yield f"asker {row['asker']!r} is no principal; known: {', '.join(sorted(principals))}"
    yield from _evidence_wrong(row, kind, documents, asker)


def _evidence_wrong(row: Mapping[str, Any], kind: str, documents: Mapping[str, Document], asker: Principal | None) -> Iterator[str]:
    rows = row.get("evidence", [])
    if not isinstance(rows, list) or not all(isinstance(item, dict) and {"document", "quote"} == set(item) for item in rows):
        yield "evidence: expected a list of {document, quote}"
        return
    readable = []
    for item in rows:
        document = documents.get(f"document:{item['document']}")
        if document is None:
            yield f"evidence names {item['document']!r}, which is no document"
            continue
        if locate(str(item["quote"]), document.text) is None:
            yield f"evidence is not in {item['document']}: {item['quote']!r}"
        if asker is not None:
            readable.append(allowed(asker).permits(document.readers))
    if kind in ("answerable", "version"):
        if not rows:
            yield f"an example of kind {kind} needs evidence"
        elif readable and not any(readable):
            yield f"asker {row.get('asker')!r} may read none of its evidence, so its kind should be forbidden"
    elif kind == "forbidden":
        if not rows:
            yield "an example of kind forbidden needs the evidence that its asker may not read"
        elif readable and any(readable):
            yield f"asker {row.get('asker')!r} may read its evidence, so its kind should not be forbidden"
    elif kind == "refuse" and rows:
        yield "an example of kind refuse has no evidence"


def _example(row: Mapping[str, Any], documents: Mapping[str, Document]) -> Example:
    evidence = []
    for item in row.get("evidence", []):
        document = documents[f"document:{item['document']}"]
        span = locate(item["quote"], document.text)
        if span is not None:
            evidence.append(Evidence(document_id=document.id, quote=item["quote"], start=span[0], end=span[1]))
    kind: Kind = row.get("kind", "answerable")
    return Example(
        id=row["id"],
        question=row["question"],
        asker=row["asker"],
        reply=row["reply"],
        evidence=tuple(evidence),
        answerable=kind in ("answerable", "version"),
        split=row["split"],
        split_group=row["split_group"],
        kind=kind,
        filter=row.get("filter", {}),
    )
