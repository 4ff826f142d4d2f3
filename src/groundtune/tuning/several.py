"""One process, or several that train one model together: ``accelerate launch --num_processes 4 -m groundtune tune reader``.

Each process takes its rows of every batch; gradients are summed before the step, which is then the same step everywhere. The sum over the
rows of a batch is what one process computes too, so the number of processes changes the time and not what is learned.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

from groundtune.errors import MissingExtra, StateError

Item = TypeVar("Item")


class Alone:
    """One process. ``rank`` counts from 0; the process of rank 0 writes and speaks."""

    rank = 0
    size = 1

    def mine(self, items: Sequence[Item]) -> list[Item]:
        """Return this process's share of a batch."""
        return list(items[self.rank :: self.size])

    def add_up(self, parameters: Sequence[Any], value: float) -> float:
        """Sum the gradients over all processes, in place, and return the sum of ``value``."""
        return value

    def total(self, value: float) -> float:
        """Return the sum of ``value`` over all processes."""
        return value

    def from_first(self, value: float) -> float:
        """Return what the process of rank 0 has as ``value``."""
        return value

    def wait(self) -> None:
        """Wait for the others."""


class Several(Alone):
    """One of several processes that accelerate (or torchrun) started: each has its own device."""

    def __init__(self) -> None:
        try:
            from accelerate import PartialState
        except ModuleNotFoundError as error:
            raise MissingExtra.of(error.name or "accelerate", "local") from error
        import torch

        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self.size = self._state.process_index, self._state.num_processes
        if self.size == 1:
            # Each would train by itself, and all of them would write the same files.
            raise StateError(
                f"{os.environ['WORLD_SIZE']} processes were started, but they found no way to talk to each other",
                "start them with: accelerate launch --num_processes N -m groundtune tune",
            )

    def add_up(self, parameters: Sequence[Any], value: float) -> float:
        """Sum the gradients over all processes, in place, and return the sum of ``value``; one message for all of them."""
        import torch
        from accelerate.utils import reduce

        flat = [torch.zeros_like(item) if item.grad is None else item.grad for item in parameters]
        told = torch.tensor([value], dtype=torch.float32, device=parameters[0].device)
        summed = reduce(torch.cat([item.reshape(-1).float() for item in flat] + [told]), reduction="sum")
        begin = 0
        for parameter in parameters:
            end = begin + parameter.numel()
            parameter.grad = summed[begin:end].reshape(parameter.shape).to(parameter.dtype)
            begin = end
        return float(summed[-1])

    def total(self, value: float) -> float:
        """Return the sum of ``value`` over all processes."""
        import torch
        from accelerate.utils import reduce

        # In double, so that a number arrives as it was sent.
        return float(reduce(torch.tensor([value], dtype=torch.float64, device=self._state.device), reduction="sum")[0])

    def from_first(self, value: float) -> float:
        """Return what the process of rank 0 has as ``value``."""
        return self.total(value if self.rank == 0 else 0.0)

    def wait(self) -> None:
        """Wait for the others."""
        self._state.wait_for_everyone()


def world() -> Alone:
    """Return the processes that train together. To be asked before a model is loaded: it sets this process's device."""
    return Several() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone()


def rank() -> int:
    """Return the number of this process among those that train together, from 0; nothing is set up."""
    return int(os.environ.get("RANK", "0"))
