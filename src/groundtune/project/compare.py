"""A model version against its base and the live version: what it gained on the dev questions, what it forgot, what it repeats.

    version → task metrics · probe · lm-eval · extraction · exposure · parity → Estimates → gates

Dev questions only: the locked test set is for decisions, and every look at it counts. Every part is kept in the ledger under the
fingerprint of what it depends on, so that a comparison that is broken off goes on, and one that was made is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.filter import allowed
from groundtune.answers.respond import Ask
from groundtune.errors import GroundtuneError, HalfWritten, StateError, UnknownMetric, UnknownName
from groundtune.files import fingerprint, known_sha256
from groundtune.models.chat import Request
from groundtune.project import measure
from groundtune.project.arms import arm_of, tools_for
from groundtune.project.evaluate import answered, context_of
from groundtune.registry import lm_eval, memory, merge, parity, probe, shelf
from groundtune.registry.gates import BASE, CANDIDATE, LIVE, Gate, task_gate
from groundtune.scores import estimate
from groundtune.scores.corpus import Tally, tallies_of, whole_compare, whole_mean
from groundtune.scores.judge import JUDGED
from groundtune.scores.metrics import corpus_metrics, metric_named, metrics_for
from groundtune.scores.probed import PROBED
from groundtune.scores.scorer import score_all
from groundtune.tuning import canary, said
from groundtune.tuning.checkpoints import weights_in
from groundtune.types import Arm, Estimate, Example, ModelVersion, Score

if TYPE_CHECKING:
    from groundtune.project.main import Project

MOST_ROWS = 1000  # training rows that are tried for extraction; of more, that many are taken evenly
SHARE = (0.0, 1.0)
LAID = ("adapter_config.json", "config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was found. ``against`` is the live version that it was compared with, or ``None``; ``questions`` are the dev questions asked."""

    run_id: str
    version: str
    against: str | None
    arm: str
    questions: int
    estimates: tuple[Estimate, ...]
    extracted: tuple[memory.Extracted, ...]
    differences: tuple[parity.Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison before it is made: its key is the fingerprint of everything that its numbers depend on."""

    version: ModelVersion
    live: ModelVersion | None
    arm: Arm
    examples: tuple[Example, ...]
    notes: tuple[str, ...]
    inputs: Mapping[str, str]

    @property
    def key(self) -> str:
        """The identity of the comparison."""
        return fingerprint(self.inputs)


def plan(project: Project, version: ModelVersion, live: ModelVersion | None, arm_name: str | None) -> Plan:
    """Return what is to be compared; ``version`` has the readers that it has now. Raises ``OtherBase`` or ``UnknownName``."""
    merge.require_base(version, project.settings.chat.model_dump())
    arm = _arm(project, version, arm_name)
    notes = []
    if live is not None and live.id == version.id:
        live = None
    elif live is not None and (live.prompt_hash != version.prompt_hash or live.base != version.base):
        notes.append(f"{live.id} is live but has another prompt or base, so it cannot answer here; the base stands in for it")
        live = None
    people = project.content.principals
    dev = project.content.split("dev")
    versions = [item for item in (version, live) if item is not None]
    examples = tuple(e for e in dev if all(allowed(people[e.asker]).permits(item.readers or frozenset()) for item in versions))
    if len(examples) < len(dev):
        notes.append(
            f"{len(dev) - len(examples)} of {len(dev)} dev questions are left out: their askers may not be answered by the version"
        )
    settings = project.settings
    wanted = _wanted(project)
    gated = gate_of_task(project) is not None
    if not gated:
        notes.append(f"{settings.rubric.primary} is not measured here, so no gate stands on the task; write one on a metric that is")
    inputs = {
        # What was compared before metrics on demand could be gated keeps its key.
        **({"metrics": fingerprint(wanted, measure.inputs(settings))} if wanted else {}),
        **({"tasks": fingerprint(_task_files(project))} if settings.models.tasks else {}),
        **({} if gated else {"primary": "not measured here"}),
        **({"begun from": _begun(project, version)} if version.started_from is not None else {}),
        "version": version.id,
        "weights": _weights(project, version),
        "live": f"{live.id} {_weights(project, live)}" if live else "none",
        "base": version.base,
        "dev": fingerprint([e.id for e in examples], project.content.split_fingerprint("dev")),
        "documents": project.content.documents_fingerprint,
        "groups": fingerprint({name: principal.groups for name, principal in people.items()}),
        "arm": fingerprint(arm),
        "index": _index(project) if arm.retrieves else "none",
        "passages": fingerprint(settings.passages.model_dump(), project.steps.identity) if arm.retrieves else "none",
        "house": fingerprint(project.house, settings.answers.model_dump()),
        "probe": probe.identity(),
        "settings": fingerprint(settings.models.model_dump(), settings.rubric.resamples, settings.project.seed, settings.chat.batch),
    }
    return Plan(version=version, live=live, arm=arm, examples=examples, notes=tuple(notes), inputs=inputs)


def made(project: Project, planned: Plan) -> Comparison | None:
    """Return the comparison of this plan that was finished before, or ``None``."""
    run = project.ledger.done("compare", planned.key)
    return None if run is None else _from(run.id, run.outputs)


def compare(project: Project, planned: Plan) -> Comparison:
    """Make a comparison, or return it where it was made."""
    found = made(project, planned)
    if found is not None:
        return found
    run = project.ledger.begin("compare", planned.key, planned.inputs, project.settings.project.seed)
    scores, tallies = _task(project, planned)
    clusters = {example.id: example.split_group for example in planned.examples}
    estimates = _estimates(project, scores, planned, clusters, None)
    estimates += _of_whole_arms(project, tallies, planned, clusters)
    probed = _probe(project, planned)
    learned, extracted = _memory(project, planned)
    alike, differences = _parity(project, planned)
    tasks = _lm_eval(project, planned)
    estimates += _estimates(project, probed, planned, None, SHARE)
    estimates += _estimates(project, [s for s in learned if s.metric == memory.EXTRACTED], planned, None, SHARE)
    estimates += _estimates(project, [s for s in learned if s.metric == memory.EXPOSURE], planned, None, (0.0, memory.MOST_EXPOSURE))
    estimates += _estimates(project, alike, planned, None, SHARE)
    estimates += _estimates(project, tasks, planned, None, SHARE)
    outputs = {
        "version": planned.version.id,
        "against": planned.live.id if planned.live else None,
        "arm": planned.arm.name,
        "questions": len(planned.examples),
        "estimates": estimates,
        "extracted": extracted,
        "differences": differences,
        "notes": planned.notes,
    }
    project.ledger.link(run.id, [(run.id, planned.version.id)])
    project.ledger.end(run.id, "done", outputs)
    return _from(run.id, project.ledger.run(run.id).outputs)


def _from(run_id: str, outputs: Mapping[str, Any]) -> Comparison:
    held = dict(outputs)
    return Comparison(
        run_id=run_id,
        version=held["version"],
        against=held["against"],
        arm=held["arm"],
        questions=held["questions"],
        estimates=tuple(Estimate(**row) for row in held["estimates"]),
        extracted=tuple(memory.Extracted(**row) for row in held["extracted"]),
        differences=tuple(parity.Difference(**row) for row in held["differences"]),
        notes=tuple(held["notes"]),
    )


def _arm(project: Project, version: ModelVersion, name: str | None) -> Arm:
    """Return the arm that the version answers in: the one that was named, else the first that uses its table, else one of its recipe."""
    using = [arm_of(table) for table in project.settings.arms if table.adapter == version.name]
    if name is None:
        return using[0] if using else Arm(name=version.name, adapter=version.name, retrieves=bool(version.recipe.get("passages")))
    for arm in using:
        if arm.name == name:
            return arm
    known = [arm.name for arm in using]
    raise UnknownName.of(f"arm with the adapter {version.name!r}", name, known, "leave --arm out, or name one of these")


def _weights(project: Project, version: ModelVersion) -> str:
    """Return the identity of what answers: the weights, and the settings by which they are read or laid over the base."""
    folder = _folder(project, version)
    held = weights_in(folder)
    if held is None:
        raise HalfWritten(f"{folder}: holds no weights", "see what there is: groundtune models list")
    return fingerprint(known_sha256(held), [known_sha256(path) for name in LAID if (path := folder / name).is_file()])


def _folder(project: Project, version: ModelVersion) -> Path:
    return shelf.folder_of(project.state / "models", version.id)


def _index(project: Project) -> str:
    from groundtune.chunks.build import open_live

    return open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)[1].id


def _wanted(project: Project) -> list[str]:
    """Return the metrics on demand that ``[scores]``, the rubric as its primary one, and the gates name, as far as they are measured here.

    A name that nobody knows is left to its gate, which fails; so is ``grounded`` where ``[scores]`` opens no detector for it.
    """
    settings = project.settings
    named = dict.fromkeys([*settings.scores.metrics, settings.rubric.primary, *(gate.metric for gate in settings.gates)])
    default = metrics_for(context_of(project))
    return [name for name in named if _measured(project, name) and name not in default]


def _measured(project: Project, name: str) -> bool:
    """Return whether a comparison measures a metric: neither the judge nor the probes are asked here."""
    try:
        metric_named(name)
    except UnknownMetric:
        return False
    return not name.startswith((JUDGED, PROBED)) and (name != "grounded" or name in measure.asked(project.settings))


def gate_of_task(project: Project) -> Gate | None:
    """Return the gate that stands on the rubric's primary metric, or ``None`` where a comparison does not measure that one."""
    primary = project.settings.rubric.primary
    return task_gate(primary, metric_named(primary).better) if _measured(project, primary) else None


def _task(project: Project, planned: Plan) -> tuple[list[Score], list[Tally]]:
    """Ask every dev question three times: the version, its base in the same arm, and the live version."""
    return answered_by(
        project,
        planned,
        [
            (replace(planned.arm, name=CANDIDATE), planned.version),
            (replace(planned.arm, name=BASE, adapter=None), None),
            *([(replace(planned.arm, name=LIVE), planned.live)] if planned.live else []),
        ],
    )


def answered_by(project: Project, planned: Plan, arms: Sequence[tuple[Arm, ModelVersion | None]]) -> tuple[list[Score], list[Tally]]:
    """Return the scores and counts of these arms on the dev questions of a plan; what was answered before is not asked again."""
    content, people = project.content, project.content.principals
    if project.house.prompt_hash != planned.version.prompt_hash:
        raise StateError(
            f"{planned.version.id} was trained on another prompt ({planned.version.prompt_hash}) than the project now uses",
            "type: groundtune tune",
        )
    asks = [Ask(question=e.question, asker=people[e.asker], filter=e.filter, example_id=e.id) for e in planned.examples]
    retrieve = project.retriever() if planned.arm.retrieves else None
    wanted = _wanted(project)
    context = context_of(project, support=measure.support_for(project) if "grounded" in wanted else None)
    metrics, whole = metrics_for(context, wanted), corpus_metrics(wanted)
    shared = {name: value for name, value in planned.inputs.items() if name not in ("version", "weights", "live", "probe", "metrics")}
    scores: list[Score] = []
    tallies: list[Tally] = []
    for arm, version in arms:
        versions = {version.name: version} if version else {}
        tools = tools_for(arm, chat=project.chat, house=project.house, content=content, retrieve=retrieve, versions=versions)
        key = fingerprint("dev", shared, arm, None if version is None else [version.id, _weights(project, version), version.readers])
        answers = answered(project, arm, asks, tools, key)
        scores += score_all(answers, planned.examples, context, metrics)
        tallies += tallies_of(answers, planned.examples, context, whole)
    return scores, tallies


def _probe(project: Project, planned: Plan) -> list[Score]:
    """Put the built-in tasks to the version and its base."""
    requests = [item.request for item in probe.items()]
    scores: list[Score] = []
    for arm, version in ((CANDIDATE, planned.version), (BASE, None)):
        folder = _folder(project, version) if version else None
        key = fingerprint("probe", probe.identity(), project.chat.fingerprint, _weights(project, version) if version else None)
        stored = project.ledger.batches(key)
        with project.progress.start(f"probe {arm}", total=len(requests), unit="tasks") as task:
            for number, places in enumerate(project.chat.plan(requests)):
                if number not in stored:
                    stored[number] = _completed(project, [requests[place] for place in places], places, folder)
                    project.ledger.keep_batch(key, number, stored[number])
                task.advance(len(places))
        said_by_place = {row["place"]: row for rows in stored.values() for row in rows}
        rows = [said_by_place[place] for place in range(len(requests))]
        scores += probe.scores([row["text"] for row in rows], [row["failure"] for row in rows], arm)
    return scores


def _completed(project: Project, requests: Sequence[Request], places: Sequence[int], adapter: Path | None) -> list[dict[str, Any]]:
    seed = project.settings.project.seed
    completions = project.chat.complete(requests, limit=probe.LIMIT, adapter=adapter, seed=seed)
    return [{"place": place, "text": c.text, "failure": c.failure} for place, c in zip(places, completions, strict=True)]


def _memory(project: Project, planned: Plan) -> tuple[list[Score], list[memory.Extracted]]:
    """Try to get training rows and canaries out of the version: its own, and those of the versions that it began from."""
    table, seed = project.settings.models, project.settings.project.seed
    folder = _folder(project, planned.version)
    before, gone = _begun_from(project, planned.version)

    def measure() -> dict[str, Any]:
        rows = memory.own_rows([folder, *before])
        planted = [row for row in rows if row.example_id.startswith(canary.PREFIX)]
        tried = said.spread([row for row in rows if not row.example_id.startswith(canary.PREFIX)], MOST_ROWS)
        wrapped, tokenizer = merge.adapted(project.settings.chat.model_dump(), folder, project.settings.chat.dtype)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        tuned = memory.reader(wrapped, int(pad))

        def base(pairs: Sequence[tuple[memory.Tokens, memory.Tokens]]) -> list[memory.Read]:
            with merge.untuned(wrapped, project.settings.chat.model_dump(), project.settings.chat.dtype) as plain:
                return memory.reader(plain, int(pad))(pairs)

        scores, extracted = memory.extraction(tried, tokenizer=tokenizer, tuned=tuned, base=base, span=table.span_tokens, arm=CANDIDATE)
        if gone is not None:
            scores.append(memory.not_tried(gone, f"it began from {gone}, whose rows are no longer there", table.span_tokens, CANDIDATE))
        scores += memory.exposure(planted, tokenizer=tokenizer, tuned=tuned, seed=seed, arm=CANDIDATE)
        return {"scores": scores, "found": extracted}

    key = [_weights(project, planned.version), planned.version.base, table.span_tokens, seed, *(path.name for path in before), gone]
    scores, found = _once(project, "memory", key, measure)
    return scores, [memory.Extracted(**row) for row in found]


def _begun(project: Project, version: ModelVersion) -> str:
    """Return what is there of the versions that a version began from; rows that are gone cannot be tried."""
    before, gone = _begun_from(project, version)
    return fingerprint([path.name for path in before], gone)


def _begun_from(project: Project, version: ModelVersion) -> tuple[list[Path], str | None]:
    """Return the folders of the versions that a version began from, the nearest first, and the first that is no longer whole."""
    found: list[Path] = []
    name = version.started_from
    while name is not None:
        folder = shelf.folder_of(project.state / "models", name)
        try:
            before = shelf.whole(folder)
        except (GroundtuneError, OSError):
            return found, name
        found.append(folder)
        name = before.started_from
    return found, None


def _parity(project: Project, planned: Plan) -> tuple[list[Score], list[parity.Difference]]:
    def measure() -> dict[str, Any]:
        scores, found = parity.measure(_folder(project, planned.version), project.settings.chat.model_dump(), arm=CANDIDATE)
        return {"scores": scores, "found": found}

    scores, found = _once(project, "parity", [_weights(project, planned.version), planned.version.base], measure)
    return scores, [parity.Difference(**row) for row in found]


def _lm_eval(project: Project, planned: Plan) -> list[Score]:
    """Run the tasks of lm-eval that groundtune.toml names, on the version and on its base."""
    table = project.settings.models
    if not table.tasks:
        return []
    from groundtune.models.local.load import choose_dtype, resolve

    chat = project.settings.chat
    model = resolve(chat.model)[0]
    dtype = str(choose_dtype(chat.dtype)).removeprefix("torch.")
    folder = _tasks_folder(project)
    files = _task_files(project)
    found: list[Score] = []
    for arm, adapter in ((CANDIDATE, _folder(project, planned.version)), (BASE, None)):

        def measure(arm: str = arm, adapter: Path | None = adapter) -> dict[str, Any]:
            scores = lm_eval.run(
                model=model, adapter=adapter, dtype=dtype, tasks=table.tasks, folder=folder, limit=table.tasks_limit, arm=arm
            )
            return {"scores": scores, "found": []}

        key = [planned.version.base, _weights(project, planned.version) if adapter else None, table.tasks, table.tasks_limit, files]
        found += _once(project, "lm-eval", key, measure)[0]
    return found


def _tasks_folder(project: Project) -> Path | None:
    named = project.settings.models.tasks_folder
    return None if named is None else (project.folder / Path(named).expanduser()).resolve()


def _task_files(project: Project) -> dict[str, str]:
    """Return the hash of each task file: other items are other evidence."""
    folder = _tasks_folder(project)
    return {} if folder is None else {str(p.relative_to(folder)): known_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def _once(project: Project, step: str, key: Sequence[Any], measure: Callable[[], dict[str, Any]]) -> tuple[list[Score], list[Any]]:
    """Measure, or take from the ledger what was measured under the same key."""
    name = fingerprint("compare", step, key)
    if not project.ledger.batches(name):
        with project.progress.start(step, total=1, unit="step") as task:
            project.ledger.keep_batch(name, 0, [measure()])
            task.advance(1)
    [row] = project.ledger.batches(name)[0]
    return [Score(**item) for item in row["scores"]], row["found"]


def _estimates(
    project: Project, scores: Sequence[Score], planned: Plan, clusters: Mapping[str, str] | None, bounds: tuple[float, float] | None
) -> list[Estimate]:
    """Return each arm's mean on each metric, and the paired differences of the version to the others."""
    options: dict[str, Any] = {"resamples": project.settings.rubric.resamples, "seed": project.settings.project.seed, "bounds": bounds}
    there = {score.arm for score in scores}
    others = [BASE, *([LIVE] if planned.live else [])]
    found = []
    for metric in dict.fromkeys(score.metric for score in scores):
        of_metric = [score for score in scores if score.metric == metric]
        found += [estimate.mean(of_metric, metric, arm, clusters, **options) for arm in (CANDIDATE, *others) if arm in there]
        found += [estimate.compare(of_metric, metric, CANDIDATE, other, clusters, **options) for other in others if other in there]
    return found


def _of_whole_arms(project: Project, tallies: Sequence[Tally], planned: Plan, clusters: Mapping[str, str]) -> list[Estimate]:
    """Return the same of metrics that are no mean over questions."""
    options: dict[str, Any] = {"resamples": project.settings.rubric.resamples, "seed": project.settings.project.seed}
    others = [BASE, *([LIVE] if planned.live else [])]
    found = []
    for metric in corpus_metrics(_wanted(project)).values():
        found += [whole_mean(tallies, metric, arm, clusters, **options) for arm in (CANDIDATE, *others)]
        found += [whole_compare(tallies, metric, CANDIDATE, other, clusters, **options) for other in others]
    return found
