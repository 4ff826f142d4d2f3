"""What is known beside the evidence: needs, an audit of today's answers, costs; before a pilot, and on the decision after it.

groundtune.toml [needs]            → advice(project)
audits/responses.labels.jsonl      → audits(project)
costs.toml + the latest decision   → costs(project)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune import config
from groundtune.annex import Annex
from groundtune.decisions import record
from groundtune.decisions.audit import labels as label_files
from groundtune.decisions.audit import responses as logs
from groundtune.decisions.audit import section as audit_section
from groundtune.decisions.audit.propose import House, Replaced
from groundtune.decisions.audit.shares import Audited, audited
from groundtune.decisions.costs import report as cost_report
from groundtune.decisions.costs import sheet as sheets
from groundtune.decisions.costs.gather import gather
from groundtune.decisions.costs.report import Costed, costed
from groundtune.decisions.needs import section as needs_section
from groundtune.decisions.needs.advise import Advice, advise
from groundtune.decisions.needs.against import against, approach_of
from groundtune.decisions.needs.write import with_needs
from groundtune.decisions.rubric import Rubric
from groundtune.decisions.rule import Chosen
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import Told
from groundtune.errors import GroundtuneError, InputError
from groundtune.files import file_sha256, fingerprint, write_atomic
from groundtune.project.estimate import tokens_in
from groundtune.tables import NeedsTable, Settings
from groundtune.types import Arm, Estimate

if TYPE_CHECKING:
    from groundtune.project.main import Project

AUDITS = "audits"
SUFFIX = ".labels.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A log that is being audited: the responses of the sample by id, the file of labels, and what the checkers know."""

    responses: Mapping[str, logs.Response]
    path: Path
    house: House


def advice(project: Project, needs: NeedsTable | None = None) -> Advice:
    """Return the first recommendation. What an audit measured takes the place of what ``[needs]`` says of today's failures."""
    measured = [found.points for found in audits(project) if found.points is not None]
    return advise(needs or project.settings.needs, measured[-1] if measured else None)


def write_needs(project: Project, answers: Mapping[str, object]) -> NeedsTable:
    """Put the answers into groundtune.toml, checked before a byte is written. Raises ``ConfigError``."""
    path = project.folder / config.FILE
    text = path.read_text(encoding="utf-8")
    needs = NeedsTable.model_validate(answers)
    write_atomic(path, with_needs(text, needs.model_dump(exclude_defaults=True), str(path)))
    return needs


# ── the audit of a log ──


def open_audit(project: Project, file: Path, *, size: int, seed: int, labels: Path | None = None) -> Audit:
    """Read a log, draw its sample, and write down which responses that is. Raises what is wrong with the log."""
    rows = logs.read(file)
    drawn = logs.sample(rows, size, seed)
    path = labels or project.folder / AUDITS / f"{file.stem}{SUFFIX}"
    if path.resolve() == file.resolve():
        raise InputError(f"{path}: is the log itself", "name another file for the labels: groundtune audit FILE --labels FILE")
    label_files.start(path, label_files.Sample(source=file.name, rows=len(rows), seed=seed, responses=tuple(item.id for item in drawn)))
    return Audit(responses={item.id: item for item in drawn}, path=path, house=_house(project))


def audits(project: Project) -> list[Audited]:
    """Return what the project's audits come to, by the names of their files; none that nobody has labelled anything of."""
    folder = project.folder / AUDITS
    found = [audited(label_files.read(path)) for path in sorted(folder.glob(f"*{SUFFIX}"))] if folder.is_dir() else []
    return [item for item in found if item.labelled]


def _house(project: Project) -> House:
    """Return what checkers may know: the documents by path, and which of them a newer one replaces."""
    from groundtune.answers.reply import refuses
    from groundtune.documents.alike import superseded
    from groundtune.project.origins import versions

    answers = project.settings.answers
    phrases = (answers.fallback, *answers.refusals)
    try:
        content = project.served
    except GroundtuneError as error:
        project.progress.note(f"the checkers go without the project's documents: {error.message}")
        return House(documents={}, refuses=lambda said: refuses(said, phrases))
    documents = content.documents
    older = superseded(list(documents.values()), versions(project.settings))
    return House(
        documents={document.id.removeprefix("document:"): document.text for document in documents.values()},
        replaced=tuple(
            Replaced(
                older=old.removeprefix("document:"),
                older_text=documents[old].text,
                newer=new.removeprefix("document:"),
                newer_text=documents[new].text,
            )
            for old, new in sorted(older.items())
        ),
        schema=content.schema,
        quote_field=answers.quote_field,
        refuses=lambda said: refuses(said, phrases),
    )


# ── the costs ──


