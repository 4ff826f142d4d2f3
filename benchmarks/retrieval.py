"""How good search is on public collections: nDCG@10 and recall@5/10/100 with 95 % intervals, for each way of searching.

    python benchmarks/retrieval.py cranfield=FOLDER clapnq=FOLDER xquad=FOLDER [squad=FILE] [--trec FOLDER] [--languages]

Collections go the product's own way: documents, split into chunks of the default size, the default embedder, a LanceDB index, ``search``.
A document's rank is that of its best chunk. nDCG@10 and recall@5/10 are at the default depth (40 candidates a search), recall@100 at 200.

cranfield   cran.all.1400, cran.qry, cranqrel: 1,400 abstracts, 225 questions, graded (queries are numbered by position)
clapnq      dev_answerable.jsonl, dev_unanswerable.jsonl: 600 passages, the 300 questions that have an answer
xquad       xquad.<language>.json: 240 paragraphs, 1,190 questions; English, or with --languages every 4th
            question of each of the twelve, each language by itself
squad       train articles of SQuAD 1.1: every 4th article, every 8th question; the set on which defaults were chosen, not a result

``--trec`` checks the metrics against trec_eval's reference output (qrels.test, results.test, out.test.aq). bm25s is compared where it
is installed. Vectors are kept in ``--store`` and computed once. ``--rerank NAME`` adds a reranking plug-in over the hybrid's first 20.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from clapnq import rows_of as clapnq_rows
from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.build import open_live, sync
from groundtune.chunks.cache import EmbeddingCache
from groundtune.chunks.index import Hit, Index, search_text
from groundtune.files import fingerprint
from groundtune.models.embed import Embed, Vectors
from groundtune.models.hashed import HashedEmbed
from groundtune.models.minilm import MiniLM
from groundtune.passages.retrieve import Steps, search
from groundtune.progress import Silent
from groundtune.scores.ranking import ndcg, recall
from groundtune.scores.resample import gather, interval, sign_flip
from groundtune.types import Chunk, Document, Principal

ALL = frozenset(["everyone"])
ASKER = Principal(id="benchmark", groups=ALL)
SPLITTER = {"max_tokens": 200, "min_tokens": 40}
DEPTH, DEEP, RRF_K = 40, 200, 10
METRICS: dict[str, Callable[[Sequence[str], Mapping[str, int]], float]] = {
    "nDCG@10": lambda ranked, grades: ndcg(ranked, grades, 10),
    "R@5": lambda ranked, grades: recall(ranked, grades, 5),
    "R@10": lambda ranked, grades: recall(ranked, grades, 10),
    "R@100": lambda ranked, grades: recall(ranked, grades, 100),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, the grades of documents for it, and the group within which questions are not independent."""

    text: str
    grades: Mapping[str, int]
    group: str


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Documents and judged questions."""

    name: str
    documents: list[Document]
    questions: list[Question]


class Remembered:
    """An index that answers a search it has answered before from memory, so that each way of fusing pays for its fusion alone."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[tuple[Any, ...], list[Hit]] = {}

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by words."""
        key = ("words", text, limit)
        if key not in self._known:
            self._known[key] = self._index.keyword(text, allowed, filter, limit)
        return self._known[key]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by meaning."""
        key = ("meaning", vector.tobytes(), limit)
        if key not in self._known:
            self._known[key] = self._index.dense(vector, allowed, filter, limit)
        return self._known[key]

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Read chunks."""
        return self._index.chunks(ids, allowed)

    def count(self) -> int:
        """Count chunks."""
        return self._index.count()


class Known:
    """The embedder, with the vectors of the questions at hand."""

    def __init__(self, embed: Embed, vectors: Mapping[str, Vectors]) -> None:
        self.name, self.fingerprint = embed.name, embed.fingerprint
        self.dimensions, self.max_tokens = embed.dimensions, embed.max_tokens
        self._embed, self._vectors = embed, vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count tokens."""
        return self._embed.count(texts)

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts."""
        return self._embed.documents(texts)

    def query(self, text: str) -> Vectors:
        """Return the vector that was computed before."""
        return self._vectors[text] if text in self._vectors else self._embed.query(text)


def document(name: str, title: str, text: str) -> Document:
    """Return a document that everyone may read."""
    digest = fingerprint(title, text)
    return Document(id=f"document:{name}", source=name, title=title, text=text, content_hash=digest, readers=ALL)


def cranfield(folder: Path) -> Collection:
    """Read the Cranfield collection: grade 4 for code 1 (a complete answer) down to 1 for code 4, and 5 for the code -1.

    There is one -1 a question and no note on it; every search ranks these documents far above the others, so they are no refusals.
    """
    documents = []
    for part in re.split(r"^\.I ", (folder / "cran.all.1400").read_text(encoding="latin-1"), flags=re.MULTILINE)[1:]:
        number, rest = part.split("\n", 1)
        title = " ".join(re.search(r"\.T\n(.*?)^\.A", rest, re.DOTALL | re.MULTILINE)[1].split())  # type: ignore[index]
        body = " ".join(rest.split("\n.W\n", 1)[1].split())
        if body:
            documents.append(document(f"{int(number)}", title, body.removeprefix(title).strip() or body))
    grades: dict[int, dict[str, int]] = defaultdict(dict)
    for line in (folder / "cranqrel").read_text().splitlines():
        if not line.strip():
            continue
        query, name, code = (int(word) for word in line.split()[:3])
        grades[query][f"document:{name}"] = 5 - code if code > 0 else 5
    asked = re.split(r"^\.I ", (folder / "cran.qry").read_text(), flags=re.MULTILINE)[1:]
    questions = [
        Question(text=" ".join(part.split("\n.W\n", 1)[1].split()), grades=grades[position], group=str(position))
        for position, part in enumerate(asked, start=1)
    ]
    return Collection(name="Cranfield", documents=documents, questions=questions)


def clapnq(folder: Path) -> Collection:
    """Read CLAPNQ: every passage a document, the questions that have an answer; passages of one page are one group."""
    rows = clapnq_rows(folder)
    documents = {row["passage"]: document(str(row["id"]), row["title"], row["passage"]) for row in rows}
    questions = [
        Question(text=row["question"], grades={documents[row["passage"]].id: 1}, group=row["title"]) for row in rows if row["answer"]
    ]
    return Collection(name="CLAPNQ", documents=list(documents.values()), questions=questions)


def squad_like(name: str, articles: list[dict[str, Any]], every: int = 1) -> Collection:
    """Read SQuAD's format: every paragraph a document without a title, the questions on it one group."""
    documents, questions = [], []
    for place, article in enumerate(articles):
        for number, paragraph in enumerate(article["paragraphs"]):
            made = document(f"{place}-{number}", "", paragraph["context"])
            documents.append(made)
            questions += [Question(text=item["question"], grades={made.id: 1}, group=made.id) for item in paragraph["qas"]]
    return Collection(name=name, documents=documents, questions=questions[::every])


