"""The way of splitting and searching that shows most of the evidence, for no more tokens than are shown now.

    dev and train questions → two parts by source
        searched part   every setting: share of the evidence's characters that the passages cover, tokens shown; paired with the present one
        held-out part   the best setting against the present one, once: only this can recommend a change

Gold evidence is character spans, so settings that cut in different places are measured alike. The test questions are not read here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.project.index_bench import METRIC, Bench, Frozen, Result, Setting
from groundtune.scores.estimate import compare, holm, mean
from groundtune.types import Estimate, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project

HELD_OUT = 0.4  # share of the questions that the search does not see
MOST_PASSAGES = 12
TIMED = 30  # questions by which latency is taken


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
    bench = Bench(project)
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
    return Setting(splitter=Frozen(project.splitter), embedder=name, limit=table.limit, candidates=table.candidates, rrf_k=table.rrf_k)


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


def _depths(start: Setting) -> Iterator[list[Setting]]:
    """Yield each way to fuse, in its depths."""
    for rrf_k in sorted({start.rrf_k, 10, 60}):
        for candidates in sorted({start.candidates, 100}):
            yield [replace(start, limit=limit, candidates=candidates, rrf_k=rrf_k) for limit in range(1, MOST_PASSAGES + 1)]


def _rows(results: Mapping[Setting, Result], present: Setting, best: Setting, rows: Sequence[Example], project: Project) -> list[Tried]:
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
