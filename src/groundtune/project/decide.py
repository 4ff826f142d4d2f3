"""An evaluation and the rubric → a decision, as Markdown, JSON and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from groundtune import __version__
from groundtune.decisions import conflicts, record, withheld
from groundtune.decisions.curve import risk_coverage
from groundtune.decisions.decide import decide as apply_rubric
from groundtune.decisions.drill import Evidence
from groundtune.decisions.mix import carried, mixed
from groundtune.decisions.page import page
from groundtune.decisions.rubric import Rubric
from groundtune.decisions.rule import choose
from groundtune.decisions.weigh import Measured, order, weigh
from groundtune.errors import GroundtuneError
from groundtune.files import write_atomic
from groundtune.probes import report as probe_reports
from groundtune.probes import section as probe_section
from groundtune.project import before, curve
from groundtune.project import lock as locks
from groundtune.project.calibrations import kept
from groundtune.project.check import missing
from groundtune.project.judge import labels_of
from groundtune.project.reproduce import labels_print, logged
from groundtune.types import Decision, Estimate

if TYPE_CHECKING:
    from groundtune.calibration import Calibrated
    from groundtune.probes.report import Report as ProbeReport
    from groundtune.project.evaluate import Evaluation
    from groundtune.project.main import Project


_UNPROBED = "What arms do when documents change, are forgotten or hold planted instructions, and when several ask: not probed ({})."


def rubric_of(project: Project) -> Rubric:
    """Return the rubric of groundtune.toml; the arms' order there is their simplicity."""
    return Rubric.of(project.settings.rubric, [arm.name for arm in project.settings.arms])


def estimates_of(project: Project, evaluation: Evaluation) -> tuple[Estimate, ...]:
    """Return every mean and paired difference that the rubric looks at; questions of one source are resampled together."""
    clusters = {example.id: example.split_group for example in evaluation.examples}
    seed = project.settings.project.seed
    found = weigh(evaluation.scores, rubric_of(project), evaluation.arms, clusters, seed=seed, tallies=evaluation.tallies)
    labels = labels_of(project)
    if not labels:
        return found
    from groundtune.scores.ppi import corrected

    return corrected(found, evaluation.scores, labels, clusters)


def _probed(project: Project) -> tuple[ProbeReport | None, str]:
    """Return what the probes found of the project as it stands, and why there is nothing where there is not."""
    from groundtune.project.probing.run import standing

    if not project.settings.probes.questions:
        return None, "[probes] questions is 0"
    try:
        report = standing(project)
    except GroundtuneError as error:
        return None, error.message
    return report, "" if report else "nobody probed the project as it stands; type: groundtune probe"


def decide(project: Project, evaluation: Evaluation) -> Decision:
    """Apply the rubric, number the decision, and write its three files; the JSON, written last, is the record."""
    settings = project.settings
    rubric = rubric_of(project)
    if wrong := rubric.problems():
        raise wrong[0]
    lock = locks.read(project.folder)
    relocked = len(lock.relocked) if lock else 0
    today = datetime.now(UTC).date()
    labels = labels_print(project)
    report, why = _probed(project)
    probed = probe_reports.estimates(report, [arm.name for arm in evaluation.arms if arm.name not in evaluation.not_run], why)
    estimates = probe_reports.with_probed(estimates_of(project, evaluation), probed)
    curves = curve.measured_for(project, evaluation.inputs)
    given: dict[str, Any] = {
        "not_run": evaluation.not_run,
        "assumptions": [*_assumptions(relocked), *_in_batches(evaluation), *_held_out(project, evaluation), *evaluation.notes],
        "not_covered": [*_not_covered(project, evaluation), *_too_small(estimates, rubric), *([] if report else [_UNPROBED.format(why)])],
        "currency": settings.costs.currency,
        "looks": evaluation.looks,
        "asked": evaluation.asked,
    }
    chosen = choose(Measured(estimates), rubric, [name for name in order(rubric, evaluation.arms) if name not in evaluation.not_run])
    known_before, told = before.beside(project, chosen, rubric, estimates, evaluation.inputs, evaluation.not_run)
    answerable = {example.id: example.answerable for example in evaluation.examples}
    clusters = {example.id: example.split_group for example in evaluation.examples}
    how: dict[str, Any] = {"smallest": rubric.smallest_gain, "seed": settings.project.seed}
    names = [arm.name for arm in evaluation.arms]
    by_kind, turned = mixed(evaluation.scores, rubric.primary, names, chosen.choice, answerable, clusters, **how)
    if chosen.choice and chosen.fallback:
        made = carried(evaluation.scores, rubric.primary, chosen.choice, chosen.fallback, answerable, clusters, **how)
        told = (made, *told) if made else told
    draft = apply_rubric(
        estimates,
        rubric,
        evaluation.arms,
        owner=settings.project.owner,
        made_on=today,
        revisit_on=today + timedelta(days=settings.project.revisit_days),
        inputs={
            **evaluation.inputs,
            **before.fingerprints(project),
            **{f"curve {item.name}": item.run_id for item in curves},
            "groundtune": __version__,
            **({} if labels == "none" else {"labels": labels}),
            "probes": report.key if report else "none",
        },
        told=told,
        **given,
    )
    judged = _judged(project, evaluation)
    seen = (
        withheld.section(judged, evaluation.answers),
        conflicts.section(evaluation.answers, told=settings.answers.tell_conflicts),
    )
    folder = project.folder / "decisions"
    gates = [str(gate) for gate in rubric.all_gates]
    beside = (
        *(item for item in (by_kind, *seen) if item is not None),
        *known_before,
        *map(curve.section, curves),
        probe_section.section(report, why, gates),
    )
    decision = record.write(replace(draft, sections=beside, flips=(*draft.flips, *turned)), folder)
    html = page(
        decision,
        Evidence(
            project=settings.project.name,
            currency=settings.costs.currency,
            arms=evaluation.arms,
            examples=evaluation.examples,
            answers=evaluation.answers,
            scores=evaluation.scores,
            not_run=evaluation.not_run,
            documents=project.content.documents,
            gates={gate.metric: str(gate).removeprefix(f"{gate.metric} ") for gate in rubric.all_gates},
            smallest_gain=rubric.smallest_gain,
            looks=evaluation.looks,
            asked=evaluation.asked,
            relocked=relocked,
            run_id=evaluation.run_id,
            curves={withheld.TITLE: "".join(risk_coverage(item, title=name, inline=True) for name, item in judged.items())},
        ),
    )
    write_atomic(folder / f"{decision.id.removeprefix('decision:')}.html", html)
    project.ledger.link(evaluation.run_id, [(decision.id, evaluation.run_id)])
    marks = [[*key, value] for key, value in sorted(labels_of(project).items())]
    logged(project, evaluation, decision, rubric, {**given, "labels": marks, "probes": probed, "seed": settings.project.seed})
    return decision


