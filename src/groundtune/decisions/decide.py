"""Estimates and the rubric → the decision. This is all of the rule.

1. An arm passes when the intolerable metric, every gate and the primary metric were measured for it, and every gate holds.
   A gate on what was not measured does not hold. No arm passes: the verdict is "none passes".
2. One arm beats another when its paired lead on the primary metric is at least ``smallest_gain`` and Holm's p is below ``alpha``.
3. The candidate is the simplest passing arm that no other passing arm beats. There is one: the best mean is beaten by nobody.
4. Where the passing arm with the best mean leads the candidate by at least ``smallest_gain``, but does not beat it, the verdict is
   "can't tell", with the number of questions that would settle it. Otherwise the candidate is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from groundtune.decisions.flips import flips_of
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.sure import close_gates, intolerable, takes
from groundtune.decisions.weigh import FORMAT, Measured, format_pairs, order
from groundtune.decisions.wording import chance, worded
from groundtune.scores.estimate import questions_needed
from groundtune.scores.metrics import METRICS, metric_named
from groundtune.scores.probed import PROBED
from groundtune.types import Arm, Asked, Decision, Estimate, Verdict

DRAFT = "decision:draft"
WORDS: Mapping[Asked, str] = {"test": "test set", "holdout": "holdout"}
_WORDS = ("exact", "token_f1", "rouge_l", "chrf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the rule says, before it is put into words.

    ``choice`` is the arm to ship; ``candidate`` the simplest that nobody beats; ``best`` the passing arm of the best mean; ``failing``
    maps each arm that does not pass to the gates it misses (none: its primary metric was not measured).
    """

    verdict: Verdict
    choice: str | None
    candidate: str | None
    best: str | None
    fallback: str | None
    passing: tuple[str, ...]
    failing: Mapping[str, tuple[Gate, ...]]
    questions_needed: int | None


def decide(
    estimates: Sequence[Estimate],
    rubric: Rubric,
    arms: Sequence[Arm],
    *,
    owner: str,
    made_on: date,
    revisit_on: date,
    inputs: Mapping[str, str],
    not_run: Mapping[str, str] | None = None,
    assumptions: Sequence[str] = (),
    not_covered: Sequence[str] = (),
    currency: str = "EUR",
    looks: int = 1,
    asked: Asked = "test",
    supersedes: str | None = None,
) -> Decision:
    """Apply the rubric. ``arms`` are all that were to be compared; ``not_run`` maps those that did not run to the reason.

    ``estimates`` are those of ``weigh``; ``looks`` is how often the locked set that was ``asked`` was looked at, this time included. The
    id is ``decision:draft`` until ``record.write`` numbers it. Raises what is wrong with the rubric.
    """
    wrong = rubric.problems()
    if wrong:
        raise wrong[0]
    silent = dict(not_run or {})
    measured = Measured(estimates)
    ran = [name for name in order(rubric, arms) if name not in silent]
    chosen = choose(measured, rubric, ran)
    return Decision(
        id=DRAFT,
        verdict=chosen.verdict,
        choice=chosen.choice,
        fallback=chosen.fallback,
        primary=rubric.primary,
        reasons=tuple(_reasons(chosen, measured, rubric, arms, ran, silent, currency)),
        estimates=tuple(estimates),
        not_covered=(*not_covered, *_not_covered(chosen, measured, rubric, silent)),
        assumptions=(*rubric.assumptions, *assumptions, *_assumptions(chosen, measured, rubric, looks, asked)),
        flips=tuple(flips_of(chosen, measured, rubric, arms)),
        questions_needed=chosen.questions_needed,
        owner=owner,
        made_on=made_on,
        revisit_on=revisit_on,
        inputs={**inputs, "rubric": inputs.get("rubric", rubric.hash)},
        supersedes=supersedes,
    )


