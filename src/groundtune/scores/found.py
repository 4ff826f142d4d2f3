"""How early the evidence came in the passages shown: the passages of an answer → a ranking → nDCG, reciprocal rank, average precision.

    passages [other, covers evidence 1, covers evidence 2], 2 pieces of evidence
    → ranked ["passage 1", "evidence 0", "evidence 1"]  →  reciprocal rank 1/2, average precision (1/2 + 2/3) / 2

A passage is a hit for the pieces of evidence of which it shows at least half the characters, and which no earlier passage has shown. Pieces
that one passage shows together count as one piece. What is not shown at all counts against the ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from groundtune.scores.grounded import union
from groundtune.scores.ranking import average_precision, ndcg, reciprocal_rank
from groundtune.scores.scorer import Context, Mark, Scorer
from groundtune.types import Answer, Evidence, Example, Passage

LEAST = 0.5
Measure = Callable[[Sequence[str], Mapping[str, int]], float]


def ranking(example: Example, passages: Sequence[Passage]) -> tuple[list[str], dict[str, int]]:
    """Return the passages as a ranking of items, and which items are relevant."""
    open_pieces = list(enumerate(example.evidence))
    ranked: list[str] = []
    grades: dict[str, int] = {}
    for place, passage in enumerate(sorted(passages, key=lambda item: item.rank)):
        shown = [(number, piece) for number, piece in open_pieces if _covers(passage, piece)]
        if shown:
            name = f"evidence {shown[0][0]}"
            grades[name] = 1
            open_pieces = [item for item in open_pieces if item not in shown]
        else:
            name = f"passage {place}"
        ranked.append(name)
    grades |= {f"evidence {number}": 1 for number, _ in open_pieces}
    return ranked, grades


def _covers(passage: Passage, piece: Evidence) -> bool:
    if passage.chunk.document_id != piece.document_id or piece.end <= piece.start:
        return False
    both = min(passage.chunk.end, piece.end) - max(passage.chunk.start, piece.start)
    return both >= LEAST * (piece.end - piece.start)


def _scorer(measure: Measure, name: str) -> Scorer:
    def score(answer: Answer, example: Example, context: Context) -> Mark:
        ranked, grades = ranking(example, answer.passages)
        places = [str(rank) for rank, item in enumerate(ranked, start=1) if item in grades]
        where = f"at {', '.join(places)}" if places else "nowhere"
        return Mark(measure(ranked, grades), f"{name}: evidence {where} in {len(ranked)} passages, {len(grades)} pieces wanted")

    return score


passage_ndcg = _scorer(lambda ranked, grades: ndcg(ranked, grades, max(len(ranked), len(grades))), "ndcg")
passage_reciprocal_rank = _scorer(reciprocal_rank, "reciprocal rank")
passage_average_precision = _scorer(average_precision, "average precision")


def citation_precision(answer: Answer, example: Example, context: Context) -> Mark:
    """Return the share of the citations that overlap the gold evidence; nothing cited is 0."""
    if not answer.cited:
        return Mark(0.0, "cites nothing")
    right = sum(any(_meet(cited.document_id, cited.start, cited.end, piece) for piece in example.evidence) for cited in answer.cited)
    return Mark(right / len(answer.cited), f"{right} of {len(answer.cited)} citations overlap the evidence")


def citation_recall(answer: Answer, example: Example, context: Context) -> Mark:
    """Return the share of the pieces of gold evidence that a citation overlaps."""
    met = sum(any(_meet(cited.document_id, cited.start, cited.end, piece) for cited in answer.cited) for piece in example.evidence)
    return Mark(met / len(example.evidence), f"{met} of {len(example.evidence)} pieces of evidence are cited")


def evidence_cited(answer: Answer, example: Example, context: Context) -> Mark:
    """Return the share of the characters of gold evidence that citations cover, each character once."""
    total = covered = 0
    for document_id in sorted({piece.document_id for piece in example.evidence}):
        gold = union((piece.start, piece.end) for piece in example.evidence if piece.document_id == document_id)
        cited = union((item.start, item.end) for item in answer.cited if item.document_id == document_id)
        total += sum(end - start for start, end in gold)
        covered += sum(max(0, min(a_end, b_end) - max(a, b)) for a, a_end in gold for b, b_end in cited)
    if total == 0:
        return Mark(None, "the evidence is empty")
    return Mark(covered / total, f"{covered} of {total} characters of evidence are cited")


def _meet(document_id: str, start: int, end: int, piece: Evidence) -> bool:
    return document_id == piece.document_id and max(start, piece.start) < min(end, piece.end)
