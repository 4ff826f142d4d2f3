"""Metrics of a whole arm, as counts of one answer and a function of their sums: macro-F1, precision and recall of refusals, BLEU, TER."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from groundtune.scores.match import field_settings
from groundtune.scores.scorer import Context, CorpusMetric
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.scores.resample import Floats

Count = Callable[[Answer, Example], tuple[float, ...] | None]


def macro_f1(field: str) -> CorpusMetric:
    """Return the metric ``macro_f1:<field>``: the mean F1 over the field's values that the examples want, each value counted alike."""

    def prepare(examples: Sequence[Example], context: Context) -> Count:
        classes = sorted({_label(example.reply[field]) for example in examples if field in example.reply})

        def count(answer: Answer, example: Example) -> tuple[float, ...] | None:
            if field not in example.reply:
                return None
            wanted = _label(example.reply[field])
            given = _label(answer.reply[field]) if answer.failure is None and answer.reply is not None and field in answer.reply else None
            both = (float(name == wanted == given) for name in classes)
            return (*both, *(float(name == given) for name in classes), *(float(name == wanted) for name in classes))

        return count

    def value(sums: Floats) -> Floats:
        import numpy as np

        right, given, wanted = np.split(sums, 3, axis=-1)
        there = given + wanted > 0
        f1 = np.divide(2 * right, given + wanted, out=np.zeros_like(right), where=there)
        return np.asarray(f1.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))

    return CorpusMetric(
        name=f"macro_f1:{field}",
        better="higher",
        low=0.0,
        high=1.0,
        definition=f"Mean over the values of {field} of the F1 of each, so that rare values count like common ones.",
        applies_to=f"questions whose wanted reply has {field}",
        prepare=prepare,
        value=value,
    )


def _label(value: object) -> str:
    return json.dumps(value.strip() if isinstance(value, str) else value, ensure_ascii=False, sort_keys=True)


def _refusals(examples: Sequence[Example], context: Context) -> Count:
    def count(answer: Answer, example: Example) -> tuple[float, ...]:
        refused = answer.refused and answer.failure is None
        return float(refused and not example.answerable), float(refused), float(not example.answerable)

    return count


def _ratio(over: int | None) -> Callable[[Floats], Floats]:
    """Return a function of sums of (right, given, wanted): right over one of them, or over the mean of both."""

    def value(sums: Floats) -> Floats:
        import numpy as np

        right = sums[..., 0]
        below = (sums[..., 1] + sums[..., 2]) / 2 if over is None else sums[..., over]
        return np.asarray(np.divide(right, below, out=np.zeros_like(right), where=below > 0))

    return value


def _refusal(name: str, definition: str, over: int | None) -> CorpusMetric:
    return CorpusMetric(
        name=name,
        better="higher",
        low=0.0,
        high=1.0,
        definition=definition,
        applies_to="every question",
        prepare=_refusals,
        value=_ratio(over),
    )


REFUSAL_PRECISION = _refusal("refusal_precision", "Of the questions refused, the share that is unanswerable; 0 where none is refused.", 1)
REFUSAL_RECALL = _refusal("refusal_recall", "Of the unanswerable questions, the share that is refused.", 2)
REFUSAL_F1 = _refusal("refusal_f1", "Harmonic mean of the precision and the recall of refusals.", None)


@lru_cache(maxsize=2)
def _sacrebleu(name: str) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, name)(**({"effective_order": True} if name == "BLEU" else {}))


def _texts(measure: Callable[..., tuple[float, ...]]) -> Callable[[Sequence[Example], Context], Count]:
    """Return counts of the answerable questions' answers against the wanted texts, all right wordings of each together."""

    def prepare(examples: Sequence[Example], context: Context) -> Count:
        def count(answer: Answer, example: Example) -> tuple[float, ...] | None:
            wanted = example.reply.get(context.answer_field)
            if not example.answerable or not isinstance(wanted, str):
                return None
            return measure("" if answer.failure is not None else answer.said, wanted, *example.also)

        return count

    return prepare


def bleu_counts(said: str, *wanted: str) -> tuple[float, ...]:
    """Return the n-grams matched and said, n from 1 to 4, and the two lengths, of several wanted texts the nearest one: (10,)."""
    scored = _sacrebleu("BLEU").sentence_score(said, list(wanted))
    return (*map(float, scored.counts), *map(float, scored.totals), float(scored.sys_len), float(scored.ref_len))


def bleu_value(sums: Floats) -> Floats:
    """Return BLEU, 0 to 1, of sums of counts: Papineni et al. 2002, an order without a match smoothed as sacrebleu's ``exp`` does it."""
    import numpy as np

    matched, said = sums[..., :4], sums[..., 4:8]
    mine, theirs = sums[..., 8], sums[..., 9]
    # The first order without a match counts as 1/2 of one, the next as 1/4, and so on.
    missing = np.cumsum((matched <= 0) & (said > 0), axis=-1)
    shares = np.where(matched > 0, matched, 0.5**missing) / np.maximum(said, 1)
    usable = np.all(said > 0, axis=-1) & np.any(matched > 0, axis=-1)
    means = np.exp(np.log(shares).mean(axis=-1))
    brevity = np.exp(np.minimum(0.0, 1 - theirs / np.maximum(mine, 1)))
    return np.asarray(np.where(usable, np.minimum(1.0, means * brevity), 0.0))


def ter_counts(said: str, *wanted: str) -> tuple[float, ...]:
    """Return the edits to the nearest wanted text and the words of the wanted text, of several their mean: (2,)."""
    scored = _sacrebleu("TER").sentence_score(said, list(wanted))
    return float(scored.num_edits), float(scored.ref_length)


def ter_value(sums: Floats) -> Floats:
    """Return the edits a wanted word; 0 of nothing, 1 for words said where none are wanted."""
    import numpy as np

    edits, length = sums[..., 0], sums[..., 1]
    return np.asarray(np.where(length > 0, edits / np.maximum(length, 1), np.minimum(edits, 1.0)))


def _sacrebleu_settings(context: Context) -> str:
    import sacrebleu

    return f"{field_settings(context)},sacrebleu:{sacrebleu.__version__}"


def _translation(
    name: str,
    definition: str,
    better: Literal["higher", "lower"],
    counts: Callable[..., tuple[float, ...]],
    value: Callable[[Floats], Floats],
) -> CorpusMetric:
    return CorpusMetric(
        name=name,
        better=better,
        low=0.0,
        high=1.0 if better == "higher" else None,
        worst=0.0 if better == "higher" else 1.0,
        definition=definition,
        applies_to="answerable questions",
        prepare=_texts(counts),
        value=value,
        settings=_sacrebleu_settings,
    )


BLEU = _translation("bleu", "BLEU of all answers together (sacrebleu's words and smoothing), 0 to 1.", "higher", bleu_counts, bleu_value)
TER = _translation("ter", "Translation edit rate (sacrebleu): edits to the wanted text, by wanted word.", "lower", ter_counts, ter_value)