def xquad(folder: Path, language: str) -> Collection:
    """Read one language of XQuAD; of the others than English every 4th question, which are the same ones in each."""
    articles = json.loads((folder / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]
    return squad_like(f"XQuAD {language}", articles, every=1 if language == "en" else 4)


def opened(collection: Collection, store: Path, embed: Embed) -> tuple[Remembered, Known, list[Chunk]]:
    """Index a collection, embed its questions, and return both with the chunks; what was embedded before is not embedded again."""
    place = store / re.sub(r"\W+", "-", collection.name.lower())
    began = time.perf_counter()
    version = sync(collection.documents, embed=embed, splitter=SPLITTER, store=place)
    cache = EmbeddingCache(place / "embeddings.sqlite")
    texts = sorted({question.text for question in collection.questions})
    vectors = dict(zip(texts, cache.vectors(texts, embed, Silent()), strict=True))
    cache.close()
    index, _ = open_live(place, embed=embed, splitter=SPLITTER)
    spent = time.perf_counter() - began
    counts = f"{len(collection.documents):,} documents, {version.chunks:,} chunks, {len(collection.questions):,} questions"
    print(f"\n### {collection.name}\n\n{counts}; {spent:.0f} s to index and embed\n", flush=True)
    from groundtune.chunks.split import split

    chunks = [
        chunk
        for item in collection.documents
        for chunk in split(item, embed.count, max_tokens=SPLITTER["max_tokens"], min_tokens=SPLITTER["min_tokens"])
    ]
    return Remembered(index), Known(embed, vectors), chunks


Ranker = Callable[[str, int], list[str]]


def rankers(index: Remembered, embed: Known, steps: Mapping[str, Steps]) -> dict[str, Ranker]:
    """Return the ways of searching: (question, depth) → ids of chunks."""
    may = Predicate(ALL)

    def hybrid(chosen: Steps) -> Ranker:
        def asked(text: str, steps: Steps, limit: int, candidates: int) -> list[str]:
            found = search(text, ASKER, index=index, embed=embed, limit=limit, candidates=candidates, rrf_k=RRF_K, filter=None, steps=steps)
            return [passage.chunk.id for passage in found.passages]

        def ranked(text: str, depth: int) -> list[str]:
            if chosen.rerank is None:
                return asked(text, chosen, depth, depth)
            # Behind the passages that were reranked come the others as they were.
            key = (text, chosen.rerank.fingerprint)
            if key not in reranked:
                reranked[key] = asked(text, chosen, chosen.rerank_depth, DEPTH)
            return [*reranked[key], *asked(text, replace(chosen, rerank=None), depth, depth)]

        return ranked

    reranked: dict[tuple[str, str], list[str]] = {}
    found: dict[str, Ranker] = {
        "BM25": lambda text, depth: [hit.id for hit in index.keyword(text, may, None, depth)],
        "dense": lambda text, depth: [hit.id for hit in index.dense(embed.query(text), may, None, depth)],
    }
    return found | {name: hybrid(chosen) for name, chosen in steps.items()}


def reference(chunks: Sequence[Chunk]) -> Ranker | None:
    """Return bm25s with Snowball's English stemmer over the same chunks, or ``None`` where it is not installed."""
    try:
        import bm25s
        import Stemmer
    except ModuleNotFoundError:
        return None
    stemmer = Stemmer.Stemmer("english")
    model = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    options: dict[str, Any] = {"stopwords": None, "stemmer": stemmer, "show_progress": False}
    model.index(bm25s.tokenize([search_text(chunk) for chunk in chunks], **options), show_progress=False)

    def ranked(text: str, depth: int) -> list[str]:
        places, scores = model.retrieve(bm25s.tokenize([text], **options), k=min(depth, len(chunks)), show_progress=False)
        return [chunks[place].id for place, score in zip(places[0], scores[0], strict=True) if score > 0]

    return ranked


def measured(collection: Collection, ranker: Ranker, owner: Mapping[str, str], metrics: Sequence[str]) -> dict[str, list[float]]:
    """Return each metric's value for each question."""
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for question in collection.questions:
        ranked: dict[int, list[str]] = {}
        for name in metrics:
            depth = DEEP if name == "R@100" else DEPTH
            if depth not in ranked:
                ranked[depth] = list(dict.fromkeys(owner[item] for item in ranker(question.text, depth)))
            values[name].append(METRICS[name](ranked[depth], question.grades))
    return values


def shown(values: list[float], groups: list[str]) -> str:
    """Return a mean with its clustered bootstrap interval."""
    sums, counts = gather(values, groups)
    low, high = interval(sums, counts, resamples=4000, seed=7, level=0.95, low=0.0, high=1.0)
    return f"{sums.sum() / counts.sum():.3f} ({low:.3f}–{high:.3f})"


def against(mine: list[float], other: list[float], groups: list[str]) -> str:
    """Return the mean paired difference with its interval and the p-value of a sign-flip test."""
    sums, counts = gather([a - b for a, b in zip(mine, other, strict=True)], groups)
    low, high = interval(sums, counts, resamples=4000, seed=7, level=0.95, low=-1.0, high=1.0)
    chance, _ = sign_flip(sums, resamples=4000, seed=7)
    return f"{sums.sum() / counts.sum():+.3f} ({low:+.3f} to {high:+.3f}, p {chance:.3f})"


def run(collection: Collection, store: Path, embed: Embed, steps: Mapping[str, Steps], metrics: Sequence[str], default: str) -> None:
    """Measure every way of searching a collection and print its table."""
    index, known, chunks = opened(collection, store, embed)
    owner = {chunk.id: chunk.document_id for chunk in chunks}
    ways = rankers(index, known, steps)
    if isinstance(embed, HashedEmbed):
        ways, default = {"BM25": ways["BM25"]}, "BM25"
    stemmed = reference(chunks)
    if stemmed is not None:
        ways = {"bm25s, stemmed": stemmed, **ways}
    groups = [question.group for question in collection.questions]
    values = {}
    print(f"| | {' | '.join(metrics)} | ms a question |\n|---|{'---|' * (len(metrics) + 1)}")
    for name, ranker in ways.items():
        began = time.perf_counter()
        values[name] = measured(collection, ranker, owner, metrics)
        spent = 1000 * (time.perf_counter() - began) / len(collection.questions)
        print(f"| {name} | {' | '.join(shown(values[name][metric], groups) for metric in metrics)} | {spent:.1f} |", flush=True)
    for other in [name for name in values if name != default]:
        print(f"\n{default} minus {other}, {metrics[0]}: {against(values[default][metrics[0]], values[other][metrics[0]], groups)}", end="")
    print(flush=True)


def check_trec(folder: Path) -> None:
    """Compare nDCG and recall with what trec_eval printed for its own test run, question by question. Raises ``SystemExit``."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.test").read_text().splitlines():
        query, _, name, grade = line.split()
        grades[query][name] = int(grade)
    scored: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for line in (folder / "results.test").read_text().splitlines():
        query, _, name, _, score, _ = line.split()
        scored[query].append((float(score), name))
    compared = 0
    for line in (folder / "out.test.aq").read_text().splitlines():
        measure, query, value = line.split()
        found = re.fullmatch(r"(ndcg_cut|recall)_(\d+)", measure)
        if found is None or query not in grades:
            continue
        # trec_eval orders by score and, where scores are equal, by name backwards.
        ranked = [name for _, name in sorted(scored[query], reverse=True)]
        mine = (ndcg if found[1] == "ndcg_cut" else recall)(ranked, grades[query], int(found[2]))
        if f"{mine:.4f}" != value:
            raise SystemExit(f"question {query}: {measure} is {mine:.4f} here, {value} by trec_eval")
        compared += 1
    print(f"nDCG and recall agree with trec_eval's reference output in all {compared} values")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--trec", type=Path)
    parser.add_argument("--store", type=Path, default=Path("build/retrieval"))
    parser.add_argument("--languages", action="store_true")
    parser.add_argument("--words", action="store_true", help="the search by words alone, which needs no embedder")
    parser.add_argument("--fusions", action="store_true", help="every fusion, not only the default")
    parser.add_argument("--whole", action="store_true", help="a document is one chunk, however long; the embedder reads its beginning")
    parser.add_argument("--every", type=int, default=1, help="take every Nth question, for what is slow")
    parser.add_argument("--rerank", action="append", default=[], metavar="NAME[=MODEL]")
    options = parser.parse_args()

    def taken(collection: Collection) -> Collection:
        return replace(collection, questions=collection.questions[:: options.every])

    if options.trec:
        check_trec(options.trec)
    steps = {"hybrid": Steps(), "hybrid, by rank": Steps(fusion="rrf")}
    if options.fusions:
        steps |= {
            **{f"convex {share}": Steps(fusion="convex", dense_weight=share) for share in (0.5, 0.7, 0.9)},
            "convex-minmax 0.5": Steps(fusion="convex-minmax", dense_weight=0.5),
        }
    for name in options.rerank:
        steps[f"hybrid + {name}"] = Steps(rerank=reranker(name), rerank_depth=20)
    if options.whole:
        SPLITTER["max_tokens"] = 100_000
    embed: Embed = HashedEmbed() if options.words else MiniLM()
    for item in options.sets:
        name, _, place = item.partition("=")
        path = Path(place)
        if name == "xquad":
            languages = sorted(file.suffixes[0][1:] for file in path.glob("xquad.*.json")) if options.languages else ["en"]
            for language in languages:
                run(taken(xquad(path, language)), options.store, embed, steps, list(METRICS), "hybrid")
        elif name == "squad":
            articles = json.loads(path.read_text(encoding="utf-8"))[::4]
            run(taken(squad_like("SQuAD train", articles, every=8)), options.store, embed, steps, list(METRICS), "hybrid")
        elif name in ("cranfield", "clapnq"):
            run(taken({"cranfield": cranfield, "clapnq": clapnq}[name](path)), options.store, embed, steps, list(METRICS), "hybrid")
        else:
            raise SystemExit(f"{item}: expected cranfield=, clapnq=, xquad= or squad=")


def reranker(name: str) -> Any:
    """Open a reranking plug-in by its name, and its model behind an equals sign."""
    from groundtune import plugins

    use, _, model = name.partition("=")
    opened = plugins.load("rerank", use)({"model": model})
    if use == "minilm":
        # Every passage is among the candidates of several questions; here its word pieces are computed once.
        opened._model.pieces = lru_cache(maxsize=4_000)(opened._model.pieces)
    return opened


if __name__ == "__main__":
    main()
