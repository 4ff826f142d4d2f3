"""Examples that tell one split about another: the same or nearly the same question, the same source document, a torn group."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from groundtune.errors import ExampleError
from groundtune.types import Example

HINT = "move both to one split or reword one, then type: groundtune check"
COMMON = 200  # a pair of words in more questions than this tells nothing about likeness


def words(question: str) -> list[str]:
    """Return a question's words in lower case, without punctuation."""
    return re.findall(r"\w+", question.casefold())


def pairs(question: str) -> frozenset[tuple[str, ...]]:
    """Return a question's pairs of neighbouring words; its only word where there is one."""
    found = words(question)
    return frozenset(zip(found, found[1:], strict=False)) if len(found) > 1 else frozenset((word,) for word in found)


def find(examples: Sequence[Example], near: float = 0.8) -> list[ExampleError]:
    """Return every leak between splits. Questions are near when the pairs of words they share are ``near`` of all they have (Jaccard)."""
    return [*_questions(examples, near), *_sources(examples)]


def _questions(examples: Sequence[Example], near: float) -> list[ExampleError]:
    shingles = [pairs(example.question) for example in examples]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    found = []
    for index, example in enumerate(examples):
        shared: Counter[int] = Counter()
        for shingle in shingles[index]:
            if len(holders[shingle]) <= COMMON:
                shared.update(holders[shingle])
            holders[shingle].append(index)
        for other, count in shared.items():
            if examples[other].split == example.split:
                continue
            likeness = count / len(shingles[index] | shingles[other])
            if likeness >= near:
                same = "the same question" if words(example.question) == words(examples[other].question) else "nearly the same question"
                found.append(
                    ExampleError(
                        f"leak: {example.id} ({example.split}) and {examples[other].id} ({examples[other].split}) ask {same}"
                        f" (likeness {likeness:.2f})",
                        HINT,
                    )
                )
    return found


def _sources(examples: Sequence[Example]) -> list[ExampleError]:
    found = []
    for what, keys in (
        ("the split group", lambda example: {example.split_group}),
        ("the document", lambda example: {item.document_id.removeprefix("document:") for item in example.evidence}),
    ):
        splits: dict[str, dict[str, str]] = defaultdict(dict)
        for example in examples:
            for key in keys(example):
                splits[key].setdefault(example.split, example.id)
        for key, seen in sorted(splits.items()):
            if len(seen) > 1:
                where = " and ".join(f"{split} ({example})" for split, example in sorted(seen.items()))
                found.append(ExampleError(f"leak: {what} {key!r} is used in {where}", HINT))
    return found
