"""An index of 100,000 or 1,000,000 chunks: what it takes to build and to hold, and how fast and how right its searches are.

    python benchmarks/scale.py [ROWS] [QUERIES]

Texts have the word frequencies of English (Zipf), vectors lie in clusters (384 dimensions); both are seeded. Each chunk may be read by
"all", every tenth also by "ten", every hundredth by "one", every thousandth by "tenth", at random. Nothing is embedded: the vectors are
there before, so that rows a second are the index's own. Recall is that of the ten nearest against an exact comparison with all permitted
vectors. The first search of each kind and asker is timed by itself ("first"), since it reads what the later ones find in memory. Beside the
clock, the processor's own time of a search (all threads) is given, which says something on a busy machine, too.
Then documents: the same folder of them again unchanged, and one of them changed until a search finds its new word.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.access.filter import Predicate, allowed
from groundtune.chunks import build
from groundtune.chunks.index import Index
from groundtune.chunks.store_lance import LanceStore
from groundtune.files import fingerprint
from groundtune.passages.retrieve import retrieve
from groundtune.types import Chunk, Document, Principal
from made_text import Writer

WIDTH, BATCH, WORDS = 384, 25_000, 60
SHARES = {"all": 1.0, "ten": 0.1, "one": 0.01, "tenth": 0.001}
CANDIDATES, WARM_UP = 40, 5
EVERYONE = Predicate(frozenset(["everyone"]))


class Given:
    """An embedder that knows the questions' vectors already; documents get one that their text alone decides, for next to nothing."""

    name, fingerprint, dimensions, max_tokens = "given", "given", WIDTH, 512

    def __init__(self) -> None:
        self.known: dict[str, np.ndarray] = {}

    def count(self, texts: Any) -> list[int]:
        """Return how many words each text has."""
        return [len(text.split()) for text in texts]

    def documents(self, texts: Any) -> np.ndarray:
        """Return unit vectors (n, 384)."""
        made = np.stack([np.random.default_rng(len(text)).standard_normal(WIDTH) for text in texts]).astype(np.float32)
        unit: np.ndarray = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit

    def query(self, text: str) -> np.ndarray:
        """Return a question's vector."""
        return self.known[text] if text in self.known else self.documents([text])[0]


class Corpus:
    """Chunks in batches that are the same whenever they are asked for, so that none has to be kept."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.writer = Writer(7, 20_000)
        weights = 1.0 / (np.arange(20_000) + 3)
        self._weights = weights / weights.sum()
        self._words = np.array(self.writer.words, dtype=object)
        draw = np.random.default_rng(7)
        self.centres = draw.standard_normal((max(200, rows // 500), WIDTH)).astype(np.float32)

    def near_centres(self, draw: np.random.Generator, count: int) -> np.ndarray:
        """Return unit vectors (count, 384), each in one of the clusters."""
        made = self.centres[draw.integers(0, len(self.centres), count)] + 0.7 * draw.standard_normal((count, WIDTH), dtype=np.float32)
        unit: np.ndarray = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def vectors(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield (number of the first, vectors, a number from 0 to 1 for each that decides who may read it)."""
        for begin in range(0, self.rows, BATCH):
            draw = np.random.default_rng((11, begin))
            count = min(BATCH, self.rows - begin)
            yield begin, self.near_centres(draw, count), draw.random(count)

    def batches(self) -> Iterator[tuple[list[Chunk], np.ndarray]]:
        """Yield chunks and their vectors."""
        for begin, vectors, chances in self.vectors():
            draw = np.random.default_rng((13, begin))
            picked = self._words[draw.choice(len(self._words), size=(len(vectors), WORDS), p=self._weights)]
            yield [self._chunk(begin + n, " ".join(picked[n]), chances[n]) for n in range(len(vectors))], vectors

    def _chunk(self, number: int, text: str, chance: float) -> Chunk:
        return Chunk(
            id=name_of(number),
            document_id=f"document:d{number // 5:07d}.md",
            document_hash="0" * 16,
            ordinal=number % 5,
            text=text,
            start=0,
            end=len(text),
            heading_path=(),
            title="",
            readers=frozenset(name for name, share in SHARES.items() if chance < share),
            tokens=WORDS,
            metadata={},
        )


def name_of(number: int) -> str:
    """Return the id of a chunk by its number."""
    return f"chunk:{number:08d}"


