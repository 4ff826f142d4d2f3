"""How long a warm ``retrieve()`` takes in an index of 10,000 chunks, part by part, against embedding the question alone.

    python benchmarks/retrieval_latency.py [CHUNKS] [QUERIES]

Texts are generated, seeded; questions are embedded by the default embedder. The chunks' vectors are seeded random unit vectors, not
embeddings of their texts: up to 20,000 chunks all permitted vectors are compared, so the time does not depend on what they hold. Every
third chunk is hidden from the asker. Each query is asked whole and in parts, in turns; the first 20 are not counted.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.access.filter import allowed
from groundtune.chunks.store_lance import LanceStore
from groundtune.models.minilm import MiniLM
from groundtune.passages.retrieve import retrieve
from groundtune.types import Chunk, Principal
from made_text import Writer

WARM_UP, CANDIDATES, LIMIT = 20, 40, 3


def made_chunks(count: int) -> list[Chunk]:
    """Return chunks of about 100 words, five to a document."""
    writer = Writer(7)
    chunks = []
    for number in range(count):
        document, ordinal = divmod(number, 5)
        text = writer.paragraph(7)
        chunks.append(
            Chunk(
                id=f"chunk:page-{document}.md#{ordinal}@{number:08x}",
                document_id=f"document:page-{document}.md",
                document_hash=f"{document:016x}",
                ordinal=ordinal,
                text=text,
                start=ordinal * 1000,
                end=ordinal * 1000 + len(text),
                heading_path=(writer.phrase(3),),
                title=writer.phrase(4),
                readers=frozenset(["board"] if number % 3 == 0 else ["everyone"]),
                tokens=140,
            )
        )
    return chunks


def main(chunks: int = 10_000, queries: int = 200) -> None:
    """Measure and print a table in milliseconds."""
    load = os.getloadavg()[0]
    embed = MiniLM()
    draw = np.random.default_rng(7)
    vectors = draw.standard_normal((chunks, embed.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    writer = Writer(7)
    questions = [f"{writer.phrase(9).capitalize()}?" for _ in range(queries + WARM_UP)]
    asker = Principal(id="ana", groups=frozenset(["everyone"]))
    may = allowed(asker)
    with tempfile.TemporaryDirectory(prefix="groundtune-search-") as name:
        store = LanceStore(Path(name))
        draft = store.draft("chunks", embed.dimensions)
        draft.write(made_chunks(chunks), vectors)
        draft.publish("measured")
        index = store.snapshot("chunks", "measured")
        parts: dict[str, list[float]] = {"embed the question": [], "keyword search": [], "dense search": [], "retrieve(), all of it": []}
        for question in questions:
            vector, embedding = _timed(partial(embed.query, question))
            parts["embed the question"].append(embedding)
            by_words, keyword = _timed(partial(index.keyword, question, may, None, CANDIDATES))
            parts["keyword search"].append(keyword)
            by_meaning, dense = _timed(partial(index.dense, vector, may, None, CANDIDATES))
            parts["dense search"].append(dense)
            found, whole = _timed(partial(retrieve, question, asker, index=index, embed=embed, limit=LIMIT, candidates=CANDIDATES))
            parts["retrieve(), all of it"].append(whole)
            if len(by_words) < CANDIDATES or len(by_meaning) < CANDIDATES or len(found) < LIMIT:
                raise SystemExit(f"too little was found for {question!r}, so this would measure less than the work")

    print(f"python benchmarks/retrieval_latency.py {chunks} {queries}  (load before: {load:.2f})")
    print(f"{chunks:,} chunks (random unit vectors of {embed.dimensions}), {queries} warm queries, {CANDIDATES} candidates of each search")
    print(f"{'part':<24}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'× embedding':>13}")
    base = statistics.median(parts["embed the question"][WARM_UP:])
    for name, times in parts.items():
        kept = times[WARM_UP:]
        middle = statistics.median(kept)
        print(f"{name:<24}{1000 * middle:>9.2f}{1000 * float(np.percentile(kept, 95)):>9.2f}{1000 * max(kept):>9.2f}{middle / base:>13.1f}")


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
