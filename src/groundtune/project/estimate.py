"""What a pilot will take, before anything is spent: questions, tokens, money, and, for a local model, minutes.

Minutes are (multiply-adds that the tokens need) ÷ (what this machine does in a timed matrix product) ÷ (the share of that a model reaches).
The shares were measured with the embedded model; see ``docs/benchmarks.md``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.probes.payloads import PAYLOADS
from groundtune.project.content import Content
from groundtune.tables import Settings
from groundtune.types import Arm

CHARACTERS_A_TOKEN = 4.2
EMBEDDED_PARAMETERS = 134_515_008
# Share of the timed matrix product's speed; reading is one pass over all tokens, writing one small pass a token.
READING_SHARE, WRITING_SHARE, TRAINING_SHARE = 0.75, 0.25, 0.75
# The probes answer in small batches, where a step waits for the weights and not for the arithmetic.
PROBING_SHARE = 0.15
EMBEDDING_TOKENS_SECOND = 4_000
SHOT_TOKENS = 220  # of a worked example in a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step of the pilot: its tokens read and written, its minutes (``None``: not known before) and its money."""

    step: str
    read: int
    written: int
    minutes: float | None
    money: float


def tokens_in(text: str) -> int:
    """Return about how many tokens a text has, by its length; good to some ten percent for English."""
    return round(len(text) / CHARACTERS_A_TOKEN) + 1


def machine_flops() -> float:
    """Return the fp32 operations a second of this machine, from a matrix product timed for a few hundredths of a second."""
    import numpy as np

    left, right = np.ones((768, 768), dtype=np.float32), np.ones((768, 768), dtype=np.float32)
    left @ right
    best = min(_timed(lambda: left @ right) for _ in range(5))
    return 2 * 768**3 / best


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def estimate(settings: Settings, content: Content, arms: list[Arm]) -> list[Line]:
    """Return a line for ingestion, for each adapter and for each arm."""
    local = settings.chat.use == "local"
    flops = machine_flops() if local and settings.chat.model == "smollm2-135m-instruct" else None
    system = tokens_in(settings.answers.instructions)
    passages = settings.passages.limit * settings.chunks.max_tokens * 0.8
    corpus = sum(tokens_in(document.text) for document in content.documents.values())
    lines = [
        Line(
            step="ingest",
            read=corpus,
            written=0,
            minutes=corpus / EMBEDDING_TOKENS_SECOND / 60 if settings.embed.use in ("minilm", "hashed") else None,
            money=corpus * settings.embed.million / 1e6,
        )
    ]

    def priced(step: str, read: int, written: int, work: float) -> Line:
        minutes = None if flops is None else 2 * EMBEDDED_PARAMETERS * work / flops / 60
        money = settings.costs.prompt_million * read / 1e6 + settings.costs.completion_million * written / 1e6
        if minutes is not None:
            money += settings.costs.machine_hour * minutes / 60
        return Line(step=step, read=read, written=written, minutes=minutes, money=money)

    if settings.chunks.context == "model":
        size = settings.chunks.max_tokens * 0.8 if settings.chunks.unit != "sentence" else 25
        calls = max(len(content.documents), round(corpus / size))
        read, written = context_tokens(calls, round(calls * size))
        lines.append(priced("write context lines", read, written, read / READING_SHARE + written / WRITING_SHARE))

    def shown_to(arm: Arm) -> float | None:
        """Return the tokens of documents in a prompt; ``None`` where the whole corpus is too long for one, so that the arm is not run."""
        shown = passages if arm.retrieves else corpus if arm.whole_corpus else 0
        fits = settings.chat.context is None or shown < settings.chat.context
        return None if arm.whole_corpus and (not fits or (local and corpus > 8192)) else shown

    train, test = content.split("train"), content.split("test")
    for name, recipe in settings.tuning.items():
        shown = (recipe.distractors + 1) * settings.chunks.max_tokens * 0.8 if recipe.passages else 0
        rows = train[: recipe.max_rows] if recipe.max_rows else train
        read = sum(round(system + shown + tokens_in(row.question) + tokens_in(str(dict(row.reply)))) for row in rows) * recipe.epochs
        depth = 1.0 if recipe.layers is None else recipe.layers / 30
        lines.append(priced(f"tune {name}", read, 0, read * (1 + depth) / TRAINING_SHARE))
    for arm in arms:
        shot, seen = arm.shots * SHOT_TOKENS, shown_to(arm)
        if seen is None:
            lines.append(Line(step=f"answer {arm.name}", read=0, written=0, minutes=0.0 if local else None, money=0.0))
            continue
        read = sum(round(system + shot + seen + tokens_in(row.question)) for row in test)
        written = len(test) * round(settings.answers.max_new_tokens * 0.8)
        fresh = read - shot * len(test) if local else read
        lines.append(priced(f"answer {arm.name}", read, written, fresh / READING_SHARE + written / WRITING_SHARE))
    if settings.probes.questions and (rows := content.split("dev") or train):
        read = written = 0
        work = 0.0
        for arm in arms:
            seen = shown_to(arm)
            if seen is None:
                continue
            count = probed_questions(settings, sees=arm.retrieves or arm.whole_corpus)
            each = round(system + seen + sum(tokens_in(row.question) for row in rows) / len(rows))
            read += count * (each + arm.shots * SHOT_TOKENS)
            written += count * round(settings.answers.max_new_tokens * 0.8)
            work += count * each / READING_SHARE + count * settings.answers.max_new_tokens * 0.8 / PROBING_SHARE
        lines.append(priced("probe", read, written, work))
    return lines


def context_tokens(calls: int, shown: int) -> tuple[int, int]:
    """Return about how many tokens are read and written for lines of context: a call a chunk, of ``shown`` tokens in all chunks."""
    from groundtune.chunks.contexts import BEFORE, BEGINNING, INSTRUCTIONS

    return calls * (tokens_in(INSTRUCTIONS) + round((BEGINNING + BEFORE) / CHARACTERS_A_TOKEN)) + shown, 40 * calls


def probed_questions(settings: Settings, *, sees: bool) -> int:
    """Return how many questions the probes put to an arm: to one that is shown documents, those of all probes."""
    table = settings.probes
    own = table.questions + max(1, table.questions // 2)
    if sees:
        own += table.questions + len(PAYLOADS) * table.injections
    return own if settings.chat.use == "local" and not table.fill else max(own, sum(set(table.callers)))


def totals(lines: list[Line]) -> Mapping[str, float | None]:
    """Return tokens read and written, minutes (``None`` when any step's are unknown) and money over all steps."""
    known = [line.minutes for line in lines if line.minutes is not None]
    return {
        "read": sum(line.read for line in lines),
        "written": sum(line.written for line in lines),
        "minutes": sum(known) if len(known) == len(lines) else None,
        "money": sum(line.money for line in lines),
    }
