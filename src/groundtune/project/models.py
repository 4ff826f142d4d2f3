"""The project's model versions: which there are, which one is live for each [tuning.*] table, what a promotion needs, what may leave.

tune → candidate → compare → promote → live → (rollback | retire)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import HalfWritten, StateError, UnknownName, WeightsError
from groundtune.files import file_sha256, plain
from groundtune.models.tuned import RECORD, ROWS
from groundtune.project import compare as comparing
from groundtune.project.arms import prompt_now
from groundtune.registry import gates, memory, merge, shelf, stages
from groundtune.registry.export import Exported, Form
from groundtune.registry.export import export as write_export
from groundtune.registry.gates import Outcome
from groundtune.registry.shelf import Trouble
from groundtune.registry.stages import Line, Stage, Stages
from groundtune.types import ModelVersion

if TYPE_CHECKING:
    from groundtune.project.main import Project

LIST = "see what there is: groundtune models list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A version, its stage, and who may be answered by it as the documents are now."""

    version: ModelVersion
    stage: Stage
    readers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """The outcome of a switch. ``done`` is false where a gate was not passed, and nothing was changed then.

    ``after`` are the versions that began from one that was retired, and hold what it learned.
    """

    id: str
    name: str
    was: str | None
    done: bool
    outcomes: tuple[Outcome, ...] = ()
    evidence: str | None = None
    after: tuple[str, ...] = ()


