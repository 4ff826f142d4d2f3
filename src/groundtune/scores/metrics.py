"""The table of metrics: what each means, which way is better, what a failed answer gets, and where it does not apply."""

from __future__ import annotations

from groundtune.errors import UnknownName
from groundtune.scores import form, grounded, leaked, match, refusal, spent
from groundtune.scores.scorer import Applies, Context, Metric, Scorer, always

FIELD = "field:"


def _text(name: str, definition: str, score: Scorer) -> Metric:
    return Metric(
        name=name,
        better="higher",
        low=0.0,
        high=1.0,
        worst=0.0,
        definition=f"{definition} For an unanswerable question: 1 if refused, else 0.",
        applies_to="every question",
        score=score,
        settings=match.chrf_settings if name == "chrf" else match.field_settings,
    )


def _share(
    name: str, definition: str, applies_to: str, score: Scorer, applies: Applies = always, *, higher: bool = True, paired: bool = True
) -> Metric:
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
    )


def _spent(name: str, definition: str, score: Scorer) -> Metric:
    return Metric(
        name=name, better="lower", low=0.0, high=None, worst=None, definition=definition, applies_to="every question", score=score
    )


_ALL = (
    _text(
        "exact",
        "1 if the answer equals the wanted one after SQuAD's normalisation (case, punctuation, articles).",
        match.matching(match.exact, "exact"),
    ),
    _text(
        "token_f1",
        "F1 of the words shared with the wanted answer, after SQuAD's normalisation.",
        match.matching(match.token_f1, "token_f1"),
    ),
    _text(
        "rouge_l",
        "F-measure of the longest common subsequence of words with the wanted answer.",
        match.matching(match.rouge_l, "rouge_l"),
    ),
    _text("chrf", "Character n-gram F-score (chrF, sacrebleu) with the wanted answer.", match.matching(match.chrf, "chrf")),
    Metric(
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
    ),
    _share(
        "quote_found",
        "1 if the quote offered stands word for word in a passage shown (in any readable document, for arms that show none).",
        "every question, but those rightly refused",
        grounded.quote_found,
        grounded.quote_applies,
        paired=False,
    ),
    _share(
        "citation",
        "1 if at least one citation overlaps the gold evidence.",
        "answerable questions with evidence",
        grounded.citation,
        grounded.has_evidence,
    ),
    _share(
        "evidence_recall",
        "Share of the characters of gold evidence that the passages shown cover.",
        "answerable questions with evidence, for arms that retrieve",
        grounded.evidence_recall,
        grounded.recall_applies,
        paired=False,
    ),
    _share(
        "refusal_right",
        "1 if the question was refused exactly when it is unanswerable for the asker.",
        "every question",
        refusal.refusal_right,
    ),
    _share(
        "false_refusal",
        "1 if an answerable question was refused.",
        "answerable questions",
        refusal.false_refusal,
        refusal.is_answerable,
        higher=False,
    ),
    _share(
        "false_answer",
        "1 if an unanswerable question was answered.",
        "unanswerable questions",
        refusal.false_answer,
        refusal.is_unanswerable,
        higher=False,
    ),
    Metric(
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
    ),
    _spent(
        "seconds_total",
        "Seconds from the question to the whole answer, retrieval included.",
        spent.spent(lambda answer: answer.seconds.total, "s"),
    ),
    _spent(
        "machine_seconds",
        "Seconds of a machine for one answer: its share of its batch, and its own search.",
        spent.spent(spent.machine_seconds, "s"),
    ),
    _spent("prompt_tokens", "Tokens that the model read.", spent.spent(lambda answer: answer.prompt_tokens, "tokens")),
    _spent("completion_tokens", "Tokens that the model wrote.", spent.spent(lambda answer: answer.completion_tokens, "tokens")),
    _spent("cost", "Money for one answer, in the project's currency.", spent.spent(lambda answer: answer.cost, "in money")),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def field_metric(name: str) -> Metric:
    """Return the metric ``field:<name>``: the share of replies whose field equals the wanted one."""
    return _share(
        f"{FIELD}{name}",
        f"1 if the reply's {name} equals the wanted one.",
        f"questions whose wanted reply has {name}",
        form.field_equals(name),
        form.field_wanted(name),
    )


def metrics_for(context: Context) -> dict[str, Metric]:
    """Return all metrics of a project: the table's, and one for each closed field of its reply."""
    fields = [field_metric(name) for name in context.fields]
    return METRICS | {metric.name: metric for metric in fields}


def metric_named(name: str) -> Metric:
    """Return the metric of that name, ``field:…`` included. Raises ``UnknownName`` with the known ones."""
    if name.startswith(FIELD) and len(name) > len(FIELD):
        return field_metric(name.removeprefix(FIELD))
    if name not in METRICS:
        raise UnknownName.of("metric", name, [*METRICS, "field:<name>"], "mend [rubric] in groundtune.toml, then type: groundtune check")
    return METRICS[name]