def _judged(project: Project, evaluation: Evaluation) -> dict[str, Calibrated]:
    """Return the calibrations that the answers were judged by, by arm, as far as they are still kept."""
    found = {}
    for arm, answers in evaluation.answers.items():
        used = {answer.abstention.calibration for answer in answers if answer.abstention is not None and answer.abstention.calibration}
        for item in kept(project, arm).values() if used else ():
            if item.id in used:
                found[arm] = item.found
    return found


def _assumptions(relocked: int) -> list[str]:
    if not relocked:
        return []
    return [
        f"The test set, the rubric or the arms were changed and locked again {relocked} time(s); groundtune.lock lists the earlier locks."
    ]


def _in_batches(evaluation: Evaluation) -> list[str]:
    """Return how many questions were answered at once, which is what the seconds of an answer are of."""
    most = max((answer.seconds.batch for answers in evaluation.answers.values() for answer in answers), default=1)
    if most < 2:
        return []
    return [
        f"seconds_total is of answers given up to {most} at once, each waiting for its whole batch; what one caller alone waits is in the"
        " load probe, where there is one."
    ]


def _held_out(project: Project, evaluation: Evaluation) -> list[str]:
    """Return what a decision on the holdout says of it."""
    lock = locks.read(project.folder)
    if evaluation.asked == "test" or lock is None:
        return []
    seen = project.ledger.looks(lock.id("test"))
    return [
        f"The {len(evaluation.examples)} questions are those of the holdout, look {evaluation.looks} at it; arms and settings were chosen"
        f" without it, while the test set was looked at {seen} time(s)."
    ]


def _too_small(estimates: Sequence[Estimate], rubric: Rubric) -> list[str]:
    """Return which differences this test set is too small to show, by the spread that was measured."""
    from groundtune.scores.power import detectable

    found = detectable(estimates, rubric.primary, alpha=rubric.alpha)
    if found is None:
        return []
    smallest, n = found
    said = (
        f"True differences in {rubric.primary} below {smallest:.3f}: with {n} questions, more than one in five of them would be missed"
        " (80 % power, the pair of arms that spreads most, at the first step of Holm's correction)."
    )
    if smallest > rubric.smallest_gain:
        gain = f"{rubric.smallest_gain:g}"
        said += f" That is more than the {gain} that counts; groundtune check --gain {gain} says how many questions show that."
    return [said]


def _not_covered(project: Project, evaluation: Evaluation) -> list[str]:
    said = ["Other seeds: every adapter was trained once, so how much luck is in a training run is not in these intervals."]
    said += [f"The test set is incomplete: it has {text}." for text in missing(project.content, evaluation.examples)]
    if len(evaluation.arms) < len(project.arms):
        said.append(
            "Arms of groundtune.toml that were left out by hand: "
            + ", ".join(arm.name for arm in project.arms if arm.name not in {run.name for run in evaluation.arms})
        )
    return said
