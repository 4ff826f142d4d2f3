"""What decides, written before anything is measured.

Rubric(primary="token_f1", smallest_gain=0.05, gates=(Gate(metric="valid_json", min=0.95),), prefer=("prompt", "rag", "hybrid"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from groundtune.errors import ConfigError, GroundtuneError
from groundtune.files import fingerprint
from groundtune.scores.metrics import metric_named

if TYPE_CHECKING:
    from groundtune.tables import RubricTable

REFUSALS = "false_refusal"
_HINT = "mend [rubric] in groundtune.toml, then type: groundtune check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an arm must reach to be shipped: ``min`` or ``max``, of the mean, or of the unfavourable end of its interval (``bound``).

    What was not measured does not hold, unless the gate is only asked ``if_measured``.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    on: Literal["value", "bound"] = "value"
    if_measured: bool = False

    def __str__(self) -> str:
        limit = f"at least {self.min:g}" if self.min is not None else f"at most {self.max:g}"
        return f"{self.metric} {limit}" + (", interval included" if self.on == "bound" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """The rule of a decision.

    ``primary`` ranks the arms that pass every gate; ``smallest_gain``, in its unit, is the least that is worth a less simple arm;
    ``alpha`` bounds the chance of preferring a less simple arm that is no better. ``intolerable`` is the metric of which more than
    ``intolerable_max`` is never shipped. An arm that refuses more than ``refusals_max`` of the questions that it could answer is not
    shipped either: where many test questions must be refused, refusing all of them scores well. ``prefer`` lists the arms, simplest first.
    ``stop`` are gates of which a miss by every arm, beyond doubt, means to stop.
    """

    primary: str = "token_f1"
    smallest_gain: float = 0.05
    alpha: float = 0.05
    gates: tuple[Gate, ...] = ()
    intolerable: str = "leak"
    intolerable_max: float = 0.0
    refusals_max: float = 0.9
    prefer: tuple[str, ...] = ()
    resamples: int = 10_000
    assumptions: tuple[str, ...] = ()
    stop: tuple[Gate, ...] = ()

    @classmethod
    def of(cls, table: RubricTable, prefer: Sequence[str]) -> Rubric:
        """Return the rubric that ``[rubric]`` of groundtune.toml describes; ``prefer`` is the arms in their order there."""
        return cls(
            primary=table.primary,
            smallest_gain=table.smallest_gain,
            alpha=table.alpha,
            gates=tuple(Gate(metric=gate.metric, min=gate.min, max=gate.max, on=gate.on) for gate in table.gates),
            intolerable=table.intolerable,
            intolerable_max=table.intolerable_max,
            refusals_max=table.refusals_max,
            prefer=tuple(prefer),
            resamples=table.resamples,
            assumptions=tuple(table.assumptions),
            stop=tuple(Gate(metric=gate.metric, min=gate.min, max=gate.max) for gate in table.stop),
        )

    @property
    def hash(self) -> str:
        """Fingerprint of the whole rule."""
        return fingerprint(self)

    @property
    def all_gates(self) -> tuple[Gate, ...]:
        """The gates, the intolerable metric's first; that on needless refusals last, where the rubric has none of its own."""
        found = (Gate(metric=self.intolerable, max=self.intolerable_max), *self.gates, *self.stop)
        if any(gate.metric == REFUSALS for gate in found):
            return found
        return (*found, Gate(metric=REFUSALS, max=self.refusals_max, if_measured=True))

    def problems(self) -> list[GroundtuneError]:
        """Return what is wrong with the rule, all at once: unknown metrics, gates out of range, a primary that cannot pair arms."""
        found: list[GroundtuneError] = []
        for table, gates in (("gates", self.gates), ("stop", self.stop)):
            for number, gate in enumerate(gates):
                if (gate.min is None) == (gate.max is None):
                    found.append(ConfigError(f"rubric.{table}.{number} ({gate.metric}): give either min or max", _HINT))
        for name in dict.fromkeys([self.primary, self.intolerable, *(gate.metric for gate in (*self.gates, *self.stop))]):
            try:
                metric_named(name)
            except GroundtuneError as error:
                found.append(error)
        if not found and not metric_named(self.primary).paired:
            found.append(
                ConfigError(
                    f"rubric.primary is {self.primary!r}, which applies to other questions for one arm than for another;"
                    " choose one that applies to every question",
                    _HINT,
                )
            )
        if self.smallest_gain <= 0 or not 0 < self.alpha < 0.5:
            found.append(ConfigError("rubric.smallest_gain must be above 0, and rubric.alpha between 0 and 0.5", _HINT))
        return found
