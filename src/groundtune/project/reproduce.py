"""A decision → the same decision once more, from what was kept with it; or what is missing to do so.

    runs/0003-evaluate-…/decided-0001-rag.json     the rule, the arms, the clusters, the labels, and the digests of what they were put to
    runs/0003-evaluate-…/scores.jsonl              what was measured
    runs/0003-evaluate-…/answers.jsonl             what was said

Three things are done, each as far as it can be: the statistics and the rule are applied to the stored scores again; the stored answers are
scored again, where documents and test set are still the same; and every input is held against what the project has now.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import __version__
from groundtune.decisions import log
from groundtune.decisions.decide import decide as apply_rubric
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.weigh import weigh
from groundtune.errors import BrokenLog, GroundtuneError
from groundtune.files import file_sha256, fingerprint, plain, write_json
from groundtune.probes.report import with_probed
from groundtune.records.ledger import now
from groundtune.scores.corpus import Tally
from groundtune.scores.scorer import score_all
from groundtune.types import Arm, Asked, Decision, Estimate, Score

if TYPE_CHECKING:
    from groundtune.project.evaluate import Evaluation
    from groundtune.project.main import Project

SCHEMA = 1
PARTS = ("scores.jsonl", "tallies.jsonl", "answers.jsonl")
KEY = "decisions.key"
# What the statistics and the rule work out; the rest of a record is what they were given, or dates.
WORKED_OUT = ("verdict", "choice", "fallback", "primary", "questions_needed", "estimates")
# Metrics that a model measures: asking it again would be another measurement.
ASKED = ("judged:", "grounded", "ragas:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """``same`` says whether the rule gave the same decision from the stored scores; ``None``: it could not be applied.

    ``differs`` names what came out otherwise, ``missing`` what is needed and not there, ``changed`` the inputs that the project no longer
    has, ``rescored`` how many stored answers were scored again, with ``rescored_differs`` of their scores different.
    """

    decision: str
    same: bool | None
    differs: tuple[str, ...]
    missing: tuple[str, ...]
    changed: Mapping[str, str]
    rescored: int
    rescored_differs: tuple[str, ...]


def keep(evaluation: Evaluation, decision: Decision, rubric: Rubric, given: Mapping[str, Any]) -> str:
    """Write what the decision was worked out from beside its run; return the digest of that file.

    ``given`` holds what ``decide`` was told besides: labels, what probes counted, not_run, assumptions, not_covered, currency, looks, seed.
    """
    path = evaluation.folder / f"decided-{decision.id.removeprefix('decision:')}.json"
    kept = {
        "schema": SCHEMA,
        "decision": decision.id,
        "rubric": rubric,
        "arms": evaluation.arms,
        "clusters": {example.id: example.split_group for example in evaluation.examples},
        "owner": decision.owner,
        "made_on": decision.made_on,
        "revisit_on": decision.revisit_on,
        "inputs": decision.inputs,
        "digests": {name: file_sha256(evaluation.folder / name) for name in PARTS if (evaluation.folder / name).is_file()},
        **given,
    }
    write_json(path, kept)
    return file_sha256(path)


def logged(project: Project, evaluation: Evaluation, decision: Decision, rubric: Rubric, given: Mapping[str, Any]) -> None:
    """Keep what a decision was worked out from, put it into the log, once, and its line's hash into the ledger.

    Records that are older than the log are put into it first, without evidence.
    """
    folder = project.folder / "decisions"
    if log.entry(folder, decision.id) is not None:
        return
    key = log.key_at(project.state / KEY, create=True)
    if key is None:
        raise BrokenLog(f"{project.state / KEY}: no key was made", "type: groundtune decide")
    evidence = keep(evaluation, decision, rubric, given)
    for item in log.unlogged(folder):
        line = log.append(folder, item, key, at=now(), evidence=evidence if item.id == decision.id else "")
        project.ledger.audit(f"decide:{item.id}", "decide", item.id, {"hash": line["hash"], "key": line["key"]})


def verify(project: Project) -> tuple[int, list[str]]:
    """Return how many decisions are logged, and what is not as it was written and signed."""
    key = log.key_at(project.state / KEY, create=False)
    ends = {row["subject"]: row["details"]["hash"] for row in project.ledger.audited("decide")}
    count, problems = log.verify(project.folder / "decisions", key, ends)
    broken = project.ledger.audit_broken()
    if broken is not None:
        problems.append(f"the ledger's audit line {broken} is not as it was written")
    return count, problems


def reproduce(project: Project, number: str) -> Reproduced:
    """Work a decision out once more. Raises ``UnknownName`` for one that is not there; all else is in what is returned."""
    folder = project.folder / "decisions"
    decision = log.read(folder, number)
    missing: list[str] = []
    differs: list[str] = []
    same: bool | None = None
    run = _run_folder(project, decision.id)
    kept = _kept(run, decision.id, missing) if run else None
    if run is None:
        missing.append(f"the run that {decision.id} was made from: this project's ledger has none")
    line = log.entry(folder, decision.id)
    if line is None:
        missing.append(f"the log's line of {decision.id}: whether its evidence is as it was cannot be told")
    elif kept is not None and run is not None and line["evidence"] != file_sha256(run / _name(decision.id)):
        differs.append(f"{run / _name(decision.id)} is not the one that was signed with the decision")
    rescored = 0
    rescored_differs: list[str] = []
    if run is not None and kept is not None:
        for name, digest in kept["digests"].items():
            if not (run / name).is_file():
                missing.append(str(run / name))
            elif file_sha256(run / name) != digest:
                differs.append(f"{run / name} was written anew since")
        if (run / "scores.jsonl").is_file():
            again = _again(run, kept)
            found = [name for name in WORKED_OUT if not _same(_plain(getattr(again, name)), _plain(getattr(decision, name)))]
            differs += [f"{name}: {_told(getattr(decision, name), getattr(again, name))}" for name in found]
            same = not found
    changed = _changed(project, decision)
    if run is not None and (run / "answers.jsonl").is_file() and not {"documents", asked_by(decision)} & changed.keys():
        rescored, rescored_differs = _rescored(project, run, asked_by(decision))
    return Reproduced(
        decision=decision.id,
        same=same,
        differs=tuple(differs),
        missing=tuple(missing),
        changed=changed,
        rescored=rescored,
        rescored_differs=tuple(rescored_differs),
    )


def asked_by(decision: Decision) -> Asked:
    """Return which questions a decision was made on."""
    return "holdout" if decision.inputs.get("asked") == "holdout" else "test"


def _name(decision_id: str) -> str:
    return f"decided-{decision_id.removeprefix('decision:')}.json"


def _run_folder(project: Project, decision_id: str) -> Path | None:
    parents = [parent for parent in project.ledger.parents(decision_id) if parent.startswith("run:")]
    runs = [project.state / "runs" / parent.removeprefix("run:") for parent in parents]
    return next((run for run in runs if (run / _name(decision_id)).is_file()), runs[-1] if runs else None)


def _kept(run: Path, decision_id: str, missing: list[str]) -> dict[str, Any] | None:
    path = run / _name(decision_id)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        missing.append(f"{path}: what the decision was worked out from")
        return None
    if not isinstance(kept, dict) or kept.get("schema") != SCHEMA:
        missing.append(f"{path}: of a schema that this version reads ({SCHEMA})")
        return None
    return kept


def _again(run: Path, kept: Mapping[str, Any]) -> Decision:
    """Apply the statistics and the rule to the stored scores."""
    table = dict(kept["rubric"])
    gates, stop = (tuple(Gate(**gate) for gate in table.pop(name, ())) for name in ("gates", "stop"))
    rubric = Rubric(**{**table, "gates": gates, "stop": stop, "prefer": tuple(table["prefer"]), "assumptions": tuple(table["assumptions"])})
    arms = [Arm(**arm) for arm in kept["arms"]]
    scores = [Score(**row) for row in _rows(run / "scores.jsonl")]
    tallies = [Tally(**{**row, "counts": None if row["counts"] is None else tuple(row["counts"])}) for row in _rows(run / "tallies.jsonl")]
    estimates: Sequence[Estimate] = weigh(scores, rubric, arms, kept["clusters"], seed=kept["seed"], tallies=tallies)
    labels = {(metric, answer): value for metric, answer, value in kept["labels"]}
    if labels:
        from groundtune.scores.ppi import corrected

        estimates = corrected(estimates, scores, labels, kept["clusters"])
    estimates = with_probed(estimates, [Estimate(**row) for row in kept.get("probes", [])])
    return apply_rubric(
        estimates,
        rubric,
        arms,
        owner=kept["owner"],
        made_on=date.fromisoformat(kept["made_on"]),
        revisit_on=date.fromisoformat(kept["revisit_on"]),
        inputs=kept["inputs"],
        not_run=kept["not_run"],
        assumptions=kept["assumptions"],
        not_covered=kept["not_covered"],
        currency=kept["currency"],
        looks=kept["looks"],
        asked=kept.get("asked", "test"),
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(plain(value)))


def _same(left: Any, right: Any) -> bool:
    """Return whether two values are the same; numbers but for rounding, which differs between processors."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(one, other) for one, other in zip(left, right, strict=True))
    return bool(left == right)