class Models:
    """What ``groundtune models`` does, one method for each of its actions."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._store: Path = project.state / "models"

    # ── looking ──

    def listed(self) -> tuple[list[Listed], list[Trouble]]:
        """Return all versions with their stage, and the folders that hold none, with the reason."""
        versions, troubles = shelf.survey(self._store)
        now = self.stages()
        found = [Listed(version=item, stage=now.of(item.id), readers=self.readers_now(item)) for item in versions]
        there = {item.id for item in versions} | {f"model:{trouble.folder.name}" for trouble in troubles}
        for name, version_id in sorted(now.live.items()):
            if version_id not in there:
                folder = shelf.folder_of(self._store, version_id)
                error = HalfWritten(f"{folder}: is live for {name}, but its folder is gone", f"type: groundtune models rollback {name}")
                troubles.append(Trouble(folder=folder, error=error))
        return found, troubles

    def stages(self) -> Stages:
        """Return what is live, what was live before, and what is retired. Raises ``StateError`` for audit lines that were changed."""
        return stages.stages(self.history())

    def history(self) -> Sequence[Line]:
        """Return every switch and export, oldest first."""
        return stages.history(self._project.ledger)

    def history_of(self, name: str | None = None) -> list[Line]:
        """Return the switches and exports of a [tuning.*] table, or of a version, or all of them. Raises ``UnknownName``."""
        lines = list(self.history())
        if name is None:
            return lines
        found = [line for line in lines if name in (line.name, line.version, line.version.removeprefix("model:"))]
        if not found and name not in self._project.settings.tuning:
            version = self.named_or_damaged(name)
            found = [line for line in lines if line.version == version]
        return found

    def named(self, name: str) -> ModelVersion:
        """Return the version of that id, the one id that begins so, or the one that is live for a [tuning.*] table of that name."""
        live = self.stages().live.get(name)
        return shelf.named(self._store, live or name)

    def named_or_damaged(self, name: str) -> str:
        """Return the id of the version that ``name`` means, whatever state its files are in. Raises ``UnknownName``."""
        live = self.stages().live
        wanted = live.get(name, name)
        full = wanted if wanted.startswith("model:") else f"model:{wanted}"
        # A live version can be meant although its folder is gone: to retire it is then the only way on.
        return full if full in live.values() else f"model:{shelf.meant(self._store, wanted).name}"

    def readers_now(self, version: ModelVersion) -> frozenset[str]:
        """Return who may be answered by a version: its readers, less those that a document it was made from no longer has.

        A document that is gone has no readers, so a version that was made from it has none either.
        """
        readers = version.readers or frozenset()
        documents = self._project.served.documents
        for item in version.document_ids:
            readers &= documents[item].readers if item in documents else frozenset()
        return readers

    def show(self, name: str) -> dict[str, Any]:
        """Return all that is known of a version: its making, its rows and documents, its evidence and its history."""
        version = self.named(name)
        folder = shelf.folder_of(self._store, version.id)
        rows = memory.rows_in(folder) if (folder / ROWS).is_file() else []
        documents = self._project.served.documents
        lines = self.history()
        runs = [run for run in self._project.ledger.runs("compare") if run.inputs.get("version") == version.id and run.status == "done"]
        return {
            **plain(version),
            "stage": stages.stages(lines).of(version.id),
            "readers_now": sorted(self.readers_now(version)),
            "rows": len(rows),
            "examples": list(dict.fromkeys(row.example_id for row in rows)),
            "documents_gone": sorted(item for item in version.document_ids if item not in documents),
            "evidence": [{"run": run.id, "at": run.ended_at, **dict(run.outputs)} for run in runs],
            "history": [plain(line) for line in lines if line.version == version.id],
        }

    def serving(self, name: str) -> Mapping[str, ModelVersion]:
        """Return what answers for a [tuning.*] table: the live version, or before any was promoted, the one tuned as the project stands.

        A version that is retired answers nobody. Its readers are those that it has now.
        """
        from groundtune.project.tune import standing

        lines = self.history()
        now = stages.stages(lines)
        live = now.live.get(name)
        if live is not None:
            found = shelf.whole(self._there(live, name))
            self._as_promoted(found, lines)
            merge.require_base(found, self._project.settings.chat.model_dump(), self._project.chat.fingerprint)
        else:
            there = standing(self._project, [name]).get(name)
            if there is None:
                return {}
            if there.id in now.retired or any(line.name == name for line in lines if line.verb == "promote"):
                hint = f"type: groundtune models promote {there.id} --why …"
                raise StateError(f"no version of {name} is live: the one that was has been retired", hint)
            found = there
        return {name: replace(found, readers=self.readers_now(found))}

    def _as_promoted(self, version: ModelVersion, lines: Sequence[Line]) -> None:
        """Raise ``WeightsError`` where a version's record, and so its files, are no longer those that passed the gates."""
        promoted = [line.details for line in lines if (line.verb, line.version) == ("promote", version.id)]
        marks = [details["record"] for details in promoted if "record" in details]
        path = shelf.folder_of(self._store, version.id) / RECORD
        if marks and (found := file_sha256(path)) != marks[-1]:
            raise WeightsError(
                f"{path}: sha256 {found[:16]}…, expected {marks[-1][:16]}…: it was written anew since {version.id} was promoted",
                f"restore the folder from a backup, or type: groundtune models rollback {version.name} --why …",
            )

    # ── measuring ──

    def compare(self, name: str, *, arm: str | None = None, other: str | None = None) -> tuple[comparing.Comparison, tuple[Outcome, ...]]:
        """Measure a version against its base and the live version (or ``other``), and hold it against the gates."""
        planned = self._plan(self.named(name), arm, other)
        found = comparing.compare(self._project, planned)
        return found, self._judge(planned, found)

    def _plan(self, version: ModelVersion, arm: str | None, other: str | None = None) -> comparing.Plan:
        against = self.named(other) if other else self._live(version.name)
        if against is not None:
            against = replace(against, readers=self.readers_now(against))
        return comparing.plan(self._project, replace(version, readers=self.readers_now(version)), against, arm)

    def _live(self, name: str) -> ModelVersion | None:
        live = self.stages().live.get(name)
        return None if live is None else shelf.whole(self._there(live, name))

    def _there(self, version_id: str, name: str) -> Path:
        folder = shelf.folder_of(self._store, version_id)
        if not folder.is_dir():
            raise HalfWritten(f"{folder}: is live for {name}, but its folder is gone", f"type: groundtune models rollback {name} --why …")
        return folder

    def _judge(self, planned: comparing.Plan, found: comparing.Comparison | None) -> tuple[Outcome, ...]:
        settings = self._project.settings
        wanted = gates.gates_for(planned.version.name, settings.models, settings.gates, comparing.gate_of_task(self._project))
        return gates.judge(wanted, found.estimates if found else (), live=planned.live is not None)

    # ── switching ──

    def promote(self, name: str, *, by: str, why: str, arm: str | None = None) -> Switched:
        """Make a version live for its table, if it passes every gate on evidence that is of what stands now."""
        lines = self.history()
        now = stages.stages(lines)
        version = self.named(name)
        self._usable(version, now)
        was = now.live.get(version.name)
        if was == version.id:
            return Switched(id=version.id, name=version.name, was=was, done=True)
        planned = self._plan(version, arm)
        found = comparing.made(self._project, planned)
        outcomes = self._judge(planned, found)
        evidence = found.run_id if found else None
        if not all(outcome.passed for outcome in outcomes):
            return Switched(id=version.id, name=version.name, was=was, done=False, outcomes=outcomes, evidence=evidence)
        details = {
            "evidence": evidence,
            "gates": [f"{outcome.gate}: {outcome.said}" for outcome in outcomes],
            "inputs": dict(planned.inputs),
            "record": file_sha256(shelf.folder_of(self._store, version.id) / RECORD),
        }
        stages.write(self._project.ledger, "promote", version.id, name=version.name, seen=lines, by=by, why=_said(why), details=details)
        return Switched(id=version.id, name=version.name, was=was, done=True, outcomes=outcomes, evidence=evidence)

    def rollback(self, table: str, *, by: str, why: str) -> Switched:
        """Make the version live that was before. Its gates were passed when it was promoted, and are not asked again."""
        lines = self.history()
        now = stages.stages(lines)
        before = now.before.get(table, ())
        if table not in now.live and not before:
            known = sorted({*now.live, *now.before})
            raise UnknownName.of("table with a live version", table, known, LIST)
        target = next((item for item in reversed(before) if shelf.folder_of(self._store, item).is_dir()), None)
        if target is None:
            raise StateError(f"there is no version of {table} before {now.live.get(table)} to go back to", LIST)
        version = shelf.whole(shelf.folder_of(self._store, target))
        self._as_promoted(version, lines)
        self._usable(version, now)
        stages.write(self._project.ledger, "rollback", version.id, name=table, seen=lines, by=by, why=_said(why), details={})
        return Switched(id=version.id, name=table, was=now.live.get(table), done=True)

    def retire(self, name: str, *, by: str, why: str) -> Switched:
        """Take a version out of service for good: it answers nobody, and cannot be promoted or exported. Its files stay.

        A version whose files are damaged can be retired too.
        """
        lines = self.history()
        now = stages.stages(lines)
        version_id = self.named_or_damaged(name)
        table = version_id.removeprefix("model:").rpartition("-")[0]
        was = now.live.get(table)
        if version_id not in now.retired:
            stages.write(self._project.ledger, "retire", version_id, name=table, seen=lines, by=by, why=_said(why), details={})
        began = {item.id: item.started_from for item in shelf.survey(self._store)[0] if item.id not in now.retired}
        return Switched(id=version_id, name=table, was=was, done=True, after=_from(version_id, began))

    def export(self, name: str, *, form: Form, target: Path, kind: str, by: str, why: str) -> Exported:
        """Write a version for other programs, held against the adapter first. Who exported it, to where and why, is in the history."""
        lines = self.history()
        version = self.named(name)
        self._usable(version, stages.stages(lines))
        readers = sorted(self.readers_now(version))
        place = target.expanduser().absolute()

        def record(mark: str) -> None:
            details = {"form": form, "type": kind, "to": str(place), "files": mark, "readers": readers}
            stages.write(self._project.ledger, "export", version.id, name=version.name, seen=lines, by=by, why=_said(why), details=details)

        return write_export(
            version,
            shelf.folder_of(self._store, version.id),
            chat=self._project.settings.chat.model_dump(),
            form=form,
            target=place,
            kind=kind,
            instructions=self._project.settings.answers.instructions.strip(),
            readers=readers,
            record=record,
        )

    def _usable(self, version: ModelVersion, now: Stages) -> None:
        """Raise where a version may not answer here: retired, of another base, prompt or template, or with no reader left."""
        project = self._project
        if version.id in now.retired:
            raise StateError(f"{version.id} is retired", LIST)
        merge.require_base(version, project.settings.chat.model_dump())
        wanted = prompt_now(project.settings)
        if version.prompt_hash != wanted:
            raise StateError(
                f"{version.id} was trained on another prompt ({version.prompt_hash}) than the project now uses ({wanted})",
                "type: groundtune tune",
            )
        if version.template_hash:
            from groundtune.models.local.adapters import require_template
            from groundtune.models.local.load import load_tokenizer

            require_template(shelf.folder_of(self._store, version.id), load_tokenizer(project.settings.chat.model_dump()))
        if version.document_ids and not self.readers_now(version):
            gone = Counter(item in project.served.documents for item in version.document_ids)[False]
            raise StateError(
                f"nobody may be answered by {version.id} any more: of its {len(version.document_ids)} documents {gone} are gone, or their"
                " readers share no group",
                "type: groundtune tune",
            )


def _from(version_id: str, began: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the versions that began from one, or from another that did, by ``began``: version → what it began from."""
    found: list[str] = [version_id]
    for place in found:
        found += [name for name, before in began.items() if before == place and name not in found]
    return tuple(found[1:])


def _said(why: str) -> str:
    if not why.strip():
        raise StateError("a switch is recorded with its reason, and none was given", 'give one: --why "…"')
    return why.strip()
