"""What would turn a decision round: signals with their thresholds, worked out from the estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import chance, number, worded
from groundtune.scores.metrics import metric_named
from groundtune.types import Arm, Estimate

if TYPE_CHECKING:
    from groundtune.decisions.rule import Chosen

_MOST_GATES = 3


def flips_of(chosen: Chosen, measured: Measured, rubric: Rubric, arms: Sequence[Arm]) -> list[str]:
    """Return the signals, at least two for an arm that is shipped."""
    if chosen.choice is not None:
        return [
            *_lead_signals(chosen, chosen.choice, measured, rubric),
            *_gate_signals(chosen.choice, measured, rubric),
            *_knowledge_signals(chosen, chosen.choice, measured, rubric, arms),
        ]
    if chosen.best is not None and chosen.candidate is not None:
        lead = measured.lead(rubric.primary, chosen.best, chosen.candidate)
        return [
            f"Ship {chosen.best} once its lead over {chosen.candidate} in {rubric.primary} is {rubric.smallest_gain:g} or more with a"
            f" Holm-adjusted p below {rubric.alpha:g} (now {worded(lead)}, {chance(lead.p_holm)}).",
            f"Ship {chosen.candidate} once that lead is below {rubric.smallest_gain:g}.",
            *_gate_signals(chosen.best, measured, rubric),
        ]
    return _shortfalls(chosen, measured, rubric)


def _lead_signals(chosen: Chosen, choice: str, measured: Measured, rubric: Rubric) -> list[str]:
    said = []
    primary, gain = rubric.primary, rubric.smallest_gain
    place = chosen.passing.index(choice)
    simpler, others = chosen.passing[:place], chosen.passing[place + 1 :]
    if simpler:
        rival = max(simpler, key=lambda name: measured.better(primary, name))
        lead = measured.lead(primary, choice, rival)
        said.append(f"The lead of {choice} over the simpler {rival} in {primary} falls below {gain:g} (now {worded(lead)}).")
    if others:
        rival = max(others, key=lambda name: measured.better(primary, name))
        lead = measured.lead(primary, rival, choice)
        said.append(f"{rival} comes to lead {choice} in {primary} by {gain:g} or more, beyond chance (now {worded(lead)}).")
    for name, gates in chosen.failing.items():
        if len(gates) == 1 and measured.mean(primary, name).value is not None:
            ahead = measured.better(primary, name) - measured.better(primary, choice)
            if ahead >= gain:
                now = worded(measured.mean(gates[0].metric, name))
                by = worded(measured.lead(primary, name, choice))
                said.append(f"{name}, ahead by {by} in {primary}, comes to pass its one missed gate: {gates[0]} (now {now}).")
    if not said:
        said.append(f"Another arm, measured on the same questions, leads {choice} in {primary} by {gain:g} or more beyond chance.")
    return said


def _margin(gate: Gate, estimate: Estimate) -> float | None:
    """Return how far an arm is above a gate, in the metric's unit; below 0 where it misses it."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    if gate.min is not None:
        return (estimate.low if gate.on == "bound" else estimate.value) - gate.min
    return None if gate.max is None else gate.max - (estimate.high if gate.on == "bound" else estimate.value)


def _gate_signals(name: str, measured: Measured, rubric: Rubric) -> list[str]:
    """Return the gates of an arm, the one with the least room first; the intolerable metric always."""
    ranked = []
    for gate in rubric.all_gates:
        margin = _margin(gate, measured.mean(gate.metric, name))
        if margin is not None:
            intolerable = gate.metric == rubric.intolerable
            ranked.append((not intolerable, margin, gate))
    ranked.sort(key=lambda item: item[:2])
    said = []
    for _, margin, gate in ranked[: _MOST_GATES + 1]:
        way, limit = ("below", gate.min) if gate.min is not None else ("above", gate.max)
        end = "The interval's end of" if gate.on == "bound" else "The mean of"
        now = worded(measured.mean(gate.metric, name))
        said.append(f"{end} {gate.metric} of {name} goes {way} {limit:g} (now {now}; room {number(margin)}).")
    return said


def _knowledge_signals(chosen: Chosen, choice: str, measured: Measured, rubric: Rubric, arms: Sequence[Arm]) -> list[str]:
    """Return from which share of stale or unfound knowledge on the lead is gone.

    Taken as proportional: an answer on what has changed since tuning, or whose evidence is not found, is worth nothing.
    """
    primary = rubric.primary
    metric = metric_named(primary)
    by_name = {arm.name: arm for arm in arms}
    mine = by_name[choice]
    value = measured.mean(primary, choice).value
    if value is None or value <= 0 or metric.better != "higher" or metric.low != 0:
        return []

    def spare(rivals: list[str]) -> tuple[str, float] | None:
        """Return the best of the rivals, and the share of the choice's worth that may go before that one takes its place."""
        if not rivals:
            return None
        rival = max(rivals, key=lambda name: measured.better(primary, name))
        ahead = value - measured.better(primary, rival)
        simpler = chosen.passing.index(rival) < chosen.passing.index(choice)
        room = ahead - rubric.smallest_gain if simpler else ahead + rubric.smallest_gain
        return rival, min(1.0, max(0.0, room / value))

    if mine.adapter is not None and not mine.retrieves and not mine.whole_corpus:
        found = spare([name for name in chosen.passing if name != choice and (by_name[name].retrieves or by_name[name].whole_corpus)])
        if found:
            return [
                f"More than {found[1]:.0%} of what is asked about changes between two tunings: answers from old knowledge then cost"
                f" {choice} its place to {found[0]} (taking such answers as worth nothing)."
            ]
    recall = measured.mean("evidence_recall", choice).value
    if mine.retrieves and recall is not None:
        found = spare([name for name in chosen.passing if name != choice and not by_name[name].retrieves])
        if found:
            return [
                f"evidence_recall of {choice} falls below {number(recall * (1 - found[1]))} (now"
                f" {worded(measured.mean('evidence_recall', choice))}): {found[0]} then takes"
                " its place (taking what is not found as worth nothing)."
            ]
    return []


def _shortfalls(chosen: Chosen, measured: Measured, rubric: Rubric) -> list[str]:
    """Return, for the arms that miss the fewest gates, what each would have to reach."""
    fewest = min((len(gates) for gates in chosen.failing.values()), default=0)
    said = []
    for name, gates in chosen.failing.items():
        if len(gates) != fewest:
            continue
        wanted = [f"{gate} (now {worded(measured.mean(gate.metric, name))})" for gate in gates]
        if measured.mean(rubric.primary, name).value is None:
            wanted.append(f"{rubric.primary} is measured")
        said.append(f"{name} passes once {' and '.join(wanted)}.")
    return said
