"""Rows against one another and against their documents: malformed, the same twice, at odds, stale, unsupported, leaking.

Each check takes cases and yields findings. ``--fix`` changes the status of training rows only: a test set is never changed by a program.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from groundtune.errors import ExampleError
from groundtune.examples import leaks
from groundtune.examples.audit import audit as lean_of
from groundtune.examples.findings import Case, Finding, readable, shown
from groundtune.examples.load import UNSUPPORTED
from groundtune.examples.personal import look
from groundtune.examples.rows import hash_of
from groundtune.examples.support import facts, missing_numbers, shared
from groundtune.types import Document

SAMPLES = 5
LITTLE = 0.34  # share of an answer's facts that its documents hold, below which it is called unsupported
LEAST_FACTS = 4
RARE = 5
REFUSED = (*UNSUPPORTED, "forbidden")

Near = Callable[[Mapping[str, str]], Sequence[Sequence[str]]]


def _samples(found: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, shown(text)) for name, text in found[:SAMPLES])


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def malformed(cases: Sequence[Case], problems: Sequence[ExampleError]) -> Iterator[Finding]:
    """Find lines that are no rows, and rows that are no examples."""
    if problems:
        yield Finding(
            kind="unreadable lines",
            severity="error",
            says=f"{_rows(len(problems))} cannot be read at all",
            do="mend these lines by hand; each says what was expected",
            samples=tuple((str(number), problem.message) for number, problem in enumerate(problems[: 4 * SAMPLES], start=1)),
        )
    wrong = [case for case in cases if case.stored.wrong and case.stored.status in ("approved", "draft")]
    if wrong:
        approved = [case for case in wrong if case.stored.status == "approved"]
        yield Finding(
            kind="malformed rows",
            severity="error" if approved else "warning",
            says=f"{_rows(len(wrong))} cannot be used as they stand, {len(approved)} of them approved",
            do="mend them, or let --fix put the training rows among them into quarantine with the reason",
            rows=tuple(case.id for case in wrong),
            samples=tuple((f"{case.stored.where} {case.id}", "; ".join(case.stored.wrong)) for case in wrong[: 4 * SAMPLES]),
            fix="quarantined",
            fixed={case.id: "; ".join(case.stored.wrong) for case in wrong if case.split == "train"},
        )


def duplicates(cases: Sequence[Case], near: Near) -> Iterator[Finding]:
    """Find rows that say the same twice: exactly, and nearly (MinHash over question and answer together)."""
    same: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for case in cases:
        same[_whole(case)].append(case)
    groups = [group for group in same.values() if len(group) > 1]
    if groups:
        # A copy in dev or test is a leak, which is another finding; of several training rows the first stays.
        again = {
            case.id: f"the same as {firsts[0].id}"
            for group in groups
            if (firsts := [case for case in group if case.split == "train"])
            for case in firsts[1:]
        }
        count = sum(len(group) - 1 for group in groups)
        yield Finding(
            kind="exact duplicates",
            severity="warning",
            says=f"{_rows(count)} repeat another one: the same question by the same asker, with the same answer",
            do="keep one of each; --fix rejects the later training rows",
            rows=tuple(case.id for group in groups for case in group),
            samples=_samples([(" = ".join(case.id for case in group[:4]), group[0].question) for group in groups]),
            fix="rejected",
            fixed=again,
        )
    first = {group[0].id: group[0] for group in same.values()}
    alike = near({name: f"{case.question}\n{case.answer}" for name, case in first.items()})
    if alike:
        yield Finding(
            kind="near duplicates",
            severity="note",
            says=f"{sum(len(group) for group in alike):,} rows in {len(alike):,} groups are nearly the same in question and answer",
            do="keep those that differ in something that matters; a model that sees one row ten times learns it by heart",
            rows=tuple(name for group in alike for name in group),
            samples=_samples([(", ".join(group[:4]), " | ".join(first[name].question for name in group[:2])) for group in alike]),
        )


def _whole(case: Case) -> tuple[Any, ...]:
    asked = (tuple(leaks.words(case.question)), case.asker, tuple(sorted((key, str(value)) for key, value in case.filter.items())))
    return (*asked, case.kind, tuple(leaks.words(case.answer)), tuple(sorted((key, str(value)) for key, value in case.reply.items())))


def conflicts(cases: Sequence[Case], closed: Sequence[str]) -> Iterator[Finding]:
    """Find the same question with different answers: another label, other numbers, or a refusal beside an answer.

    Only where asker and filter are the same: another version, or somebody who may read less, rightly gets another answer. ``closed`` are
    the reply's fields of which one value is right.
    """
    asked: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for case in cases:
        said = tuple(leaks.words(case.question))
        if said:
            asked[said, case.asker, tuple(sorted((key, str(value)) for key, value in case.filter.items()))].append(case)
    found: list[tuple[list[Case], str]] = []
    for group in asked.values():
        if len(group) > 1 and (why := _odds(group, closed)):
            found.append((group, why))
    if found:
        yield Finding(
            kind="conflicting answers",
            severity="error",
            says=f"{len(found):,} questions have answers that contradict one another",
            do="decide which answer is right and reject the others: groundtune examples review; nothing is fixed by itself",
            rows=tuple(case.id for group, _ in found for case in group),
            samples=_samples([(", ".join(c.id for c in g[:4]), f"{g[0].question} → {why}") for g, why in found]),
        )


def _odds(group: Sequence[Case], closed: Sequence[str]) -> str:
    if len({case.kind in REFUSED for case in group}) > 1:
        return "one is refused, another is answered"
    for name in closed:
        values = sorted({str(case.reply[name]) for case in group if name in case.reply})
        if len(values) > 1:
            return f"{name}: {' or '.join(values)}"
    numbers = {facts(case.answer, case.question).numbers for case in group}
    if len(numbers) > 1 and all(numbers):
        return "numbers: " + " or ".join(sorted(", ".join(sorted(item)) for item in numbers))
    claims = [facts(case.answer, case.question) for case in group]
    apart = [shared(one, other) for one, other in zip(claims, claims[1:], strict=False) if len(one) >= LEAST_FACTS]
    if apart and max(apart) < 0.2:
        return "the answers share almost no word: " + " | ".join(shown(case.answer, 60) for case in group[:2])
    return ""


def labels(cases: Sequence[Case], closed: Sequence[str]) -> Iterator[Finding]:
    """Find fields of one right value that lean: one value only, one that dominates, values that training hardly or never shows."""
    examples = [case.example for case in cases if case.example is not None]
    training = [example for example in examples if example.split == "train"]
    for name in closed:
        values: dict[str, int] = defaultdict(int)
        for example in training:
            if name in example.reply:
                values[str(example.reply[name])] += 1
        if len(values) == 1 and len(training) > 1:
            yield Finding(
                kind="one label only",
                severity="error",
                says=f"{name} is {next(iter(values))!r} in all {len(training):,} training rows: nothing is to be learned from it",
                do=f"add rows with other values of {name}, or leave the field out of the reply",
            )
        rare = sorted((value for value, count in values.items() if count < RARE), key=lambda value: (values[value], value))
        if len(values) > 1 and rare:
            yield Finding(
                kind="label imbalance",
                severity="warning",
                says=f"{name} has {len(rare)} values with fewer than {RARE} training rows: "
                + ", ".join(f"{value} ({values[value]})" for value in rare[:12]),
                do=f"add rows for these: groundtune examples synthesize, or from the archive; fewer than {RARE} teach a label badly",
            )
    leans = [lean for lean in lean_of(examples, closed).leans if lean.what != "missing" or lean.field == "kind"]
    if leans:
        yield Finding(
            kind="label imbalance",
            severity="warning",
            says="a split leans: "
            + "; ".join(str(lean) for lean in leans[:3])
            + (f"; and {len(leans) - 3} more" if len(leans) > 3 else ""),
            do="add rows of what is missing; weigh whether what dominates here dominates in service too",
            samples=_samples([(lean.field, str(lean)) for lean in leans[:20]]),
        )


def unsupported(cases: Sequence[Case], documents: Mapping[str, Document], quote_field: str) -> Iterator[Finding]:
    """Find answers whose numbers, or most of whose words, stand in none of their documents, and quotes that are not in them."""
    from groundtune.examples.quotes import locate

    numbers: list[tuple[Case, str]] = []
    words: list[tuple[Case, str]] = []
    quotes: list[tuple[Case, str]] = []
    for case in cases:
        texts = readable(documents, case.evidence)
        if not case.answerable or not texts:
            continue
        quoted = case.reply.get(quote_field)
        if isinstance(quoted, str) and quoted.strip() and not any(locate(quoted, text) for text in texts):
            quotes.append((case, quoted))
        lost = missing_numbers(case.answer, [case.question, *texts, *map(str, case.filter.values())])
        if lost:
            numbers.append((case, f"{', '.join(lost)} in: {case.answer}"))
            continue
        claimed = facts(case.answer, case.question)
        share = shared(claimed, facts(" ".join(texts)))
        if len(claimed) >= LEAST_FACTS and share < LITTLE:
            words.append((case, f"{share:.0%} of its words are in its documents: {case.answer}"))
    for what, found, severity, do in (
        ("a quote that is not in their documents", quotes, "error", "copy the quote from the document again"),
        (
            "numbers that neither question nor documents hold",
            numbers,
            "warning",
            "look at each: computed from the documents it may be right, else it teaches to make numbers up",
        ),
        ("words that their documents hardly hold", words, "warning", "look at each: it may be in other words, or from somewhere else"),
    ):
        if found:
            yield Finding(
                kind="unsupported answers",
                severity="error" if severity == "error" else "warning",
                says=f"{_rows(len(found))} answer with {what}",
                do=f"{do}: groundtune examples review --row {found[0][0].id}",
                rows=tuple(case.id for case, _ in found),
                samples=_samples([(case.id, text) for case, text in found]),
            )


def personal(cases: Sequence[Case], open_texts: str) -> Iterator[Finding]:
    """Find personal data and secrets, shown masked. What an open document says as well is no finding."""
    for secret in (True, False):
        found: list[tuple[Case, str]] = []
        for case in cases:
            text = "\n".join([case.question, *(value for value in case.reply.values() if isinstance(value, str)), case.answer])
            hits = [hit for hit in look(text) if hit.secret == secret and (secret or hit.value not in open_texts)]
            if hits:
                found.append((case, ", ".join(f"{hit.name} {hit.masked}" for hit in hits)))
        if not found:
            continue
        yield Finding(
            kind="secrets" if secret else "personal data",
            severity="error" if secret else "warning",
            says=f"{_rows(len(found))} hold what looks like {'a key or a password' if secret else 'personal data'}",
            do="revoke it, and replace it in the row; --fix puts the training rows into quarantine"
            if secret
            else "replace it by a made-up value; --fix puts the training rows into quarantine, where people decide",
            rows=tuple(case.id for case, _ in found),
            samples=_samples([(case.id, text) for case, text in found]),
            fix="quarantined",
            fixed={case.id: text for case, text in found if case.split == "train"},
        )


def stale(cases: Sequence[Case], documents: Mapping[str, Document]) -> Iterator[Finding]:
    """Find rows whose document is gone, no longer holds the quote, or has changed since the row was made."""
    gone: list[tuple[Case, str]] = []
    moved: list[tuple[Case, str]] = []
    for case in cases:
        lost = [text for text in case.stored.wrong if text.startswith("evidence names") or text.startswith("evidence is not in")]
        if lost:
            gone.append((case, "; ".join(lost)))
            continue
        made = case.stored.row.get("made_from")
        for name, hash in made.items() if isinstance(made, dict) else ():
            document = documents.get(f"document:{name}")
            if document is None or hash_of(document) != hash:
                moved.append((case, f"{name} {'is gone' if document is None else 'changed since the row was made'}"))
                break
    if gone:
        yield Finding(
            kind="stale rows",
            severity="error",
            says=f"{_rows(len(gone))} rest on what their documents no longer say",
            do="read the document as it is now and mend or reject the row; --fix puts the training rows into quarantine",
            rows=tuple(case.id for case, _ in gone),
            samples=_samples([(case.id, text) for case, text in gone]),
            fix="quarantined",
            fixed={case.id: text for case, text in gone if case.split == "train"},
        )
    if moved:
        yield Finding(
            kind="stale rows",
            severity="warning",
            says=f"{_rows(len(moved))} have a document that changed since, though the quote still stands in it",
            do="look whether the answer still holds: groundtune examples review --stale; --fix makes the training rows drafts again",
            rows=tuple(case.id for case, _ in moved),
            samples=_samples([(case.id, text) for case, text in moved]),
            fix="draft",
            fixed={case.id: text for case, text in moved if case.split == "train"},
        )


def leaking(cases: Sequence[Case], near: float) -> Iterator[Finding]:
    """Find training rows that give dev, test or the holdout away. Drafts count: they are the training rows of tomorrow."""
    examples = {case.id: case.example for case in cases if case.example is not None}
    found = leaks.find(list(examples.values()), near=near)
    if not found:
        return
    held = {example.split for example in examples.values()} - {"train"}
    names = "dev, test or the holdout" if "holdout" in held else "dev or test"
    asked = {tuple(leaks.words(example.question)) for example in examples.values() if example.split in held}
    groups = {example.split_group for example in examples.values() if example.split in held}
    sources = {item.document_id for example in examples.values() if example.split in held for item in example.evidence}
    fixed = {}
    for example in examples.values():
        if example.split != "train":
            continue
        if tuple(leaks.words(example.question)) in asked:
            fixed[example.id] = f"its question is asked in {names}"
        elif example.split_group in groups:
            fixed[example.id] = f"its split group {example.split_group!r} is used in {names}"
        elif torn := sources & {item.document_id for item in example.evidence}:
            fixed[example.id] = f"its document {min(torn)} is used in {names}"
    yield Finding(
        kind="leaks",
        severity="error",
        says=f"{len(found):,} leaks between splits: what is trained on is asked in {names}",
        do="move both sides to one split; --fix puts the training side into quarantine where the leak is of a whole question, group or"
        " document, and leaves near questions to you",
        rows=tuple(fixed),
        samples=_samples([(str(number), error.message) for number, error in enumerate(found[:20], start=1)]),
        fix="quarantined",
        fixed=fixed,
    )
