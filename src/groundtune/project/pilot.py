"""The main job: check → lock → ingest → tune → evaluate → probe → decide. Every step finds its own finished work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.errors import Problems
from groundtune.progress import clock_text
from groundtune.project.estimate import totals
from groundtune.types import Decision

if TYPE_CHECKING:
    from groundtune.project.main import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Piloted:
    """The decision, and the seconds that each step took in this process (near 0 for what was finished before)."""

    decision: Decision
    seconds: Mapping[str, float]


def pilot(project: Project, *, relock: bool) -> Piloted:
    """Run every step. Raises the error of the first that cannot go on; what was finished stays finished."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        seconds[step] = round(time.monotonic() - began, 2)

    with timed("check"):
        report = project.check()
        if report.problems:
            raise report.problems[0] if len(report.problems) == 1 else Problems(report.problems)
        _announce(project, report)
    with timed("lock"):
        project.lock(relock=relock)
    with timed("ingest"):
        project.ingest(fetch=False)
    with timed("tune"):
        project.tune()
    with timed("evaluate"):
        evaluation = project.evaluate()
    if project.settings.probes.questions:
        with timed("probe"):
            project.probe()
    with timed("decide"):
        decision = project.decide(evaluation)
    return Piloted(decision=decision, seconds=seconds)


def _announce(project: Project, report: object) -> None:
    """Say what the pilot will take and what it can show, before anything is spent."""
    from groundtune.project.check import Report

    assert isinstance(report, Report)  # noqa: S101
    note = project.progress.note
    note(", ".join(f"{count} {name}" for name, count in report.counts.items()))
    for warning in report.warnings:
        note(f"warning: {warning}")
    total = totals(list(report.lines))
    spent = "time unknown" if total["minutes"] is None else f"about {clock_text(total['minutes'] * 60)}"
    currency = project.settings.costs.currency
    note(f"estimate: {spent}, {total['read']:,} tokens read, {total['written']:,} written, {total['money']:.2f} {currency}")
    if report.detectable is not None:
        note(f"the test set can show differences of {report.detectable:.2f} or more in {project.settings.rubric.primary} (80 % power)")
