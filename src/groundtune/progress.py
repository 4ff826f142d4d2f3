"""One protocol, four displays: rich, plain, jsonl, silent. Everything goes to stderr; results go to stdout.

with progress.start("embed", total=1200, unit="chunks") as task:
    task.advance(64, rate="112/s")
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TextIO

Display = Literal["rich", "plain", "jsonl", "silent"]
DISPLAYS: tuple[Display, ...] = ("rich", "plain", "jsonl", "silent")


class Task(Protocol):
    """A step under way."""

    def advance(self, amount: int = 1, **shown: str) -> None:
        """Count ``amount`` more units done; ``shown`` is printed beside the rate (a loss, a file name)."""
        ...


class Progress(Protocol):
    """Where a long verb says what it is doing."""

    def start(self, step: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """Begin a step of ``total`` units (``None``: unknown)."""
        ...

    def note(self, text: str) -> None:
        """Say one line."""
        ...


class Clock:
    """Units done, units a second and seconds left of one step."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = 0
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Units a second since the step began."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left at this rate, or ``None`` while nothing is known."""
        if self.total is None or self.done == 0:
            return None
        return (self.total - self.done) / self.rate if self.rate else None


class Silent:
    """Says nothing."""

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Begin a step that nobody watches."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Drop the line."""


class _SilentTask:
    def advance(self, amount: int = 1, **shown: str) -> None:
        """Count nothing."""


class Plain:
    """One line when a step begins and ends, and one every few seconds between: for logs and CI."""

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.every = every

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Begin a step; its end is said with the time it took, its failure as "stopped"."""
        task = _PlainTask(self, step, unit, Clock(total))
        of = f" ({total} {unit})" if total is not None else ""
        self.note(f"{step}{of} …")
        try:
            yield task
        except BaseException:
            self.note(f"{step}: stopped after {task.clock.seconds:.1f} s, {task.clock.done} {unit} done")
            raise
        self.note(f"{step}: done, {task.clock.done} {unit} in {task.clock.seconds:.1f} s")

    def note(self, text: str) -> None:
        """Print the line to stderr."""
        self.stream.write(text + "\n")
        self.stream.flush()


class _PlainTask:
    def __init__(self, display: Plain, step: str, unit: str, clock: Clock) -> None:
        self.display, self.step, self.unit, self.clock = display, step, unit, clock
        self.last = clock.started

    def advance(self, amount: int = 1, **shown: str) -> None:
        """Count, and print a line when the last one is old enough."""
        self.clock.done += amount
        now = time.monotonic()
        if now - self.last < self.display.every:
            return
        self.last = now
        of = f"/{self.clock.total}" if self.clock.total is not None else ""
        left = f", {clock_text(self.clock.left)} left" if self.clock.left is not None else ""
        more = "".join(f", {key} {value}" for key, value in shown.items())
        self.display.note(f"{self.step}: {self.clock.done}{of} {self.unit}, {self.clock.rate:.1f}/s{left}{more}")


class Jsonl:
    """One JSON object a line for programs: ``{"event": "advance", "step": …, "done": …, "total": …, "rate": …, "left": …}``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr

    def emit(self, **event: object) -> None:
        """Write one event."""
        self.stream.write(json.dumps(event, ensure_ascii=False) + "\n")
        self.stream.flush()

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Begin a step with a ``start`` event; end it with ``end`` or ``stopped``."""
        task = _JsonlTask(self, step, unit, Clock(total))
        self.emit(event="start", step=step, total=total, unit=unit)
        try:
            yield task
        except BaseException:
            self.emit(event="stopped", step=step, done=task.clock.done, seconds=round(task.clock.seconds, 3))
            raise
        self.emit(event="end", step=step, done=task.clock.done, seconds=round(task.clock.seconds, 3))

    def note(self, text: str) -> None:
        """Write a ``note`` event."""
        self.emit(event="note", text=text)


class _JsonlTask:
    def __init__(self, display: Jsonl, step: str, unit: str, clock: Clock) -> None:
        self.display, self.step, self.unit, self.clock = display, step, unit, clock

    def advance(self, amount: int = 1, **shown: str) -> None:
        """Write an ``advance`` event."""
        self.clock.done += amount
        left = None if self.clock.left is None else round(self.clock.left, 1)
        self.display.emit(
            event="advance",
            step=self.step,
            done=self.clock.done,
            total=self.clock.total,
            unit=self.unit,
            rate=round(self.clock.rate, 2),
            left=left,
            **shown,
        )


class Rich:
    """A live bar for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    @contextmanager
    def start(self, step: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Begin a step with a bar, the rate and the time left."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[shown]}"),
            TimeElapsedColumn(),
        )
        with Bars(*columns, console=self.console) as bars:
            yield _RichTask(bars, bars.add_task(step, total=total, shown=""), Clock(total))

    def note(self, text: str) -> None:
        """Print the line above the bars."""
        self.console.print(text, highlight=False, markup=False)


class _RichTask:
    def __init__(self, bars: object, number: object, clock: Clock) -> None:
        self.bars, self.number, self.clock = bars, number, clock

    def advance(self, amount: int = 1, **shown: str) -> None:
        """Move the bar."""
        self.clock.done += amount
        parts = [f"{self.clock.rate:.1f}/s"]
        if self.clock.left is not None:
            parts.append(f"{clock_text(self.clock.left)} left")
        parts += [f"{key} {value}" for key, value in shown.items()]
        self.bars.update(self.number, advance=amount, shown=", ".join(parts))  # type: ignore[attr-defined]


def clock_text(seconds: float | None) -> str:
    """Write seconds as people say them: ``45 s``, ``3 min 20 s``."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def display(name: Display | None) -> Progress:
    """Return the display of that name; ``None`` takes rich on a terminal and plain elsewhere."""
    chosen = name or ("rich" if sys.stderr.isatty() else "plain")
    made: Progress = {"rich": Rich, "plain": Plain, "jsonl": Jsonl, "silent": Silent}[chosen]()
    return made
