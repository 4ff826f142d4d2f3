"""``groundtune examples audit``: every check over the rows of a project, the page, and the fixes that are safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from groundtune.access.filter import allowed
from groundtune.answers.prompt import render, reply_text
from groundtune.documents import alike
from groundtune.errors import GroundtuneError, StateError
from groundtune.examples import checks, pair_checks, preferences, ratings
from groundtune.examples.findings import Case, Finding, Report, case_of, counted, shown
from groundtune.examples.recall import Finds, recall
from groundtune.examples.rows import Stored, changed
from groundtune.examples.schema import check as check_reply
from groundtune.examples.tones import Group, forms, tones
from groundtune.files import write_atomic, write_json
from groundtune.project.examples import Curation
from groundtune.types import HELD, Example

if TYPE_CHECKING:
    from groundtune.tables import TuningTable

NEAR = 0.8
MIXED = 0.1  # share of the replies in another form or tone, from which on a set is called mixed
ORDER = ("error", "warning", "note")
CHECKED = (
    "lines that are no JSON, rows that are no examples, replies that do not fit the schema",
    "the same row twice, and nearly the same by MinHash over question and answer",
    "the same question of the same asker with answers that contradict one another",
    "forms and tones of the replies, in clusters",
    "labels: one only, rare ones, lopsided ones, ones that training lacks",
    "length against the model's context and each adapter's max_tokens",
    "numbers, words and quotes of answers that their documents do not hold",
    "personal data and secrets, by pattern and check digit; names and addresses are not found",
    "rows whose document changed or is gone",
    "leaks between train and dev or test: the same or nearly the same question, the same document, a torn group",
    "facts that the weights would have to remember and a document holds",
    "preference pairs and ratings: the same of them, and replies that one line wants and another does not",
)


def audit(curation: Curation) -> Report:
    """Look at every row. Raises ``StateError`` for a set that is empty or has no row left to use."""
    reading = curation.rows()
    if not reading.rows and not reading.problems and not any(path.is_file() for path in curation.preferred()):
        raise StateError(f"{curation.place}: there are no examples yet", "type: groundtune examples import FILE")
    if reading.rows and all(item.status in ("rejected", "quarantined") for item in reading.rows):
        counts = ", ".join(f"{count} {status}" for status, count in reading.counts.items())
        raise StateError(
            f"{curation.place}: no row is left to use: {counts}", "look at them again: groundtune examples review --status quarantined"
        )
    settings = curation.settings
    rows = [_schema_checked(item, curation) for item in reading.rows]
    cases = [case_of(item, settings.answers.answer_field) for item in rows if item.status in ("approved", "draft")]
    closed = _closed_fields(curation)
    found: list[Finding] = [
        *checks.malformed(cases, reading.problems),
        *checks.duplicates(cases, _near),
        *checks.conflicts(cases, closed),
        *_mixed(cases),
        *checks.labels(cases, closed),
        *_lengths(cases, curation),
        *checks.unsupported(cases, curation.documents, settings.answers.quote_field),
        *checks.personal(cases, _open_texts(curation)),
        *checks.stale(cases, curation.documents),
        *checks.leaking(cases, settings.examples.near),
        *_recall(cases, curation),
        *_pairs(curation, cases),
    ]
    return Report(
        project=settings.project.name,
        place=settings.examples.path,
        counts=counted(rows),
        findings=tuple(sorted(found, key=lambda item: (item.state != "measured", ORDER.index(item.severity)))),
        documents=len(curation.documents),
        checked=CHECKED,
    )


def write(curation: Curation, report: Report) -> str:
    """Write the page and the findings as JSON; return the page's path."""
    from groundtune.decisions.examples_page import page
    from groundtune.records.ledger import now

    folder = curation.project.state / "examples"
    write_json(folder / "audit.json", report)
    write_atomic(folder / "audit.html", page(report, now()))
    return str(folder / "audit.html")


