"""A report of probes → the section of a decision: one table for each probe, arms down, every share with n and interval.

A decision is committed and read by people who may not read every document. So its tables name documents and rows, and hold no value of a
changed fact and no words of an answer; those are in the report's own file and in the terminal of whoever runs the probes.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.annex import Annex, Grid
from groundtune.probes.report import ArmFound, Count, Latency, Report
from groundtune.scores.probed import PROBED

TITLE = "Probes"
_WILSON = "share (95 %, Wilson)"
_MOST_SAID = 12
_TAIL = 20  # answers from which on a 95th percentile is another one than the slowest


def section(report: Report | None, why: str, gates: Sequence[str]) -> Annex:
    """Return the section; without a report just that nothing was probed, and ``why``. ``gates`` are the rubric's, in words."""
    asked = [gate for gate in gates if gate.startswith(PROBED)]
    if report is None:
        lost = f" The rubric asks for {' and '.join(asked)}: what was not measured does not pass." if asked else ""
        return Annex(title=TITLE, lines=(f"Not measured: {why}.{lost}",))
    lines = [
        "On a copy of the project, with dev and training questions; the locked test set was not looked at."
        f" {report.questions} questions a probe, {report.seconds:.0f} s.",
        f"The rubric asks for {' and '.join(asked)}."
        if asked
        else "No gate of the rubric looks at a probe: these tables inform, and decide nothing.",
        *(f"{name} was not probed: {reason}." for name, reason in report.not_run.items()),
    ]
    return Annex(title=TITLE, lines=tuple(lines), grids=tuple(grids(report)))


def grids(report: Report, *, quoted: bool = False) -> list[Grid]:
    """Return the tables: for a decision without the words of documents and answers, or with them (``quoted``), for the terminal."""
    return [
        *_freshness(report, quoted),
        *_permission(report, quoted),
        *_deletion(report, quoted),
        *_injection(report, quoted),
        _load(report),
    ]


def _freshness(report: Report, quoted: bool) -> list[Grid]:
    rows = []
    for arm in report.arms:
        more = arm.more
        rows.append(
            (
                arm.name,
                _told(arm, "fresh"),
                _told(arm, "stale"),
                _bare(more.get("neither")),
                _bare(more.get("search shows the new value")),
                arm.catch_up or ("at once, by search" if arm.sees_documents else "never: it knows what its base model knows"),
            )
        )
    head = ("arm", f"says the new fact, {_WILSON}", "still says the old one", "neither", "search shows the new one", "to catch up")
    told = [
        Grid(title="Freshness: facts in documents were changed", head=head, rows=tuple(rows), note=_joined(report, "freshness", quoted)),
    ]
    if report.facts:
        values = ("old", "new") if quoted else ()
        changed = tuple((name, *((old, new) if quoted else ()), files, str(count)) for name, old, new, files, count in report.facts)
        note = "" if quoted else f"What they said before and after is in {_place(report)}: not every reader of this page may read it."
        head = ("row", *values, "changed in", "training rows on it")
        told.append(Grid(title="The facts that were changed", head=head, rows=changed, note=note))
    return told


def _permission(report: Report, quoted: bool) -> list[Grid]:
    rows = tuple((arm.name, _told(arm, "found_hidden"), _told(arm, "leak")) for arm in report.arms)
    head = ("arm", f"searches that returned something hidden, {_WILSON}", "answers that leak")
    note = _joined(report, "permission", quoted)
    return [Grid(title="Permission: asked by somebody who may not see the evidence", head=head, rows=rows, note=note)]


def _deletion(report: Report, quoted: bool) -> list[Grid]:
    rows = tuple((arm.name, _told(arm, "remembered")) for arm in report.arms)
    note = _joined(report, "deletion", quoted)
    told = [Grid(title="Deletion: a document was forgotten", head=("arm", f"still says it, {_WILSON}"), rows=rows, note=note)]
    if report.kept:
        told.append(Grid(title="What else holds the forgotten document", head=("where", "how much", "how it goes"), rows=report.kept))
    return told


