"""What the stated needs say against the arm that is shipped, where nothing in the rubric asked for it.

    citations = required, and tuned is shipped
    → "The stated needs speak against tuned: citations = required (only a passage that was shown can be quoted; measured: citation 0.00 …)"

A verdict is as good as what its rubric asks for. Where somebody has stated a need that nearly rules an approach out, and the rubric has no
gate on it, an arm of that approach can win by what was measured and still be the wrong one to ship.
"""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.decisions.needs.advise import Advice, answer_words
from groundtune.decisions.needs.weights import NAMES, Option
from groundtune.decisions.rubric import Rubric
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import Told, worded
from groundtune.types import Arm

STRONG = -2  # the weight from which on an answer speaks against an approach enough to be told beside a verdict for it
# What was measured of an arm on a need, and so what a gate of the rubric would look at.
METRICS: Mapping[str, tuple[str, ...]] = {
    "citations": ("citation", "quote_found"),
    "churn": ("probed:stale", "probed:fresh"),
    "access": ("probed:leak", "leak"),
    "sensitivity": ("probed:remembered",),
}


def approach_of(arm: Arm) -> Option:
    """Return which of the approaches of the first recommendation an arm is."""
    if arm.adapter is not None:
        return "hybrid" if arm.retrieves else "tuned"
    return "rag" if arm.retrieves else "prompt"


def against(advice: Advice, arm: Arm, measured: Measured, rubric: Rubric) -> Told | None:
    """Return what the needs say against an arm, each with its reason and what was measured of it; nothing where they say nothing strong."""
    approach: Option = ("hybrid" if arm.adapter else "rag") if arm.whole_corpus else approach_of(arm)  # it is shown documents too
    gated = {gate.metric for gate in rubric.all_gates}
    said, keys, open_ = [], [], []
    for point in advice.points:
        if point.weights.get(approach, 0) > STRONG:
            continue
        keys.append(point.key)
        metrics = METRICS.get(point.key, ())
        found = next((item for name in metrics if (item := measured.mean(name, arm.name)).value is not None), None)
        shown = f"; measured: {found.metric} {worded(found)}" if found else ""
        said.append(f"{answer_words(point.key, point.answer)} ({_bare(point.reason)}{shown})")
        if metrics and not gated & set(metrics):
            open_.append(f"{point.key} ({metrics[0]})")
    if not said:
        return None
    asked = f" No gate of the rubric asks for {', '.join(open_)}: add one, or take the need back, before this ships." if open_ else ""
    other = f" By the needs alone it would be {NAMES[advice.approach]}." if advice.approach != approach else ""
    return Told(
        text=f"The stated needs speak against {arm.name}: {'; '.join(said)}.{other}{asked}",
        caution=f"it goes against what was stated as needed ({', '.join(keys)})",
    )


def _bare(reason: str) -> str:
    return reason[:1].lower() + reason[1:].rstrip(".")