def choose(measured: Measured, rubric: Rubric, names: Sequence[str]) -> Chosen:
    """Apply the rule to the arms that ran, simplest first."""
    failing = {name: tuple(gate for gate in rubric.all_gates if not holds(gate, measured.mean(gate.metric, name))) for name in names}
    unmeasured = [name for name in names if measured.mean(rubric.primary, name).value is None]
    passing = tuple(name for name in names if not failing[name] and name not in unmeasured)
    missed = {name: failing[name] for name in names if name not in passing}
    if not passing:
        return Chosen(
            verdict="none passes",
            choice=None,
            candidate=None,
            best=None,
            fallback=None,
            passing=(),
            failing=missed,
            questions_needed=None,
        )
    beaten = {name for name in passing if any(beats(measured, rubric, other, name) for other in passing if other != name)}
    candidate = next(name for name in passing if name not in beaten)
    best = max(passing, key=lambda name: measured.better(rubric.primary, name))
    lead = measured.lead(rubric.primary, best, candidate) if best != candidate else None
    open_question = lead is not None and (lead.value is None or lead.value >= rubric.smallest_gain)
    needed = None
    if open_question and lead is not None:
        needed = questions_needed(lead, rubric.smallest_gain, alpha=rubric.alpha / measured.comparisons(rubric.primary))
    return Chosen(
        verdict="can't tell" if open_question else "ship",
        choice=None if open_question else candidate,
        candidate=candidate,
        best=best,
        fallback=candidate if open_question else _fallback(measured, rubric, passing, candidate),
        passing=passing,
        failing=missed,
        questions_needed=needed,
    )


def holds(gate: Gate, estimate: Estimate) -> bool:
    """Return whether a gate holds; not where the metric was not measured, unless the gate is asked only then."""
    if estimate.state != "measured" or estimate.value is None or estimate.low is None or estimate.high is None:
        return gate.if_measured
    if gate.min is not None:
        return (estimate.low if gate.on == "bound" else estimate.value) >= gate.min
    return gate.max is not None and (estimate.high if gate.on == "bound" else estimate.value) <= gate.max


def beats(measured: Measured, rubric: Rubric, arm: str, other: str) -> bool:
    """Return whether ``arm`` leads ``other`` by the smallest gain at least, and surely."""
    lead = measured.lead(rubric.primary, arm, other)
    return lead.value is not None and lead.value >= rubric.smallest_gain and lead.p_holm is not None and lead.p_holm < rubric.alpha


def _fallback(measured: Measured, rubric: Rubric, passing: Sequence[str], choice: str) -> str | None:
    """Return what to run when the choice has to be taken back: the best simpler arm that passes, else the best other one."""
    simpler = passing[: passing.index(choice)]
    others = simpler or [name for name in passing if name != choice]
    return max(others, key=lambda name: measured.better(rubric.primary, name), default=None)


def _reasons(
    chosen: Chosen,
    measured: Measured,
    rubric: Rubric,
    arms: Sequence[Arm],
    ran: Sequence[str],
    silent: Mapping[str, str],
    currency: str,
) -> list[str]:
    """Return the reasons as sentences: the verdict, the others, who failed what, the format question, what it costs."""
    primary = rubric.primary
    said: list[str] = []
    if chosen.choice is not None:
        said.append(f"{chosen.choice} passes every gate and reaches {primary} {worded(measured.mean(primary, chosen.choice))}.")
        said += [_against(measured, rubric, chosen.choice, other, chosen.passing) for other in chosen.passing if other != chosen.choice]
        if len(chosen.passing) == 1:
            said.append(f"No other arm passes the gates, so {chosen.choice} is shipped whatever the others reach.")
    elif chosen.candidate is not None and chosen.best is not None:
        lead = measured.lead(primary, chosen.best, chosen.candidate)
        said.append(
            f"{chosen.best} leads the simpler {chosen.candidate} in {primary} by {worded(lead)}: enough to matter"
            f" ({rubric.smallest_gain:g}), but it may be chance (Holm-adjusted {chance(lead.p_holm)}, needed below {rubric.alpha:g})."
        )
        reached = [f"{name} {worded(measured.mean(primary, name))}" for name in chosen.passing]
        said.append(f"Of the arms that pass every gate, {primary} is: {'; '.join(reached)}. Nobody surely beats {chosen.candidate}.")
        if chosen.questions_needed:
            said.append(
                f"About {chosen.questions_needed} further questions of the same mix would show a true lead of {rubric.smallest_gain:g}"
                " with 80 % power."
            )
    else:
        said.append(f"None of the {len(ran)} arms that ran passes every gate.")
    for name, gates in chosen.failing.items():
        missed = [f"{gate}, but it is {worded(measured.mean(gate.metric, name))}" for gate in gates]
        if measured.mean(primary, name).value is None:
            missed.append(f"{primary} measured, but it is {worded(measured.mean(primary, name))}")
        said.append(f"{name} does not pass: needed {'; and '.join(missed)}.")
    said += [f"{name} was not run: {why}." for name, why in silent.items()]
    said += format_reasons(measured, rubric, arms)
    said += intolerable(measured, rubric, ran, chosen.choice)
    said += close_gates(measured, rubric, chosen.choice)
    said += takes(measured, [chosen.choice or chosen.best, chosen.fallback], currency)
    return said


