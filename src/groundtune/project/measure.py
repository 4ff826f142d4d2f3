"""Which metrics a project measures, and what they need besides answers: a detector of unsupported sentences, a judge's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groundtune import plugins
from groundtune.errors import GroundtuneError, JudgeError, MissingExtra, UnknownName
from groundtune.files import fingerprint
from groundtune.scores.judge import JUDGED
from groundtune.scores.metrics import metric_named
from groundtune.scores.probed import PROBED
from groundtune.scores.ragas import NAME as RAGAS
from groundtune.scores.ragas import installed
from groundtune.scores.scorer import Verdicts
from groundtune.tables import ScoresTable, Settings
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.project.main import Project
    from groundtune.scores.support import Support

EMBEDDED = "smollm2-135m-instruct"
HINT = "correct [scores] in groundtune.toml, then type: groundtune check"


def own() -> list[str]:
    """Return the detectors that are built in: the ensemble by its last part, as far as weights were fitted, and the judge."""
    from groundtune.scores.support import kinds

    return [*(kind.split("+")[-1] for kind in kinds()), "judge"]


def asked(settings: Settings) -> list[str]:
    """Return the metrics on demand: those of ``[scores]``, of the judge, and of the rubric, each once."""
    rubric, judge = settings.rubric, settings.judge
    judged = [f"{JUDGED}{name}" for name in judge.criteria] if judge.use else []
    limits = [gate.metric for gate in (*rubric.gates, *rubric.stop)]
    named = [*settings.scores.metrics, *judged, rubric.primary, rubric.intolerable, *limits]
    # Probes are no marks of test questions.
    return list(dict.fromkeys(name for name in named if not name.startswith(PROBED)))


def inputs(settings: Settings) -> dict[str, str]:
    """Return the fingerprints of what is measured beyond the defaults, and of the judge; nothing where neither is set."""
    found: dict[str, str] = {}
    if settings.scores != ScoresTable.model_validate({}):
        found["metrics"] = fingerprint(settings.scores.model_dump())
    if settings.judge.use:
        found["judge"] = fingerprint(settings.judge.model_dump(exclude={"labels", "key_env", "timeout_seconds", "retries", "batch"}))
    return found


def problems(settings: Settings) -> list[GroundtuneError]:
    """Return what is wrong with ``[scores]`` and ``[judge]``, all at once, without loading a model."""
    from groundtune.project.judge import problems as judge_problems

    found: list[GroundtuneError] = []
    for name in settings.scores.metrics:
        try:
            metric_named(name)
        except GroundtuneError as error:
            found.append(error)
    detector, known = settings.scores.detector, [*own(), *plugins.known("detector")]
    if detector not in known:
        found.append(UnknownName.of("detector", detector, known, HINT))
    by_ragas = [name for name in asked(settings) if name.startswith(f"{RAGAS}:")]
    wanted = [name.removeprefix(JUDGED) for name in asked(settings) if name.startswith(JUDGED)]
    if (wanted or detector == "judge") and not settings.judge.use:
        what = f"{JUDGED}{wanted[0]} is measured" if wanted else "scores.detector is 'judge'"
        found.append(JudgeError(f"{what}, but [judge] names no judge", "add judge.use, then type: groundtune check"))
    elif by_ragas and not settings.judge.use:
        found.append(
            JudgeError(f"{by_ragas[0]} is measured, but [judge] names no judge for it", "add judge.use, then type: groundtune check")
        )
    elif settings.judge.use:
        missing = [name for name in wanted if name not in settings.judge.criteria]
        if missing:
            hint = "add it to judge.criteria, then type: groundtune check"
            found.append(
                JudgeError(f"{JUDGED}{missing[0]} is measured, but judge.criteria lists {', '.join(settings.judge.criteria)}", hint)
            )
    if by_ragas and installed() is None:
        found.append(MissingExtra.of(RAGAS, RAGAS))
    return found + judge_problems(settings)


def support_for(project: Project) -> Support | None:
    """Open the detector that ``[scores]`` names where ``grounded`` is measured, else nothing."""
    from groundtune.scores.support import Ensemble

    settings = project.settings
    if "grounded" not in asked(settings):
        return None
    name = settings.scores.detector
    if name == "judge":
        from groundtune.project.judge import JudgeSupport

        return JudgeSupport(project)
    if name not in own():
        opened: Support = plugins.load("detector", name)({"model": settings.scores.detector_model})
        return opened
    if name == "words":
        return Ensemble()
    # The weights were fitted with these two models, so it is these that are asked, whatever the project itself uses.
    embed = plugins.load("embed", "minilm")({})
    if name == "meaning":
        return Ensemble(embed.documents, named=f"minilm:{embed.fingerprint}")
    from groundtune.models.local.likelihood import likelihoods

    chat = plugins.load("chat", "local")({"model": EMBEDDED})
    return Ensemble(embed.documents, lambda pairs: likelihoods(chat, pairs), named=f"minilm:{embed.fingerprint},chat:{chat.fingerprint}")


def verdicts_for(
    project: Project, answers: Mapping[str, Sequence[Answer]], examples: Sequence[Example]
) -> tuple[Verdicts | None, tuple[str, ...]]:
    """Ask the judge about every answer; return its verdicts and what is to be said of them. Nothing where ``[judge]`` is not set."""
    if not project.settings.judge.use:
        return None, ()
    from groundtune.project.judge import judged

    verdicts, notes = judged(project, answers, examples)
    kinds = [name.partition(":")[2] for name in asked(project.settings) if name.startswith(f"{RAGAS}:")]
    if not kinds:
        return verdicts, notes
    from groundtune.project import ragas

    return replace(verdicts, marks={**verdicts.marks, **ragas.marks(project, kinds, answers, examples)}), notes


def signatures(scores: Sequence[Any], tallies: Sequence[Any]) -> dict[str, str]:
    """Return each metric's signature, for the run's manifest."""
    return {item.metric: item.signature for item in (*scores, *tallies)}
