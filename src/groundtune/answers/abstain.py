"""Question, passages and what the model wrote → signals → whether to give the answer.

    {"dense": 0.41, "coverage": 0.5, "margin": 0.02, …}  →  Judge  →  Abstention(state="below threshold", probability=0.31, threshold=0.52)

Signals say how well the passages fit the question and how well the reply fits the passages; none looks at the documents that the asker may
not see. What they weigh is fitted on the project's own dev questions (``scores.abstention``). A signal that is not there (no reranker, a
server that tells no token probabilities) is left out, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.answers.reply import Parsed
from groundtune.calibration import Weights
from groundtune.chunks.words import stem, words
from groundtune.types import Abstained, Abstention, Answer, Passage

RETRIEVAL = {
    "fused": "the best passage's score after the fusion",
    "bm25": "the highest score of the search by words, a word of the question",
    "dense": "the highest cosine of a passage with the question",
    "rerank": "the reranker's highest score",
    "margin": "how much higher the best passage scores than the second",
    "passages": "how many passages there are",
    "both": "share of the passages that both searches found",
    "coverage": "share of the question's words that the passages hold",
    "best coverage": "the same, of the one passage that holds most",
}
GENERATION = {
    "logprob": "mean log-probability of the tokens that the model chose",
    "in passages": "share of the answer's words that the passages hold",
    "declined": "1 where the reply is worded as a refusal",
    "says answerable": "1 or 0, as the reply's own field says",
    "cited": "1 where the quote offered was found in a passage",
}
# Letters of an English word that is counted: shorter ones are mostly those that every sentence has.
SHORTEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """When to answer. Without a ``threshold`` it only notes the signals, for a calibration to come.

    ``id`` is the calibration's; ``generation`` whether the model has to be asked before it can be told; ``answerable_field`` is the
    reply's own true or false on whether there is an answer.
    """

    id: str = ""
    threshold: float | None = None
    weights: Weights = field(default_factory=Weights)
    generation: bool = True
    answerable_field: str = "answerable"

    @property
    def wants_logprobs(self) -> bool:
        """Whether the probabilities of tokens are of use."""
        return self.generation and (self.threshold is None or "logprob" in self.weights.terms)

    def verdict(self, signals: Mapping[str, float], *, declined: bool) -> Abstention:
        """Return whether to answer, and why. ``declined``: the model refused by itself, which stands."""
        if self.threshold is None:
            return Abstention(state="declined" if declined else "answered", signals=dict(signals))
        sure = self.weights.probability(signals)
        state: Abstained = "declined" if declined else "answered" if sure >= self.threshold else "below threshold"
        return Abstention(state=state, probability=sure, threshold=self.threshold, calibration=self.id, signals=dict(signals))


def from_retrieval(question: str, passages: Sequence[Passage]) -> dict[str, float]:
    """Return the signals that are known before the model is asked; none where there is no passage."""
    if not passages:
        return {}
    asked = content_words(question)
    held = [content_words(f"{passage.chunk.title} {passage.chunk.text}") for passage in passages]
    found: dict[str, float] = {
        "passages": float(len(passages)),
        "both": sum(_by_both(passage) for passage in passages) / len(passages),
        "fused": max(passage.scores.get("fused", passage.score) for passage in passages),
    }
    ranked = sorted((passage.score for passage in passages), reverse=True)
    if len(ranked) > 1:
        found["margin"] = ranked[0] - ranked[1]
    similar = [passage.similarity for passage in passages if passage.similarity is not None]
    if similar:
        found["dense"] = max(similar)
    by_words = [passage.scores["bm25"] for passage in passages if "bm25" in passage.scores]
    found["bm25"] = max(by_words, default=0.0) / max(1, len(asked))
    reranked = [passage.scores["rerank"] for passage in passages if "rerank" in passage.scores]
    if reranked:
        found["rerank"] = max(reranked)
    if asked:
        found["coverage"] = covered(asked, frozenset().union(*held))
        found["best coverage"] = max(covered(asked, one) for one in held)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def from_generation(answer: Answer, mean_logprob: float | None, answerable_field: str) -> dict[str, float]:
    """Return the signals of what the model wrote; ``answer`` as it stands before it is judged."""
    found = {"declined": float(answer.refused)}
    if answer.passages:
        found["cited"] = float(bool(answer.cited))
        said = content_words(answer.said)
        if said:
            held = frozenset().union(*(content_words(passage.chunk.text) for passage in answer.passages))
            found["in passages"] = covered(said, held)
    told = None if answer.reply is None else answer.reply.get(answerable_field)
    if isinstance(told, bool):
        found["says answerable"] = float(told)
    if mean_logprob is not None and math.isfinite(mean_logprob):
        found["logprob"] = mean_logprob
    return found


def beforehand(judge: Judge | None, question: str, passages: Sequence[Passage]) -> Abstention | None:
    """Return the refusal that the passages alone call for; ``None`` where the model is to be asked."""
    if judge is None or judge.generation or not passages:
        return None
    verdict = judge.verdict(from_retrieval(question, passages), declined=False)
    return verdict if verdict.state == "below threshold" else None


def judged(answer: Answer, judge: Judge | None, mean_logprob: float | None, fallback: tuple[str, Parsed]) -> Answer:
    """Return the answer with why it is given, or the project's ``fallback`` (raw and parsed) in its place."""
    if judge is None or answer.failure:
        return answer
    signals = from_retrieval(answer.question, answer.passages)
    if judge.generation:
        signals |= from_generation(answer, mean_logprob, judge.answerable_field)
    verdict = judge.verdict(signals, declined=answer.refused)
    if verdict.state != "below threshold":
        return replace(answer, abstention=verdict)
    text, parsed = fallback
    return replace(
        answer,
        text=text,
        said=parsed.said,
        reply=parsed.reply,
        quoted="",
        cited=(),
        refused=True,
        abstention=replace(verdict, withheld=answer.text),
    )


def content_words(text: str) -> frozenset[str]:
    """Return the stems of the words that carry meaning, roughly: numbers, words of four letters and more, all words of other scripts."""
    return frozenset(stem(word) for word in words(text) if not word.isascii() or len(word) >= SHORTEST or any(map(str.isdigit, word)))


def covered(asked: frozenset[str], held: frozenset[str]) -> float:
    """Return the share of the stems in ``asked`` that are in ``held``."""
    return len(asked & held) / len(asked)


def _by_both(passage: Passage) -> bool:
    kinds = {name.split()[0] for name in passage.found_by}
    return {"bm25", "dense"} <= kinds
