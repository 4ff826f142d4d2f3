"""Everything that can be known before anything is spent: problems, what is there, what the pilot will take, what it can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.errors import ConfigError, GroundtuneError, StateError
from groundtune.examples.load import UNSUPPORTED
from groundtune.project import check_models, measure
from groundtune.project import content as contents
from groundtune.project.estimate import Line, estimate
from groundtune.project.starter import OWNER
from groundtune.scores.probed import PROBED

if TYPE_CHECKING:
    from groundtune.project.main import Project
    from groundtune.types import Example, Split

ASSUMED_SPREAD = 0.4  # standard deviation of a paired difference of a 0-to-1 metric; replaced by the measured one in the decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``problems`` empty means that the pilot may start. ``detectable`` is in the primary metric's unit, ``None`` without a test set."""

    problems: tuple[GroundtuneError, ...]
    counts: Mapping[str, int]
    kinds: Mapping[str, Mapping[str, int]]
    lines: tuple[Line, ...]
    detectable: float | None
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def check(project: Project) -> Report:
    """Read and weigh the project; nothing is written."""
    from groundtune.scores.estimate import minimum_detectable

    content, problems = contents.read(project.folder, project.settings)
    problems += _rubric(project)
    problems += measure.problems(project.settings)
    problems += _search(project)
    problems += check_models.problems(project.settings)
    if content is None:
        return Report(problems=tuple(problems), counts={}, kinds={}, lines=(), detectable=None, sources=project.sources, warnings=())
    splits = Counter(example.split for example in content.examples)
    shown: list[Split] = ["train", "dev", "test"]
    if splits["holdout"]:
        shown.append("holdout")
    counts = {
        "documents": len(content.documents),
        "principals": len(content.principals),
        **{str(name): splits[name] for name in shown},
    }
    kinds: dict[str, dict[str, int]] = {
        name: dict(Counter(str(example.kind) for example in content.examples if example.split == name)) for name in shown
    }
    warnings = [*_nobody(content), *check_models.from_the_hub(project.settings)]
    if project.settings.project.owner == OWNER:
        warnings.append("project.owner is still what groundtune init wrote: the decision will name nobody who answers for it")
    if splits["test"]:
        warnings += [f"the test set is incomplete: it has {text}" for text in missing(content, content.split("test"))]
    if 0 < splits["test"] < 100:
        warnings.append(f"the test set has {splits['test']} questions: expect wide intervals")
    if splits["holdout"]:
        warnings += [f"the holdout is incomplete: it has {text}" for text in missing(content, content.split("holdout"))]
    if not project.settings.probes.questions and (named := _probed(project)):
        warnings.append(f"the rubric asks for {', '.join(named)}, and [probes] questions is 0: no arm can pass")
    if project.settings.tuning and not splits["train"]:
        problems.append(
            ConfigError("[tuning.*] tables, but no training examples", "add rows with split = train, then type: groundtune check")
        )
    problems += _shots(project, content)
    test = splits["test"]
    if not test:
        place = project.folder / project.settings.examples.path
        problems.append(ConfigError(f'{place}: no test examples (rows with "split": "test")', "add some, then type: groundtune check"))
    return Report(
        problems=tuple(problems),
        counts=counts,
        kinds=kinds,
        lines=tuple(estimate(project.settings, content, project.arms)),
        detectable=minimum_detectable(test, ASSUMED_SPREAD, alpha=project.settings.rubric.alpha) if test > 1 else None,
        sources=project.sources,
        warnings=tuple(warnings),
    )


def missing(content: contents.Content, examples: Sequence[Example]) -> list[str]:
    """Return which questions to be refused a set lacks, in words after "it has"; without them it is not whole.

    Questions on what the asker may not read are asked for only where somebody may not read something.
    """
    from groundtune.access.filter import allowed

    kinds = {example.kind for example in examples}
    if all(example.answerable for example in examples):
        return ["no question that must be refused, so it cannot show whether an arm knows what it does not know"]
    found = []
    everyone = [allowed(principal) for principal in content.principals.values()]
    if "forbidden" not in kinds and any(not may.permits(item.readers) for may in everyone for item in content.documents.values()):
        found.append("no question on what its asker may not read (kind forbidden)")
    if kinds.isdisjoint(UNSUPPORTED):
        found.append("no question that no document answers (kind refuse)")
    unmarked = [kind for kind in ("out_of_scope", "adversarial") if kind not in kinds]
    if unmarked:
        found.append(f"no question marked as {' or '.join(unmarked)} (kind): how arms take these is not told apart, if they are there")
    return found


def _nobody(content: contents.Content) -> list[str]:
    """Return a warning for each group or user that documents name as a reader and that nobody is: most often a misspelt one."""
    named: dict[str, list[str]] = {}
    for document in content.as_read.values():
        for reader in document.any_readers:
            named.setdefault(reader, []).append(document.source)
    found = []
    for reader, sources in sorted(named.items()):
        why = content.directory.unknown(reader)
        if why is not None:
            more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
            found.append(f"{sources[0]}{more}: reader {reader!r} is nobody: {why}")
    return found


def _probed(project: Project) -> list[str]:
    """Return the metrics of probes that the rubric names."""
    rubric = project.settings.rubric
    return [name for name in (rubric.intolerable, *(gate.metric for gate in (*rubric.gates, *rubric.stop))) if name.startswith(PROBED)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many test questions show a gain, there being ``there``; ``spread`` of one paired difference, and where it is from."""

    gain: float
    questions: int
    there: int
    spread: float
    source: str


def plan(project: Project, gain: float) -> Plan:
    """Return how many questions it takes to see a gain in the primary metric, all arms against all, with 80 % power.

    The spread is the widest that the latest decision measured on that metric, else an assumed one.
    """
    from groundtune.decisions import record
    from groundtune.scores.estimate import questions_for, spread_of

    rubric = project.settings.rubric
    latest = record.latest(project.folder / "decisions")
    measured = [
        spread
        for item in (latest.estimates if latest else ())
        if item.metric == rubric.primary and item.versus is not None and (spread := spread_of(item))
    ]
    spread = max(measured, default=ASSUMED_SPREAD)
    source = f"measured, {latest.id}" if latest and measured else "assumed"
    arms = max(2, len(project.arms))
    there = len(project.content.split("test"))
    return Plan(gain=gain, questions=questions_for(gain, spread, alpha=rubric.alpha, arms=arms), there=there, spread=spread, source=source)


def _shots(project: Project, content: contents.Content) -> list[GroundtuneError]:
    """Return which arms show more examples than there are to show: known now, and not after the tuning."""
    from groundtune.project.arms import house_of, shots_for

    problems: list[GroundtuneError] = []
    for arm in project.arms:
        try:
            shots_for(arm, content, house_of(project.settings, content))
        except StateError as error:
            problems.append(error)
    return problems


def _search(project: Project) -> list[GroundtuneError]:
    """Return what is wrong with the steps of the search, without loading a model."""
    from groundtune.passages.synonyms import load

    table = project.settings.passages
    problems: list[GroundtuneError] = []
    if table.synonyms:
        try:
            load(project.folder / table.synonyms)
        except GroundtuneError as error:
            problems.append(error)
    return problems


def _rubric(project: Project) -> list[GroundtuneError]:
    """Return what is wrong with the rubric: metrics that nobody measures, gates without a limit."""
    from groundtune.project.decide import rubric_of

    return rubric_of(project).problems()
