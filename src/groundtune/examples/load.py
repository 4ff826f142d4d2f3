"""JSON lines → ``Example``s, with every problem named by file and line.

{"id": "slots-003", "question": "…", "asker": "cust", "kind": "version", "filter": {"version": "4"}, "split": "train",
 "split_group": "slots", "evidence": [{"document": "product/v4/slots.html", "quote": "…"}], "reply": {"answer": "…"}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from groundtune.access.filter import allowed
from groundtune.errors import ExampleError, meant
from groundtune.examples.quotes import locate
from groundtune.files import objects, text_of
from groundtune.types import Document, Evidence, Example, Kind, Principal, Split, Status

FIELDS = ("id", "question", "asker", "kind", "filter", "split", "split_group", "evidence", "reply", "also", "readers")
# What a row says of itself beside the example that it holds; examples/rows.py writes these.
KEPT = ("status", "reason", "origin", "made_from", "reviewed")
STATUSES: tuple[Status, ...] = ("approved", "draft", "rejected", "quarantined")
PREFERENCES, RATINGS = "preferences.jsonl", "ratings.jsonl"
TEXTS = ("id", "question", "asker", "split", "split_group")
ANSWERABLE: tuple[Kind, ...] = ("answerable", "version")
UNSUPPORTED: tuple[Kind, ...] = ("refuse", "out_of_scope", "adversarial")  # no document stands behind these
AGAIN = "groundtune check"
HINT = f"mend that line, then type: {AGAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleReading:
    """The approved examples in the order of files and lines, what could not be read, and how many rows have which other status."""

    examples: tuple[Example, ...]
    problems: tuple[ExampleError, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def read(place: Path | Mapping[Split, Path], documents: Sequence[Document], principals: Mapping[str, Principal]) -> ExampleReading:
    """Read a JSONL file or all of a folder, whose rows carry their split; or one file or folder a split, whose rows need not.

    Evidence is located in the documents, exactly or but for blanks, typography and Markdown marks; ``Evidence.quote`` is the document's own
    text there. A row with any problem is left out, and all its problems are returned. A row without a status is approved; one of another
    status is counted and not looked at further: a draft may be unfinished.
    """
    left_out: Counter[str] = Counter()
    problems: list[ExampleError] = []
    examples: list[Example] = []
    seen: dict[str, str] = {}
    by_id = {document.id: document for document in documents}
    places: list[tuple[Split | None, Path]] = [(None, place)] if isinstance(place, Path) else list(place.items())
    for split, where in places:
        for path in files(where, problems):
            for line, row in rows(path, problems):
                status = row.get("status", "approved")
                if status != "approved" and status in STATUSES:
                    left_out[status] += 1
                    seen.setdefault(str(row.get("id")), line)
                    continue
                checked = Checked(row, split, by_id, principals)
                name = row.get("id")
                if isinstance(name, str) and name in seen:
                    checked.wrong.append(f"id {name!r} was used before, at {seen[name]}")
                elif isinstance(name, str):
                    seen[name] = line
                problems += [ExampleError(f"{line}: {text}", HINT) for text in checked.wrong]
                if not checked.wrong:
                    examples.append(checked.example())
    return ExampleReading(examples=tuple(examples), problems=tuple(problems), left_out=dict(left_out))


def files(place: Path, problems: list[ExampleError]) -> list[Path]:
    """Return the files of examples of a folder, sorted, or the file itself; preference pairs and ratings are no examples."""
    found = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
    found = [path for path in found if not path.name.startswith(".") and (path == place or path.name not in (PREFERENCES, RATINGS))]
    if not found or not place.exists():
        problems.append(ExampleError(f"{place}: holds no examples (*.jsonl)", "correct [examples] path, then type: groundtune check"))
        return []
    return found


def rows(path: Path, problems: list[ExampleError]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``file:line`` and the object on it; what is no object, or cannot be stored again, is a problem."""

    def tell(message: str, hint: str) -> None:
        problems.append(ExampleError(message, hint))

    text = text_of(path, tell, AGAIN)
    for number, row in objects(path, text, tell, AGAIN) if text is not None else ():
        yield f"{path}:{number}", row


