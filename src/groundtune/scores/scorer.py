"""An answer and its example → a mark for each metric; the frame stamps the rest.

    def polite(answer: Answer, example: Example, context: Context) -> Mark:
        return Mark(1.0, "says please") if "please" in answer.said else Mark(0.0, "does not say please")

A scorer returns the least: a value and why. Arm, metric, example and signature (``token_f1|v1|answer:answer``) are added by
``score_all``, so they can be neither forgotten nor forged. A scorer that raises leaves a failed score, in the open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from groundtune.errors import InputError
from groundtune.types import Answer, Chunk, Document, Example, Score

if TYPE_CHECKING:
    from groundtune.examples.quotes import Library
    from groundtune.scores.shingles import Shingles
    from groundtune.scores.support import Support

Permits = Callable[[str, Document], bool]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a scorer says: a value, or ``None`` where the metric does not apply, and why in a few words.

    ``failed`` without a value means that scoring failed; with a value, that the answer had failed and got the worst one.
    """

    value: float | None
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What a judge said: ``marks`` by (criterion, answer id), ``identity`` of the judge and its prompt, without ``|``."""

    identity: str
    marks: Mapping[tuple[str, str], Mark]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What scorers may look at besides the answer and the example.

    ``documents`` maps document ids to all documents; ``permits(asker, document)`` says whether a principal (by id) may read one.
    ``reply_schema`` is ``None`` where replies are plain text. ``support`` tells how well passages bear out a sentence (``None``: by the
    words alone); ``verdicts`` is what a judge said before scoring. What is worked out from these is worked out once.
    """

    documents: Mapping[str, Document]
    reply_schema: Mapping[str, Any] | None
    permits: Permits
    answer_field: str = "answer"
    label_field: str | None = "label"
    quote_field: str = "quote"
    support: Support | None = None
    verdicts: Verdicts | None = None

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The reply fields with one right value: the label, and what the schema closes by ``enum``, ``const`` or a boolean type."""
        if self.reply_schema is None:
            return ()
        properties = self.reply_schema.get("properties", {})
        closed = [
            name
            for name, rule in properties.items()
            if isinstance(rule, Mapping) and ("enum" in rule or "const" in rule or rule.get("type") == "boolean")
        ]
        if self.label_field in properties and self.label_field not in closed:
            closed.append(self.label_field)
        return tuple(sorted(closed))

    @cached_property
    def shingles(self) -> Shingles:
        """Every run of eight words of every document, with the documents that hold it."""
        from groundtune.scores.shingles import Shingles

        return Shingles({name: f"{part.title}\n\n{part.text}" for name, part in self.parts.items()})

    @cached_property
    def library(self) -> Library:
        """The texts of ``parts``, to look quotes up in."""
        from groundtune.examples.quotes import Library

        return Library({name: part.text for name, part in self.parts.items()})

    @cached_property
    def parts(self) -> dict[str, Document]:
        """The documents by id; one whose sections have different readers as one document for each section, by id and place."""
        found: dict[str, Document] = {}
        for name, document in self.documents.items():
            for item in document.sections:
                text = document.text[item.start : item.end]
                found[f"{name}[{item.start}:{item.end}]"] = replace(document, text=text, readers=item.readers, sections=())
            if not document.sections:
                found[name] = document
        return found

    def shown(self, asker: str, chunk: Chunk) -> bool:
        """Return whether a principal may see a chunk. One of a document that is not known is hidden."""
        document = self.documents.get(chunk.document_id)
        if document is None:
            return False
        return self.permits(asker, replace(document, readers=document.readers_of(chunk.start, chunk.end), sections=()))

    @cached_property
    def _seen(self) -> dict[str, frozenset[str]]:
        return {}

    def readable(self, asker: str) -> frozenset[str]:
        """Return the names of the ``parts`` that a principal may read; nothing else may be shown to them."""
        if asker not in self._seen:
            self._seen[asker] = frozenset(name for name, document in self.parts.items() if self.permits(asker, document))
        return self._seen[asker]

    @cached_property
    def quotes(self) -> dict[tuple[str, str], str | None]:
        """Where quotes were found before: (asker, quote) → document id, or ``None``."""
        return {}


Scorer = Callable[[Answer, Example, Context], Mark]
Applies = Callable[[Answer, Example, Context], str | None]


def always(answer: Answer, example: Example, context: Context) -> str | None:
    """Say that a metric applies to every question."""
    return None


def no_settings(context: Context) -> str:
    """Say that a metric has no settings."""
    return "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric: what it means, which way is better, and how it is computed.

    ``low`` and ``high`` bound its values (``None``: no bound). ``worst`` is the value of a failed answer; ``None`` scores failed answers
    like all others. ``applies`` returns why a metric does not apply to an answer. ``paired`` says that whether it applies depends on
    the question alone, so that any two arms can be compared by it.
    """

    name: str
    better: Literal["higher", "lower"]
    low: float
    high: float | None
    worst: float | None
    definition: str
    applies_to: str
    score: Scorer
    applies: Applies = always
    paired: bool = True
    version: int = 1
    settings: Callable[[Context], str] = no_settings

    def signature(self, context: Context) -> str:
        """Return ``name|version|settings``; scores with other signatures are another metric's."""
        return f"{self.name}|v{self.version}|{self.settings(context)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMetric:
    """A metric of an arm as a whole, which is no mean over questions: macro-F1, BLEU, the precision of refusals.

    Each question gives a row of counts, and ``value`` turns sums of rows, (…, width), into values, (…): so the metric of any sample of
    questions is that of its summed counts, and intervals and tests need nothing else. ``prepare`` looks at all examples (the classes
    there are) and returns what counts one answer: a row, or ``None`` where the metric does not apply. A failed answer is counted as
    one that says nothing. Other fields are as in ``Metric``; ``worst`` only says what an arm of failures would get.
    """

    name: str
    better: Literal["higher", "lower"]
    low: float
    high: float | None
    definition: str
    applies_to: str
    prepare: Callable[[Sequence[Example], Context], Callable[[Answer, Example], tuple[float, ...] | None]]
    value: Callable[[Any], Any]
    worst: float | None = 0.0
    paired: bool = True
    version: int = 1
    settings: Callable[[Context], str] = no_settings

    def signature(self, context: Context) -> str:
        """Return ``name|version|settings``, as a metric of single answers has it."""
        return f"{self.name}|v{self.version}|{self.settings(context)}"


