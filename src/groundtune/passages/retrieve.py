"""Question + principal → passages: search by words and by meaning, fuse, cut, and say why each was allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from groundtune.access.filter import allowed
from groundtune.chunks.index import Index
from groundtune.passages.fuse import reciprocal_rank
from groundtune.types import Chunk, Passage, Principal

if TYPE_CHECKING:
    from groundtune.models.embed import Embed


def retrieve(
    question: str,
    principal: Principal,
    *,
    index: Index,
    embed: Embed,
    limit: int = 3,
    candidates: int = 40,
    rrf_k: int = 10,
    filter: Mapping[str, str] | None = None,
) -> tuple[Passage, ...]:
    """Return up to ``limit`` passages, best first; ``candidates`` is how deep each search looks.

    ``principal`` is asked inside both searches; ``filter`` (metadata name → value) can only narrow what they may see.
    """
    may = allowed(principal)
    vector = embed.query(question)
    by_words = index.keyword(question, may, filter, candidates)
    by_meaning = index.dense(vector, may, filter, candidates)
    chunks: dict[str, Chunk] = {chunk.id: chunk for chunk, _ in (*by_words, *by_meaning)}
    similarity = {chunk.id: score for chunk, score in by_meaning}
    rankings = {"bm25": [chunk.id for chunk, _ in by_words], "dense": [chunk.id for chunk, _ in by_meaning]}
    ranks = {name: {item: rank for rank, item in enumerate(ranking, start=1)} for name, ranking in rankings.items()}
    fused = reciprocal_rank(rankings, rrf_k)[:limit]
    return tuple(
        Passage(
            chunk=chunks[item],
            rank=rank,
            score=score,
            similarity=similarity.get(item),
            found_by={name: found[item] for name, found in ranks.items() if item in found},
            allowed_by=may.reason(chunks[item].readers),
        )
        for rank, (item, score) in enumerate(fused, start=1)
    )
