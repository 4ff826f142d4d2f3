"""Random histories of a store, and random questions about what they leave: by anybody, with any filter, in any words.

    {"steps": [("write", 2, {"support"}, {"version": "4"}, [("slot gate", 7)], 1), ("publish",), ("restamp", 2, {"finance"})],
     "asked": [("slot", 7, {"finance"}, None, 5)], "publish": True}

What comes back is held to two answers that know nothing of each other: ``Told``, a dictionary that follows the steps in plain Python, says
what is there and who may see it; the exact index says in which order and by which score.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import Filter, Predicate
from groundtune.chunks.index import Index
from groundtune.chunks.store import Draft, stamp
from groundtune.testing.index_contract import GROUPS, WORDS, made
from groundtune.testing.store_rows import written
from groundtune.types import Chunk

if TYPE_CHECKING:
    import numpy as np


CASES = "GROUNDTUNE_CASES"
# More than any history leaves: a search up to this limit has to find all that may be seen.
ALL = 1000
ODD = ("4", "5", "x' OR '1'='1", "ünï", "🚚", "", "a=b", "null")
GROUPS_ASKED = (*GROUPS, "nobody's", "a,b", "{everyone}", "\\", "$ne", "é")
ASKED = tuple[str, int, frozenset[str], Filter | None, int]


def cases(usual: int) -> int:
    """Return how many histories to draw: what ``GROUNDTUNE_CASES`` says, or as many as usual. Raises ``ValueError`` for no number."""
    said = os.environ.get(CASES, "")
    if not said:
        return usual
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"{CASES} is {said!r}; expected a whole number from 1")
    return int(said)


def histories() -> Any:
    """Return the strategy that draws them."""
    from hypothesis import strategies as st

    document = st.integers(0, 5)
    groups = st.frozensets(st.sampled_from(GROUPS_ASKED), max_size=4)
    metadata = st.dictionaries(st.sampled_from(["version", "audience", "it's"]), st.sampled_from(ODD), max_size=3)
    texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
    chunk = st.tuples(texts, st.integers(0, 11))
    write = st.tuples(st.just("write"), document, groups, metadata, st.lists(chunk, min_size=1, max_size=3), st.integers(0, 3))
    step = st.one_of(
        write,
        write,
        write,
        st.tuples(st.just("delete"), document),
        st.tuples(st.just("restamp"), document, groups | st.lists(groups, min_size=3, max_size=3).map(tuple)),
        st.just(("publish",)),
    )
    query = st.one_of(texts, texts, st.text(max_size=8))
    asked = st.tuples(query, st.integers(0, 11), groups, st.one_of(st.none(), metadata), st.sampled_from([1, 2, 5, 50]))
    return st.fixed_dictionaries(
        {"steps": st.lists(step, min_size=2, max_size=8), "asked": st.lists(asked, min_size=1, max_size=4), "publish": st.booleans()}
    )


@cache
def _vectors() -> np.ndarray:
    return made(12, 99)[1]


def vector(number: int) -> np.ndarray:
    """Return one of the twelve vectors (24,) that documents and questions have."""
    found: np.ndarray = _vectors()[number]
    return found


class Told:
    """What the steps say that a store holds: chunks by id."""

    def __init__(self) -> None:
        self.chunks: dict[str, Chunk] = {}

    def apply(self, step: Sequence[Any]) -> None:
        """Follow one step."""
        if step[0] == "publish":
            return
        name = _document(step[1])
        others = {key: chunk for key, chunk in self.chunks.items() if chunk.document_id != name}
        if step[0] == "delete":
            self.chunks = others
        elif step[0] == "restamp":
            theirs = {
                key: replace(chunk, readers=stamp(step[2], chunk.ordinal))
                for key, chunk in self.chunks.items()
                if chunk.document_id == name
            }
            self.chunks = {**others, **theirs}
        else:
            self.chunks = {**others, **{chunk.id: chunk for chunk in _written(step)}}

    def visible(self, groups: frozenset[str], filter: Filter | None) -> dict[str, Chunk]:
        """Return the chunks that share a group with the asker and have every value that the filter asks for."""
        return {
            key: chunk
            for key, chunk in self.chunks.items()
            if chunk.readers & groups and all(chunk.metadata.get(name) == value for name, value in (filter or {}).items())
        }


def apply(draft: Draft, step: Sequence[Any]) -> None:
    """Do one step to a draft."""
    import numpy as np

    if step[0] == "publish":
        draft.publish("between")
    elif step[0] == "delete":
        draft.delete([_document(step[1])])
    elif step[0] == "restamp":
        draft.restamp({_document(step[1]): step[2]})
    else:
        draft.write(_written(step), np.stack([vector(which) for _, which in step[4]]))


def _document(number: int) -> str:
    return f"document:it's {number}.md"


def _written(step: Sequence[Any]) -> list[Chunk]:
    _, number, readers, metadata, parts, edition = step
    chunks, _ = written(number, edition, sorted(readers))
    return [
        replace(
            chunks[ordinal],
            text=text,
            id=f"chunk:it's {number}.md#{ordinal}@{edition}",
            document_id=_document(number),
            readers=readers,
            metadata=metadata,
        )
        for ordinal, (text, _) in enumerate(parts)
    ]


def no_leak(mine: Index, told: Told, asked: ASKED) -> None:
    """See that an asker finds all that they may see, as it was written, and nothing else; in both searches, and by ids."""
    text, which, groups, filter, limit = asked
    may, visible = Predicate(groups), told.visible(groups, filter)
    found = [hit.id for hit in mine.dense(vector(which), may, filter, ALL)]
    assert len(set(found)) == len(found)
    assert set(found) == visible.keys(), "the dense search shows what may not be seen, or loses what may"
    assert len(mine.dense(vector(which), may, filter, limit)) == min(limit, len(visible))
    assert {hit.id for hit in mine.keyword(text, may, filter, ALL)} <= visible.keys(), "the keyword search shows what may not be seen"
    assert mine.chunks(sorted(told.chunks), may) == told.visible(groups, None)


def same(mine: Index, oracle: Index, asked: ASKED) -> None:
    """See that an asker gets the exact index's scores, its best first, and by words what holds them."""
    text, which, groups, filter, limit = asked
    may = Predicate(groups)
    found, wanted = mine.dense(vector(which), may, filter, limit), oracle.dense(vector(which), may, filter, ALL)
    scores = {hit.id: hit.score for hit in wanted}
    assert all(abs(hit.score - best.score) < 1e-4 for hit, best in zip(found, wanted, strict=False))
    assert all(abs(hit.score - scores[hit.id]) < 1e-4 for hit in found)
    by_words = {hit.id for hit in mine.keyword(text, may, filter, ALL)}
    assert len(mine.keyword(text, may, filter, limit)) == min(limit, len(by_words))
    if set(text.split()) <= set(WORDS):
        # Of all words here one comes in two forms: a chunk may have "slots" in its line of context. An engine that stems finds it for
        # "slot", and one that does not, does not; but the one or the other, for all chunks.
        literal, stemmed = (
            {hit.id for hit in oracle.keyword(words, may, filter, ALL)} for words in (text, f"{text} slots" if "slot" in text else text)
        )
        assert by_words in (literal, stemmed)
