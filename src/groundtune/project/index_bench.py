"""A setting of the index → what it shows for each question: the share of the evidence, the tokens, the passages.

    Bench(project).measure(setting, questions)  →  Result(shares=(1.0, 0.4, …), shown=(180, 201, …), counts=(3, 3, …))

Every setting is searched by ``retrieve()`` itself over an index of the default engine, so what is measured is what would be served.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import plugins
from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.index import Hit, Index
from groundtune.files import fingerprint
from groundtune.scores.grounded import coverage
from groundtune.types import Chunk, Example, Passage, Score

if TYPE_CHECKING:
    import numpy as np

    from groundtune.models.embed import Embed
    from groundtune.project.main import Project

METRIC = "evidence_recall"


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


class Frozen(dict[str, Any]):
    """A splitter's settings that can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class Result:
    """What a setting showed for each question: the share of the evidence, the tokens, the passages."""

    setting: Setting
    shares: tuple[float, ...]
    shown: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def coverage(self) -> float:
        """The mean share of the evidence's characters that was shown."""
        return statistics.fmean(self.shares)

    @property
    def tokens(self) -> float:
        """The tokens shown to a question, on average."""
        return statistics.fmean(self.shown)

    @property
    def passages(self) -> float:
        """The passages shown to a question, on average."""
        return statistics.fmean(self.counts)

    def scores(self, rows: Sequence[Example]) -> list[Score]:
        """Return the shares as scores of the questions that were measured, the setting's name for the arm."""
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


class Bench:
    """Indexes of the project's documents by splitter and embedder, made for the search and thrown away after; vectors are kept."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._embedders: dict[str, Embed] = {}
        self._indexes: dict[tuple[Mapping[str, Any], str], _Remembering] = {}
        project.state.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="index-tune-", dir=project.state)

    def close(self) -> None:
        """Remove the indexes."""
        self._folder.cleanup()

    def embedder(self, name: str) -> Embed:
        """Return an embedder, ``use`` or ``use:model``, opened once. Raises ``UnknownName`` and ``MissingExtra``."""
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
        """Return the index of a setting's splitter and embedder, made once."""
        key = (setting.splitter, setting.embedder)
        if key not in self._indexes:
            self._indexes[key] = _Remembering(self._built(setting))
        return self._indexes[key]

    def _built(self, setting: Setting) -> Index:
        from groundtune.chunks.cache import EmbeddingCache
        from groundtune.chunks.index import search_text
        from groundtune.chunks.split import split, verify_coverage
        from groundtune.chunks.store_lance import LanceStore
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
        store = LanceStore(Path(self._folder.name))
        draft = store.draft(name, embed.dimensions)
        draft.write(made, vectors)
        draft.publish("tried")
        return store.snapshot(name, "tried")

    def measure(self, setting: Setting, rows: Sequence[Example]) -> Result:
        """Show each question's asker what the setting would, and count. What was searched before is not searched again."""
        index = self.index(setting)
        found = [self._search(setting, row, index) for row in rows]
        marks = [coverage(row, passages) for row, passages in zip(rows, found, strict=True)]
        return Result(
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
            steps=self._project.steps,
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

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        key = ("keyword", text, allowed, tuple(sorted((filter or {}).items())))
        if key not in self._hits or limit > self.DEEPEST:
            self._hits[key] = self.index.keyword(text, allowed, filter, max(limit, self.DEEPEST))
        return self._hits[key][:limit]

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
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
