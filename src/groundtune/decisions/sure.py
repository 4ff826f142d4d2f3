"""How sure a decision is, and what it says besides its rule: what is not tolerated, gates that hold by the mean alone, what arms take.

tuned passes valid_json at least 0.9 by its mean alone: 0.91 (0.81 to 0.97, n = 119) does not rule out that it misses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.rule import Chosen, ruled_out
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import chance, number, worded
from groundtune.scores.pairing import LEVEL, groups_of
from groundtune.types import Estimate


def how_sure(chosen: Chosen, measured: Measured, rubric: Rubric, cautions: Sequence[str] = ()) -> str:
    """Return how sure the verdict is, which part of it is not, and what else to mind (``cautions``), in three sentences at most."""
    mind = f" Mind that {'; and that '.join(cautions)}." if cautions else ""
    return _how_sure(chosen, measured, rubric) + mind


def _how_sure(chosen: Chosen, measured: Measured, rubric: Rubric) -> str:
    if chosen.choice is not None:
        return f"{_of_lead(chosen, chosen.choice, measured, rubric)} {_of_gates(chosen.choice, measured, rubric)}"
    if chosen.candidate is not None and chosen.best is not None:
        lead = measured.lead(rubric.primary, chosen.best, chosen.candidate)
        told = f"{worded(lead)} (Holm-adjusted {chance(lead.p_holm)})"
        return f"Not sure: that {chosen.best} leads {chosen.candidate} by {told} may be chance."
    lost = [name for name, gates in chosen.failing.items() if any(ruled_out(gate, measured.mean(gate.metric, name)) for gate in gates)]
    near = [name for name in chosen.failing if name not in lost]
    if not near:
        return f"Sure: each of the {len(lost)} arms misses a gate with its whole interval."
    return (
        f"Sure of {len(lost)} of {len(chosen.failing)} arms, which miss a gate with their whole interval. Not sure of {', '.join(near)}:"
        " a gate is missed by the mean, or was not measured."
    )


def _of_lead(chosen: Chosen, choice: str, measured: Measured, rubric: Rubric) -> str:
    """Return how sure the lead over the best other arm that passes is."""
    others = [name for name in chosen.passing if name != choice]
    if not others:
        return "No lead was needed: it is the only arm that passes."
    rival = max(others, key=lambda name: measured.better(rubric.primary, name))
    lead = measured.lead(rubric.primary, choice, rival)
    if lead.value is None or lead.low is None or lead.high is None:
        return f"Not sure of its place before {rival}: {lead.reason}."
    shown = f"{worded(lead)}, Holm-adjusted {chance(lead.p_holm)}"
    if lead.low >= rubric.smallest_gain:
        return f"Sure that it is ahead of {rival} in {rubric.primary} by enough to matter ({rubric.smallest_gain:g}): {shown}."
    if lead.value > 0 and lead.p_holm is not None and lead.p_holm < rubric.alpha:
        return f"Sure that it is ahead of {rival} in {rubric.primary}, not that it is by {rubric.smallest_gain:g}: {shown}."
    if lead.high < rubric.smallest_gain and -lead.low < rubric.smallest_gain:
        return f"Sure that it and {rival} differ in {rubric.primary} by less than matters ({rubric.smallest_gain:g}): {shown}."
    simpler = chosen.passing.index(choice) < chosen.passing.index(rival)
    why = "it is taken as the simpler one" if simpler else f"another arm beats {rival}"
    if lead.value < 0 and lead.p_holm is not None and lead.p_holm < rubric.alpha:
        turned = f"{worded(measured.lead(rubric.primary, rival, choice))}, Holm-adjusted {chance(lead.p_holm)}"
        return f"Sure that {rival} is ahead of it in {rubric.primary}, not that it is by {rubric.smallest_gain:g}: {turned}; {why}."
    return f"Not sure which of it and {rival} is ahead in {rubric.primary}, by {shown}; {why}."


def _of_gates(choice: str, measured: Measured, rubric: Rubric) -> str:
    """Return which gates hold with the whole interval, and which by the mean alone."""
    weak = [gate for gate in rubric.all_gates if gate.on == "value" and _by_mean_alone(gate, measured.mean(gate.metric, choice))]
    if not weak:
        return "Every gate holds with its whole interval."
    return f"Not sure of {' and '.join(str(gate) for gate in weak)}: the mean holds, the interval reaches beyond."


def _by_mean_alone(gate: Gate, found: Estimate) -> bool:
    if found.low is None or found.high is None:
        return False
    return (gate.min is not None and found.low < gate.min) or (gate.max is not None and found.high > gate.max)


def intolerable(measured: Measured, rubric: Rubric, ran: Sequence[str], choice: str | None) -> list[str]:
    """Return how each arm does on the failure that is not tolerated, and how much of it the test set cannot rule out."""
    alike: dict[str, list[str]] = {}
    for name in ran:
        alike.setdefault(worded(measured.mean(rubric.intolerable, name)), []).append(name)
    told = [f"{', '.join(names)}{' each' if len(names) > 1 else ''} {text}" for text, names in alike.items()]
    if not told:
        return []
    said = [f"The failure that is not tolerated is {rubric.intolerable} (a mean of at most {rubric.intolerable_max:g}): {'; '.join(told)}."]
    found = measured.mean(rubric.intolerable, choice) if choice is not None else None
    if found is not None and found.value is not None and found.high is not None and found.value <= rubric.intolerable_max < found.high:
        said.append(
            f"{choice} stays within that in the {found.n} questions; a true rate of up to {number(found.high)} is not ruled out by them"
            f"{_in_groups(found)}."
        )
    return said


def _in_groups(found: Estimate) -> str:
    """Return how far the bound goes where questions of one group fail together; nothing where they vary, or stand alone.

    Where nothing varies, the interval is an exact binomial one over questions, as if each were drawn by itself. Over groups it is the other
    end of what can be: all questions of a group fail, or none.
    """
    groups = groups_of(found)
    if groups is None or groups >= found.n or found.value != found.low or found.value is None:
        return ""
    from groundtune.scores.resample import left_open

    _, high = left_open(found.value, groups, level=LEVEL, low=0.0, high=1.0)
    return f" if they fail one by one, up to {number(high)} if those of one source fail together ({groups} groups)"


def close_gates(measured: Measured, rubric: Rubric, choice: str | None) -> list[str]:
    """Return the gates that an arm passes by its mean, while its interval reaches beyond; the intolerable one is told of apart."""
    if choice is None:
        return []
    said = []
    for gate in rubric.all_gates:
        found = measured.mean(gate.metric, choice)
        if gate.on == "value" and gate.metric != rubric.intolerable and _by_mean_alone(gate, found):
            said.append(f"{choice} passes {gate} by its mean alone: {worded(found)} does not rule out that it misses it.")
    return said


def takes(measured: Measured, names: Sequence[str | None], currency: str) -> list[str]:
    """Return what the arms named cost and how long the machine works for an answer, with intervals."""
    parts = []
    for name in dict.fromkeys(names):
        if name is None:
            continue
        cost, seconds = measured.mean("cost", name), measured.mean("machine_seconds", name)
        if cost.value is not None and seconds.value is not None:
            parts.append(f"{name} {worded(thousand(cost))} {currency} a thousand questions, {worded(seconds)} s of the machine for each")
    return [f"What the answers alone take, without people, training and machines kept on: {'; '.join(parts)}."] if parts else []


def thousand(estimate: Estimate) -> Estimate:
    """Return the estimate of a thousand answers' cost for that of one."""
    value, low, high = (None if end is None else 1000 * end for end in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)
