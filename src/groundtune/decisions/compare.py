"""Two decisions on the same test set → what changed, and which changes of the inputs it can come from.

    compare(decision 0001, decision 0002)
    → "the verdict: ship rag → ship hybrid"; because "documents: 3f9a… → 77c0…"; "token_f1 of hybrid: 0.61 (…) → 0.68 (…), outside …"

Decisions on other test sets are not compared: a difference of numbers would be one of questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.decisions.wording import worded
from groundtune.errors import NotComparable
from groundtune.types import Decision, Estimate

# What an input is, in the words of somebody who decides; others go by their own names.
MEANING: Mapping[str, str] = {
    "documents": "the documents, or who may read them",
    "train": "the training examples",
    "dev": "the dev examples",
    "rubric": "the rule itself",
    "arms": "the arms, or how they are asked or tuned",
    "index": "the index",
    "chat": "the chat model",
    "embed": "the embedder",
    "prompt": "the prompt",
    "judge": "the judge",
    "metrics": "which metrics are measured",
    "labels": "people's labels",
    "probes": "what was probed",
    "groundtune": "the version of groundtune",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was. ``beyond`` is set for numbers whose new value lies outside the old interval."""

    what: str
    before: str
    after: str
    beyond: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``outcome`` is what the decision says, ``causes`` the inputs that differ, ``numbers`` the estimates, ``said`` lines gone or new.

    ``unexplained`` is true where numbers differ and no input does.
    """

    first: str
    second: str
    outcome: tuple[Change, ...]
    causes: tuple[Change, ...]
    numbers: tuple[Change, ...]
    said: tuple[Change, ...]
    unexplained: bool


def compare(first: Decision, second: Decision) -> Compared:
    """Return what changed. Raises ``NotComparable`` for other test sets, and for records that do not say which they were made on."""
    tests = _asked_of(first), _asked_of(second)
    if None in tests or tests[0] != tests[1]:
        raise NotComparable(
            f"{first.id} was made on the test set {tests[0]}, {second.id} on {tests[1]}: their numbers are of different questions",
            "compare decisions on one test set, or evaluate again on this one: groundtune evaluate",
        )
    outcome = [
        Change(what=what, before=str(before), after=str(after))
        for what, before, after in (
            ("verdict", first.verdict, second.verdict),
            ("choice", first.choice or "none", second.choice or "none"),
            ("fallback", first.fallback or "none", second.fallback or "none"),
            ("primary metric", first.primary, second.primary),
            ("owner", first.owner, second.owner),
            ("questions needed", first.questions_needed, second.questions_needed),
        )
        if before != after
    ]
    causes = [
        Change(
            what=f"{name} ({MEANING[name]})" if name in MEANING else name,
            before=first.inputs.get(name, "none"),
            after=second.inputs.get(name, "none"),
        )
        for name in sorted(first.inputs.keys() | second.inputs.keys())
        if first.inputs.get(name) != second.inputs.get(name)
    ]
    numbers = _numbers(first.estimates, second.estimates)
    said = [
        change
        for what in ("reasons", "flips", "assumptions", "not_covered")
        for change in _lines(what.replace("_", " "), getattr(first, what), getattr(second, what))
    ]
    return Compared(
        first=first.id,
        second=second.id,
        outcome=tuple(outcome),
        causes=tuple(causes),
        numbers=tuple(numbers),
        said=tuple(said),
        unexplained=bool(numbers) and not causes,
    )


def _asked_of(decision: Decision) -> str | None:
    """Return the fingerprint of the questions that a decision was made on: the holdout's, where that was asked."""
    return decision.inputs.get(decision.inputs.get("asked", "test"))


def _numbers(before: Sequence[Estimate], after: Sequence[Estimate]) -> list[Change]:
    """Return the estimates that differ, those beyond their old interval first, in the order of the decisions."""
    old = {(item.metric, item.arm, item.versus): item for item in before}
    new = {(item.metric, item.arm, item.versus): item for item in after}
    changes = []
    for key in dict.fromkeys([*old, *new]):
        metric, arm, versus = key
        what = f"{metric} of {arm}" + (f" against {versus}" if versus else "")
        left, right = old.get(key), new.get(key)
        if left is not None and right is not None and _bare(left) == _bare(right):
            continue
        changes.append(
            Change(
                what=what,
                before="not there" if left is None else worded(left),
                after="not there" if right is None else worded(right),
                beyond=_beyond(left, right),
            )
        )
    return sorted(changes, key=lambda change: not change.beyond)


def _bare(item: Estimate) -> tuple[object, ...]:
    return item.state, item.value, item.low, item.high, item.n, item.n_failed


def _beyond(left: Estimate | None, right: Estimate | None) -> bool:
    if left is None or right is None or left.state != right.state:
        return True
    if left.low is None or left.high is None or right.value is None:
        return False
    return not left.low <= right.value <= left.high


def _lines(what: str, before: Sequence[str], after: Sequence[str]) -> list[Change]:
    gone = [Change(what=what, before=line, after="") for line in before if line not in after]
    return gone + [Change(what=what, before="", after=line) for line in after if line not in before]