def _told(before: Any, after: Any) -> str:
    """Return two values in a few words."""
    if isinstance(before, tuple) and isinstance(after, tuple):
        odd = [(left, right) for left, right in zip(before, after, strict=False) if not _same(_plain(left), _plain(right))]
        example = f", such as {odd[0][0].metric} of {odd[0][0].arm}: {odd[0][0].value} → {odd[0][1].value}" if odd else ""
        return f"{len(odd) or abs(len(before) - len(after))} of {len(before)} differ{example}"
    return f"{before!r} → {after!r}"


def _changed(project: Project, decision: Decision) -> dict[str, str]:
    """Return the inputs that the project does not have any more, with what it has. What no model has to be loaded for is looked at."""
    from groundtune.project import lock as locks

    try:
        present: dict[str, str] = {**project.described(), **locks.present(project.content, project.settings)}
    except GroundtuneError as error:
        return {"documents": f"cannot be read: {error.message.splitlines()[0]}", "test": "cannot be read"}

    present |= {"prompt": project.house.prompt_hash, "groundtune": __version__, "labels": labels_print(project)}
    found = {
        name: f"{value} then, {present[name]} now" for name, value in decision.inputs.items() if name in present and present[name] != value
    }
    for name, value in decision.inputs.items():
        if name.startswith("adapter ") and not any(version.id == value for version in project.versions().values()):
            found[name] = f"{value} then, not tuned now"
    return found


