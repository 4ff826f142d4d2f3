"""The way of splitting and searching that shows most of the evidence, for no more tokens than are shown now.

    dev and train questions → two parts by source
        searched part   every setting: share of the evidence's characters that the passages cover, tokens shown; paired with the present one
        held-out part   the best setting against the present one, once: only this can recommend a change

Gold evidence is character spans, so settings that cut in different places are measured alike. The test questions are not read here.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import plugins
from groundtune.access.filter import Predicate
from groundtune.chunks.index import Hit, Index
from groundtune.errors import StateError
from groundtune.files import fingerprint
from groundtune.scores.estimate import compare, holm, mean
from groundtune.scores.grounded import coverage
from groundtune.types import Chunk, Estimate, Example, Passage, Score

if TYPE_CHECKING:
    import numpy as np

    from groundtune.models.embed import Embed
    from groundtune.project.main import Project

METRIC = "evidence_recall"
HELD_OUT = 0.4  # share of the questions that the search does not see
MOST_PASSAGES = 12
TIMED = 30  # questions by which latency is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to split and search. ``splitter`` is what an index is stamped with; ``embedder`` is ``use`` or ``use:model``."""

    splitter: Mapping[str, Any]
    embedder: str
    limit: int
    candidates: int
    rrf_k: int

    @property
    def name(self) -> str:
        """Return it in a line."""
        stamp = dict(self.splitter)
        unit = stamp.pop("unit", "packed")
        rest = " ".join(f"{name} {value}" for name, value in stamp.items() if not (unit == "sentence" and name == "min_tokens"))
        return f"{unit} {rest} · {self.embedder} · limit {self.limit} candidates {self.candidates} rrf_k {self.rrf_k}"

    def lines(self, present: Setting) -> list[str]:
        """Return the lines of groundtune.toml that differ from the present setting."""
        defaults = {"unit": "packed", "context": "headings"}
        chunks = {
            name: value for name, value in {**defaults, **self.splitter}.items() if value != {**defaults, **present.splitter}.get(name)
        }
        passages = {name: getattr(self, name) for name in ("limit", "candidates", "rrf_k") if getattr(self, name) != getattr(present, name)}
        use, _, model = self.embedder.partition(":")
        embed = {} if self.embedder == present.embedder else {"use": use, **({"model": model} if model else {})}
        written: list[str] = []
        for table, values in (("embed", embed), ("chunks", chunks), ("passages", passages)):
            if values:
                written += [f"[{table}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
        return written


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a setting was worth on the searched part. ``tokens`` and ``passages`` are shown to a question on average.

    ``versus_present`` is paired, with p-values corrected for the rows of the table; the best of many looks better than it is.
    """

    name: str
    setting: Setting
    coverage: float
    tokens: float
    passages: float
    versus_present: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """``verdict`` in words; ``lines`` to write into groundtune.toml, empty unless the held-out part shows that they help.

    ``check`` compares ``best`` with ``present`` on the held-out part; ``milliseconds`` is the median of a search, the question's
    embedding included.
    """

    verdict: str
    lines: tuple[str, ...]
    present: Tried
    best: Tried
    tried: tuple[Tried, ...]
    settings_tried: int
    questions: Mapping[str, int]
    token_limit: float
    check: Estimate | None
    check_means: Mapping[str, Estimate]
    check_tokens: Mapping[str, float]
    milliseconds: Mapping[str, float]


def tune_index(project: Project, *, embedders: Sequence[str] = (), most_tokens: int | None = None) -> Tuned:
    """Search over splitter, embedder, fusion and depth. ``most_tokens`` is what may be shown to a question on average.

    Without it, no more than a tenth over what is shown now. Raises ``StateError`` where no dev or train question names evidence.
    """
    searched, held = _questions(project)
    present = _present(project)
    bench = _Bench(project)
    try:
        first = bench.measure(present, searched)
        limit = float(most_tokens) if most_tokens is not None else 1.1 * first.tokens
        results = {present: first}
        plan = list(_splitters(present, [present.embedder, *(name for name in embedders if name != present.embedder)], bench))
        with project.progress.start("settings", total=len(plan), unit="indexes") as task:
            for splitter, embedder in plan:
                for deeper in _depths(replace(present, splitter=splitter, embedder=embedder)):
                    for setting in deeper:
                        if setting not in results:
                            results[setting] = bench.measure(setting, searched)
                        # A deeper one of the same kind shows more tokens still.
                        if results[setting].tokens > limit:
                            break
                task.advance(1)
        tried = len(results)
        results = {setting: result for setting, result in results.items() if result.tokens <= limit or setting == present}
        within = [setting for setting, result in results.items() if result.tokens <= limit] or [present]
        best = max(within, key=lambda item: (round(results[item].coverage, 9), -results[item].tokens, item == present))
        rows = _rows(results, present, best, searched, project)
        check_rows = {item: bench.measure(item, held) for item in (present, best)}
        clusters = _clusters(held)
        scores = [score for result in check_rows.values() for score in result.scores(held)]
        seed, resamples = project.settings.project.seed, project.settings.rubric.resamples
        check = compare(scores, METRIC, best.name, present.name, clusters, seed=seed, resamples=resamples) if best != present else None
        means = {item.name: mean(scores, METRIC, item.name, clusters, seed=seed, resamples=resamples) for item in check_rows}
        milliseconds = {item.name: bench.milliseconds(item, [*searched, *held][:TIMED]) for item in check_rows}
    finally:
        bench.close()
    verdict, lines = _verdict(best, present, check)
    by_name = {row.name: row for row in rows}
    return Tuned(
        verdict=verdict,
        lines=tuple(lines),
        present=by_name[present.name],
        best=by_name[best.name],
        tried=tuple(rows),
        settings_tried=tried,
        questions={"searched": len(searched), "held out": len(held)},
        token_limit=limit,
        check=check,
        check_means=means,
        check_tokens={item.name: result.tokens for item, result in check_rows.items()},
        milliseconds=milliseconds,
    )


def _verdict(best: Setting, present: Setting, check: Estimate | None) -> tuple[str, list[str]]:
    nothing = "no setting is distinguishably better than the present one"
    if check is None:
        return f"{nothing}: none covered more of the evidence within the tokens allowed", []
    if check.state != "measured" or check.low is None or check.value is None:
        return f"{nothing}: the held-out part cannot tell ({check.reason or check.state}); write more dev questions", []
    said = f"{check.value:+.3f} ({check.low:+.3f} to {check.high:+.3f}) on {check.n} questions that the search never saw"
    if check.low <= 0:
        return f"{nothing}: the best one found changes the coverage by {said}", []
    return f"a better setting: it changes the coverage by {said}", best.lines(present)


# ── questions ──


def _questions(project: Project) -> tuple[list[Example], list[Example]]:
    """Return the answerable dev and train questions with evidence, in two parts that share no source."""
    content = project.content
    usable = [row for split in ("dev", "train") for row in content.split(split) if row.answerable and row.evidence]
    if not usable:
        raise StateError("no dev or train question names its evidence", 'add "evidence" to some, then type: groundtune index tune')
    groups = sorted({row.split_group for row in usable})
    random.Random(project.settings.project.seed).shuffle(groups)  # noqa: S311
    held_groups: set[str] = set()
    held: list[Example] = []
    for group in groups:
        if len(held) >= HELD_OUT * len(usable):
            break
        held_groups.add(group)
        held = [row for row in usable if row.split_group in held_groups]
    searched = [row for row in usable if row.split_group not in held_groups]
    if not searched:
        raise StateError(
            "all dev and train questions with evidence are of one source, so none can be held out",
            "add questions of other sources (split_group), then type: groundtune index tune",
        )
    return searched, held


def _clusters(rows: Sequence[Example]) -> dict[str, str]:
    return {row.id: row.split_group for row in rows}


# ── settings ──


def _present(project: Project) -> Setting:
    table, embed = project.settings.passages, project.settings.embed
    name = embed.use if embed.use == "minilm" else f"{embed.use}:{embed.model}"
    return Setting(splitter=_Frozen(project.splitter), embedder=name, limit=table.limit, candidates=table.candidates, rrf_k=table.rrf_k)


def _splitters(present: Setting, embedders: Sequence[str], bench: _Bench) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield splitters with an embedder that reads their chunks whole, a line of context included."""
    sizes = (64, 128, 200)
    made: list[dict[str, Any]] = [dict(present.splitter)]
    made += [{"max_tokens": size, "min_tokens": size // 4} for size in sizes]
    made += [{"max_tokens": size, "min_tokens": size // 4, "unit": "child", "parent_tokens": 4 * size} for size in sizes[:2]]
    made += [{"max_tokens": 128, "min_tokens": 0, "unit": "sentence", "window": window} for window in (1, 3)]
    bare = dict(present.splitter)
    bare["context"] = "none"
    made.append(bare)
    for embedder in embedders:
        for splitter in made:
            if splitter["max_tokens"] + 40 <= bench.embedder(embedder).max_tokens or splitter == dict(present.splitter):
                yield _Frozen(splitter), embedder


def _depths(start: Setting) -> Iterator[list[Setting]]:
    """Yield each way to fuse, in its depths."""
    for rrf_k in sorted({start.rrf_k, 10, 60}):
        for candidates in sorted({start.candidates, 100}):
            yield [replace(start, limit=limit, candidates=candidates, rrf_k=rrf_k) for limit in range(1, MOST_PASSAGES + 1)]


class _Frozen(dict[str, Any]):
    """A splitter's settings that can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


# ── measuring ──


@dataclass(frozen=True, slots=True)
class _Result:
    """What a setting showed for each question: the share of the evidence, the tokens, the passages."""

    setting: Setting
    shares: tuple[float, ...]
    shown: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def coverage(self) -> float:
        return statistics.fmean(self.shares)

    @property
    def tokens(self) -> float:
        return statistics.fmean(self.shown)

    @property
    def passages(self) -> float:
        return statistics.fmean(self.counts)

    def scores(self, rows: Sequence[Example]) -> list[Score]:
        name = self.setting.name
        return [
            Score(
                answer_id=f"answer:{fingerprint(name, row.id)}",
                example_id=row.id,
                arm=name,
                metric=METRIC,
                value=share,
                reason="",
                signature=f"{METRIC}|index-tune",
            )
            for row, share in zip(rows, self.shares, strict=True)
        ]


class _Bench:
    """Indexes of the project's documents by splitter and embedder, made for the search and thrown away after; vectors are kept."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._embedders: dict[str, Embed] = {}
        self._indexes: dict[tuple[Mapping[str, Any], str], _Remembering] = {}
        project.state.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="index-tune-", dir=project.state)

    def close(self) -> None:
        self._folder.cleanup()

    def embedder(self, name: str) -> Embed:
        if name not in self._embedders:
            table = self._project.settings.embed
            use, _, model = name.partition(":")
            if use == table.use and (not model or model == table.model):
                self._embedders[name] = self._project.embed
            else:
                given = {**table.model_dump(), "use": use, **({"model": model} if model else {})}
                self._embedders[name] = plugins.load("embed", use)(given)
        return self._embedders[name]

    def index(self, setting: Setting) -> _Remembering:
        key = (setting.splitter, setting.embedder)
        if key not in self._indexes:
            self._indexes[key] = _Remembering(self._built(setting))
        return self._indexes[key]

    def _built(self, setting: Setting) -> Index:
        from groundtune.chunks import index_lance as lance
        from groundtune.chunks.cache import EmbeddingCache
        from groundtune.chunks.index import search_text
        from groundtune.chunks.split import split, verify_coverage
        from groundtune.project.ingest import contexts_of

        embed = self.embedder(setting.embedder)
        made: list[Chunk] = []
        lines = contexts_of(self._project)
        for document in self._project.content.documents.values():
            chunks = split(document, embed.count, **setting.splitter)
            verify_coverage(document, chunks)
            made += lines.describe(chunks) if lines and setting.splitter.get("context", "").startswith("model") else chunks
        if lines:
            lines.close()
        cache = EmbeddingCache(self._project.state / "index" / "embeddings.sqlite")
        try:
            vectors = cache.vectors([search_text(chunk) for chunk in made], embed, self._project.progress)
        finally:
            cache.close()
        name = f"chunks_{fingerprint(dict(setting.splitter), embed.fingerprint, length=12)}"
        table = lance.connect(Path(self._folder.name)).create_table(name, schema=lance.schema(embed.dimensions))
        if made:
            table.add(lance.rows_of(made, vectors))
        lance.make_indices(table)
        table.tags.create("tried", table.version)
        return lance.LanceIndex(table, "tried")

    def measure(self, setting: Setting, rows: Sequence[Example]) -> _Result:
        """Show each question's asker what the setting would, and count. What was searched before is not searched again."""
        index = self.index(setting)
        found = [self._search(setting, row, index) for row in rows]
        marks = [coverage(row, passages) for row, passages in zip(rows, found, strict=True)]
        return _Result(
            setting,
            tuple(covered / total if total else 0.0 for covered, total in marks),
            tuple(sum(passage.chunk.tokens for passage in passages) for passages in found),
            tuple(len(passages) for passages in found),
        )

    def milliseconds(self, setting: Setting, rows: Sequence[Example]) -> float:
        """Return the median time of a search, the question embedded and nothing remembered."""
        index = self.index(setting).index
        seconds = []
        for row in rows:
            began = time.perf_counter()
            self._search(setting, row, index)
            seconds.append(time.perf_counter() - began)
        return 1000 * statistics.median(seconds)

    def _search(self, setting: Setting, row: Example, index: Index) -> tuple[Passage, ...]:
        from groundtune.passages.retrieve import retrieve

        embed = self.embedder(setting.embedder)
        return retrieve(
            row.question,
            self._project.content.principals[row.asker],
            index=index,
            embed=index.remembered(embed) if isinstance(index, _Remembering) else embed,
            limit=setting.limit,
            candidates=setting.candidates,
            rrf_k=setting.rrf_k,
            filter=row.filter or None,
        )


class _Remembering:
    """An index that is asked each thing once. A shorter ranking is the beginning of a longer one."""

    DEEPEST = 100

    def __init__(self, index: Index) -> None:
        self.index = index
        self._hits: dict[Any, list[Hit]] = {}
        self._chunks: dict[tuple[str, Predicate], Chunk | None] = {}
        self._queries: dict[str, np.ndarray] = {}

    def remembered(self, embed: Embed) -> Embed:
        return _Queries(embed, self._queries)  # type: ignore[return-value]

    def keyword(self, text: str, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> list[Hit]:
        key = ("keyword", text, allowed, tuple(sorted((filter or {}).items())))
        if key not in self._hits or limit > self.DEEPEST:
            self._hits[key] = self.index.keyword(text, allowed, filter, max(limit, self.DEEPEST))
        return self._hits[key][:limit]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Mapping[str, str] | None, limit: int) -> list[Hit]:
        key = ("dense", vector.tobytes(), allowed, tuple(sorted((filter or {}).items())))
        if key not in self._hits or limit > self.DEEPEST:
            self._hits[key] = self.index.dense(vector, allowed, filter, max(limit, self.DEEPEST))
        return self._hits[key][:limit]

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        new = [item for item in ids if (item, allowed) not in self._chunks]
        if new:
            read = self.index.chunks(new, allowed)
            self._chunks.update({(item, allowed): read.get(item) for item in new})
        known = {item: self._chunks[item, allowed] for item in ids}
        return {item: chunk for item, chunk in known.items() if chunk is not None}

    def count(self) -> int:
        return self.index.count()


class _Queries:
    """An embedder that embeds each question once."""

    def __init__(self, embed: Embed, known: dict[str, np.ndarray]) -> None:
        self._embed, self._known = embed, known

    def query(self, text: str) -> np.ndarray:
        if text not in self._known:
            self._known[text] = self._embed.query(text)
        return self._known[text]


def _rows(results: Mapping[Setting, _Result], present: Setting, best: Setting, rows: Sequence[Example], project: Project) -> list[Tried]:
    """Return the best setting of each splitter and embedder, and the present one, best first, each paired with the present one."""
    tops: dict[tuple[Mapping[str, Any], str], Setting] = {}
    for setting, result in results.items():
        key = (setting.splitter, setting.embedder)
        held = tops.get(key)
        if held is None or (result.coverage, -result.tokens) > (results[held].coverage, -results[held].tokens):
            tops[key] = setting
    chosen = sorted({*tops.values(), present, best}, key=lambda item: (-results[item].coverage, results[item].tokens, item.name))
    others = [setting for setting in chosen if setting != present]
    base = results[present].scores(rows)
    seed, resamples = project.settings.project.seed, project.settings.rubric.resamples
    paired = holm(
        [
            compare(
                [*results[setting].scores(rows), *base], METRIC, setting.name, present.name, _clusters(rows), seed=seed, resamples=resamples
            )
            for setting in others
        ]
    )
    versus = dict(zip(others, paired, strict=True))
    return [
        Tried(
            name=setting.name,
            setting=setting,
            coverage=results[setting].coverage,
            tokens=results[setting].tokens,
            passages=results[setting].passages,
            versus_present=versus.get(setting),
        )
        for setting in chosen
    ]