AnyMetric = Metric | CorpusMetric


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that differ in one word: ``field:label``, ``refusal:forbidden``. ``make`` gets the word and returns the metric.

    ``words`` describes it for people (``<field>``); ``make`` raises ``ValueError`` for a word that it does not take.
    """

    name: str
    words: str
    make: Callable[[str], AnyMetric]


def score_all(
    answers: Sequence[Answer], examples: Sequence[Example], context: Context, metrics: Mapping[str, Metric] | None = None
) -> list[Score]:
    """Score every answer by every metric (those of ``metrics_for(context)`` unless given), in the order of the answers.

    Raises ``InputError`` for an answer to no known example; never for what a scorer does.
    """
    # metrics imports the scorers, and they import this module.
    from groundtune.scores.metrics import metrics_for

    chosen = metrics_for(context) if metrics is None else metrics
    by_id = {example.id: example for example in examples}
    stamped = [(metric, metric.signature(context)) for metric in chosen.values()]
    scores = []
    for answer in answers:
        example = by_id.get(answer.example_id or "")
        if example is None:
            raise InputError(
                f"{answer.id} answers the example {answer.example_id!r}, which is not among those scored", "type: groundtune evaluate"
            )
        for metric, signature in stamped:
            mark = mark_of(metric, answer, example, context)
            scores.append(
                Score(
                    answer_id=answer.id,
                    example_id=example.id,
                    arm=answer.arm,
                    metric=metric.name,
                    value=mark.value,
                    reason=mark.reason,
                    signature=signature,
                    failed=mark.failed,
                )
            )
    return scores


def mark_of(metric: Metric, answer: Answer, example: Example, context: Context) -> Mark:
    """Return one mark: not applicable, the worst value for a failed answer, the scorer's, or a failed one when the scorer fails."""
    try:
        why_not = metric.applies(answer, example, context)
        if why_not is not None:
            return Mark(None, why_not)
        if answer.failure is not None and metric.worst is not None:
            return Mark(metric.worst, f"the answer failed: {answer.failure}", failed=True)
        mark = metric.score(answer, example, context)
    except Exception as error:  # whatever a scorer raises is a finding about that scorer, not the end of the evaluation
        return Mark(None, f"the scorer failed: {type(error).__name__}: {error}", failed=True)
    if mark.value is None:
        return mark
    top = math.inf if metric.high is None else metric.high
    if not math.isfinite(mark.value) or not metric.low <= mark.value <= top:
        return Mark(None, f"the scorer failed: its value {mark.value} is outside {metric.low} to {top}", failed=True)
    return Mark(float(mark.value), mark.reason, failed=mark.failed or answer.failure is not None)
