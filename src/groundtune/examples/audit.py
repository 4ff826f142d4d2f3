"""What a set of examples consists of, and where it leans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.types import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Counts by split, by (split, kind) and by (split, value) of each closed reply field; and what is out of balance, in words."""

    splits: Mapping[str, int]
    kinds: Mapping[tuple[str, str], int]
    fields: Mapping[str, Mapping[tuple[str, str], int]]
    warnings: tuple[str, ...]


def audit(examples: Sequence[Example], fields: Sequence[str] = (), *, most: float = 0.6) -> Audit:
    """Count, and warn of a kind that a split lacks and of a field value that makes up more than ``most`` of a split."""
    splits = Counter(example.split for example in examples)
    kinds = Counter((example.split, example.kind) for example in examples)
    counted = {field: Counter((example.split, str(example.reply.get(field))) for example in examples) for field in fields}
    warnings = [
        f"{split} has no example of kind {kind}"
        for kind in sorted({example.kind for example in examples})
        for split in sorted(splits)
        if not kinds[split, kind]
    ]
    for field, counts in counted.items():
        for (split, value), count in sorted(counts.items()):
            if count > most * splits[split] and splits[split] >= 10:
                warnings.append(f"{field} is {value!r} in {count} of {splits[split]} {split} examples")
    return Audit(splits=dict(splits), kinds=dict(kinds), fields={name: dict(value) for name, value in counted.items()}, warnings=tuple(warnings))
