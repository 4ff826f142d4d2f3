"""Where the inputs of the costs come from, the later over the earlier: defaults, settings, the project, needs, the sheet, the pilot.

gather(settings, sheet, corpus_tokens=31_000, estimates=decision.estimates)["rag: prompt_tokens"].state == "measured"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from groundtune.decisions.costs import sheet as sheets
from groundtune.decisions.costs.defaults import CHURN_UPDATES
from groundtune.decisions.costs.sheet import Known
from groundtune.tables import NeedsTable, Settings
from groundtune.types import Estimate

MEASURED = {"prompt_tokens": "prompt_tokens", "completion_tokens": "answer_tokens", "machine_seconds": "machine_seconds"}
UNITS = {
    "prompt_tokens": "tokens read for an answer",
    "answer_tokens": "tokens of an answer",
    "machine_seconds": "seconds of a machine for an answer",
}


def gather(
    settings: Settings,
    *,
    folder: Path,
    needs: NeedsTable,
    corpus_tokens: float | None = None,
    instructions_tokens: float | None = None,
    estimates: Iterable[Estimate] = (),
    tuning_seconds: Mapping[str, float] | None = None,
) -> dict[str, Known]:
    """Return every input. ``tuning_seconds`` maps arms to what the training of their adapter took.

    Raises what is wrong with the sheet. Seconds of an endpoint are its own machines' and are not taken for the project's.
    """
    found = sheets.defaults()
    found |= _of_settings(settings)
    if corpus_tokens is not None:
        found["corpus_tokens"] = sheets.exactly("corpus_tokens", corpus_tokens, "the project's documents, by their length", "project")
    if instructions_tokens is not None:
        found["instructions_tokens"] = sheets.exactly("instructions_tokens", instructions_tokens, "[answers] instructions", "project")
    found |= of_needs(needs)
    found |= sheets.read(folder / settings.costs.sheet)
    found |= _measured(estimates, local=settings.chat.use == "local")
    for arm, seconds in (tuning_seconds or {}).items():
        hours = seconds / 3600
        found[f"{arm}: tuning_hours"] = Known(
            value=hours,
            low=hours,
            high=hours,
            unit="hours of a machine for one training run",
            source="the pilot's training",
            state="measured",
            n=1,
        )
    return found


def _of_settings(settings: Settings) -> dict[str, Known]:
    found: dict[str, Known] = {}
    written = settings.costs.model_fields_set
    for name in ("machine_hour", "prompt_million", "completion_million", "embedding_million"):
        if name in written:
            found[name] = sheets.exactly(name, getattr(settings.costs, name), "[costs] of groundtune.toml", "written")
    if settings.embed.million:
        found["embedding_million"] = sheets.exactly("embedding_million", settings.embed.million, "[embed] of groundtune.toml", "written")
    shown = settings.passages.limit * settings.chunks.max_tokens * 0.8
    source = "[passages] limit × [chunks] max_tokens × 80 %"
    found["passages_tokens"] = sheets.exactly("passages_tokens", shown, source, "project")
    answer = settings.answers.max_new_tokens * 0.8
    found["answer_tokens"] = sheets.exactly("answer_tokens", answer, "[answers] max_new_tokens × 80 %", "project")
    return found


def of_needs(needs: NeedsTable) -> dict[str, Known]:
    """Return what the needs say of volume and churn."""
    found = {}
    if needs.volume is not None:
        found["questions_a_month"] = sheets.exactly("questions_a_month", needs.volume, "[needs] volume", "needs")
    if needs.churn is not None:
        found["updates_a_month"] = sheets.exactly("updates_a_month", CHURN_UPDATES[needs.churn], f"[needs] churn = {needs.churn}", "needs")
    return found


def _measured(estimates: Iterable[Estimate], *, local: bool) -> dict[str, Known]:
    found = {}
    for item in estimates:
        if item.versus is not None or item.metric not in MEASURED or (item.metric == "machine_seconds" and not local):
            continue
        if item.state != "measured" or item.value is None or item.low is None or item.high is None:
            continue
        name = MEASURED[item.metric]
        found[f"{item.arm}: {name}"] = Known(
            value=item.value, low=item.low, high=item.high, unit=UNITS[name], source="the pilot, 95 % interval", state="measured", n=item.n
        )
    return found
