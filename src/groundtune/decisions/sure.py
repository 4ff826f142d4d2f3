"""What a decision says besides its rule: the failure that is not tolerated, gates that hold by the mean alone, and what arms take.

tuned passes valid_json at least 0.9 by its mean alone: 0.91 (0.81 to 0.97, n = 119) does not rule out that it misses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from groundtune.decisions.rubric import Rubric
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import number, worded
from groundtune.types import Estimate


def intolerable(measured: Measured, rubric: Rubric, ran: Sequence[str], choice: str | None) -> list[str]:
    """Return how each arm does on the failure that is not tolerated, and how much of it the test set cannot rule out."""
    told = [f"{name} {worded(measured.mean(rubric.intolerable, name))}" for name in ran]
    if not told:
        return []
    said = [f"The failure that is not tolerated is {rubric.intolerable} (a mean of at most {rubric.intolerable_max:g}): {'; '.join(told)}."]
    found = measured.mean(rubric.intolerable, choice) if choice is not None else None
    if found is not None and found.value is not None and found.high is not None and found.value <= rubric.intolerable_max < found.high:
        said.append(
            f"{choice} stays within that in the {found.n} questions; a true rate of up to {number(found.high)} is not ruled out by them."
        )
    return said


def close_gates(measured: Measured, rubric: Rubric, choice: str | None) -> list[str]:
    """Return the gates that an arm passes by its mean, while its interval reaches beyond; the intolerable one is told of apart."""
    if choice is None:
        return []
    said = []
    for gate in rubric.all_gates:
        found = measured.mean(gate.metric, choice)
        if gate.on == "bound" or gate.metric == rubric.intolerable or found.low is None or found.high is None:
            continue
        if (gate.min is not None and found.low < gate.min) or (gate.max is not None and found.high > gate.max):
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
    return [f"What it takes: {'; '.join(parts)}."] if parts else []


def thousand(estimate: Estimate) -> Estimate:
    """Return the estimate of a thousand answers' cost for that of one."""
    value, low, high = (None if end is None else 1000 * end for end in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)
