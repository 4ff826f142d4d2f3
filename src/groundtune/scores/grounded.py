"""Whether an answer stands on the documents: a real quote, the right place cited, the right place found.

Gold evidence is a span of a document's text, in characters, so these are fair to every splitter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundtune.examples.quotes import locate
from groundtune.scores.scorer import Context, Mark
from groundtune.types import Answer, Example, Passage

Span = tuple[int, int]


def quote_applies(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why no quote is due."""
    if not example.answerable and answer.refused:
        return "unanswerable, and refused: there is nothing to quote"
    return _nowhere_to_quote(example, context)


def _nowhere_to_quote(example: Example, context: Context) -> str | None:
    """Say that replies have no place for a quote: without this, a project that asks for none would seem to miss all of them."""
    field = context.quote_field
    if field in example.reply or field in (context.reply_schema or {}).get("properties", {}):
        return None
    return f"neither the wanted reply nor a reply schema has a field {field!r} to quote in"


def quote_found(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when the quote offered stands in a passage shown, or, without passages, in any document that the asker may read."""
    if not answer.quoted.strip():
        return Mark(0.0, "offers no quote")
    if answer.passages:
        for passage in answer.passages:
            if context.shown(answer.asker, passage.chunk) and locate(answer.quoted, passage.chunk.text) is not None:
                return Mark(1.0, f"the quote stands in {passage.chunk.id}")
        return Mark(0.0, "the quote stands in no passage shown")
    where = _document_with(answer, context)
    if where is None:
        return Mark(0.0, "the quote stands in no document that the asker may read")
    return Mark(1.0, f"the quote stands in {where}")


def _document_with(answer: Answer, context: Context) -> str | None:
    """Return the first document, by id, that the asker may read and that holds the quote."""
    key = (answer.asker, answer.quoted)
    if key not in context.quotes:
        names = sorted(context.readable(answer.asker))
        context.quotes[key] = context.library.first(answer.quoted, names)
    return context.quotes[key]


def has_evidence(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why there is no gold evidence to go by."""
    if not example.answerable:
        return "unanswerable: there is no evidence to cite"
    return None if example.evidence else "the example names no evidence"


def citation_applies(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why nothing can be cited: there is no gold evidence, or no place for a quote, which is what is cited by."""
    return has_evidence(answer, example, context) or _nowhere_to_quote(example, context)


def citation(answer: Answer, example: Example, context: Context) -> Mark:
    """Mark 1 when at least one citation overlaps a span of gold evidence. An arm that shows no passages cites nothing."""
    if not answer.cited:
        return Mark(0.0, "cites nothing")
    for cited in answer.cited:
        for gold in example.evidence:
            if cited.document_id == gold.document_id and max(cited.start, gold.start) < min(cited.end, gold.end):
                return Mark(1.0, f"cites the evidence in {gold.document_id}")
    return Mark(0.0, f"cites {answer.cited[0].document_id}, but not the evidence")


def recall_applies(answer: Answer, example: Example, context: Context) -> str | None:
    """Say why recall cannot be measured. An arm that retrieves either shows passages or, having found none, falls back."""
    if not answer.passages and not answer.fallback:
        return "this arm shows no passages"
    return has_evidence(answer, example, context)


def evidence_recall(answer: Answer, example: Example, context: Context) -> Mark:
    """Return the share of the characters of gold evidence that the passages shown cover, each character counted once."""
    covered, total = coverage(example, answer.passages)
    if total == 0:
        return Mark(None, "the evidence is empty")
    return Mark(covered / total, f"{covered} of {total} characters of evidence were shown")


def coverage(example: Example, passages: Sequence[Passage]) -> tuple[int, int]:
    """Return how many characters of gold evidence the passages cover, and how many there are."""
    total = covered = 0
    for document_id in sorted({gold.document_id for gold in example.evidence}):
        gold_spans = union((gold.start, gold.end) for gold in example.evidence if gold.document_id == document_id)
        shown = union((passage.chunk.start, passage.chunk.end) for passage in passages if passage.chunk.document_id == document_id)
        total += sum(end - start for start, end in gold_spans)
        covered += sum(max(0, min(a_end, b_end) - max(a, b)) for a, a_end in gold_spans for b, b_end in shown)
    return covered, total


def union(spans: Iterable[Span]) -> list[Span]:
    """Merge spans that overlap or touch; sorted, disjoint, empty ones dropped."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