def _against(measured: Measured, rubric: Rubric, choice: str, other: str, passing: Sequence[str]) -> str:
    """Return why a passing arm was not taken instead."""
    lead = measured.lead(rubric.primary, choice, other)
    simpler = passing.index(other) < passing.index(choice)
    shown = f"by {worded(lead)}, Holm-adjusted {chance(lead.p_holm)}"
    if lead.value is None:
        return f"{choice} and {other} could not be compared: {lead.reason}."
    if simpler and beats(measured, rubric, choice, other):
        return f"{choice} beats the simpler {other} in {rubric.primary} {shown}; at least {rubric.smallest_gain:g} was asked for."
    if simpler:
        return f"{choice} leads the simpler {other} in {rubric.primary} {shown}; another arm beats {other}."
    if lead.value >= 0:
        return f"{other} is less simple and no better: {choice} leads in {rubric.primary} {shown}."
    turned = measured.lead(rubric.primary, other, choice)
    return (
        f"{other} is less simple and leads in {rubric.primary} by only {worded(turned)}, Holm-adjusted {chance(turned.p_holm)};"
        f" at least {rubric.smallest_gain:g} was asked for."
    )


def format_reasons(measured: Measured, rubric: Rubric, arms: Sequence[Arm]) -> list[str]:
    """Return for each fitting pair of arms whether tuning was needed to get the format right, by rules 2 and 4 on ``valid_json``.

    Needed: the tuned arm beats the constrained one. Cannot be told: it leads by the smallest gain, but perhaps by chance.
    """
    said = []
    for tuned, plain in format_pairs(arms):
        lead = measured.lead(FORMAT, tuned.name, plain.name)
        if lead.value is None or lead.p_holm is None:
            continue
        if lead.value >= rubric.smallest_gain and lead.p_holm < rubric.alpha:
            verdict = "Tuning was needed for the format"
        elif lead.value < rubric.smallest_gain:
            verdict = "Tuning was not needed for the format"
        else:
            verdict = "Whether tuning was needed for the format cannot be told"
        said.append(
            f"{verdict}: constrained decoding without tuning ({plain.name}) reaches {FORMAT}"
            f" {worded(measured.mean(FORMAT, plain.name))}, tuning without it ({tuned.name}) {worded(measured.mean(FORMAT, tuned.name))};"
            f" difference {worded(lead)}."
        )
    return said


def _not_covered(chosen: Chosen, measured: Measured, rubric: Rubric, silent: Mapping[str, str]) -> list[str]:
    """Return what nobody measured, as far as the estimates show it."""
    said = [f"The arm {name}: it was not run ({why})." for name, why in silent.items()]
    for name in dict.fromkeys([chosen.choice or chosen.best, chosen.fallback]):
        if name is None:
            continue
        gaps = [metric for metric in METRICS if measured.mean(metric, name).state != "measured"]
        if gaps:
            said.append(f"{', '.join(gaps)} of {name}: not measured.")
    if rubric.primary in _WORDS:
        said.append(f"Whether answers are true: {rubric.primary} compares words with the wanted answer; no person and no judge read them.")
    if rubric.intolerable == "leak":
        said.append("Leaks in other words, or in fewer than eight: only passages and runs of eight words are looked for.")
    if not any(item.metric == f"{PROBED}failed" and item.state == "measured" for item in measured.all):
        said.append("Speed under load: seconds are those of the evaluation's own batches, on the machine that ran it.")
    return said


def _assumptions(chosen: Chosen, measured: Measured, rubric: Rubric, looks: int, asked: Asked) -> list[str]:
    """Return what the numbers rest on."""
    name = chosen.choice or chosen.best or next(iter(chosen.failing), None)
    n = measured.mean(rubric.primary, name).n if name is not None else 0
    said = [f"The {n} {asked} questions are like those that will be asked, in kind and in who asks them."] if n else []
    worst = metric_named(rubric.primary).worst
    if worst is not None:
        said.append(f"A failed answer is worth {worst:g} in {rubric.primary}.")
    if looks > 1:
        said.append(
            f"The {WORDS[asked]} was looked at {looks} times; each look makes a lucky winner likelier, and no p-value here counts that in."
        )
    return said