class Checked:
    """One row, and what is wrong with it, in words."""

    def __init__(
        self, row: Mapping[str, Any], split: Split | None, documents: Mapping[str, Document], principals: Mapping[str, Principal]
    ) -> None:
        self.row = row
        self.wrong: list[str] = []
        self.evidence: list[Evidence] = []
        unknown = sorted(set(row) - {*FIELDS, *KEPT})
        if unknown:
            self.wrong.append(f"unknown field {', '.join(unknown)}; known: {', '.join(FIELDS)}")
        if row.get("status", "approved") not in STATUSES:
            self.wrong.append(f"status is {row['status']!r}; known: {', '.join(STATUSES)}")
        self.readers: frozenset[str] | None = self._readers(row.get("readers"))
        self.texts = {name: self._text(name, split if name == "split" else None) for name in TEXTS}
        self.kind: Kind = self._one_of("kind", row.get("kind", "answerable"), get_args(Kind))
        self.split: Split = self._one_of("split", self.texts["split"], get_args(Split))
        if split is not None and self.split and self.split != split:
            self.wrong.append(f"split is {self.split!r}, but the file is that of {split!r}")
        if not isinstance(row.get("reply"), dict):
            self.wrong.append("reply is missing" if "reply" not in row else "reply is no JSON object")
        self.also = self._also(row.get("also", []))
        given = row.get("filter", {})
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            self.wrong.append(f"filter is {given!r}; expected texts by name")
        asker = principals.get(self.texts["asker"])
        if asker is None and self.texts["asker"]:
            self.wrong.append(f"asker {self.texts['asker']!r} is no principal; known: {', '.join(sorted(principals)) or 'none'}")
        self._locate(documents, asker)

    def _text(self, name: str, default: str | None) -> str:
        value = self.row.get(name, default)
        if isinstance(value, str) and value.strip():
            return value
        self.wrong.append(f"{name} is missing" if value is None else f"{name} is {value!r}; expected a text")
        return ""

    def _one_of(self, name: str, value: Any, known: Sequence[str]) -> Any:
        if value and value not in known:
            self.wrong.append(f"{name} is {value!r}; known: {', '.join(known)}")
        return value

    def _also(self, given: Any) -> tuple[str, ...]:
        """Return the other wordings of the answer that are as good."""
        if not isinstance(given, list) or not all(isinstance(item, str) and item.strip() for item in given):
            self.wrong.append(f"also is {given!r}; expected a list of other wordings of the answer")
            return ()
        if given and self.kind not in ANSWERABLE:
            self.wrong.append(f"also is for questions with an answer; this one is of kind {self.kind}")
        return tuple(given)

    def _readers(self, given: Any) -> frozenset[str] | None:
        """Return who may read a row that no document stands behind; an empty list means nobody."""
        if given is None:
            return None
        if not isinstance(given, list) or not all(isinstance(item, str) and item.strip() for item in given):
            self.wrong.append(f"readers is {given!r}; expected a list of groups")
            return frozenset()
        if self.row.get("evidence"):
            self.wrong.append("readers is for rows without evidence; this one has the readers of its documents")
        return frozenset(given)

    def _locate(self, documents: Mapping[str, Document], asker: Principal | None) -> None:
        rows = self.row.get("evidence", [])
        if not isinstance(rows, list) or not all(
            isinstance(item, dict) and set(item) == {"document", "quote"} and all(isinstance(value, str) for value in item.values())
            for item in rows
        ):
            self.wrong.append('evidence: expected a list of {"document": path, "quote": text}')
            return
        hidden = []
        for item in rows:
            name = item["document"].removeprefix("document:")
            document = documents.get(f"document:{name}")
            if document is None:
                known = (item.removeprefix("document:") for item in documents)
                self.wrong.append(f"evidence names {name!r}, which is no document{meant(name, known)}")
                continue
            span = locate(item["quote"], document.text)
            if span is None:
                self.wrong.append(f"evidence is not in {name}: {item['quote']!r}")
                continue
            start, end = span
            self.evidence.append(Evidence(document_id=document.id, quote=document.text[start:end], start=start, end=end))
            if asker is not None and not allowed(asker).permits(document.readers_of(start, end)):
                hidden.append(name)
        if self.kind in ANSWERABLE and not rows and self.readers is None:
            self.wrong.append(f"an example of kind {self.kind} needs evidence, or readers where no document stands behind it")
        elif self.kind in ANSWERABLE and self.readers is not None and asker is not None and not allowed(asker).permits(self.readers):
            self.wrong.append(f"asker {self.texts['asker']!r} is not among its readers")
        elif self.kind in ANSWERABLE and hidden:
            self.wrong.append(
                f"asker {self.texts['asker']!r} may not read {', '.join(hidden)}: its kind should be forbidden, or its asker another"
            )
        elif self.kind == "forbidden" and not rows:
            self.wrong.append("an example of kind forbidden needs the evidence that its asker may not read")
        elif self.kind == "forbidden" and not hidden and len(self.evidence) == len(rows) and asker is not None:
            self.wrong.append(f"asker {self.texts['asker']!r} may read all of its evidence: its kind should not be forbidden")
        elif self.kind in UNSUPPORTED and rows:
            self.wrong.append(f"an example of kind {self.kind} has no evidence")

    def example(self) -> Example:
        """Return the example; call it only where nothing is wrong."""
        return Example(
            id=self.texts["id"],
            question=self.texts["question"],
            asker=self.texts["asker"],
            reply=self.row["reply"],
            evidence=tuple(self.evidence),
            answerable=self.kind in ANSWERABLE,
            split=self.split,
            split_group=self.texts["split_group"],
            kind=self.kind,
            filter=self.row.get("filter", {}),
            readers=self.readers,
            also=self.also,
        )
