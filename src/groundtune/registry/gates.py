"""Estimates + gates → which pass. What was not measured does not pass.

Gate(metric="token_f1", at_least=0.6)                      the mean of the version is 0.6 or more
Gate(metric="token_f1", at_least=-0.02, against="base")    its paired difference to the base is -0.02 or more
… on="bound"                                               the unfavourable end of the interval, not the mean
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.tables import ModelsTable, PromotionGateTable
from groundtune.types import Estimate

Against = Literal["absolute", "base", "live"]
CANDIDATE, BASE, LIVE = "candidate", "base", "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition. ``at_least`` or ``at_most`` is given, never both."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    against: Against = "absolute"
    on: Literal["value", "bound"] = "bound"

    @property
    def place(self) -> tuple[str, str, bool]:
        """What it asks about: two gates of one place ask the same with other limits. A least and a most are two places."""
        return self.metric, self.against, self.at_least is not None

    def __str__(self) -> str:
        limit = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        versus = "" if self.against == "absolute" else f" against {self.against}"
        return f"{self.metric}{versus} {limit}" + (", interval included" if self.on == "bound" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A gate, whether it was passed, and the numbers in words."""

    gate: Gate
    passed: bool
    said: str


def task_gate(metric: str, better: str) -> Gate:
    """Return the gate that always stands on what the project is for: by its mean not worse than the live version, or the base."""
    if better == "lower":
        return Gate(metric=metric, at_most=0.0, against="live", on="value")
    return Gate(metric=metric, at_least=0.0, against="live", on="value")


def gates_for(name: str, models: ModelsTable, tables: Sequence[PromotionGateTable], task: Gate | None = None) -> tuple[Gate, ...]:
    """Return the gates of versions of one [tuning.*] table: those of groundtune.toml, and the ones that always stand.

    ``task`` stands with them, where the primary metric is one that a comparison measures. A gate of groundtune.toml on the same metric
    against the same thing, that asks for a limit on the same side, takes the place of one that always stands.
    """
    written = [
        Gate(metric=table.metric, at_least=table.at_least, at_most=table.at_most, against=table.against, on=table.on)
        for table in tables
        if table.adapter in (None, name)
    ]
    standing = (
        Gate(metric="parity", at_least=1.0, on="value"),
        Gate(metric="extracted", at_most=models.extracted_most, on="value"),
        Gate(metric="probe", at_least=-models.forgetting_budget, against="base", on="value"),
        *([task] if task is not None else []),
        *(Gate(metric=f"lm-eval:{item}", at_least=-models.forgetting_budget, against="base", on="value") for item in models.tasks),
    )
    taken = {gate.place for gate in written}
    return (*(gate for gate in standing if gate.place not in taken), *written)


def judge(gates: Sequence[Gate], estimates: Sequence[Estimate], *, live: bool) -> tuple[Outcome, ...]:
    """Hold a version's estimates against the gates; ``live`` is whether some version is live (else ``live`` means the base)."""
    return tuple(_judged(gate, estimates, live) for gate in gates)


def _judged(gate: Gate, estimates: Sequence[Estimate], live: bool) -> Outcome:
    versus = {"absolute": None, "base": BASE, "live": LIVE if live else BASE}[gate.against]
    found = [e for e in estimates if e.metric == gate.metric and e.arm == CANDIDATE and e.versus == versus]
    if len(found) != 1:
        return Outcome(gate=gate, passed=False, said=f"not measured ({len(found)} estimates of it)")
    estimate = found[0]
    if estimate.state != "measured" or estimate.value is None or estimate.low is None or estimate.high is None:
        return Outcome(gate=gate, passed=False, said=f"not measured: {estimate.state}, {estimate.reason}")
    if gate.at_least is not None:
        held = estimate.low if gate.on == "bound" else estimate.value
        passed = held >= gate.at_least - ROUNDING
    elif gate.at_most is not None:
        held = estimate.high if gate.on == "bound" else estimate.value
        passed = held <= gate.at_most + ROUNDING
    else:
        return Outcome(gate=gate, passed=False, said="the gate names no limit")
    return Outcome(gate=gate, passed=passed, said=f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}], n={estimate.n}")


ROUNDING = 1e-9  # a mean of 0.1s may miss 0.1 by its last bit
