"""Calibrations → a section on when the arms said that they do not know: what the dev questions promised, and what the test questions got.

rag   threshold 0.612   dev: 1 of 12 without an answer were answered …   test: 80 answered, 9 declined, 25 below the threshold
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from groundtune.annex import Annex, Grid
from groundtune.calibration import Calibrated, CurvePoint
from groundtune.types import Answer

TITLE = "When an arm says that it does not know"
STATES = ("answered", "declined", "below threshold", "nothing found")
CURVE = ("threshold", "false answers", "at most", "answered of those with one", "of all", "of these unsupported")


def section(found: Mapping[str, Calibrated], answers: Mapping[str, Sequence[Answer]]) -> Annex | None:
    """Return the section; ``found`` are the calibrations that the answers were judged by, by arm. ``None`` without any."""
    if not found:
        return None
    without = [arm for arm in answers if arm not in found]
    lines = [f"{arm}: {worded(item)}" for arm, item in found.items()]
    if without:
        lines.append(f"Not calibrated, so they answer whenever they are asked and find anything: {', '.join(without)}.")
    counted = {arm: Counter("failed" if answer.failure else _state(answer) for answer in answers.get(arm, ())) for arm in found}
    return Annex(
        title=TITLE,
        lines=tuple(lines),
        grids=(
            Grid(
                title="The test questions",
                head=("arm", *STATES, "failed", "n"),
                rows=tuple(
                    (arm, *(str(counts[state]) for state in (*STATES, "failed")), str(sum(counts.values())))
                    for arm, counts in counted.items()
                ),
            ),
            *(_curve(arm, item) for arm, item in found.items()),
        ),
    )


def _state(answer: Answer) -> str:
    if answer.abstention is not None:
        return answer.abstention.state
    return "declined" if answer.refused else "answered"


def worded(found: Calibrated) -> str:
    """Return what was chosen, in a sentence, with its counts."""
    if found.chosen is None or found.threshold is None:
        return f"{found.state}: {found.reason}"
    text = f"threshold {found.threshold:.3f}, chosen for {found.target:g} false answers; of the dev questions, "
    text += point_words(found.chosen, found)
    if found.checked is not None:
        text += f"; with each threshold chosen without the questions it judges: {point_words(found.checked, found)}"
    return text


def point_words(point: CurvePoint, found: Calibrated) -> str:
    """Return what one threshold did to the dev questions."""
    return (
        f"{point.false_answers} of {found.unanswerable} questions without an answer are answered ({point.false_rate:.2f}, at most"
        f" {point.false_upper:.2f} with 95 % confidence), {point.answered_answerable} of {found.answerable} with one"
    )


def curve_rows(found: Calibrated) -> list[tuple[str, ...]]:
    """Return the best threshold for each number of false answers: the lowest that has no more of them. The chosen one has a star."""
    best: dict[int, CurvePoint] = {}
    for point in found.curve:
        best.setdefault(point.false_answers, point)
    return [
        (
            f"{'* ' if point == found.chosen else '  '}{point.threshold:.3f}",
            f"{point.false_answers}/{found.unanswerable} = {point.false_rate:.2f}",
            f"{point.false_upper:.2f}",
            f"{point.answered_answerable}/{found.answerable} = {point.answered_answerable / max(1, found.answerable):.2f}",
            f"{point.coverage:.2f}",
            "–" if point.risk is None else f"{point.risk:.2f}",
        )
        for point in best.values()
    ]


def _curve(arm: str, found: Calibrated) -> Grid:
    return Grid(
        title=f"{arm}: what other thresholds would do, on the dev questions",
        head=CURVE,
        rows=tuple(curve_rows(found)),
        note="* the threshold in force. False answers: of the dev questions without an answer; at most: upper end of a one-sided 95 %"
        " interval; unsupported: no evidence for the answer was in its passages.",
    )
