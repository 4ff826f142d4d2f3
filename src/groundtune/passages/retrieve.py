"""Question + principal → passages: rewrite? → search by words and by meaning → fuse → rerank? → diversify? → cut; and why each was allowed.

Every step with a question mark is a switch that is off unless a project turns it on. Whatever a step does, it only chooses and orders:
what may be seen is decided inside each search, and asked again when the texts are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.access.filter import Filter, Predicate, allowed
from groundtune.chunks.index import Hit, Index, search_text
from groundtune.files import fingerprint
from groundtune.passages.diverse import diverse
from groundtune.passages.fuse import convex, reciprocal_rank
from groundtune.passages.rewrite import Message, Rewriter
from groundtune.passages.widen import widened
from groundtune.types import Chunk, Passage, Principal

if TYPE_CHECKING:
    from groundtune.models.chat import Chat
    from groundtune.models.embed import Embed, Vectors
    from groundtune.models.rerank import Rerank
    from groundtune.passages.synonyms import Synonyms

# The share of the search by meaning. For scores against the lowest possible it is the one that Bruch, Gai and Ingber 2023 publish for use
# without tuning (TM2C2, α = 0.8): cosines fill a small part of their scale. See docs/decisions/0010.
DENSE_WEIGHTS = {"rrf": 0.5, "convex": 0.8, "convex-minmax": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What is done for a question beside the two searches. As it stands: fusion alone.

    ``dense_weight`` (0 to 1) is the share of the search by meaning in the fusion; ``DENSE_WEIGHTS`` without it. ``rerank_depth``
    passages are reranked. ``diversity`` is 0 for none, up to 1 for nothing but difference. ``standalone``, ``hyde``, ``variants`` and
    ``parts`` need a ``chat`` model; the last two are how many further queries it may write.
    """

    fusion: str = "convex"
    dense_weight: float | None = None
    synonyms: Synonyms | None = None
    rerank: Rerank | None = None
    rerank_depth: int = 20
    diversity: float = 0.0
    chat: Chat | None = None
    seed: int = 0
    standalone: bool = False
    hyde: bool = False
    variants: int = 0
    parts: int = 0

    @property
    def identity(self) -> str:
        """A fingerprint of all that these steps can change a ranking by."""
        held = {name: getattr(self, name) for name in ("fusion", "dense_weight", "rerank_depth", "diversity", "standalone", "hyde")}
        rules = sorted(self.synonyms.rules.items()) if self.synonyms else None
        models = [model.fingerprint if model else None for model in (self.rerank, self.chat)]
        return fingerprint(held, self.variants, self.parts, self.seed, rules, models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One thing to search for: ``words`` by BM25, ``meaning`` as the mean of these texts' vectors; ``name`` is empty for the question."""

    name: str
    words: str
    meaning: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Passages, best first; the queries that found them; and what went wrong on the way, in words."""

    passages: tuple[Passage, ...]
    queries: tuple[Query, ...]
    notes: tuple[str, ...]


def retrieve(
    question: str,
    principal: Principal,
    *,
    index: Index,
    embed: Embed,
    limit: int = 3,
    candidates: int = 40,
    rrf_k: int = 10,
    filter: Filter | None = None,
    steps: Steps | None = None,
    history: Sequence[Message] = (),
) -> tuple[Passage, ...]:
    """Return up to ``limit`` passages, best first; ``candidates`` is how deep each search looks.

    ``principal`` is asked inside both searches; ``filter`` (metadata name → condition) can only narrow what they may see.
    """
    found = search(
        question,
        principal,
        index=index,
        embed=embed,
        limit=limit,
        candidates=candidates,
        rrf_k=rrf_k,
        filter=filter,
        steps=steps or Steps(),
        history=history,
    )
    return found.passages


def search(
    question: str,
    principal: Principal,
    *,
    index: Index,
    embed: Embed,
    limit: int,
    candidates: int,
    rrf_k: int,
    filter: Filter | None,
    steps: Steps,
    history: Sequence[Message] = (),
) -> Found:
    """Do what ``retrieve`` does, and return the queries and the notes beside the passages. ``history``: messages with role and content."""
    may = allowed(principal)
    writer = Rewriter(steps.chat, steps.seed) if steps.chat else None
    queries = _queries(question, steps, writer, history)
    fused: dict[str, list[tuple[str, float]]] = {}
    ranks: dict[str, dict[str, int]] = {}
    similarity: dict[str, float] = {}
    by_word: dict[str, float] = {}
    for query in queries:
        by_words = index.keyword(query.words, may, filter, candidates)
        by_meaning = index.dense(_vector(query, embed), may, filter, candidates)
        if not query.name:
            similarity = {hit.id: hit.score for hit in by_meaning}
            by_word = {hit.id: hit.score for hit in by_words}
        label = f" ({query.name})" if query.name else ""
        for name, hits in ((f"bm25{label}", by_words), (f"dense{label}", by_meaning)):
            ranks[name] = {hit.id: rank for rank, hit in enumerate(hits, start=1)}
        fused[query.name] = _fused(by_words, by_meaning, steps, rrf_k, candidates)
    order = fused[""]
    if len(fused) > 1:
        order = reciprocal_rank({name: [item for item, _ in found] for name, found in fused.items()}, rrf_k)
    chosen, reranked = _chosen(queries[0].meaning[0], order, index, may, limit, steps)
    if reranked:
        ranks["rerank"] = reranked
    scored = {"bm25": by_word, "fused": dict(order)}

    def ranked() -> Iterator[Passage]:
        for rank, (chunk, score) in enumerate(chosen, start=1):
            scores = {name: found[chunk.id] for name, found in scored.items() if chunk.id in found}
            yield Passage(
                chunk=chunk,
                rank=rank,
                score=score,
                similarity=similarity.get(chunk.id),
                found_by={name: found[chunk.id] for name, found in ranks.items() if chunk.id in found},
                allowed_by=may.reason(chunk.readers),
                scores=scores | ({"rerank": score} if reranked else {}),
            )

    passages = widened(ranked(), index=index, may=may, limit=limit)
    return Found(passages=passages, queries=queries, notes=tuple(writer.notes) if writer else ())


def _queries(question: str, steps: Steps, writer: Rewriter | None, history: Sequence[Message]) -> tuple[Query, ...]:
    """Return what to search for: the question first, then what a model made of it."""
    asked = writer.standalone(question, history) if writer and steps.standalone else question

    def widened(text: str) -> str:
        return steps.synonyms.widen(text) if steps.synonyms else text

    imagined = writer.imagined(asked) if writer and steps.hyde else None
    made = [Query(name="", words=widened(asked), meaning=(asked, imagined) if imagined else (asked,))]
    variants = writer.variants(asked, steps.variants) if writer and steps.variants else []
    parts = writer.parts(asked, steps.parts) if writer and steps.parts else []
    for kind, texts in (("variant", variants), ("part", parts)):
        made += [Query(name=f"{kind} {n}", words=widened(text), meaning=(text,)) for n, text in enumerate(texts, start=1)]
    return tuple(made)


def _vector(query: Query, embed: Embed) -> Vectors:
    import numpy as np

    if len(query.meaning) == 1:
        return embed.query(query.meaning[0])
    asked, *imagined = query.meaning
    # As its authors do it: what was imagined is embedded as a document, and the question is one of those that are averaged.
    mean: Vectors = np.mean([embed.query(asked), *embed.documents(imagined)], axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _fused(by_words: Sequence[Hit], by_meaning: Sequence[Hit], steps: Steps, rrf_k: int, candidates: int) -> list[tuple[str, float]]:
    share = DENSE_WEIGHTS[steps.fusion] if steps.dense_weight is None else steps.dense_weight
    weights = {"bm25": 1 - share, "dense": share}
    if steps.fusion == "rrf":
        # Twice, so that equal shares are the published formula.
        doubled = {name: 2 * weight for name, weight in weights.items()}
        return reciprocal_rank({"bm25": [hit.id for hit in by_words], "dense": [hit.id for hit in by_meaning]}, rrf_k, doubled)
    hits = {"bm25": by_words, "dense": by_meaning}
    return convex(
        {name: [(hit.id, hit.score) for hit in found] for name, found in hits.items()},
        normalise="minmax" if steps.fusion == "convex-minmax" else "theoretical",
        weights=weights,
        cut={name for name, found in hits.items() if len(found) >= candidates},
    )


def _chosen(
    question: str, order: Sequence[tuple[str, float]], index: Index, may: Predicate, limit: int, steps: Steps
) -> tuple[Iterator[tuple[Chunk, float]], dict[str, int]]:
    """Return the chunks to read with their scores, best first, and the ranks that the reranker gave.

    More than ``limit``, as several of them may be read as one; they are fetched only when they are asked for, where nothing reorders them.
    """
    if not steps.rerank and not steps.diversity:
        return _paged(order, index, may, limit), {}
    depth = max(limit, steps.rerank_depth)
    chunks = index.chunks([item for item, _ in order[:depth]], may)
    pool = [(chunks[item], score) for item, score in order[:depth] if item in chunks]
    reranked: dict[str, int] = {}
    if steps.rerank and pool:
        scores = steps.rerank.scores(question, [search_text(chunk) for chunk, _ in pool])
        # Of equals, the one that the fusion had before stays before.
        pool = sorted(((chunk, score) for (chunk, _), score in zip(pool, scores, strict=True)), key=lambda pair: -pair[1])
        reranked = {chunk.id: rank for rank, (chunk, _) in enumerate(pool, start=1)}
    if steps.diversity:
        places = diverse([chunk.text for chunk, _ in pool], [score for _, score in pool], share=1 - steps.diversity, limit=len(pool))
        pool = [pool[place] for place in places]
    return iter(pool), reranked


def _paged(order: Sequence[tuple[str, float]], index: Index, may: Predicate, limit: int) -> Iterator[tuple[Chunk, float]]:
    for begin in range(0, len(order), limit):
        page = order[begin : begin + limit]
        chunks = index.chunks([item for item, _ in page], may)
        yield from ((chunks[item], score) for item, score in page if item in chunks)
