"""Estimates and the rubric → which arm. This is all of the rule.

1. An arm passes when the intolerable metric, every gate and the primary metric were measured for it, and every gate holds.
   A gate on what was not measured does not hold. No arm passes: the verdict is "none passes".
2. One arm beats another when its paired lead on the primary metric is at least ``smallest_gain`` and Holm's p is below ``alpha``.
3. The candidate is the simplest passing arm that no other passing arm beats. There is one: the best mean is beaten by nobody.
4. Where the passing arm with the best mean leads the candidate by at least ``smallest_gain``, but does not beat it, the verdict is
   "can't tell", with the number of questions that would settle it. Otherwise the candidate is shipped.
5. A gate of ``rubric.stop`` is a gate like any other. Where every arm that ran misses one of them beyond doubt, with the favourable end of
   its interval too, the verdict is "stop". What was not measured is no doubt removed, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.weigh import Measured
from groundtune.scores.estimate import questions_needed
from groundtune.types import Estimate, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the rule says, before it is put into words.

    ``choice`` is the arm to ship; ``candidate`` the simplest that nobody beats; ``best`` the passing arm of the best mean; ``failing``
    maps each arm that does not pass to the gates it misses (none: its primary metric was not measured). ``stops`` are the gates that every
    arm misses beyond doubt, where the rubric says that this means to stop.
    """

    verdict: Verdict
    choice: str | None
    candidate: str | None
    best: str | None
    fallback: str | None
    passing: tuple[str, ...]
    failing: Mapping[str, tuple[Gate, ...]]
    questions_needed: int | None
    stops: tuple[Gate, ...] = ()


def choose(measured: Measured, rubric: Rubric, names: Sequence[str]) -> Chosen:
    """Apply the rule to the arms that ran, simplest first."""
    failing = {name: tuple(gate for gate in rubric.all_gates if not holds(gate, measured.mean(gate.metric, name))) for name in names}
    unmeasured = [name for name in names if measured.mean(rubric.primary, name).value is None]
    passing = tuple(name for name in names if not failing[name] and name not in unmeasured)
    missed = {name: failing[name] for name in names if name not in passing}
    if not passing:
        stops = tuple(gate for gate in rubric.stop if names and all(ruled_out(gate, measured.mean(gate.metric, name)) for name in names))
        return Chosen(
            verdict="stop" if stops else "none passes",
            choice=None,
            candidate=None,
            best=None,
            fallback=None,
            passing=(),
            failing=missed,
            questions_needed=None,
            stops=stops,
        )
    beaten = {name for name in passing if any(beats(measured, rubric, other, name) for other in passing if other != name)}
    candidate = next(name for name in passing if name not in beaten)
    best = max(passing, key=lambda name: measured.better(rubric.primary, name))
    lead = measured.lead(rubric.primary, best, candidate) if best != candidate else None
    open_question = lead is not None and (lead.value is None or lead.value >= rubric.smallest_gain)
    needed = None
    if open_question and lead is not None:
        needed = questions_needed(lead, rubric.smallest_gain, alpha=rubric.alpha / measured.comparisons(rubric.primary))
    return Chosen(
        verdict="can't tell" if open_question else "ship",
        choice=None if open_question else candidate,
        candidate=candidate,
        best=best,
        fallback=candidate if open_question else _fallback(measured, rubric, passing, candidate),
        passing=passing,
        failing=missed,
        questions_needed=needed,
    )


def holds(gate: Gate, estimate: Estimate) -> bool:
    """Return whether a gate holds; not where the metric was not measured, unless the gate is asked only then."""
    if estimate.state != "measured" or estimate.value is None or estimate.low is None or estimate.high is None:
        return gate.if_measured
    if gate.min is not None:
        return (estimate.low if gate.on == "bound" else estimate.value) >= gate.min
    return gate.max is not None and (estimate.high if gate.on == "bound" else estimate.value) <= gate.max


def ruled_out(gate: Gate, estimate: Estimate) -> bool:
    """Return whether an arm misses a gate beyond doubt: even the favourable end of its interval does. Never where nothing was measured."""
    if estimate.state != "measured" or estimate.low is None or estimate.high is None:
        return False
    return estimate.high < gate.min if gate.min is not None else gate.max is not None and estimate.low > gate.max


def beats(measured: Measured, rubric: Rubric, arm: str, other: str) -> bool:
    """Return whether ``arm`` leads ``other`` by the smallest gain at least, and surely."""
    lead = measured.lead(rubric.primary, arm, other)
    return lead.value is not None and lead.value >= rubric.smallest_gain and lead.p_holm is not None and lead.p_holm < rubric.alpha


def _fallback(measured: Measured, rubric: Rubric, passing: Sequence[str], choice: str) -> str | None:
    """Return what to run when the choice has to be taken back: the best simpler arm that passes, else the best other one."""
    simpler = passing[: passing.index(choice)]
    others = simpler or [name for name in passing if name != choice]
    return max(others, key=lambda name: measured.better(rubric.primary, name), default=None)
