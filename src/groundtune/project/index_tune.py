"""The way of splitting and searching that shows most of the evidence, for no more tokens than are shown now.

    dev and train questions → two parts by source
        searched part   1. every splitter and embedder, fused as now    2. the best three of them, fused in each way
                        3. the best three of all, with each reranker    always: in every depth; share of the evidence's characters shown
        held-out part   the best setting against the present one, once: only this can recommend a change

Gold evidence is character spans, so settings that cut in different places are measured alike. The test questions are not read here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.project.index_bench import METRIC, Bench, Frozen, Result, Setting, plugin_name
from groundtune.scores.estimate import compare, holm, mean
from groundtune.types import Estimate, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project

HELD_OUT = 0.4  # share of the questions that the search does not see
MOST_PASSAGES = 12
TIMED = 30  # questions by which latency is taken
FURTHER = 3  # settings that go on into the next round
# Ways to make the two searches one: fusion, share of the search by meaning (None: the fusion's own), the constant of ranks.
WAYS = (
    ("convex", None, None),
    ("convex", 0.5, None),
    ("convex", 0.65, None),
    ("convex", 0.9, None),
    ("convex-minmax", None, None),
    ("rrf", None, 10),
    ("rrf", None, 60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a setting was worth on the searched part. ``tokens`` and ``passages`` are shown to a question on average.

    ``versus_present`` is paired, with p-values corrected for the rows of the table; the best of many looks better than it is.
    ``milliseconds`` is the median of a search, the question's embedding included; ``money`` what a thousand questions cost by the prices
    of groundtune.toml: for the passages' tokens in the prompt, and what a reranker's server billed.
    """

    name: str
    setting: Setting
    coverage: float
    tokens: float
    passages: float
    versus_present: Estimate | None
    milliseconds: float
    money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """``verdict`` in words; ``lines`` to write into groundtune.toml, empty unless the held-out part shows that they help.

    ``check`` compares ``best`` with ``present`` on the held-out part.
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


def tune_index(project: Project, *, embedders: Sequence[str] = (), rerankers: Sequence[str] = (), most_tokens: int | None = None) -> Tuned:
    """Search over splitter, embedder, fusion, reranker and depth. ``most_tokens`` is what may be shown to a question on average.

    Without it, no more than a tenth over what is shown now. ``embedders`` and ``rerankers`` are further ones, ``use`` or ``use:model``.
    Raises ``StateError`` where no dev or train question names evidence.
    """
    searched, held = _questions(project)
    present = _present(project)
    bench = Bench(project)
    try:
        first = bench.measure(present, searched)
        limit = float(most_tokens) if most_tokens is not None else 1.1 * first.tokens
        results = {present: first}
        with project.progress.start("settings", total=3, unit="rounds") as task:
            for starts in _rounds(present, results, limit, bench, embedders, rerankers):
                for start in starts:
                    _deepened(start, results, limit, bench, searched)
                task.advance(1)
        tried = len(results)
        results = _within(results, limit, present)
        fitting = [setting for setting, result in results.items() if result.tokens <= limit] or [present]
        best = max(fitting, key=lambda item: (round(results[item].coverage, 9), -results[item].tokens, item == present))
        rows = _rows(results, present, best, searched, bench, project)
        check_rows = {item: bench.measure(item, held) for item in (present, best)}
        clusters = _clusters(held)
        scores = [score for result in check_rows.values() for score in result.scores(held)]
        seed, resamples = project.settings.project.seed, project.settings.rubric.resamples
        check = compare(scores, METRIC, best.name, present.name, clusters, seed=seed, resamples=resamples) if best != present else None
        means = {item.name: mean(scores, METRIC, item.name, clusters, seed=seed, resamples=resamples) for item in check_rows}
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
    table, embed, rerank = project.settings.passages, project.settings.embed, project.settings.rerank
    return Setting(
        splitter=Frozen(project.splitter),
        embedder=plugin_name(embed.use, embed.model),
        limit=table.limit,
        candidates=table.candidates,
        rrf_k=table.rrf_k,
        fusion=table.fusion,
        dense_weight=table.dense_weight,
        reranker=plugin_name(rerank.use, rerank.model) if rerank.use else "",
    )


def _rounds(
    present: Setting, results: Mapping[Setting, Result], limit: float, bench: Bench, embedders: Sequence[str], rerankers: Sequence[str]
) -> Iterator[list[Setting]]:
    """Yield the settings of each round, to be measured in every depth; a round begins from the best that ``results`` has then."""
    every = [present.embedder, *(name for name in embedders if name != present.embedder)]
    yield [replace(present, splitter=splitter, embedder=embedder) for splitter, embedder in _splitters(present, every, bench)]
    ways = [(fusion, share, rrf_k or present.rrf_k) for fusion, share, rrf_k in WAYS]
    tops = _tops(results, limit, present, lambda setting: (setting.splitter, setting.embedder))
    yield [replace(top, fusion=fusion, dense_weight=share, rrf_k=rrf_k) for top in tops for fusion, share, rrf_k in ways]
    others = [name for name in dict.fromkeys(["", present.reranker, *rerankers]) if name != present.reranker]
    tops = _tops(results, limit, present, lambda setting: (setting.splitter, setting.embedder, setting.way))
    yield [replace(top, reranker=name) for top in tops for name in others]


def _tops(results: Mapping[Setting, Result], limit: float, present: Setting, kind: Callable[[Setting], Any]) -> list[Setting]:
    """Return the best setting of each of the ``FURTHER`` best kinds within the limit, and the present one."""
    within = _within(results, limit, present)
    found: dict[Any, Setting] = {}
    for setting in sorted(within, key=lambda item: (-within[item].coverage, within[item].tokens, item.name)):
        found.setdefault(kind(setting), setting)
    return list(dict.fromkeys([*list(found.values())[:FURTHER], present]))


def _within(results: Mapping[Setting, Result], limit: float, present: Setting) -> dict[Setting, Result]:
    return {setting: result for setting, result in results.items() if result.tokens <= limit or setting == present}


def _deepened(start: Setting, results: dict[Setting, Result], limit: float, bench: Bench, rows: Sequence[Example]) -> None:
    """Measure a setting with more and more passages, until they are too many tokens, from either depth of the two searches."""
    for candidates in sorted({start.candidates, 100}):
        for passages in range(1, MOST_PASSAGES + 1):
            setting = replace(start, limit=passages, candidates=candidates)
            if setting not in results:
                results[setting] = bench.measure(setting, rows)
            # A deeper one of the same kind shows more tokens still.
            if results[setting].tokens > limit:
                break


def _splitters(present: Setting, embedders: Sequence[str], bench: Bench) -> Iterator[tuple[Mapping[str, Any], str]]:
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
                yield Frozen(splitter), embedder


def _rows(
    results: Mapping[Setting, Result], present: Setting, best: Setting, rows: Sequence[Example], bench: Bench, project: Project
) -> list[Tried]:
    """Return the best of each splitter and embedder, of each way to fuse, of each reranker, and the present one; best first.

    Each is paired with the present one, and timed.
    """
    tops: dict[Any, Setting] = {}
    for setting, result in results.items():
        for key in ((setting.splitter, setting.embedder), setting.way, ("reranker", setting.reranker)):
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
    price = project.settings.costs.prompt_million / 1e6
    found = []
    for setting in chosen:
        milliseconds, billed = bench.timed(setting, rows[:TIMED])
        found.append(
            Tried(
                name=setting.name,
                setting=setting,
                coverage=results[setting].coverage,
                tokens=results[setting].tokens,
                passages=results[setting].passages,
                versus_present=versus.get(setting),
                milliseconds=milliseconds,
                money=1000 * (results[setting].tokens * price + billed),
            )
        )
    return found
