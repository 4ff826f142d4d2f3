"""Needs → a first recommendation: what to do first, which approach to expect, why, and which answers would change it.

    advise(NeedsTable(knowledge="most", churn="daily", citations="required"))
        →  RAG, 9 points to the hybrid's 7; it would be … if … were …

An approach's points are the sum of its weights. Three answers come before any approach: where most answers need another system, where the
questions lack what an answer needs, and where the documents that it would draw on are not fit to be drawn on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from groundtune.decisions.needs.levers import levers_for
from groundtune.decisions.needs.questions import BY_KEY, SKILL, answers_of, possible
from groundtune.decisions.needs.weights import NAMES, OPTIONS, START, WEIGHTS, Option
from groundtune.tables import NeedsTable

First = Literal["tools", "interface", "documents"]
FIRSTS: Mapping[First, str] = {
    "tools": "Most answers need another system: give the model, or the people, a tool that asks it before choosing how to answer.",
    "interface": "The questions lack what an answer needs: mend the place where they are asked before choosing how to answer.",
    "documents": "The answers are to come from documents that are not fit for it: mend those before choosing how to answer.",
}
CLOSE = 2  # points below which two approaches are called close: one answer of usual weight
MOST_FLIPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one answer contributes."""

    key: str
    answer: str
    weights: Mapping[Option, int]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Answers that would change the recommendation, by key, and what it would then be."""

    answers: Mapping[str, str]
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A first recommendation. ``first`` is what comes before any approach; ``verdict`` names that, or else the approach.

    ``totals`` are the points of all approaches, the best first; ``lead`` those of the best over the next; ``open`` the questions that
    nobody answered.
    """

    verdict: str
    approach: Option
    first: tuple[First, ...]
    totals: Mapping[Option, int]
    lead: int
    points: tuple[Point, ...]
    flips: tuple[Flip, ...]
    levers: tuple[str, ...]
    open: tuple[str, ...]

    @property
    def close(self) -> bool:
        """Whether the next approach is as good as level."""
        return self.lead < CLOSE


Answers = Mapping[str, str | None]


def advise(needs: NeedsTable, failures: str | None = None) -> Advice:
    """Weigh the answers. ``failures`` is what an audit measured (facts, behaviour or mixed) and takes the place of the answer."""
    answers = answers_of(needs) | ({} if failures is None else {"failures": failures})
    totals = totals_of(answers)
    ranked = sorted(OPTIONS, key=lambda option: -totals[option])
    points = tuple(
        Point(key=key, answer=answer, weights=said.weights, reason=said.reason)
        for key, answer in answers.items()
        if answer is not None and (said := WEIGHTS.get(key, {}).get(answer)) is not None
    )
    return Advice(
        verdict=verdict_of(answers),
        approach=ranked[0],
        first=firsts_of(answers),
        totals={option: totals[option] for option in ranked},
        lead=totals[ranked[0]] - totals[ranked[1]],
        points=points,
        flips=tuple(flips_of(answers)),
        levers=levers_for(answers, ranked[0]),
        open=tuple(key for key, answer in answers.items() if answer is None and not key.startswith(SKILL)),
    )


def totals_of(answers: Answers) -> dict[Option, int]:
    """Return the points of each approach."""
    said = [START] + [WEIGHTS[key][answer] for key, answer in answers.items() if answer is not None and key in WEIGHTS]
    return {option: sum(one.weights.get(option, 0) for one in said) for option in OPTIONS}


def approach_of(answers: Answers) -> Option:
    """Return the approach with most points; of several, the cheapest to own."""
    totals = totals_of(answers)
    return max(OPTIONS, key=lambda option: (totals[option], -OPTIONS.index(option)))


def firsts_of(answers: Answers) -> tuple[First, ...]:
    """Return what comes before any approach, in the order in which to do it."""
    found: list[First] = []
    if answers.get("live") == "most":
        found.append("tools")
    if answers.get("questions") == "vague":
        found.append("interface")
    # Where nothing is written down RAG gets no points, so it is what has to be known that counts here, not the approach.
    if answers.get("documents") in ("none", "scattered") and answers.get("knowledge") in ("some", "most"):
        found.append("documents")
    return tuple(found)


def verdict_of(answers: Answers) -> str:
    """Return the recommendation in a few words."""
    first = firsts_of(answers)
    return f"fix the {first[0]} first" if first else NAMES[approach_of(answers)]


def flips_of(answers: Answers) -> list[Flip]:
    """Return up to three changes of answers that change the verdict, each found by weighing again.

    Single answers that lead to another approach come first, by how far the other answer is from the given one (an unanswered question is
    one step from any), then by how clear the changed verdict is. Where there is none, the best pair of answers that does so comes first.
    Then the single answers that bring up something to mend first; and pairs, where all that is fewer than two.
    """
    keys = [key for key in answers if key in WEIGHTS]
    singles = [best for key in keys if (best := min(_changes(answers, (key,)), key=_rank, default=None))]
    pairs: list[_Change] = []
    if len(singles) < 2 or all(item.mends for item in singles):
        # A pair in which one answer alone is enough says nothing new.
        enough = {key for item in singles for key in item.answers}
        rest = [key for key in keys if key not in enough]
        pairs = [best for pair in combinations(rest, 2) if (best := min(_changes(answers, pair), key=_rank, default=None))]
        pairs = [item for item in sorted(pairs, key=_rank) if not item.mends or len(singles) < 2]
        pairs = pairs[: max(1, MOST_FLIPS - len(singles))]
    found = sorted([*singles, *pairs], key=_rank)
    return [Flip(answers=item.answers, verdict=item.verdict) for item in found[:MOST_FLIPS]]


@dataclass(frozen=True, slots=True)
class _Change:
    """Changed answers with their verdict: whether that is something to mend first, how many steps they are away, and its lead."""

    answers: Mapping[str, str]
    verdict: str
    mends: bool
    steps: int
    lead: int


def _rank(change: _Change) -> tuple[bool, int, int, int]:
    return change.mends, len(change.answers), change.steps, -change.lead


def _changes(answers: Answers, chosen: tuple[str, ...]) -> Iterator[_Change]:
    """Yield every change of all the chosen answers that changes the verdict."""
    now = verdict_of(answers)
    options: list[dict[str, str]] = [{}]
    for key in chosen:
        options = [{**before, key: answer} for before in options for answer in possible(key) if answer != answers[key]]
    for change in options:
        changed = {**answers, **change}
        verdict = verdict_of(changed)
        if verdict != now:
            steps = sum(_steps(answers, key, answer) for key, answer in change.items())
            yield _Change(change, verdict, bool(firsts_of(changed)), steps, _lead(changed))


def _lead(answers: Answers) -> int:
    ordered = sorted(totals_of(answers).values())
    return ordered[-1] - ordered[-2]


def _steps(answers: Answers, key: str, answer: str) -> int:
    known, given = possible(key), answers[key]
    return 1 if given is None else abs(known.index(answer) - known.index(given))


def answer_words(key: str, answer: str) -> str:
    """Return an answer as people read it: ``churn = daily``, or for a number its range."""
    bands = BY_KEY[key].bands if key in BY_KEY else ()
    if not bands:
        return f"{key} = {answer}"
    place = [band.name for band in bands].index(answer)
    above = bands[place + 1].low if place + 1 < len(bands) else None
    if above is None:
        return f"{key} ≥ {bands[place].low:,.0f}"
    return f"{key} < {above:,.0f}" if not place else f"{key} from {bands[place].low:,.0f} to {above:,.0f}"
