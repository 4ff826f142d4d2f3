"""Is this example project sound? Prints what is wrong with its documents and examples, one problem a line; exit code 1 if anything is.

python examples/harbour/check.py [folder]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from groundtune.access import principals
from groundtune.documents import load as documents
from groundtune.errors import GroundtuneError, Problems
from groundtune.examples import leaks
from groundtune.examples import load as examples
from groundtune.examples.audit import Audit, audit
from groundtune.examples.quotes import locate
from groundtune.examples.schema import check, load_schema
from groundtune.types import Example, Split

REFUSAL = "I can't answer that from the documents you can read."
LEAST = {"documents": 60, "examples": 400, "test examples": 100}
SHARES: dict[Split, tuple[float, float]] = {"train": (0.45, 0.65), "dev": (0.08, 0.22), "test": (0.22, 0.40)}
KIND_SHARES = {
    "answerable": (0.50, 0.75),
    "version": (0.05, 0.20),
    "forbidden": (0.06, 0.20),
    "refuse": (0.05, 0.15),
    "adversarial": (0.02, 0.10),
    "out_of_scope": (0.01, 0.10),
}
QUESTION_WORDS, ANSWER_WORDS, QUOTE_WORDS = (8, 48), (10, 40), (4, 25)
DOCUMENT_WORDS = (180, 550)


def problems_of(folder: Path, least: dict[str, int] | None = None) -> list[str]:
    """Return everything that is wrong with the project in ``folder``, in words; ``least`` are the numbers asked for."""
    try:
        people = principals.load(folder / "access.toml")
        schema = load_schema(folder / "examples" / "reply.schema.json")
        reading = documents.read(folder / "documents")
    except Problems as error:
        return [problem.message for problem in error.problems]
    except GroundtuneError as error:
        return [error.message]
    taken = examples.read(folder / "examples" / "parts", reading.documents, people)
    rows = taken.examples
    found = [problem.message for problem in (*reading.problems, *taken.problems, *leaks.find(rows))]
    for document in reading.documents:
        found += _outside(f"{document.source}: words", len(document.text.split()), DOCUMENT_WORDS)
        known = frozenset().union(*(person.groups for person in people.values()))
        found += [f"{document.source}: reader {reader!r} is nobody's group" for reader in sorted(document.readers - known)]
    for row in rows:
        found += [f"{row.id}: reply: {text}" for text in check(row.reply, schema)]
        found += [f"{row.id}: {text}" for text in _row(row)]
    found += _balance(audit(rows, ("label", "next_action"), most=0.75), len(rows))
    counts = {
        "documents": len(reading.documents),
        "examples": len(rows),
        "test examples": sum(row.split == "test" for row in rows),
    }
    asked = LEAST if least is None else least
    found += [f"{counts[name]} {name}, expected at least {number}" for name, number in asked.items() if counts[name] < number]
    return found


def _row(row: Example) -> Iterator[str]:
    """Yield what is wrong with one example by the rules of this desk."""
    yield from _outside("words of the question", len(row.question.split()), QUESTION_WORDS)
    answer, quote, document = (str(row.reply.get(name, "")) for name in ("answer", "quote", "document"))
    yield from _outside("words of the answer", len(answer.split()), ANSWER_WORDS)
    for item in row.evidence:
        yield from _outside("words of the evidence", len(item.quote.split()), QUOTE_WORDS)
    if row.answerable:
        if answer.startswith(REFUSAL):
            yield "can be answered, but its answer declines"
        if not any(locate(quote, item.quote) and item.document_id == f"document:{document}" for item in row.evidence):
            yield f"its reply quotes {quote!r} from {document!r}, which is in no evidence of that document"
        return
    if not answer.startswith(REFUSAL) or answer == REFUSAL:
        yield f"its answer does not begin with {REFUSAL!r} and go on"
    if quote or document:
        yield "declines, but names a quote or a document"
    if any(locate(answer.removeprefix(REFUSAL).strip(), item.quote) for item in row.evidence):
        yield "declines, but tells what its asker may not read"
    if row.reply.get("next_action") == "reply":
        yield "declines, but its next action is reply"


def _outside(what: str, number: int, bounds: tuple[int, int]) -> Iterator[str]:
    if not bounds[0] <= number <= bounds[1]:
        yield f"{what}: {number}, expected {bounds[0]} to {bounds[1]}"


def _balance(found: Audit, total: int) -> Iterator[str]:
    """Yield what is out of balance between kinds, labels and splits."""
    yield from found.warnings
    for split in SHARES:
        yield from _share(split, found.splits.get(split, 0), total, SHARES[split])
    for kind, bounds in KIND_SHARES.items():
        yield from _share(kind, sum(count for (_, name), count in found.kinds.items() if name == kind), total, bounds)


def _share(name: str, count: int, total: int, bounds: tuple[float, float]) -> Iterator[str]:
    if total and not bounds[0] <= count / total <= bounds[1]:
        yield f"{name}: {count} of {total} examples ({count / total:.0%}), expected {bounds[0]:.0%} to {bounds[1]:.0%}"


def main(arguments: Sequence[str]) -> int:
    """Print the problems of the project; return 1 if there are any."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    found = problems_of(folder)
    for problem in found:
        print(problem)
    print(f"{len(found)} problems" if found else "sound", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
