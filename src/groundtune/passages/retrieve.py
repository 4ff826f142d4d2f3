"""Question + principal → passages: search by words and by meaning, fuse, cut, and say why each was allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from groundtune.access.filter import allowed
from groundtune.chunks.index import Index
from groundtune.passages.fuse import reciprocal_rank
from groundtune.passages.widen import widened
from groundtune.types import Passage, Principal

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
    by_words = index.keyword(question, may, filter, candidates)
    by_meaning = index.dense(embed.query(question), may, filter, candidates)
    similarity = {hit.id: hit.score for hit in by_meaning}
    rankings = {"bm25": [hit.id for hit in by_words], "dense": [hit.id for hit in by_meaning]}
    ranks = {name: {item: rank for rank, item in enumerate(ranking, start=1)} for name, ranking in rankings.items()}
    fused = reciprocal_rank(rankings, rrf_k)

    def found() -> Iterator[Passage]:
        # Read page by page: more than the first is needed only where several of it are read as one.
        for begin in range(0, len(fused), limit):
            chunks = index.chunks([item for item, _ in fused[begin : begin + limit]], may)
            for rank, (item, score) in enumerate(fused[begin : begin + limit], start=begin + 1):
                yield Passage(
                    chunk=chunks[item],
                    rank=rank,
                    score=score,
                    similarity=similarity.get(item),
                    found_by={name: there[item] for name, there in ranks.items() if item in there},
                    allowed_by=may.reason(chunks[item].readers),
                )

    return widened(found(), index=index, may=may, limit=limit)
