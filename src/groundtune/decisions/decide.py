"""Estimates and the rubric → the decision: what the rule of ``rule`` says, put into words.

tuned passes every gate and reaches token_f1 0.19 (0.14 to 0.28, n = 119).
prompt, rag do not pass: needed valid_json at least 0.9, but it is 0.00 (…); 0.18 (…).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from groundtune.decisions.flips import flips_of
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.rule import Chosen, beats, choose
from groundtune.decisions.sure import close_gates, how_sure, intolerable, takes
from groundtune.decisions.weigh import FORMAT, Measured, format_pairs, order
from groundtune.decisions.wording import Told, chance, worded
from groundtune.scores.metrics import METRICS, metric_named
from groundtune.scores.pairing import groups_of
from groundtune.scores.probed import PROBED
from groundtune.types import Arm, Asked, Decision, Estimate

DRAFT = "decision:draft"
WORDS: Mapping[Asked, str] = {"test": "test set", "holdout": "holdout"}
_WORDS = ("exact", "token_f1", "rouge_l", "chrf")


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
    told: Sequence[Told] = (),
) -> Decision:
    """Apply the rubric. ``arms`` are all that were to be compared; ``not_run`` maps those that did not run to the reason.

    ``estimates`` are those of ``weigh``; ``looks`` is how often the locked set that was ``asked`` was looked at, this time included.
    ``told`` is what the rule knows nothing of and a reader has to know first; it comes right after the rule's own first sentences. The id
    is ``decision:draft`` until ``record.write`` numbers it. Raises what is wrong with the rubric.
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
        sure=how_sure(chosen, measured, rubric, [item.caution for item in told if item.caution]),
        reasons=tuple(_reasons(chosen, measured, rubric, arms, ran, silent, currency, told)),
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


def _reasons(
    chosen: Chosen,
    measured: Measured,
    rubric: Rubric,
    arms: Sequence[Arm],
    ran: Sequence[str],
    silent: Mapping[str, str],
    currency: str,
    told: Sequence[Told],
) -> list[str]:
    """Return the reasons as sentences: the verdict, what is not tolerated, what was told, who failed what, the format, what it takes."""
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
    elif chosen.stops:
        gates = " and ".join(str(gate) for gate in chosen.stops)
        said.append(f"The rubric says to stop where every arm misses {gates}, interval and all; all {len(ran)} arms that ran do.")
    else:
        said.append(f"None of the {len(ran)} arms that ran passes every gate.")
    said += intolerable(measured, rubric, ran, chosen.choice)
    said += [item.text for item in told]
    said += _failing(chosen, measured, primary)
    said += [f"{name} was not run: {why}." for name, why in silent.items()]
    said += format_reasons(measured, rubric, arms)
    said += close_gates(measured, rubric, chosen.choice)
    said += takes(measured, [chosen.choice or chosen.best, chosen.fallback], currency)
    return said


def _failing(chosen: Chosen, measured: Measured, primary: str) -> list[str]:
    """Return which gates the other arms miss; arms that miss just the same ones are in one sentence."""
    together: dict[tuple[Gate, ...] | str, list[str]] = {}
    for name, gates in chosen.failing.items():
        alone = not gates or measured.mean(primary, name).value is None
        together.setdefault(name if alone else gates, []).append(name)
    said = []
    for names in together.values():
        gates = chosen.failing[names[0]]
        missed = [f"{gate}, but it is {'; '.join(worded(measured.mean(gate.metric, name)) for name in names)}" for gate in gates]
        if measured.mean(primary, names[0]).value is None:
            missed.append(f"{primary} measured, but it is {worded(measured.mean(primary, names[0]))}")
        verb = "does" if len(names) == 1 else "do"
        said.append(f"{', '.join(names)} {verb} not pass: needed {'; and '.join(missed)}.")
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
    found = measured.mean(rubric.primary, name) if name is not None else None
    said = []
    if found and found.n:
        said.append(f"The {found.n} {asked} questions are like those that will be asked, in kind and in who asks them.")
    groups = groups_of(found) if found else None
    if found and groups and groups < found.n:
        said.append(
            f"The {found.n} questions come in {groups} groups that share a source (split_group); n counts questions, and intervals and"
            " p-values take the groups as what was drawn."
        )
    said += _warnings(measured, rubric)
    worst = metric_named(rubric.primary).worst
    if worst is not None:
        said.append(f"A failed answer is worth {worst:g} in {rubric.primary}.")
    if looks > 1:
        said.append(
            f"The {WORDS[asked]} was looked at {looks} times; each look makes a lucky winner likelier, and no p-value here counts that in."
        )
    return said


def _warnings(measured: Measured, rubric: Rubric) -> list[str]:
    """Return what estimates that the decision rests on come with as a warning, each once, with the first of the numbers that have it."""
    watched = (rubric.primary, *(gate.metric for gate in rubric.all_gates))
    found: dict[str, list[Estimate]] = {}
    for item in measured.all:
        if item.state == "measured" and item.reason and item.metric in watched and not item.metric.startswith(PROBED):
            found.setdefault(item.reason, []).append(item)
    said = []
    for reason, items in found.items():
        first = items[0]
        against = f" against {first.versus}" if first.versus else ""
        more = f" and {len(items) - 1} more" if len(items) > 1 else ""
        said.append(f"{reason[:1].upper()}{reason[1:]} ({first.metric} of {first.arm}{against}{more}).")
    return said