def fix(curation: Curation, report: Report, by: str) -> dict[str, dict[str, str]]:
    """Give the training rows of findings with a safe fix their new status, with the reason; return id → status and reason.

    No row's text is changed, none is removed, and none of dev or test is touched. A row with several findings gets the strictest status.
    """
    from groundtune.records.ledger import now

    strict = ("rejected", "quarantined", "draft")
    wanted: dict[str, tuple[str, str]] = {}
    for finding in report.findings:
        for name, reason in finding.fixed.items() if finding.fix else ():
            status, why = wanted.get(name, (str(finding.fix), ""))
            status = min(status, str(finding.fix), key=strict.index)
            wanted[name] = status, "; ".join(part for part in (why, f"{finding.kind}: {reason}") if part)
    seen: set[str] = set()
    changes = []
    for item in curation.rows().rows:
        again = item.id in seen
        seen.add(item.id)
        if item.id not in wanted or item.split != "train" or item.status not in ("approved", "draft"):
            continue
        # Of two rows with one id only the later one is malformed; the first keeps it.
        if not again and any("was used before" in text for text in wanted[item.id][1].split("; ")):
            continue
        status, reason = wanted[item.id]
        if item.status == "draft" and status == "draft":
            continue
        changes.append((item, {"status": status, "reason": reason[:500], "reviewed": {"by": by, "at": now(), "did": "audit --fix"}}))
    done = changed(changes)
    for item in done:
        curation.reported(item)
    return {item.id: {"status": item.status, "reason": str(item.row.get("reason"))} for item in done}


def _schema_checked(item: Stored, curation: Curation) -> Stored:
    reply = item.row.get("reply")
    if item.example is None or not isinstance(reply, dict):
        return item
    wrong: list[str] = []
    if curation.settings.answers.answer_field not in reply:
        wrong = [f"reply has no {curation.settings.answers.answer_field!r}"]
    elif curation.schema is not None:
        wrong = [f"reply: {text}" for text in check_reply(reply, curation.schema)]
    return Stored(path=item.path, line=item.line, row=item.row, wrong=tuple(wrong)) if wrong else item


def _closed_fields(curation: Curation) -> list[str]:
    """Return the reply's fields of which one value is right: the label, and what the schema closes."""
    label = curation.settings.answers.label_field
    rules = (curation.schema or {}).get("properties", {})
    closed = [name for name, rule in rules.items() if "enum" in rule or "const" in rule or rule.get("type") == "boolean"]
    return list(dict.fromkeys([*([label] if label else []), *closed]))


def _near(texts: Mapping[str, str]) -> Sequence[Sequence[str]]:
    return alike.near_duplicates({name: alike.signature(text) for name, text in texts.items()}, NEAR)


def _open_texts(curation: Curation) -> str:
    """Return what every principal may read: a telephone number in there is no secret of a row."""
    people = [allowed(principal) for principal in curation.principals.values()]
    texts = [item.text for item in curation.documents.values() if all(person.permits(item.readers) for person in people)]
    return "\n".join(texts) if people else ""


def _mixed(cases: Sequence[Case]) -> Iterator[Finding]:
    """Find replies in several forms or tones, with samples of each. Refusals are a form of their own and are left out."""
    training = [case for case in cases if case.split == "train" and case.answerable and case.answer]
    for what, groups in (
        ("formats", forms([(case.reply, case.answer) for case in training])),
        ("tones", tones([case.answer for case in training])),
    ):
        large: list[Group] = [group for group in groups if len(group.places) >= max(3, MIXED * len(training))]
        if len(large) < 2:
            continue
        yield Finding(
            kind=f"mixed {what}",
            severity="warning" if what == "formats" else "note",
            says=f"the wanted replies come in {len(large)} {what}: "
            + "; ".join(f"{len(group.places) / len(training):.0%} {group.says}" for group in large),
            do="decide which one is wanted and rewrite or reject the others; mixed on purpose, say in the instructions which is for what",
            rows=tuple(training[place].id for group in large[1:] for place in group.places),
            samples=tuple((group.says, shown(training[place].answer)) for group in large for place in group.places[:2]),
        )


