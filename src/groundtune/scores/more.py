"""Metrics on demand: measured where ``[scores] metrics`` or the rubric names them."""

from __future__ import annotations

from typing import get_args

from groundtune.scores import form, found, match, numbers, refusal, whole
from groundtune.scores.grounded import citation_applies, recall_applies
from groundtune.scores.judge import judged_metric
from groundtune.scores.meteor import ALPHA, BETA, GAMMA, meteor
from groundtune.scores.metrics import share_metric, spent_metric, text_metric
from groundtune.scores.probed import FAMILY as PROBED
from groundtune.scores.ragas import RAGAS
from groundtune.scores.scorer import AnyMetric, Context, Family, Metric
from groundtune.scores.support import GROUNDED
from groundtune.types import Answer, Example, Kind


def _first_token(answer: Answer, example: Example, context: Context) -> str | None:
    return None if answer.seconds.first_token is not None else "the model does not tell when its first token came"


def _meteor_settings(context: Context) -> str:
    return f"{match.field_settings(context)},exact+stem,alpha:{ALPHA:g},beta:{BETA:g},gamma:{GAMMA:g}"


ROUGE_1 = text_metric("rouge_1", "F-measure of the words shared with the wanted answer.", match.matching(match.rouge_1, "rouge_1"))
ROUGE_2 = text_metric(
    "rouge_2", "F-measure of the pairs of neighbouring words shared with the wanted answer.", match.matching(match.rouge_2, "rouge_2")
)
METEOR = text_metric(
    "meteor",
    "METEOR by equal words and equal stems (Porter), without synonyms, of English texts.",
    match.matching(meteor, "meteor"),
    settings=_meteor_settings,
)
NUMERIC = share_metric(
    "numeric",
    "F1 of the numbers in the answer and in the wanted one; the words around them do not count.",
    "answerable questions whose wanted answer has a number",
    numbers.numeric,
    numbers.has_number,
)
FIELD_F1 = share_metric(
    "field_f1",
    "F1 of the values of the reply's fields, each at its place, less the answer and the quote.",
    "questions whose wanted reply has such fields",
    form.field_f1,
    form.wants_fields,
)
CITATION_PRECISION = share_metric(
    "citation_precision",
    "Share of the citations that overlap the gold evidence; 0 where nothing is cited.",
    "answerable questions with evidence, where replies have a field to quote in",
    found.citation_precision,
    citation_applies,
    version=2,
)
CITATION_RECALL = share_metric(
    "citation_recall",
    "Share of the pieces of gold evidence that a citation overlaps.",
    "answerable questions with evidence, where replies have a field to quote in",
    found.citation_recall,
    citation_applies,
    version=2,
)
EVIDENCE_CITED = share_metric(
    "evidence_cited",
    "Share of the characters of gold evidence that citations cover.",
    "answerable questions with evidence, where replies have a field to quote in",
    found.evidence_cited,
    citation_applies,
    version=2,
)
PASSAGE_NDCG = share_metric(
    "passage_ndcg",
    "nDCG of the passages shown: how early each piece of gold evidence comes.",
    "answerable questions with evidence, for arms that retrieve",
    found.passage_ndcg,
    recall_applies,
    paired=False,
)
RECIPROCAL_RANK = share_metric(
    "reciprocal_rank",
    "1 / rank of the first passage that shows a piece of gold evidence; its mean is MRR.",
    "answerable questions with evidence, for arms that retrieve",
    found.passage_reciprocal_rank,
    recall_applies,
    paired=False,
)
AVERAGE_PRECISION = share_metric(
    "average_precision",
    "Mean precision of the passages at the rank of each piece of gold evidence; its mean is MAP.",
    "answerable questions with evidence, for arms that retrieve",
    found.passage_average_precision,
    recall_applies,
    paired=False,
)
SECONDS_FIRST = spent_metric(
    "seconds_first",
    "Seconds from the question to the first token.",
    lambda answer: answer.seconds.first_token or 0.0,
    "s",
    applies_to="answers of models that tell when their first token came",
    applies=_first_token,
)
SECONDS_RETRIEVAL = spent_metric("seconds_retrieval", "Seconds of the search.", lambda answer: answer.seconds.retrieval, "s")

MORE: dict[str, AnyMetric] = {
    metric.name: metric
    for metric in (
        ROUGE_1,
        ROUGE_2,
        METEOR,
        NUMERIC,
        FIELD_F1,
        CITATION_PRECISION,
        CITATION_RECALL,
        EVIDENCE_CITED,
        PASSAGE_NDCG,
        RECIPROCAL_RANK,
        AVERAGE_PRECISION,
        GROUNDED,
        SECONDS_FIRST,
        SECONDS_RETRIEVAL,
        whole.BLEU,
        whole.TER,
        whole.REFUSAL_PRECISION,
        whole.REFUSAL_RECALL,
        whole.REFUSAL_F1,
    )
}


def refusal_of_kind(kind: str) -> Metric:
    """Return the metric ``refusal:<kind>``. Raises ``ValueError`` for a kind that no question has."""
    kinds = get_args(Kind)
    if kind not in kinds:
        raise ValueError(f"questions are of the kinds {', '.join(kinds)}")
    return share_metric(
        f"refusal:{kind}",
        f"1 if a question of the kind {kind} was refused exactly when it is unanswerable for the asker.",
        f"questions of the kind {kind}",
        refusal.refusal_right,
        refusal.of_kind(kind),
    )


REFUSAL = Family("refusal", "kind", refusal_of_kind)
MACRO_F1 = Family("macro_f1", "field", whole.macro_f1)
JUDGE = Family("judged", "criterion", judged_metric)
FAMILIES = (REFUSAL, MACRO_F1, JUDGE, RAGAS, PROBED)
