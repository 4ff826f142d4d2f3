"""Rows, pairs and a recipe for runs of a few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from groundtune.progress import Silent
from groundtune.tables import TuningTable
from groundtune.tuning.rows import AnyRow, Pair, Rated, Row

RECIPE = TuningTable(rank=2, alpha=4, epochs=2, batch=2, evaluate_every=3, checkpoint_every=2, patience=9, learning_rate=1e-2)


def asked(number: int) -> tuple[dict[str, str], ...]:
    words = f"warranty {'of the crane ' * (number % 4)}{number}?"
    return ({"role": "system", "content": "S"}, {"role": "user", "content": words})


def rows(count: int) -> list[Row]:
    return [Row(example_id=f"e{n}", messages=asked(n), completion=f'{{"answer": "{n} years"}}', document_ids=()) for n in range(count)]


def pairs(count: int) -> list[Pair]:
    return [
        Pair(example_id=f"p{n}", messages=asked(n), chosen=f"{n} years", rejected=f"I say {n} or {n + 1}, who knows", document_ids=())
        for n in range(count)
    ]


def rated(count: int) -> list[Rated]:
    return [
        Rated(
            example_id=f"r{n}",
            messages=asked(n),
            completion=f"{n} years" if n % 3 else f"I say {n} or {n + 1}, who knows",
            desirable=bool(n % 3),
            document_ids=(),
        )
        for n in range(count)
    ]


def made(objective: str, count: int) -> list[AnyRow]:
    return [*{"sft": rows, "kto": rated}.get(objective, pairs)(count)]


class StopsAfter(Silent):
    """Breaks a run off after some steps, as a person would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Any]:
        owner = self

        class Task:
            def advance(self, amount: int = 1, **shown: str) -> None:
                owner.steps -= 1
                if owner.steps < 0:
                    raise KeyboardInterrupt

        yield Task()