def main(rows: int = 100_000, queries: int = 100) -> None:
    """Build, measure, print."""
    print(f"python benchmarks/scale.py {rows} {queries}  (load before: {os.getloadavg()[0]:.2f})")
    corpus, embed = Corpus(rows), Given()
    with tempfile.TemporaryDirectory(prefix="groundtune-scale-") as name:
        folder = Path(name)
        _build(corpus, folder)
        draw = np.random.default_rng(17)
        questions = [f"{corpus.writer.phrase(8).capitalize()}?" for _ in range(queries + WARM_UP)]
        embed.known = dict(zip(questions, corpus.near_centres(draw, len(questions)), strict=True))
        exact = _exact(corpus, np.stack([embed.known[item] for item in questions]))
        index = LanceStore(folder / "lance").snapshot("chunks", "measured")
        print(f"{'asker sees':<12}{'search':<10}{'first ms':>10}{'p50 ms':>9}{'p95 ms':>9}{'cpu p50':>9}{'cpu p95':>9}{'recall@10':>11}")
        for group in SHARES:
            _search(index, embed, questions, group, exact[group])
        print(f"searching process, most memory: {_memory():.2f} GB (the exact comparison included)")
    _documents(max(2_000, min(20_000, rows // 10)))


def _build(corpus: Corpus, folder: Path) -> None:
    draft = LanceStore(folder / "lance").draft("chunks", WIDTH)
    writing = 0.0
    for chunks, vectors in corpus.batches():
        writing += _timed(partial(draft.write, chunks, vectors))[1]
    _, indexing = _timed(partial(draft.publish, "measured"))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{corpus.rows:,} chunks of {WORDS} words, {WIDTH} dimensions (raw vectors {corpus.rows * WIDTH * 4 / 1e9:.2f} GB)")
    print(f"write     {writing:8.1f} s   {corpus.rows / writing:>9,.0f} rows/s")
    print(f"index     {indexing:8.1f} s   {corpus.rows / (writing + indexing):>9,.0f} rows/s with writing")
    print(f"disk      {size / 1e9:8.2f} GB")
    print(f"memory    {_memory():8.2f} GB at most, while building")


def _exact(corpus: Corpus, vectors: np.ndarray) -> dict[str, list[set[str]]]:
    """Return the ids of the ten nearest of each question, by group."""
    best: dict[str, list[list[tuple[float, int]]]] = {group: [[] for _ in vectors] for group in SHARES}
    for begin, part, chances in corpus.vectors():
        scores = vectors @ part.T
        for group, share in SHARES.items():
            places = np.nonzero(chances < share)[0]
            for number, row in enumerate(scores[:, places]):
                top = np.argpartition(row, -10)[-10:] if len(row) > 10 else np.arange(len(row))
                found = best[group][number] + [(float(row[place]), begin + int(places[place])) for place in top]
                best[group][number] = sorted(found, reverse=True)[:10]
    return {group: [{name_of(number) for _, number in items} for items in rows] for group, rows in best.items()}


def _search(index: Index, embed: Given, questions: list[str], group: str, exact: list[set[str]]) -> None:
    asker = Principal(id="ana", groups=frozenset([group]))
    may = allowed(asker)
    kinds: dict[str, Callable[[str], Any]] = {
        "keyword": lambda question: index.keyword(question, may, None, CANDIDATES),
        "dense": lambda question: index.dense(embed.query(question), may, None, CANDIDATES),
        "hybrid": lambda question: retrieve(question, asker, index=index, embed=embed, limit=10, candidates=CANDIDATES),
    }
    for kind, work in kinds.items():
        times, busy, right, recall = [], [], [], ""
        for question, wanted in zip(questions, exact, strict=True):
            before = time.process_time()
            found, seconds = _timed(partial(work, question))
            busy.append(1000 * (time.process_time() - before))
            times.append(1000 * seconds)
            if kind == "dense":
                right.append(len({hit.id for hit in found[:10]} & wanted) / len(wanted))
            elif not found:
                raise SystemExit(f"nothing was found for {question!r}, so this would measure less than the work")
        if right:
            recall = f"{np.mean(right):.3f}"
        share = f"{100 * SHARES[group]:g} %"
        told = (f"{np.percentile(part[WARM_UP:], at):>9.1f}" for part in (times, busy) for at in (50, 95))
        print(f"{share:<12}{kind:<10}{times[0]:>10.1f}{''.join(told)}{recall:>11}")


def _documents(count: int) -> None:
    """Time what a sync of documents takes that the index has already, and one of them changed."""
    writer, embed = Writer(23), Given()
    splitter = {"max_tokens": 80, "min_tokens": 20}

    def made(number: int, more: str = "") -> Document:
        text = f"# {number}\n\n{writer.paragraph(3)}\n\n## More\n\n{writer.paragraph(3)}\n{more}"
        return Document(
            id=f"document:{number}.md",
            source=f"{number}.md",
            title=str(number),
            text=text,
            content_hash=fingerprint(text),
            readers=frozenset(["everyone"]),
        )

    documents = [made(number) for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="groundtune-scale-") as name:
        store = Path(name)
        sync = partial(build.sync, embed=embed, splitter=splitter, store=store)
        version, first = _timed(partial(sync, documents))
        _, again = _timed(partial(sync, documents))
        documents[count // 2] = made(count // 2, "\nA zyxwvut stands here.\n")

        def seen() -> bool:
            sync(documents)
            index, _ = build.open_live(store, embed=embed, splitter=splitter)
            return bool(index.keyword("zyxwvut", EVERYONE, None, 3))

        found, changed = _timed(seen)
        if not found:
            raise SystemExit("the changed document is not found")
        print(f"{count:,} documents, {version.chunks:,} chunks: first sync {first:.1f} s; unchanged {again:.2f} s, {count / again:,.0f}/s;")
        print(f"one changed: {changed:.2f} s until a search finds it (reading the folder and embedding apart)")


def _memory() -> float:
    """Return the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
