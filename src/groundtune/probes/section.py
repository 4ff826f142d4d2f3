"""A report of probes → the section of a decision: one table for each probe, arms down, every share with n and interval."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.annex import Annex, Grid
from groundtune.probes.report import ArmFound, Count, Latency, Report
from groundtune.scores.probed import PROBED

TITLE = "Probes"
NEXT = "groundtune probe"
_WILSON = "share (95 %, Wilson)"
_MOST_SAID = 12


def section(report: Report | None, why: str, gates: Sequence[str]) -> Annex:
    """Return the section; without a report just that nothing was probed, and ``why``. ``gates`` are the rubric's, in words."""
    asked = [gate for gate in gates if gate.startswith(PROBED)]
    if report is None:
        lost = f" The rubric asks for {' and '.join(asked)}: what was not measured does not pass." if asked else ""
        return Annex(title=TITLE, lines=(f"Not measured: {why}.{lost}",))
    names = {name: why for name, why in report.not_run.items()}
    lines = [
        "On a copy of the project, with dev and training questions; the locked test set was not looked at."
        f" {report.questions} questions a probe, {report.seconds:.0f} s.",
        f"The rubric asks for {' and '.join(asked)}."
        if asked
        else "No gate of the rubric looks at a probe: these tables inform, and decide nothing.",
        *(f"{name} was not probed: {reason}." for name, reason in names.items()),
    ]
    return Annex(title=TITLE, lines=tuple(lines), grids=tuple(grids(report)))


def grids(report: Report) -> list[Grid]:
    """Return the tables, for a decision and for the terminal."""
    return [*_freshness(report), *_permission(report), *_deletion(report), *_injection(report), _load(report)]


def _freshness(report: Report) -> list[Grid]:
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
        Grid(title="Freshness: facts in documents were changed", head=head, rows=tuple(rows), note=_joined(report, "freshness")),
    ]
    if report.facts:
        changed = tuple((name, old, new, files, str(rows_)) for name, old, new, files, rows_ in report.facts)
        told.append(
            Grid(title="The facts that were changed", head=("row", "old", "new", "changed in", "training rows on it"), rows=changed)
        )
    return told


def _permission(report: Report) -> list[Grid]:
    rows = tuple((arm.name, _told(arm, "found_hidden"), _told(arm, "leak")) for arm in report.arms)
    head = ("arm", f"searches that returned something hidden, {_WILSON}", "answers that leak")
    note = _joined(report, "permission")
    return [Grid(title="Permission: asked by somebody who may not see the evidence", head=head, rows=rows, note=note)]


def _deletion(report: Report) -> list[Grid]:
    rows = tuple((arm.name, _told(arm, "remembered")) for arm in report.arms)
    note = _joined(report, "deletion")
    told = [Grid(title="Deletion: a document was forgotten", head=("arm", f"still says it, {_WILSON}"), rows=rows, note=note)]
    if report.kept:
        told.append(Grid(title="What else holds the forgotten document", head=("where", "how much", "how it goes"), rows=report.kept))
    return told


def _injection(report: Report) -> list[Grid]:
    rows = tuple(
        (arm.name, _told(arm, "obeyed"), _bare(arm.more.get("reached the prompt")), _bare(arm.more.get("only copied from the passage")))
        for arm in report.arms
    )
    head = ("arm", f"obeyed, {_WILSON}", "planted ones that reached the prompt", "of the obeyed, copied with the words around")
    found = [
        Grid(title="Injection: instructions were planted in documents", head=head, rows=rows, note=_joined(report, "injection")),
    ]
    kinds: dict[str, list[Count]] = {}
    for arm in report.arms:
        for kind, count in arm.kinds.items():
            kinds.setdefault(kind, []).append(count)
    if kinds:
        pooled = tuple(
            (kind, _told_of(Count(hits=sum(c.hits for c in counts), n=sum(c.n for c in counts), reason="it reached no prompt")))
            for kind, counts in kinds.items()
        )
        found.append(Grid(title="By kind of instruction, over all arms", head=("kind", f"obeyed, {_WILSON}"), rows=pooled))
    return found


def _load(report: Report) -> Grid:
    callers = sorted({item.callers for arm in report.arms for item in arm.load})
    rows = []
    for arm in report.arms:
        held = {item.callers: item for item in arm.load}
        rows.append((arm.name, *(_latency(held.get(size)) for size in callers), _told(arm, "failed")))
    return Grid(
        title="Load: several ask at the same time",
        head=("arm", *(f"{size} at a time: p50 / p95, answers a second" for size in callers), "answers that failed"),
        rows=tuple(rows),
        note=_joined(report, "load"),
    )


def _latency(found: Latency | None) -> str:
    if found is None or not found.seconds:
        return "not measured: fewer questions than that" if found is None or not found.failed else f"all {found.failed} failed"
    middle, high, rate = found.quantile(0.5), found.quantile(0.95), found.rate
    lost = f", {found.failed} failed" if found.failed else ""
    return f"{middle:.2f} s / {high:.2f} s, {rate:.2f}/s (n = {len(found.seconds)}{lost})"


def _told(arm: ArmFound, name: str) -> str:
    return _told_of(arm.counts.get(name, Count()))


def _told_of(count: Count) -> str:
    return count.told() + (f", {count.failed} without an answer" if count.failed else "")


def _bare(count: Count | None) -> str:
    return "–" if count is None or not count.n else f"{count.hits} of {count.n}"


def _joined(report: Report, probe: str) -> str:
    hits = report.said.get(f"{probe} hits", ())
    shown = [f"{hit}." for hit in hits[:_MOST_SAID]]
    more = [f"{len(hits) - _MOST_SAID} more are in the report."] if len(hits) > _MOST_SAID else []
    return " ".join([*report.said.get(probe, ()), *shown, *more])
