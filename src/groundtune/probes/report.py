"""What the probes found, arm by arm, as counts; a share of them is only ever given with Wilson's interval.

Report ↔ .groundtune/probes/<key>/report.json
Report → estimates (``probed:leak`` of each arm), which gates of the rubric look at
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from groundtune.decisions.audit.shares import wilson
from groundtune.errors import StateError
from groundtune.files import plain
from groundtune.scores.probed import MEASURED, PROBED
from groundtune.types import Estimate, Evidenced

SCHEMA = 1
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """``hits`` of ``n``; ``failed`` of these had no answer. ``reason`` says why there are none, or what is to be known of them."""

    hits: int = 0
    n: int = 0
    failed: int = 0
    reason: str = ""

    def told(self) -> str:
        """Return it as ``2 of 6: 33 % (10 % to 70 %)``, or why it was not measured."""
        if not self.n:
            return f"not measured{f': {self.reason}' if self.reason else ''}"
        share = wilson(self.hits, self.n)
        assert share.low is not None and share.high is not None  # noqa: S101
        return f"{self.hits} of {self.n}: {self.hits / self.n:.0%} ({share.low:.0%} to {share.high:.0%})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds of answers that were asked for together: each ``seconds`` from the question to its whole answer, search included."""

    callers: int
    seconds: tuple[float, ...]
    failed: int = 0
    tokens: int = 0

    def quantile(self, share: float) -> float | None:
        """Return a quantile by the nearest rank, ``None`` without an answer."""
        ranked = sorted(self.seconds)
        return ranked[max(0, -(-round(share * 100) * len(ranked) // 100) - 1)] if ranked else None

    @property
    def rate(self) -> float | None:
        """Answers a second: those of one batch by its slowest."""
        return self.callers / max(self.seconds) if self.seconds and max(self.seconds) > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFound:
    """What was found of one arm. ``counts`` are by the names of ``scores.probed.MEASURED``, ``more`` further counts for the tables.

    ``kinds`` counts obeyed instructions by their kind. ``sees_documents``: whether its prompt has any. ``catch_up`` is what its adapter's
    last training took, in words; empty for an arm without one.
    """

    name: str
    sees_documents: bool
    counts: Mapping[str, Count] = field(default_factory=dict)
    more: Mapping[str, Count] = field(default_factory=dict)
    kinds: Mapping[str, Count] = field(default_factory=dict)
    load: tuple[Latency, ...] = ()
    catch_up: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found. ``not_run`` maps arms to why they did not answer; ``said`` has sentences by probe; ``facts`` are those changed.

    ``seconds`` is what it took in all; ``kept`` says, by place, what still holds the forgotten document.
    """

    key: str
    questions: int
    seconds: float
    arms: tuple[ArmFound, ...]
    not_run: Mapping[str, str]
    said: Mapping[str, tuple[str, ...]]
    facts: tuple[tuple[str, str, str, str, int], ...]
    kept: tuple[tuple[str, str, str], ...]
    examples: tuple[tuple[str, str, str, str], ...] = ()


def estimates(report: Report | None, arms: Sequence[str], why: str) -> tuple[Estimate, ...]:
    """Return every probed metric of every arm; ``not run`` with ``why`` where there is no report, or its own reason."""
    found = {arm.name: arm for arm in report.arms} if report else {}
    made = []
    for name in arms:
        for metric in MEASURED:
            arm = found.get(name)
            count = arm.counts.get(metric) if arm else None
            reason = why if report is None else report.not_run.get(name, "the probes did not measure it")
            made.append(_estimate(metric, name, count, reason))
    return tuple(made)


def with_probed(estimates: Iterable[Estimate], probed: Sequence[Estimate]) -> tuple[Estimate, ...]:
    """Return estimates with what was probed in the place of what no score was there for."""
    counted = {(item.metric, item.arm) for item in probed}
    return (*(item for item in estimates if (item.metric, item.arm) not in counted), *probed)


def _estimate(metric: str, arm: str, count: Count | None, why: str) -> Estimate:
    share = None if count is None or not count.n else wilson(count.hits, count.n)
    state: Evidenced = "not run" if share is None else "measured"
    return Estimate(
        metric=f"{PROBED}{metric}",
        arm=arm,
        versus=None,
        state=state,
        value=None if share is None or count is None else count.hits / count.n,
        low=share.low if share else None,
        high=share.high if share else None,
        n=count.n if count else 0,
        n_failed=count.failed if count else 0,
        signature=f"probe|wilson|level:0.95|v{VERSION}|of:{metric}",
        reason=(count.reason if count else "") or ("" if share else why),
    )


def to_text(report: Report) -> str:
    """Return the report as JSON."""
    return json.dumps({"schema": SCHEMA, **plain(report)}, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


def from_text(text: str, where: str) -> Report:
    """Return the report in a JSON text. Raises ``StateError`` naming ``where`` for anything else."""
    try:
        row = json.loads(text)
        if row.pop("schema") != SCHEMA:
            raise ValueError("of another schema")
        return Report(
            **{
                **row,
                "arms": tuple(_arm(item) for item in row["arms"]),
                "said": {name: tuple(lines) for name, lines in row["said"].items()},
                "facts": tuple(tuple(item) for item in row["facts"]),
                "kept": tuple(tuple(item) for item in row["kept"]),
                "examples": tuple(tuple(item) for item in row["examples"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"{where}: not a report of probes: {error}", f"remove it (rm {where}), then type: groundtune probe") from None


def _arm(row: Any) -> ArmFound:
    known = {item.name for item in fields(ArmFound)}
    if not isinstance(row, dict) or row.keys() != known:
        raise ValueError("an arm's findings are not whole")
    tables = {name: {key: Count(**item) for key, item in row[name].items()} for name in ("counts", "more", "kinds")}
    load = tuple(Latency(**{**item, "seconds": tuple(item["seconds"])}) for item in row["load"])
    return ArmFound(**{**row, **tables, "load": load})
