"""A draft with words that the model was unsure of → queries → more passages → the answer, written anew.

    draft       "A slot can be cancelled until [four] hours before it begins."      [four]: probability 0.21
    query       "A slot can be cancelled until hours before it begins."
    passages    those shown before, and what the query finds

After Jiang et al. 2023, "Active Retrieval Augmented Generation" (FLARE): a sentence is looked up again where one of its tokens is less
probable than a threshold, without the tokens that are. They do it sentence by sentence, and go on from the last sure one; the chat protocol
begins every reply anew, so here the whole draft is the look-ahead, and the answer is written once more with the passages of all its unsure
sentences. The search is the asker's own, with the same filter: it can find nothing that the question could not have found.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from groundtune.models.chat import Completion, Token
from groundtune.types import Passage

MOST_QUERIES = 3  # a draft's unsure sentences that are looked up
LONGEST_QUERY = 400  # characters
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """When to look again: ``rounds`` times at most, for tokens less probable than ``below``. ``note`` is told what could not be done."""

    rounds: int = 1
    below: float = 0.4
    note: Callable[[str], None] = _silent


def look_up(
    again: Again,
    drafts: list[Completion],
    *,
    said: Callable[[Completion], str],
    widen: Callable[[int, list[str]], bool],
    complete: Callable[[list[int]], list[Completion]],
) -> None:
    """Replace the drafts that are unsure by answers with more passages, in place.

    ``said`` is the part of a draft that is looked at; ``widen`` searches for a draft (by its place) and says whether that found anything
    new; ``complete`` answers those places anew. A draft stands where its second answer fails.
    """
    if all(draft.failure or draft.tokens is None for draft in drafts):
        again.note("the model tells no token probabilities, so nothing was looked up again")
        return
    for _ in range(again.rounds):
        asked = {place: queries(draft, said(draft), again.below) for place, draft in enumerate(drafts)}
        places = [place for place, texts in asked.items() if texts and widen(place, texts)]
        if not places:
            return
        for place, answered in zip(places, complete(places), strict=True):
            if answered.failure:
                again.note(f"the first draft stands: {answered.failure}")
            else:
                drafts[place] = together(drafts[place], answered)


def queries(completion: Completion, said: str, below: float) -> list[str]:
    """Return what to look up: the unsure sentences of what was said, without the words that the model was unsure of."""
    if completion.failure or not completion.tokens or not said.strip():
        return []
    marked = _marked(completion.tokens, completion.text, said, math.log(below) if below > 0 else -math.inf)
    found = []
    for match in _SENTENCE.finditer(said):
        letters = range(match.start(), match.end())
        if not any(marked[place] for place in letters):
            continue
        kept = " ".join("".join(" " if marked[place] else said[place] for place in letters).split())
        # A sentence of nothing but guesses says what it is about by them alone.
        query = kept if re.search(r"\w{3}", kept) else " ".join(match[0].split())
        if re.search(r"\w", query):
            found.append(query[:LONGEST_QUERY])
    return list(dict.fromkeys(found))[:MOST_QUERIES]


def _marked(tokens: Sequence[Token], text: str, said: str, least: float) -> list[bool]:
    """Return for each character of ``said`` whether it is of a word with an improbable token."""
    unsure = []
    for token in tokens:
        low = token.logprob is not None and token.logprob < least and any(letter.isalnum() for letter in token.text)
        unsure += [low] * len(token.text)
    unsure += [False] * (len(text) - len(unsure))
    begin = text.find(said)
    if begin < 0:
        # In a JSON reply, marks such as quotes are written otherwise: what is said is found by how it was written.
        written = json.dumps(said, ensure_ascii=False)[1:-1]
        at = text.find(written)
        if at < 0:
            return [False] * len(said)
        marked = [unsure[at + place] for place in _places(said)]
    else:
        marked = unsure[begin : begin + len(said)]
    for match in re.finditer(r"\w+", said):
        # A word of several tokens is unsure as one.
        if any(marked[match.start() : match.end()]):
            marked[match.start() : match.end()] = [True] * (match.end() - match.start())
    return marked


def _places(said: str) -> list[int]:
    """Return where each character of a text begins in its JSON form."""
    places, reached = [], 0
    for letter in said:
        places.append(reached)
        reached += len(json.dumps(letter, ensure_ascii=False)) - 2
    return places


def more(passages: Sequence[Passage], found: Sequence[Sequence[Passage]], limit: int) -> tuple[Passage, ...]:
    """Return the passages, and up to ``limit`` further ones: the best of each search in turn, none of a text shown already."""
    shown = list(passages)
    spans = [(passage.chunk.document_id, passage.chunk.start, passage.chunk.end) for passage in shown]
    added = 0
    for place in range(max((len(one) for one in found), default=0)):
        for one in found:
            if place >= len(one) or added >= limit:
                continue
            chunk = one[place].chunk
            if any(name == chunk.document_id and max(start, chunk.start) < min(end, chunk.end) for name, start, end in spans):
                continue
            shown.append(replace(one[place], rank=len(shown) + 1))
            spans.append((chunk.document_id, chunk.start, chunk.end))
            added += 1
    return tuple(shown)


def together(first: Completion, second: Completion) -> Completion:
    """Return the second completion with what both took; the first token that was kept is the second's."""
    begun = None if second.first_token_seconds is None else first.total_seconds + second.first_token_seconds
    return replace(
        second,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        first_token_seconds=begun,
        total_seconds=first.total_seconds + second.total_seconds,
    )
