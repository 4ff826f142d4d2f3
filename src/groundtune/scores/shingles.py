"""Texts → which of them hold a run of eight words. Built once a corpus; a look-up is a binary search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundtune.scores.runs import LENGTH, words

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Hashes = npt.NDArray[np.uint64]


def _mixed(numbers: npt.NDArray[Any]) -> Hashes:
    """Spread small integers over 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    value = numbers.astype(np.uint64) * _MULTIPLIER
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class Shingles:
    """Which texts hold a run of ``LENGTH`` words. 12 bytes a word of all texts together."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.names: tuple[str, ...] = tuple(sorted(texts))
        self._vocabulary: dict[str, int] = {}
        hashes = [self._hashes(words(texts[name]), learn=True) for name in self.names]
        all_hashes = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)
        owners = np.repeat(np.arange(len(self.names), dtype=np.int32), [len(part) for part in hashes])
        order = np.argsort(all_hashes, kind="stable")
        self._sorted: Hashes = all_hashes[order]
        self._owners = owners[order]

    def _hashes(self, said: Sequence[str], *, learn: bool = False) -> Hashes:
        """Return one hash a run, in order; a word that no text holds gets number 0, which no text's run has."""
        if len(said) < LENGTH:
            return np.empty(0, dtype=np.uint64)
        if learn:
            for word in said:
                self._vocabulary.setdefault(word, len(self._vocabulary) + 1)
        numbers = _mixed(np.array([self._vocabulary.get(word, 0) for word in said], dtype=np.uint64))
        count = len(said) - LENGTH + 1
        total = np.zeros(count, dtype=np.uint64)
        for offset in range(LENGTH):
            total = _mixed(total + numbers[offset : offset + count])
        return total

    def holders(self, text: str) -> list[tuple[str, frozenset[str]]]:
        """Return each run of ``text`` that some text holds, in order, with the names of all texts that hold it."""
        said = words(text)
        hashes = self._hashes(said)
        first = np.searchsorted(self._sorted, hashes, side="left")
        last = np.searchsorted(self._sorted, hashes, side="right")
        return [
            (" ".join(said[position : position + LENGTH]), frozenset(self.names[owner] for owner in self._owners[begin:end]))
            for position, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True))
            if end > begin
        ]