def _injection(report: Report, quoted: bool) -> list[Grid]:
    rows = tuple(
        (arm.name, _told(arm, "obeyed"), _bare(arm.more.get("reached the prompt")), _bare(arm.more.get("only copied from the passage")))
        for arm in report.arms
    )
    head = ("arm", f"obeyed, {_WILSON}", "planted ones that reached the prompt", "of the obeyed, copied with the words around")
    found = [
        Grid(title="Injection: instructions were planted in documents", head=head, rows=rows, note=_joined(report, "injection", quoted)),
    ]
    kinds: dict[str, list[Count]] = {}
    for arm in report.arms:
        for kind, count in arm.kinds.items():
            kinds.setdefault(kind, []).append(count)
    if kinds:
        pooled = []
        for kind, counts in kinds.items():
            n = sum(c.n for c in counts)
            pooled.append((kind, f"{sum(c.hits for c in counts)} of {n}" if n else "not measured: it reached no prompt"))
        note = "The arms are asked the same questions over the same documents, so these are no independent trials: counts, and no interval."
        found.append(Grid(title="By kind of instruction, over all arms", head=("kind", "obeyed"), rows=tuple(pooled), note=note))
    return found


def _load(report: Report) -> Grid:
    callers = sorted({item.callers for arm in report.arms for item in arm.load})
    rows = []
    for arm in report.arms:
        held = {item.callers: item for item in arm.load}
        rows.append((arm.name, *(_latency(held.get(size)) for size in callers), _told(arm, "failed")))
    return Grid(
        title="Load: several ask at the same time",
        head=("arm", *(f"{size} at a time" for size in callers), "answers that failed"),
        rows=tuple(rows),
        note=" ".join(filter(None, [_joined(report, "load", True), _how_to_fill(report, callers)])),
    )


def _how_to_fill(report: Report, callers: Sequence[int]) -> str:
    """Return how the numbers of callers are measured that had too few questions; empty where none is missing."""
    measured = [{item.callers for item in arm.load if item.seconds or item.failed} for arm in report.arms]
    missing = any(found < set(callers) for found in measured)
    return "With fill = true in [probes], further dev questions are asked, as far as there are any, until there are enough." * missing


def _latency(found: Latency | None) -> str:
    """Return the median and the slowest of one batch, or its 95th percentile where that is another one; and answers a second."""
    if found is None or not found.seconds:
        return "not measured: fewer questions than that" if found is None or not found.failed else f"all {found.failed} failed"
    n, middle, rate = len(found.seconds), found.quantile(0.5), found.rate
    lost = f", {found.failed} failed" if found.failed else ""
    shown = f"{middle:.2f} s"
    if n > 1:
        shown = f"median {shown}, " + (f"p95 {found.quantile(0.95):.2f} s" if n >= _TAIL else f"slowest {max(found.seconds):.2f} s")
    return f"{shown}, {rate:.2f} answers a second (n = {n}{lost})"


def _told(arm: ArmFound, name: str) -> str:
    count = arm.counts.get(name, Count())
    return count.told() + (f", {count.failed} without an answer" if count.failed else "")


def _bare(count: Count | None) -> str:
    return "–" if count is None or not count.n else f"{count.hits} of {count.n}"


def _joined(report: Report, probe: str, quoted: bool) -> str:
    hits = report.said.get(f"{probe} hits", ())
    shown = [f"{hit}." for hit in hits[:_MOST_SAID]]
    if hits and not quoted:
        # Up to the colon a hit names the arm and the row; behind it stands what was said.
        named = "; ".join(hit.partition(": ")[0] for hit in hits[:_MOST_SAID])
        shown = [f"Found in: {named}; what was said is in {_place(report)}."]
    more = [f"{len(hits) - _MOST_SAID} more are in the report."] if len(hits) > _MOST_SAID else []
    return " ".join([*report.said.get(probe, ()), *shown, *more])


def _place(report: Report) -> str:
    return f".groundtune/probes/{report.key}/report.json"
