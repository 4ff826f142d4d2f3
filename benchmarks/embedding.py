"""How many chunks a second the default embedder takes, and how long a question takes.

    python benchmarks/embedding.py [CHUNKS]

Chunks are made of words at random, 40 to 160 of them, seeded; the time is the best of three.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time

from groundtune.models.minilm import MiniLM

WORDS = """the harbour crane warranty lasts two years and covers motor rope brake slot tide week late waits booking vessel pilot quay
container berth tariff invoice customs declaration hazardous cargo inspection permit safety helmet""".split()


def main(chunks: int = 128) -> None:
    """Measure and print one JSON object; rates are chunks and tokens a second, times milliseconds."""
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(40, 160))) for _ in range(chunks)]
    began = time.perf_counter()
    embed = MiniLM()
    opened = time.perf_counter() - began
    embed.documents(texts[:8])
    best = min(_seconds(lambda: embed.documents(texts)) for _ in range(3))
    embed.query(texts[0])
    queries = [_seconds(lambda: embed.query("How long is the warranty of a harbour crane?")) for _ in range(50)]
    tokens = sum(embed.count(texts))
    result = {
        "embedder": embed.name,
        "cores": os.cpu_count(),
        "chunks": chunks,
        "tokens_a_chunk": round(tokens / chunks, 1),
        "chunks_a_second": round(chunks / best, 1),
        "tokens_a_second": round(tokens / best),
        "query_ms_median": round(1000 * statistics.median(queries), 2),
        "open_ms": round(1000 * opened),
    }
    print(json.dumps(result, indent=2))


def _seconds(work: object) -> float:
    assert callable(work)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
