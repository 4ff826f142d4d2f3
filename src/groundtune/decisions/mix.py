"""The primary metric on questions that have an answer and on those that must be refused, each by itself.

A mean over both rests on how many of each the test set holds. Where two arms change places between the kinds, the share of questions with
an answer at which they are level is a threshold to know: ``p d₁ + (1 - p) d₀ = 0``, so ``p = d₀ / (d₀ - d₁)``, with ``d₁`` the lead on
questions that have an answer and ``d₀`` that on the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.annex import Annex, Grid
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import Told, number, worded
from groundtune.scores.estimate import compare, mean
from groundtune.scores.metrics import metric_named
from groundtune.types import Score

TITLE = "Questions with an answer, and questions to refuse"


def mixed(
    scores: Sequence[Score],
    primary: str,
    arms: Sequence[str],
    choice: str | None,
    answerable: Mapping[str, bool],
    clusters: Mapping[str, str],
    *,
    smallest: float,
    seed: int,
) -> tuple[Annex | None, tuple[str, ...]]:
    """Return the section with both tables, and the sentences on arms that change places with ``choice`` between the kinds.

    A lead below ``smallest`` on the kind where ``choice`` is behind is not worth a sentence. ``answerable`` says of each question
    whether it has an answer. Nothing is returned where the test set is all of one kind.
    """
    kept = [score for score in scores if score.metric == primary and score.example_id in answerable]
    kinds = {kind: [score for score in kept if answerable[score.example_id] is kind] for kind in (True, False)}
    if not all(kinds.values()):
        return None, ()
    names = [name for name in arms if any(score.arm == name for score in kept)]

    def cell(name: str, kind: bool) -> str:
        return worded(mean([score for score in kinds[kind] if score.arm == name], primary, name, clusters, seed=seed))

    rows = tuple((name, cell(name, True), cell(name, False)) for name in names)
    grid = Grid(
        head=("arm", f"{primary}, answer exists", f"{primary}, to be refused"), rows=rows, note="means with 95 % intervals and n", title=""
    )
    said = tuple(
        _turned(kinds, kept, primary, choice, name, answerable, clusters, smallest, seed) for name in names if choice and name != choice
    )
    turned = tuple(text for text in said if text)
    lines = turned or (("No arm changes places with the chosen one between the two kinds.",) if choice else ())
    return Annex(title=TITLE, lines=lines, grids=(grid,)), turned


def carried(
    scores: Sequence[Score],
    primary: str,
    choice: str,
    rival: str,
    answerable: Mapping[str, bool],
    clusters: Mapping[str, str],
    *,
    smallest: float,
    seed: int,
) -> Told | None:
    """Return on which kind of question the lead of ``choice`` over ``rival`` is made, where it is made on one alone.

    That is where the lead on one kind is at least ``smallest``, and on the other below it. Nothing is returned otherwise, and where one
    kind was not measured.
    """
    kept = [score for score in scores if score.metric == primary and score.example_id in answerable and score.arm in (choice, rival)]
    leads = {}
    for kind in (True, False):
        of_kind = [score for score in kept if answerable[score.example_id] is kind]
        leads[kind] = Measured([compare(of_kind, primary, choice, rival, clusters, seed=seed)]).lead(primary, choice, rival)
    with_answer, without = leads[True].value, leads[False].value
    if with_answer is None or without is None or (with_answer >= smallest) == (without >= smallest):
        return None
    made, other = ("to be refused", "that have an answer") if without >= smallest else ("that have an answer", "to be refused")
    text = (
        f"The lead of {choice} over {rival} is made on questions {made}: there it is {worded(leads[without < smallest])}; on those {other}"
        f" it is {worded(leads[without >= smallest])}, less than the {smallest:g} that matters."
    )
    return Told(text=text, caution=f"its lead over {rival} is made on questions {made} alone")


def _turned(
    kinds: Mapping[bool, Sequence[Score]],
    kept: Sequence[Score],
    primary: str,
    choice: str,
    rival: str,
    answerable: Mapping[str, bool],
    clusters: Mapping[str, str],
    smallest: float,
    seed: int,
) -> str:
    """Return at which share of questions with an answer the two arms are level; nothing where one leads on both kinds."""
    with_answer, without, both = (
        compare([score for score in rows if score.arm in (choice, rival)], primary, choice, rival, clusters, seed=seed)
        for rows in (kinds[True], kinds[False], kept)
    )
    sign = 1.0 if metric_named(primary).better == "higher" else -1.0
    if with_answer.value is None or without.value is None or both.value is None:
        return ""
    d1, d0 = sign * with_answer.value, sign * without.value
    if d1 * d0 >= 0 or min(d1, d0) > -smallest or sign * both.value <= 0:
        return ""
    level = d0 / (d0 - d1)
    ids = {score.example_id for score in kept}
    now = sum(answerable[item] for item in ids) / len(ids)
    side = "More" if d1 < 0 else "Less"
    return (
        f"{side} than {level:.0%} of the questions have an answer (here {now:.0%}): {rival} is then ahead of {choice} in {primary},"
        f" by {number(abs(with_answer.value if d1 < 0 else without.value))} on"
        f" {'those that have one' if d1 < 0 else 'those to refuse'}. Lead of {choice} with an answer {worded(with_answer)},"
        f" without {worded(without)}."
    )