def labels_print(project: Project) -> str:
    """Return the fingerprint of people's labels; ``none`` without any."""
    from groundtune.project.judge import labels_of

    labels = labels_of(project)
    return fingerprint(sorted((*key, value) for key, value in labels.items())) if labels else "none"


def _rescored(project: Project, run: Path, split: Asked) -> tuple[int, list[str]]:
    """Score the stored answers again; return how many, and the scores that came out otherwise."""
    from groundtune.answers.stored import answer_from
    from groundtune.project.evaluate import context_of
    from groundtune.project.measure import asked
    from groundtune.scores.metrics import metrics_for

    stored = {(row["answer_id"], row["example_id"], row["metric"]): row for row in _rows(run / "scores.jsonl")}
    context = context_of(project)
    metrics = {
        name: metric
        for name, metric in metrics_for(context, asked(project.settings)).items()
        if not name.startswith(ASKED) and any(key[2] == name for key in stored)
    }
    answers = [answer_from(row) for row in _rows(run / "answers.jsonl")]
    differs = []
    for score in score_all(answers, project.content.split(split), context, metrics):
        row = stored.get((score.answer_id, score.example_id, score.metric))
        if row is None or row["value"] != score.value:
            was = "none" if row is None else row["value"]
            differs.append(f"{score.metric} of {score.arm} on {score.example_id}: {was} then, {score.value} now ({score.signature})")
    return len(answers), differs
