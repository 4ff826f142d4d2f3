"""Preference pairs and rated replies against one another, the held-out questions and the documents, as rows are.

    preferences.jsonl  →  Judged(good=("Two years.",), bad=("Ages!",))          what is wrong, asked in test, said twice, at odds, personal
    ratings.jsonl      →  Judged(good=(), bad=("Ages!",))

They have no split: all that are approved are trained on, so none may ask what dev, test or the holdout asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import ExampleError
from groundtune.examples import leaks
from groundtune.examples.findings import Finding, Severity, shown
from groundtune.examples.pairs import unfit
from groundtune.examples.personal import look
from groundtune.examples.rows import hash_of
from groundtune.examples.support import answer_text
from groundtune.types import Document, Example, Principal

SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What pairs of a project are held against. ``open_texts`` is what everybody may read; ``held`` is what must not be trained on."""

    documents: Mapping[str, Document]
    principals: Mapping[str, Principal]
    schema: Mapping[str, Any] | None
    answer_field: str
    held: Sequence[Example]
    near: float
    open_texts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One line: the replies that are wanted, and those that are not."""

    row: Mapping[str, Any]
    good: tuple[Any, ...]
    bad: tuple[Any, ...]

    @property
    def id(self) -> str:
        """The line's id."""
        return str(self.row["id"])

    @property
    def asked(self) -> tuple[str, ...]:
        """The words of the question, whatever their case and marks."""
        return tuple(leaks.words(self.row["question"]))


def judged(row: Mapping[str, Any]) -> Judged:
    """Return a sound line of either kind as what is wanted and what is not."""
    if "reply" in row:
        return Judged(row=row, good=(row["reply"],) if row["desirable"] else (), bad=() if row["desirable"] else (row["reply"],))
    return Judged(row=row, good=(row["chosen"],), bad=(row["rejected"],))


def check(what: str, file: str, rows: Sequence[Mapping[str, Any]], problems: Sequence[ExampleError], place: Place) -> Iterator[Finding]:
    """Find what is wrong with the pairs, or ratings, of one file. ``rows`` are its sound lines, ``problems`` what is wrong with the others.

    ``what`` is what they are called: "preference pairs" or "ratings".
    """
    used = [judged(row) for row in rows if row.get("status", "approved") in ("approved", "draft")]
    wrong = [(str(number), problem.message) for number, problem in enumerate(problems, start=1)]
    # What was rejected may break the schema: that can be why.
    wrong += [(item.id, text) for item in used for text in unfit(item.row, item.good, place.documents, place.principals, place.schema)]
    if wrong:
        yield _finding(what, "error", f"{len(wrong):,} things are wrong with the {what} in {file}", "mend these lines by hand", wrong)
    asked = leaks.asked_in({item.id: item.row["question"] for item in used}, place.held, near=place.near)
    if asked:
        yield _finding(
            f"{what}: leaks",
            "error",
            f"{len(asked):,} {what} ask what {' and '.join(sorted({example.split for example in asked.values()}))} ask",
            f"reject them, or reword one side: tuning refuses {what} whose questions are asked to compare arms",
            [(name, f"as {example.id} of {example.split}: {example.question}") for name, example in asked.items()],
        )
    yield from _twice(what, used)
    yield from _at_odds(what, used, place)
    yield from _personal(what, used, place)
    moved = [(item.id, text) for item in used for text in _moved(item, place)]
    if moved:
        yield _finding(
            f"{what}: stale",
            "warning",
            f"{len(moved):,} {what} draw on a document that changed since",
            "look whether the better reply is still right, and reject the others: groundtune examples review --web --status approved",
            moved,
        )


def _finding(kind: str, severity: Severity, says: str, do: str, found: Sequence[tuple[str, str]]) -> Finding:
    return Finding(
        kind=kind,
        severity=severity,
        says=says,
        do=do,
        rows=tuple(dict.fromkeys(name for name, _ in found)),
        samples=tuple((name, shown(text)) for name, text in found[:SAMPLES]),
    )


def _said(reply: Any, place: Place) -> str:
    return answer_text(reply, place.answer_field) if isinstance(reply, dict) else str(reply)


def _key(reply: Any) -> tuple[tuple[str, str], ...]:
    """Return what makes two replies the same: the words of all their fields."""
    fields = reply if isinstance(reply, dict) else {"": reply}
    return tuple((name, " ".join(leaks.words(str(value)))) for name, value in sorted(fields.items()))


def _twice(what: str, used: Sequence[Judged]) -> Iterator[Finding]:
    same: dict[Any, list[Judged]] = defaultdict(list)
    for item in used:
        same[item.asked, item.row["as"], tuple(map(_key, item.good)), tuple(map(_key, item.bad))].append(item)
    found = [(other.id, f"the same as {group[0].id}: {group[0].row['question']}") for group in same.values() for other in group[1:]]
    if found:
        yield _finding(f"{what}: duplicates", "warning", f"{len(found):,} {what} repeat another one", "keep one of each", found)


def _at_odds(what: str, used: Sequence[Judged], place: Place) -> Iterator[Finding]:
    """Find replies to one question of one asker that one line wants and another does not."""
    wanted: dict[Any, Judged] = {}
    for item in used:
        for reply in item.good:
            wanted.setdefault((item.asked, item.row["as"], _key(reply)), item)
    found = []
    for item in used:
        for reply in item.bad:
            other = wanted.get((item.asked, item.row["as"], _key(reply)))
            if other is not None:
                found.append((item.id, f"does not want what {other.id} wants: {_said(reply, place)}"))
    if found:
        yield _finding(
            f"{what}: conflicts",
            "error",
            f"{len(found):,} {what} want what another one does not",
            "decide which is right and reject the other: groundtune examples review --web --status approved",
            found,
        )


def _personal(what: str, used: Sequence[Judged], place: Place) -> Iterator[Finding]:
    for secret in (True, False):
        found = []
        for item in used:
            text = "\n".join([item.row["question"], *(str(part) for reply in (*item.good, *item.bad) for part in _parts(reply))])
            hits = [hit for hit in look(text) if hit.secret == secret and (secret or hit.value not in place.open_texts)]
            if hits:
                found.append((item.id, ", ".join(f"{hit.name} {hit.masked}" for hit in hits)))
        if found:
            yield _finding(
                f"{what}: {'secrets' if secret else 'personal data'}",
                "error" if secret else "warning",
                f"{len(found):,} {what} hold what looks like {'a key or a password' if secret else 'personal data'}",
                "revoke it, and replace it in the line" if secret else "replace it by a made-up value",
                found,
            )


def _parts(reply: Any) -> list[Any]:
    return list(reply.values()) if isinstance(reply, dict) else [reply]


def _moved(item: Judged, place: Place) -> Iterator[str]:
    made = item.row.get("made_from")
    for name, hash in made.items() if isinstance(made, dict) else ():
        document = place.documents.get(f"document:{name}")
        if document is not None and hash_of(document) != hash:
            yield f"{name} changed since"