def _lengths(cases: Sequence[Case], curation: Curation) -> Iterator[Finding]:
    """Find rows that do not fit: into the model's context with room to answer, or into an adapter's ``max_tokens``."""
    settings = curation.settings
    examples = [case.example for case in cases if case.example is not None]
    try:
        chat = curation.project.chat
        counts = {example.id: chat.count(_messages(example, curation)) for example in examples}
        bare = {example.id: chat.count(_messages(example, curation)[:-1]) for example in examples}
        context = chat.context
    except (GroundtuneError, ImportError) as error:
        yield Finding(
            kind="rows too long",
            severity="warning",
            state="not run",
            says=f"tokens were not counted: {error.message if isinstance(error, GroundtuneError) else error}",
            do="mend [chat], or install its extra, and audit again",
        )
        return
    long = [(example.id, tokens) for example in examples if (tokens := bare[example.id] + settings.answers.max_new_tokens) > context]
    if long:
        yield Finding(
            kind="rows too long",
            severity="error",
            says=f"{len(long):,} rows do not fit the context of {context:,} tokens with {settings.answers.max_new_tokens:,} for the answer",
            do="shorten the question, or take a model with a longer context",
            rows=tuple(name for name, _ in long),
            samples=tuple((name, f"{tokens:,} tokens") for name, tokens in long[:5]),
        )
    for name, recipe in settings.tuning.items():
        shown_tokens = _passage_tokens(curation, recipe)
        over = [
            (example.id, counts[example.id] + shown_tokens)
            for example in examples
            if example.split == "train" and counts[example.id] + shown_tokens > recipe.max_tokens
        ]
        if over:
            with_passages = f", its passages counted as {shown_tokens:,} at most" if shown_tokens else ""
            yield Finding(
                kind="rows too long",
                severity="warning" if shown_tokens else "error",
                says=f"{len(over):,} training rows have more than the {recipe.max_tokens:,} tokens of [tuning.{name}]{with_passages}",
                do=f"raise max_tokens in [tuning.{name}], or shorten the rows: tuning refuses them",
                rows=tuple(row for row, _ in over),
                samples=tuple((row, f"{tokens:,} tokens") for row, tokens in over[:5]),
            )


def _messages(example: Example, curation: Curation) -> list[dict[str, str]]:
    answers = curation.settings.answers
    asked = render(example.question, instructions=answers.instructions.strip(), filter=example.filter)
    reply = reply_text(example.reply, answers.answer_field, structured=curation.schema is not None)
    return [*map(dict, asked), {"role": "assistant", "content": reply}]


def _passage_tokens(curation: Curation, recipe: TuningTable) -> int:
    if not recipe.passages:
        return 0
    table = curation.settings.chunks
    wide = {"packed": table.max_tokens, "child": table.parent_tokens, "sentence": table.max_tokens * (2 * table.window + 1)}
    return int((recipe.distractors + 1) * wide[table.unit])


def _recall(cases: Sequence[Case], curation: Curation) -> Iterator[Finding]:
    adapters = {name: recipe.passages for name, recipe in curation.settings.tuning.items()}
    finds, why_not = _search(curation)
    yield from recall(cases, adapters, finds, why_not)


def _search(curation: Curation) -> tuple[Finds | None, str]:
    """Return whether search shows a row's evidence, as serving would: over the live index, as the row's asker."""
    from groundtune.scores.grounded import coverage

    try:
        retrieve = curation.project.retriever()
    except (GroundtuneError, ImportError) as error:
        return None, error.message if isinstance(error, GroundtuneError) else str(error)

    def finds(case: Case) -> bool:
        if case.example is None:
            return False
        passages = retrieve(case.question, curation.principals[case.asker], case.filter)
        covered, total = coverage(case.example, passages)
        return total > 0 and covered * 2 >= total

    return finds, ""


def _pairs(curation: Curation, cases: Sequence[Case]) -> Iterator[Finding]:
    """Find what is wrong with preference pairs and ratings: those beside the examples, and those that a [tuning.*] table names."""
    settings = curation.settings
    place = pair_checks.Place(
        documents=curation.documents,
        principals=curation.principals,
        schema=curation.schema,
        answer_field=settings.answers.answer_field,
        held=[case.example for case in cases if case.example is not None and case.split in HELD],
        near=settings.examples.near,
        open_texts=_open_texts(curation),
    )
    for path, rated in curation.preferred().items():
        if path.is_file():
            found, problems = ratings.lines(path) if rated else preferences.lines(path)
            yield from pair_checks.check("ratings" if rated else "preference pairs", path.name, found, problems, place)
