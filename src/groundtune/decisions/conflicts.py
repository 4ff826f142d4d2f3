"""Answers → a section on passages that disagree: how often each arm was shown some, and which documents they are from.

It names documents and figures' places, and quotes nothing: the section is in the Markdown that is committed. What the passages say is
behind the question, where the page tells who may read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.annex import Annex, Grid
from groundtune.types import Answer, Conflict, Statement

TITLE = "Passages that disagree"
MOST = 30  # pairs of documents that are listed


def section(answers: Mapping[str, Sequence[Answer]], *, told: bool) -> Annex | None:
    """Return the section, or ``None`` where no answer was given over passages that disagree. ``told``: the prompts said so."""
    rows: list[tuple[str, ...]] = []
    asked: dict[tuple[str, ...], set[str]] = {}
    for arm, given in answers.items():
        shown = [answer for answer in given if answer.passages]
        hit = [answer for answer in shown if answer.conflicts]
        if not shown:
            continue
        newer, older = (sum(any(_quotes(answer, item, first) for item in answer.conflicts) for answer in hit) for first in (True, False))
        rows.append((arm, f"{len(hit)} of {len(shown)}", str(newer), str(older)))
        for answer in hit:
            for item in answer.conflicts:
                asked.setdefault(_pair(item), set()).add(answer.example_id or answer.question)
    if not asked:
        return None
    ranked = sorted(asked, key=lambda key: (-len(asked[key]), key))
    return Annex(
        title=TITLE,
        lines=(
            "Two passages disagree where sentences about the same give other figures. It is found by words and figures alone, so some are"
            " missed and some are none.",
            f"The prompts {'told' if told else 'did not tell'} the model of it (answers.tell_conflicts).",
        ),
        grids=(
            Grid(
                head=("arm", "answers over passages that disagree", "of these, quote the newer sentence", "quote the older"),
                rows=tuple(rows),
                note="Of all answers that were shown a passage. A quote counts where it overlaps one of the two sentences, and versions or"
                " dates say which is newer.",
            ),
            Grid(
                title="Which documents",
                head=("one", "another", "which is newer", "questions"),
                rows=tuple((*key, str(len(asked[key]))) for key in ranked[:MOST]),
                note=f"{len(ranked) - MOST} more pairs are behind their questions." if len(ranked) > MOST else "",
            ),
        ),
    )


def _quotes(answer: Answer, item: Conflict, newer: bool) -> bool:
    said = item.first if newer else item.second
    return item.newer and any(
        quote.document_id == said.document_id and quote.start < said.end and said.start < quote.end for quote in answer.cited
    )


def _pair(item: Conflict) -> tuple[str, ...]:
    named = (_named(item.first), _named(item.second))
    return (*named, "the first") if item.newer else (*sorted(named), "neither says")


def _named(item: Statement) -> str:
    about = ", ".join(part for part in (f"version {item.version}" if item.version else "", item.date) if part)
    name = item.document_id.removeprefix("document:")
    return f"{name} ({about})" if about else name
