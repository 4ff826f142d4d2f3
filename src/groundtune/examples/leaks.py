"""Examples that tell one split about another: the same or nearly the same question, the same source document, a torn group.

Questions are compared by their pairs of neighbouring words. An inverted index proposes, so ten thousand questions take seconds.
"""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from groundtune.errors import ExampleError
from groundtune.types import Example

HINT = "move both to one split or reword one, then type: groundtune check"
# A shorter question is in many longer ones by chance ("how much is it").
LEAST_CONTAINED = 6

Pairs = frozenset[tuple[str, ...]]


def words(question: str) -> list[str]:
    """Return a question's words in lower case, without punctuation; Unicode forms of one letter are one."""
    plain = unicodedata.normalize("NFKC", question).casefold()
    return "".join(letter if letter.isalnum() else "" if letter in "'’" else " " for letter in plain).split()


def pairs(question: str) -> Pairs:
    """Return a question's pairs of neighbouring words; its only word where there is one."""
    found = words(question)
    return frozenset(zip(found, found[1:], strict=False)) if len(found) > 1 else frozenset((word,) for word in found)


def likeness(left: Pairs, right: Pairs) -> float:
    """Return how alike two questions are, 0 to 1.

    That is the share of pairs of words that both have (Jaccard 1912) or, for questions of ``LEAST_CONTAINED`` pairs and more, the share of
    the shorter one's pairs that the longer one has (containment, Broder 1997): a question with a story around it is the same question.
    """
    both = len(left & right)
    if not both:
        return 0.0
    shorter = min(len(left), len(right))
    return both / shorter if shorter >= LEAST_CONTAINED else both / (len(left) + len(right) - both)


def find(examples: Sequence[Example], near: float = 0.8) -> tuple[ExampleError, ...]:
    """Return every leak between splits. Questions of two splits that are ``near`` (0 to 1, above 0) or more alike are one."""
    if not 0 < near <= 1:
        raise ValueError(f"near is {near}; expected more than 0 and at most 1")
    return (*_same(examples), *_near(examples, near), *_sources(examples))


def asked_in(questions: Mapping[str, str], held: Sequence[Example], near: float = 0.8) -> dict[str, Example]:
    """Return for each question (by its id) that one of ``held`` asks as well, in the same or nearly the same words, the first that does."""
    if not 0 < near <= 1:
        raise ValueError(f"near is {near}; expected more than 0 and at most 1")
    names = list(questions)
    shingles = [pairs(text) for text in (*questions.values(), *(example.question for example in held))]
    found: dict[str, Example] = {}
    for left, right in _candidates(shingles, near):
        # Those of ``held`` come last, so the smaller place is that of a question.
        if left < len(names) <= right and names[left] not in found and likeness(shingles[left], shingles[right]) >= near:
            found[names[left]] = held[right - len(names)]
    return {name: found[name] for name in names if name in found}


def _same(examples: Sequence[Example]) -> Iterator[ExampleError]:
    by_words: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in examples:
        by_words[tuple(words(example.question))].append(example)
    for alike in by_words.values():
        splits = _by_split((example.split, example.id) for example in alike)
        if len(splits) > 1:
            yield ExampleError(f"leak: the same question in {_listed(splits)}", HINT)


def _near(examples: Sequence[Example], near: float) -> Iterator[ExampleError]:
    """Yield pairs of questions in different words. Of the same words in one split, the first stands for all."""
    first: dict[tuple[str, ...], dict[str, Example]] = defaultdict(dict)
    for example in examples:
        first[tuple(words(example.question))].setdefault(example.split, example)
    shingles = [pairs(" ".join(said)) for said in first]
    asked = list(first.values())
    for left, right in _candidates(shingles, near):
        alike = likeness(shingles[left], shingles[right])
        if alike < near:
            continue
        for one in asked[left].values():
            for other in asked[right].values():
                if one.split != other.split:
                    yield ExampleError(
                        f"leak: {one.id} ({one.split}) and {other.id} ({other.split}) ask nearly the same question (likeness {alike:.2f})",
                        HINT,
                    )


def _candidates(shingles: Sequence[Pairs], near: float) -> list[tuple[int, int]]:
    """Return pairs of questions that may be near; none that is near is missing.

    Of two near questions, the longer has at least ``near`` of the shorter one's pairs, so it has one of any (1 - near) share of them
    plus one. The rarest are asked for (prefix filtering: Chaudhuri, Ganti and Kaushik 2006).
    """
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, shingle in enumerate(shingles):
        for pair in shingle:
            holders[pair].append(index)
    found: set[tuple[int, int]] = set()
    for index, shingle in enumerate(shingles):
        rarest = sorted(shingle, key=lambda pair: (len(holders[pair]), pair))
        for pair in rarest[: len(shingle) - math.ceil(near * len(shingle) - 1e-9) + 1]:
            found.update((min(index, other), max(index, other)) for other in holders[pair] if other != index)
    return sorted(found)


def _sources(examples: Sequence[Example]) -> Iterator[ExampleError]:
    groups = ((example.split_group, example) for example in examples)
    sources = ((item.document_id.removeprefix("document:"), example) for example in examples for item in example.evidence)
    for what, keyed in (("split group", groups), ("document", sources)):
        holders: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key, example in keyed:
            holders[key].append((example.split, example.id))
        for key, used in sorted(holders.items()):
            splits = _by_split(used)
            if len(splits) > 1:
                yield ExampleError(f"leak: the {what} {key!r} is used in {_listed(splits)}", HINT)


def _by_split(used: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = defaultdict(list)
    for split, name in used:
        if name not in splits[split]:
            splits[split].append(name)
    return splits


def _listed(splits: dict[str, list[str]]) -> str:
    return " and ".join(
        f"{split} ({names[0]}{f' and {len(names) - 1} more' if names[1:] else ''})" for split, names in sorted(splits.items())
    )
