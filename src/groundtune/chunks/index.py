"""What an index is: it searches chunks by words and by meaning, for one principal, and shows nothing that this principal may not see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from groundtune.access.conditions import Range, parts_of, settled
from groundtune.access.filter import Filter, Predicate
from groundtune.types import Chunk, Place

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Hit:
    """The id of a chunk that a search found, and its score there: higher is better, and comparable within one search only."""

    id: str
    score: float


class Index(Protocol):
    """Chunks that can be searched. Both searches filter before they rank, so hidden rows neither show nor use up the limit.

    Searches rank many and name them; ``chunks`` reads the few that are kept. ``allowed`` is what the asker may see; ``filter``
    (metadata name → condition; ``access.conditions.matches`` is its meaning) can only narrow it. All methods may be called by several
    threads at once.
    """

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Return up to ``limit`` chunks by BM25, best first. Any text is a query; none is an error."""
        ...

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Return up to ``limit`` chunks by cosine with ``vector`` (d,), best first."""
        ...

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen, by id. The permission is asked again: an id is no proof of it."""
        ...

    def count(self) -> int:
        """Return how many chunks there are, hidden ones included."""
        ...


class Following:
    """Search over whatever there is when it is asked; ``now`` gives the index of that moment."""

    def __init__(self, now: Callable[[], Index]) -> None:
        self._now = now

    def keyword(self, text: str, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by BM25."""
        return self._now().keyword(text, allowed, filter, limit)

    def dense(self, vector: np.ndarray, allowed: Predicate, filter: Filter | None, limit: int) -> list[Hit]:
        """Rank by cosine."""
        return self._now().dense(vector, allowed, filter, limit)

    def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
        """Return the chunks of these ids that may be seen."""
        return self._now().chunks(ids, allowed)

    def count(self) -> int:
        """Return how many chunks there are."""
        return self._now().count()


def search_text(chunk: Chunk) -> str:
    """Return what is searched for a chunk: its line of context (by default its title and headings), then its text."""
    context = chunk.context
    if context is None:
        context = " › ".join(dict.fromkeys(part for part in (chunk.title, *chunk.heading_path) if part))
    return f"{context}\n{chunk.text}" if context else chunk.text


def labels(metadata: Mapping[str, str]) -> list[str]:
    """Return metadata as the labels that a filter asks for, ``name=value``."""
    return [f"{name}={value}" for name, value in sorted(metadata.items())]


def sayable(texts: Iterable[str]) -> list[str]:
    """Return those texts that a database can hold: UTF-8 without NUL. The others are in none, so to ask for one is to ask for nothing."""
    return [text for text in texts if "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)]


def kept(chunk: Chunk) -> str:
    """Return what an engine keeps of a chunk and never searches: its metadata, where it stands in its source, what is read with it."""
    held: dict[str, Any] = {"metadata": dict(chunk.metadata)}
    if chunk.place:
        held["place"] = chunk.place
    if chunk.places:
        held["places"] = [[item.start, item.name] for item in chunk.places]
    if chunk.lead:
        held["lead"] = chunk.lead
    if chunk.reads is not None:
        held["reads"] = list(chunk.reads)
    if chunk.context is not None:
        held["context"] = chunk.context
    return json.dumps(held, sort_keys=True, ensure_ascii=False)


def from_kept(text: str) -> dict[str, Any]:
    """Return those fields of a chunk again."""
    held = json.loads(text)
    return {
        "metadata": held["metadata"],
        "place": held.get("place", ""),
        "places": tuple(Place(start, name) for start, name in held.get("places", ())),
        "lead": held.get("lead", ""),
        "reads": tuple(held["reads"]) if "reads" in held else None,
        "context": held.get("context"),
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter as an engine of labels asks it: of each set in ``some`` one (a set of one is that label), and none of ``none``."""

    some: tuple[tuple[str, ...], ...] = ()
    none: tuple[str, ...] = ()


def wanted(filter: Filter | None, held: Callable[[], Iterable[str]]) -> Wanted | None:
    """Return the filter in labels; ``None`` where nothing can meet it. ``held`` gives the labels that there are, where a range is asked.

    Raises ``InputError`` on a condition that is none.
    """
    some: list[tuple[str, ...]] = []
    none: list[str] = []
    for part in parts_of(settled(filter, held)):
        if isinstance(part, Range):
            raise ValueError(f"the range on {part.name!r} was not settled")
        named = sayable(f"{part.name}={value}" for value in sorted(part.values))
        if part.negated:
            none += named
        elif named:
            some.append(tuple(named))
        else:
            return None
    return Wanted(tuple(some), tuple(none))
