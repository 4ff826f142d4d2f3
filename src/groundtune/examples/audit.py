"""What a set of examples consists of, and where it leans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from groundtune.types import Example, Kind, Split

FEW = 10
"""Of a split of fewer examples than this, no share is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """One thing out of balance: ``count`` of the ``of`` examples of ``split`` have ``value`` as their ``field``.

    ``what`` is ``missing`` (other splits have the value, this one has none), ``dominant`` (too large a share) or ``untaught`` (in the test
    split, but not in the training split).
    """

    what: Literal["missing", "dominant", "untaught"]
    split: Split
    field: str
    value: str
    count: int
    of: int

    def __str__(self) -> str:
        if self.what == "dominant":
            return f"{self.field} is {self.value!r} in {self.count} of {self.of} {self.split} examples"
        if self.what == "untaught":
            return f"{self.field} {self.value!r} is in {self.count} of {self.of} {self.split} examples, and in none of train"
        return f"{self.split} has no example with {self.field} {self.value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Counts by split, and by (split, value) of the kind and of each reply field asked for; and what is out of balance."""

    splits: Mapping[str, int]
    kinds: Mapping[tuple[str, str], int]
    fields: Mapping[str, Mapping[tuple[str, str], int]]
    leans: tuple[Lean, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is out of balance, in words."""
        return tuple(str(lean) for lean in self.leans)


def audit(examples: Sequence[Example], fields: Sequence[str] = (), *, most: float = 0.7) -> Audit:
    """Count, and say where a split lacks a kind, or a value of one of the reply's ``fields`` makes up more than ``most`` of a split."""
    splits = {split: count for split in get_args(Split) if (count := sum(example.split == split for example in examples))}
    kinds = Counter[tuple[str, str]]((example.split, example.kind) for example in examples)
    counted = {
        name: Counter[tuple[str, str]]((example.split, str(example.reply[name])) for example in examples if name in example.reply)
        for name in fields
    }
    leans = [*_leans("kind", kinds, splits, most, get_args(Kind))]
    for name, counts in counted.items():
        leans += _leans(name, counts, splits, most, ())
    return Audit(splits=splits, kinds=dict(kinds), fields={name: dict(counts) for name, counts in counted.items()}, leans=tuple(leans))


def _leans(
    field: str, counts: Mapping[tuple[str, str], int], splits: Mapping[Split, int], most: float, closed: Sequence[str]
) -> Iterator[Lean]:
    """Yield the leans of one field. Of a ``closed`` set every value is wanted in every split; of others, in train what test asks for."""
    values = [value for value in closed if any(name == value for _, name in counts)] or sorted({value for _, value in counts})
    for value in values:
        for split, of in splits.items():
            count = counts.get((split, value), 0)
            if closed and not count:
                yield Lean(what="missing", split=split, field=field, value=value, count=0, of=of)
            elif count > most * of and of >= FEW:
                yield Lean(what="dominant", split=split, field=field, value=value, count=count, of=of)
        if not closed and "train" in splits and counts.get(("test", value), 0) and not counts.get(("train", value), 0):
            yield Lean(what="untaught", split="test", field=field, value=value, count=counts["test", value], of=splits["test"])