def costs(
    project: Project,
    *,
    settings: Settings | None = None,
    estimates: Iterable[Estimate] | None = None,
    adapters: Mapping[str, str] | None = None,
    reference: str | None = None,
    changes: Mapping[str, sheets.Known] | None = None,
) -> Costed:
    """Reckon the costs of every arm. ``estimates`` and ``adapters`` (their versions by name) are the latest decision's unless given.

    ``changes`` come last, over what was measured too. Raises what is wrong with the sheet.
    """
    settings = settings or project.settings
    if estimates is None:
        latest = record.latest(project.folder / "decisions")
        estimates = latest.estimates if latest else ()
        adapters = _adapters(latest.inputs if latest else {})
        reference = reference or (latest.choice or latest.fallback if latest else None)
    arms = project.arms
    if reference is None and settings.needs.model_fields_set:
        reference = next((arm.name for arm in arms if approach_of(arm) == advice(project).approach), None)
    inputs = gather(
        settings,
        folder=project.folder,
        needs=settings.needs,
        corpus_tokens=_corpus_tokens(project),
        instructions_tokens=tokens_in(settings.answers.instructions),
        estimates=list(estimates),
        tuning_seconds=_tuning_seconds(project, arms, adapters or {}),
    )
    for name, known in (changes or {}).items():
        inputs = {key: value for key, value in inputs.items() if not key.endswith(f": {name}")} | {name: known}
    inputs = {name: known for name, known in inputs.items() if ": " not in name or name.split(": ")[0] in {arm.name for arm in arms}}
    return costed(
        arms,
        inputs,
        currency=settings.costs.currency,
        local=settings.chat.use == "local",
        seed=settings.project.seed,
        reference=reference,
    )


def write_sheet(project: Project) -> Path:
    """Write the sheet of assumptions for a person to edit. Raises ``ConfigError`` where there is one already."""
    settings = project.settings
    path = project.folder / settings.costs.sheet
    sheets.write(path, costs(project).inputs, settings.costs.currency)
    return path


def _corpus_tokens(project: Project) -> float | None:
    try:
        return float(sum(tokens_in(document.text) for document in project.served.documents.values()))
    except GroundtuneError as error:
        project.progress.note(f"the costs go without the project's documents: {error.message}")
        return None


def _adapters(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of adapters that a decision's inputs name, by the name of their table."""
    return {name.removeprefix("adapter "): value for name, value in inputs.items() if name.startswith("adapter ")}


def _tuning_seconds(project: Project, arms: Sequence[Arm], adapters: Mapping[str, str]) -> dict[str, float]:
    """Return what the training of each arm's adapter took, as far as the versions are at hand."""
    took: dict[str, float] = {}
    for path in sorted((project.state / "models").glob("*/version.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))["version"]
            took[str(row["id"])] = float(row["metrics"]["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a version that says nothing of its seconds leaves the assumption in its place
    versions = {arm.name: adapters.get(arm.adapter or "", "") for arm in arms}
    return {name: took[version] for name, version in versions.items() if version in took}


# ── on the decision ──


def beside(
    project: Project,
    chosen: Chosen,
    rubric: Rubric,
    estimates: Sequence[Estimate],
    inputs: Mapping[str, str],
    not_run: Mapping[str, str],
) -> tuple[tuple[Annex, ...], tuple[Told, ...]]:
    """Return the sections of a decision, and the sentences of them that are told first.

    The sections: needs where any is stated, each audit, the costs with what was measured. The sentences: what the needs say against the arm
    that is shipped, and what it costs with everything.
    """
    found: list[Annex] = []
    said: list[Told] = []
    needs = project.settings.needs
    shipped = next((arm for arm in project.arms if arm.name == chosen.choice), None)
    measured = audits(project)
    if needs.model_fields_set or measured:
        advised = advice(project)
        found.append(needs_section.section(needs, advised, project.settings.project.owner, approach_of(shipped) if shipped else None))
        if shipped and (against_it := against(advised, shipped, Measured(estimates), rubric)):
            said.append(against_it)
    found += [audit_section.section(item) for item in measured]
    named = [name for name in (chosen.choice, chosen.fallback) if name]
    spent = costs(project, estimates=estimates, adapters=_adapters(inputs), reference=named[0] if named else None)
    found.append(cost_report.section(spent, chosen.passing, sorted(not_run)))
    if told := cost_report.all_in(spent, named):
        said.append(Told(text=told))
    return tuple(found), tuple(said)


def fingerprints(project: Project) -> dict[str, str]:
    """Return the identities of needs, costs sheet and labels, for the inputs of a decision."""
    found = {}
    if project.settings.needs.model_fields_set:
        found["needs"] = fingerprint(project.settings.needs.model_dump())
    sheet = project.folder / project.settings.costs.sheet
    if sheet.is_file():
        found["costs"] = file_sha256(sheet)[:16]
    for path in sorted((project.folder / AUDITS).glob(f"*{SUFFIX}")):
        found[f"audit {path.name.removesuffix(SUFFIX)}"] = file_sha256(path)[:16]
    return found
