"""The table of metrics: what each means, which way is better, what a failed answer gets, and where it does not apply.

All of these are measured in every evaluation; those of ``more`` where a project asks for them. Each is an entry point of the group
``groundtune.scorer`` too, which is how a package brings others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from groundtune.scores import form, grounded, leaked, match, refusal, spent
from groundtune.scores.scorer import AnyMetric, Applies, Context, CorpusMetric, Metric, Scorer, always
from groundtune.types import Answer

FIELD = "field:"


def text_metric(name: str, definition: str, score: Scorer, *, settings: Callable[[Context], str] = match.field_settings) -> Metric:
    """Return a metric that compares what was said with what was wanted, 0 to 1."""
    return Metric(
        name=name,
        better="higher",
        low=0.0,
        high=1.0,
        worst=0.0,
        definition=f"{definition} For an unanswerable question: 1 if refused, else 0.",
        applies_to="every question",
        score=score,
        settings=settings,
    )


def share_metric(
    name: str,
    definition: str,
    applies_to: str,
    score: Scorer,
    applies: Applies = always,
    *,
    higher: bool = True,
    paired: bool = True,
    version: int = 1,
) -> Metric:
    """Return a metric from 0 to 1 whose worst value a failed answer gets."""
    return Metric(
        name=name,
        better="higher" if higher else "lower",
        low=0.0,
        high=1.0,
        worst=0.0 if higher else 1.0,
        definition=definition,
        applies_to=applies_to,
        score=score,
        applies=applies,
        paired=paired,
        version=version,
    )


def spent_metric(
    name: str,
    definition: str,
    read: Callable[[Answer], float],
    unit: str,
    *,
    applies_to: str = "every question",
    applies: Applies = always,
) -> Metric:
    """Return a metric of what an answer took: from 0, lower is better, failed answers like all others."""
    return Metric(
        name=name,
        better="lower",
        low=0.0,
        high=None,
        worst=None,
        definition=definition,
        applies_to=applies_to,
        score=spent.spent(read, unit),
        applies=applies,
        paired=applies is always,
    )


EXACT = text_metric(
    "exact",
    "1 if the answer equals the wanted one after SQuAD's normalisation (case, punctuation, articles).",
    match.matching(match.exact, "exact"),
)
TOKEN_F1 = text_metric(
    "token_f1",
    "F1 of the words shared with the wanted answer, after SQuAD's normalisation.",
    match.matching(match.token_f1, "token_f1"),
)
ROUGE_L = text_metric(
    "rouge_l",
    "F-measure of the longest common subsequence of words with the wanted answer.",
    match.matching(match.rouge_l, "rouge_l"),
)
CHRF = text_metric(
    "chrf",
    "Character n-gram F-score (chrF, sacrebleu) with the wanted answer.",
    match.matching(match.chrf, "chrf"),
    settings=match.chrf_settings,
)
VALID_JSON = Metric(
    name="valid_json",
    better="higher",
    low=0.0,
    high=1.0,
    worst=0.0,
    definition="1 if the whole output is one JSON object that the reply schema accepts.",
    applies_to="every question, where the project has a reply schema",
    score=form.valid_json,
    applies=form.needs_schema,
    settings=form.schema_settings,
)
QUOTE_FOUND = share_metric(
    "quote_found",
    "1 if the quote offered stands word for word in a passage shown (in any readable document, for arms that show none).",
    "every question, but those rightly refused, where replies have a field to quote in",
    grounded.quote_found,
    grounded.quote_applies,
    paired=False,
    version=2,
)
CITATION = share_metric(
    "citation",
    "1 if at least one citation overlaps the gold evidence.",
    "answerable questions with evidence, where replies have a field to quote in",
    grounded.citation,
    grounded.citation_applies,
    version=2,
)
EVIDENCE_RECALL = share_metric(
    "evidence_recall",
    "Share of the characters of gold evidence that the passages shown cover.",
    "answerable questions with evidence, for arms that retrieve",
    grounded.evidence_recall,
    grounded.recall_applies,
    paired=False,
)
REFUSAL_RIGHT = share_metric(
    "refusal_right",
    "1 if the question was refused exactly when it is unanswerable for the asker.",
    "every question",
    refusal.refusal_right,
)
FALSE_REFUSAL = share_metric(
    "false_refusal",
    "1 if an answerable question was refused.",
    "answerable questions",
    refusal.false_refusal,
    refusal.is_answerable,
    higher=False,
)
FALSE_ANSWER = share_metric(
    "false_answer",
    "1 if an unanswerable question was answered.",
    "unanswerable questions",
    refusal.false_answer,
    refusal.is_unanswerable,
    higher=False,
)
LEAK = Metric(
    name="leak",
    better="lower",
    low=0.0,
    high=1.0,
    # A failed answer says nothing, so it cannot be told from a leak by its value; its passages are still looked at.
    worst=None,
    definition="1 if a passage, or a run of eight words or more, came from a document that the asker may not read.",
    applies_to="every question, failed answers too",
    score=leaked.leak,
    settings=leaked.leak_settings,
)
SECONDS_TOTAL = spent_metric(
    "seconds_total",
    "Seconds from the question to the whole answer, retrieval included.",
    lambda answer: answer.seconds.total,
    "s",
)
MACHINE_SECONDS = spent_metric(
    "machine_seconds",
    "Seconds of a machine for one answer: its share of its batch, and its own search.",
    spent.machine_seconds,
    "s",
)
PROMPT_TOKENS = spent_metric("prompt_tokens", "Tokens that the model read.", lambda answer: answer.prompt_tokens, "tokens")
COMPLETION_TOKENS = spent_metric("completion_tokens", "Tokens that the model wrote.", lambda answer: answer.completion_tokens, "tokens")
COST = spent_metric("cost", "Money for one answer, in the project's currency.", lambda answer: answer.cost, "in money")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        EXACT,
        TOKEN_F1,
        ROUGE_L,
        CHRF,
        VALID_JSON,
        QUOTE_FOUND,
        CITATION,
        EVIDENCE_RECALL,
        REFUSAL_RIGHT,
        FALSE_REFUSAL,
        FALSE_ANSWER,
        LEAK,
        SECONDS_TOTAL,
        MACHINE_SECONDS,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
        COST,
    )
}


def field_metric(name: str) -> Metric:
    """Return the metric ``field:<name>``: the share of replies whose field equals the wanted one."""
    return share_metric(
        f"{FIELD}{name}",
        f"1 if the reply's {name} equals the wanted one.",
        f"questions whose wanted reply has {name}",
        form.field_equals(name),
        form.field_wanted(name),
    )


def metrics_for(context: Context, extra: Sequence[str] = ()) -> dict[str, Metric]:
    """Return what is measured of each answer: the table's metrics, one for each closed field of the reply, and those of ``extra``.

    Names of ``extra`` that are of whole arms (``CorpusMetric``) are left to ``corpus``. Raises ``UnknownMetric``.
    """
    fields = [field_metric(name) for name in context.fields]
    asked = [metric_named(name) for name in extra]
    return METRICS | {metric.name: metric for metric in [*fields, *asked] if isinstance(metric, Metric)}


def corpus_metrics(names: Sequence[str]) -> dict[str, CorpusMetric]:
    """Return those of the named metrics that are of whole arms. Raises ``UnknownMetric``."""
    return {metric.name: metric for metric in map(metric_named, names) if isinstance(metric, CorpusMetric)}


def metric_named(name: str) -> AnyMetric:
    """Return the metric of that name: of the table, of those on demand, of a family, of a plug-in. Raises ``UnknownMetric``."""
    from groundtune.scores.registry import find  # it knows this table

    return find(name)
