"""A setting of the index → what it shows for each question: the share of the evidence, the tokens, the passages.

    Bench(project).measure(setting, questions)  →  Result(shares=(1.0, 0.4, …), shown=(180, 201, …), counts=(3, 3, …))

Every setting is searched by ``retrieve()`` itself over an index of the default engine, so what is measured is what would be served. What
does not change from one setting to the next (searches, scores of the reranker, what the chat model writes) is asked for once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import plugins
from groundtune.chunks.index import Index
from groundtune.files import fingerprint
from groundtune.passages.newest import newest
from groundtune.passages.retrieve import DENSE_WEIGHTS
from groundtune.project.index_remembered import RememberedChat, RememberedIndex, RememberedQueries, RememberedRerank
from groundtune.scores.grounded import coverage
from groundtune.types import Chunk, Example, Passage, Score

if TYPE_CHECKING:
    from groundtune.models.embed import Embed
    from groundtune.models.rerank import Rerank
    from groundtune.passages.retrieve import Steps
    from groundtune.project.main import Project

METRIC = "evidence_recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to split and search. ``splitter`` is what an index is stamped with; ``embedder`` is ``use`` or ``use:model``.

    ``dense_weight`` is ``None`` for the fusion's own; ``reranker`` is ``use`` or ``use:model``, empty for none.
    """

    splitter: Mapping[str, Any]
    embedder: str
    limit: int
    candidates: int
    rrf_k: int
    fusion: str = "convex"
    dense_weight: float | None = None
    reranker: str = ""

    @property
    def name(self) -> str:
        """Return it in a line."""
        stamp = dict(self.splitter)
        unit = stamp.pop("unit", "packed")
        rest = " ".join(f"{name} {value}" for name, value in stamp.items() if not (unit == "sentence" and name == "min_tokens"))
        parts = [f"{unit} {rest}", self.embedder, self.way, *([f"reranked by {self.reranker}"] if self.reranker else [])]
        return " · ".join([*parts, f"limit {self.limit} candidates {self.candidates}"])

    @property
    def way(self) -> str:
        """Return how its two searches become one, in words."""
        share = "" if self.dense_weight is None else f" {self.dense_weight:g} by meaning"
        return f"{self.fusion} {self.rrf_k}{share}" if self.fusion == "rrf" else f"{self.fusion}{share}"

    def lines(self, present: Setting) -> list[str]:
        """Return the lines of groundtune.toml that differ from the present setting."""
        defaults = {"unit": "packed", "context": "headings"}
        chunks = {
            name: value for name, value in {**defaults, **self.splitter}.items() if value != {**defaults, **present.splitter}.get(name)
        }
        names = ("limit", "candidates", "fusion", "rrf_k", "dense_weight")
        passages = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(present, name)}
        if "dense_weight" in passages and passages["dense_weight"] is None:
            passages["dense_weight"] = DENSE_WEIGHTS[self.fusion]
        embed = {} if self.embedder == present.embedder else named(self.embedder)
        rerank = named(self.reranker) if self.reranker and self.reranker != present.reranker else {}
        written: list[str] = []
        for table, values in (("embed", embed), ("chunks", chunks), ("passages", passages), ("rerank", rerank)):
            if values:
                written += [f"[{table}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
        if present.reranker and not self.reranker:
            written += ["[rerank]", f"# take out: use = {_toml(named(present.reranker)['use'])}"]
        return written


class Frozen(dict[str, Any]):
    """A splitter's settings that can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def plugin_name(use: str, model: str) -> str:
    """Return a plug-in as settings name it: ``use``, or ``use:model``; ``minilm`` has one model."""
    return f"{use}:{model}" if model and use != "minilm" else use


def named(plugin: str) -> dict[str, str]:
    """Return ``use`` or ``use:model`` as the keys of its table."""
    use, _, model = plugin.partition(":")
    return {"use": use, **({"model": model} if model else {})}


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
        self._queries: dict[str, RememberedQueries] = {}
        self._rerankers: dict[str, RememberedRerank] = {}
        self._steps: Steps | None = None
        self._indexes: dict[tuple[Mapping[str, Any], str], RememberedIndex] = {}
        project.state.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="index-tune-", dir=project.state)

    def close(self) -> None:
        """Remove the indexes."""
        self._folder.cleanup()

    def embedder(self, name: str) -> Embed:
        """Return an embedder, ``use`` or ``use:model``, opened once. Raises ``UnknownName`` and ``MissingExtra``."""
        if name not in self._embedders:
            table, wanted = self._project.settings.embed, named(name)
            if wanted["use"] == table.use and wanted.get("model", table.model) == table.model:
                self._embedders[name] = self._project.embed
            else:
                self._embedders[name] = plugins.load("embed", wanted["use"])({**table.model_dump(), **wanted})
        return self._embedders[name]

    def reranker(self, name: str) -> RememberedRerank:
        """Return a reranker, ``use`` or ``use:model``, opened once. Raises ``UnknownName`` and ``MissingExtra``."""
        if name not in self._rerankers:
            table, own = self._project.settings.rerank, self._project.steps.rerank
            if own is None or name != plugin_name(table.use or "", table.model):
                opened: Rerank = plugins.load("rerank", named(name)["use"])({**table.model_dump(), **named(name)})
            else:
                opened = own
            self._rerankers[name] = RememberedRerank(opened)
        return self._rerankers[name]

    def index(self, setting: Setting) -> RememberedIndex:
        """Return the index of a setting's splitter and embedder, made once."""
        key = (setting.splitter, setting.embedder)
        if key not in self._indexes:
            self._indexes[key] = RememberedIndex(self._built(setting))
        return self._indexes[key]

    def _built(self, setting: Setting) -> Index:
        from groundtune.chunks.cache import VECTORS, EmbeddingCache
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
        cache = EmbeddingCache(self._project.state / "index" / VECTORS)
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
        found = [self._search(setting, row) for row in rows]
        marks = [coverage(row, passages) for row, passages in zip(rows, found, strict=True)]
        return Result(
            setting,
            tuple(covered / total if total else 0.0 for covered, total in marks),
            tuple(sum(passage.chunk.tokens for passage in passages) for passages in found),
            tuple(len(passages) for passages in found),
        )

    def timed(self, setting: Setting, rows: Sequence[Example]) -> tuple[float, float]:
        """Return the median milliseconds of a search, question embedded and nothing remembered, and what a reranker billed for one."""
        usage = getattr(self.reranker(setting.reranker).rerank, "usage", None) if setting.reranker else None
        before = usage.cost if usage is not None else 0.0
        seconds = []
        for row in rows:
            began = time.perf_counter()
            self._search(setting, row, remembered=False)
            seconds.append(time.perf_counter() - began)
        return 1000 * statistics.median(seconds), (usage.cost - before) / len(rows) if usage is not None else 0.0

    def _search(self, setting: Setting, row: Example, *, remembered: bool = True) -> tuple[Passage, ...]:
        from groundtune.passages.retrieve import retrieve

        index, embed = self.index(setting), self.embedder(setting.embedder)
        reranker = self.reranker(setting.reranker) if setting.reranker else None
        if self._steps is None:
            self._steps = self._project.steps
            if self._steps.chat is not None:
                self._steps = replace(self._steps, chat=RememberedChat(self._steps.chat))
        steps = replace(
            self._steps,
            fusion=setting.fusion,
            dense_weight=setting.dense_weight,
            rerank=reranker if remembered or reranker is None else reranker.rerank,
        )
        return retrieve(
            row.question,
            self._project.content.principals[row.asker],
            index=index if remembered else index.index,
            embed=self._queries.setdefault(setting.embedder, RememberedQueries(embed)) if remembered else embed,
            limit=setting.limit,
            candidates=setting.candidates,
            rrf_k=setting.rrf_k,
            filter=newest(row.filter, self._project.settings.documents.newest_wins) or None,
            steps=steps,
        )
