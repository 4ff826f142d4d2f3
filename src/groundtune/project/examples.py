"""A project's examples as rows: taken in from other forms, given out in them, counted, reviewed. Verbs of ``groundtune examples``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groundtune.answers.prompt import reply_text
from groundtune.answers.reply import refuses
from groundtune.errors import ExampleError, GroundtuneError, StateError, UnknownName
from groundtune.examples import forms, intake, preferences, ratings, records
from groundtune.examples import rows as stored_rows
from groundtune.examples.load import PREFERENCES, RATINGS, STATUSES
from groundtune.examples.rows import Reading, Stored
from groundtune.examples.schema import load_schema
from groundtune.files import fingerprint, write_atomic
from groundtune.project.arms import prompt_now
from groundtune.project.content import read_documents
from groundtune.project.people import directory_of
from groundtune.tuning.rows import Row
from groundtune.types import Document, Principal

if TYPE_CHECKING:
    from groundtune.examples.pairs import PairDesk, RatingDesk
    from groundtune.examples.review import Desk, Terminal
    from groundtune.project.main import Project

JudgedKind = Literal["pair", "rating"]
EXPORTS = ("chat", "prompt-completion", "alpaca", "sharegpt", "preference", "rating", "csv", "rows", "answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Where new rows went, how many have which status, how many were there, and what could not be taken."""

    form: str
    path: str | None
    counts: Mapping[str, int]
    present: int
    problems: tuple[ExampleError, ...]
    notes: tuple[str, ...]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How many rows were written, what was left out and why, and who may read everything in the file."""

    form: str
    path: str
    rows: int
    left_out: Mapping[str, int]
    readers: tuple[str, ...] | None
    prompt: str


class Curation:
    """The examples of a project whatever their status. Read once; a change of a row goes to its file at once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.settings = project.settings
        self.place = project.folder / self.settings.examples.path
        directory = directory_of(project.folder, self.settings)
        self.principals: Mapping[str, Principal] = directory.principals
        found = read_documents(project.folder, self.settings, directory)
        self.document_problems: Sequence[GroundtuneError] = found.problems
        self.documents: Mapping[str, Document] = found.documents
        name = self.settings.examples.schema_file
        self.schema: Mapping[str, Any] | None = load_schema(project.folder / name) if name else None

    def rows(self) -> Reading:
        """Return all rows as they stand in their files now."""
        return stored_rows.read(self.place, list(self.documents.values()), self.principals)

    @property
    def preferences(self) -> Path:
        """The file of preference pairs."""
        return stored_rows.preferences_of(self.place)

    @property
    def ratings(self) -> Path:
        """The file of replies that were rated one by one."""
        return self.preferences.with_name(RATINGS)

    def preferred(self) -> dict[Path, bool]:
        """Return file → whether it holds ratings: the two beside the examples, and those that a [tuning.*] table names."""
        from groundtune.examples.pairs import files_of

        tables = [table for table in self.settings.tuning.values() if table.objective != "sft"]
        return files_of(self.place, {self.project.folder / table.preferences: table.objective == "kto" for table in tables})

    def judged(self, problems: list[ExampleError]) -> list[tuple[Stored, JudgedKind]]:
        """Return every line of those files, whatever its status, and whether it is a pair or a rating."""
        return [item for path, rated in self.preferred().items() for item in self.judged_in(path, rated, problems)]

    @staticmethod
    def judged_in(path: Path, rated: bool, problems: list[ExampleError]) -> list[tuple[Stored, JudgedKind]]:
        """Return every line of one such file; among ratings, a line with two replies is a pair."""
        from groundtune.examples import pairs

        return [(item, "rating" if rated and not ratings.is_pair(item.row) else "pair") for item in pairs.read(path, problems)]

    def house(self) -> intake.House:
        """Return what new rows must fit."""
        answers = self.settings.answers
        phrases = (answers.fallback, *answers.refusals)
        return intake.House(
            documents=self.documents,
            principals=self.principals,
            schema=self.schema,
            answer_field=answers.answer_field,
            quote_field=answers.quote_field,
            refuses=lambda said: refuses(said, phrases),
        )

    # ── in ──

    def take(self, path: Path, wish: intake.Wish, *, dry_run: bool = False) -> Imported:
        """Take the records of a file in as rows; pairs go to the preferences, and ratings to theirs. What is there is not taken twice."""
        if path.resolve().is_relative_to(self.place.resolve()):
            raise StateError(f"{path} is among the examples already", "type: groundtune examples audit")
        present = [item.row for item in self.rows().rows]
        ignored: list[ExampleError] = []
        present += [item.row for item, _ in self.judged(ignored)]
        taking = intake.taken(path, wish, self.house(), present)
        target = None
        if taking.rows:
            name = f"{path.stem.lstrip('.') or 'rows'}.jsonl"
            name = f"rows-{name}" if name in (PREFERENCES, RATINGS) else name
            target = self.place / name if self.is_folder() else self.place
        if not dry_run:
            if target is not None:
                stored_rows.append(target, taking.rows)
            if taking.pairs:
                stored_rows.append(self.preferences, taking.pairs)
            if taking.ratings:
                stored_rows.append(self.ratings, taking.ratings)
        target = target or (self.preferences if taking.pairs else self.ratings if taking.ratings else None)
        return Imported(
            form=taking.form,
            path=str(target) if target else None,
            counts=taking.counts,
            present=taking.present,
            problems=taking.problems,
            notes=taking.notes,
            reasons=dict(Counter(_kind(str(row["reason"])) for row in (*taking.rows, *taking.pairs, *taking.ratings) if row.get("reason"))),
        )

    def is_folder(self) -> bool:
        """Return whether the examples are a folder of files, and not one file."""
        return self.place.is_dir() or not self.place.suffix

    # ── out ──

    def give(
        self,
        form: str,
        path: Path,
        *,
        statuses: Sequence[str] = ("approved",),
        splits: Sequence[str] = ("train",),
        adapter: str | None = None,
    ) -> Exported:
        """Write rows in another form. With ``adapter`` as its training sees them: rendered, passages and distractors included.

        Raises ``StateError`` when no row is left to write.
        """
        if form not in EXPORTS:
            raise UnknownName.of("form", form, EXPORTS, f"type: groundtune examples export {path} --form chat")
        for status in statuses:
            if status not in STATUSES:
                raise UnknownName.of("status", status, STATUSES, "type: groundtune examples export FILE --status approved")
        if adapter is not None:
            return self._rendered(form, path, adapter)
        if form == "preference":
            return self._pairs(path, statuses)
        if form == "rating":
            return self._ratings(path, statuses)
        if form == "answers":
            return self._answers(path)
        left_out: Counter[str] = Counter()
        exchanges = []
        readers: list[frozenset[str]] = []
        for item in self.rows().rows:
            if item.status not in statuses or item.split not in splits:
                left_out[item.status if item.status not in statuses else f"split {item.split or 'not named'}"] += 1
            elif item.example is None and form != "rows":
                left_out["malformed"] += 1
            elif form == "csv" and item.example is not None and len(item.example.evidence) > 1:
                left_out["several pieces of evidence, and a table row holds one"] += 1
            elif form == "csv" and item.row.get("also"):
                left_out["other wordings of the answer, and a table row holds one"] += 1
            else:
                exchanges.append(self._exchange(item))
                readers += self._readers(item)
        return self._written(form, path, [forms.give(form, item) for item in exchanges], left_out, readers)

    def _exchange(self, item: Stored) -> forms.Exchange:
        answers = self.settings.answers
        reply = item.row.get("reply")
        text = ""
        if item.example is not None and (self.schema is not None or answers.answer_field in item.example.reply):
            text = reply_text(item.example.reply, answers.answer_field, structured=self.schema is not None)
        return forms.Exchange(
            row=item.row,
            system=answers.instructions.strip(),
            question=str(item.row.get("question", "")),
            reply=text or str(reply),
        )

    def _readers(self, item: Stored) -> list[frozenset[str]]:
        if item.example is None:
            return [frozenset()]
        own = [item.example.readers] if item.example.readers is not None else []
        return own + [self.documents[part.document_id].readers for part in item.example.evidence]

    def _rendered(self, form: str, path: Path, adapter: str) -> Exported:
        from groundtune.project.tune import rows_for

        if form != "chat":
            raise StateError(f"rendered rows are conversations, not {form}", f"type: groundtune examples export {path} --adapter {adapter}")
        if adapter not in self.settings.tuning:
            raise UnknownName.of("adapter", adapter, list(self.settings.tuning), "name a [tuning.*] table of groundtune.toml")
        rows = rows_for(self.project, adapter)
        if self.settings.tuning[adapter].objective != "sft":
            raise StateError(f"{adapter} learns from preferences", f"type: groundtune examples export {path} --form preference")
        made = [
            {"messages": [*map(dict, row.messages), {"role": "assistant", "content": row.completion}]}
            for row in rows.rows
            if isinstance(row, Row)
        ]
        return self._written(form, path, made, Counter(dict(rows.left_out)), [rows.readers])

    def _pairs(self, path: Path, statuses: Sequence[str]) -> Exported:
        pairs = preferences.load(self.preferences, [status for status in STATUSES if status in statuses])
        system = self.settings.answers.instructions.strip()
        made: list[Mapping[str, Any]] = []
        readers: list[frozenset[str]] = []
        for pair in pairs:
            asked = [{"role": "system", "content": system}, {"role": "user", "content": pair.question}]
            sides = [self._side(pair.chosen), self._side(pair.rejected)]
            chosen, rejected = ([{"role": "assistant", "content": text}] for text in sides)
            made.append({"prompt": asked, "chosen": chosen, "rejected": rejected})
            readers += self._source_readers(pair.source)
        return self._written("preference", path, made, Counter(), readers)

    def _ratings(self, path: Path, statuses: Sequence[str]) -> Exported:
        """Write ratings as TRL's unpaired preferences; a pair among them is a wanted reply and one that is not."""
        made: list[Mapping[str, Any]] = []
        readers: list[frozenset[str]] = []
        for rating in ratings.load(self.ratings, [status for status in STATUSES if status in statuses]):
            asked = [{"role": "user", "content": rating.question}]
            if system := self.settings.answers.instructions.strip():
                asked.insert(0, {"role": "system", "content": system})
            said = [{"role": "assistant", "content": self._side(rating.reply)}]
            made.append({"prompt": asked, "completion": said, "label": rating.desirable})
            readers += self._source_readers(rating.source)
        return self._written("rating", path, made, Counter(), readers)

    def _source_readers(self, name: str) -> list[frozenset[str]]:
        """Return the readers of the document that a pair or rating names; of one that is gone, nobody."""
        source = self.documents.get(f"document:{name.removeprefix('document:')}")
        return [source.readers if source is not None else frozenset()] if name else []

    def _side(self, side: Mapping[str, Any] | str) -> str:
        return side if isinstance(side, str) else reply_text(side, self.settings.answers.answer_field, structured=self.schema is not None)

    def _answers(self, path: Path) -> Exported:
        """Write the answers of all evaluations, each once and whole, as ``import`` takes them."""
        problems: list[ExampleError] = []
        made: dict[str, Mapping[str, Any]] = {}
        for log in sorted((self.project.state / "runs").glob("*/answers.jsonl")):
            for record in records.read(log, problems):
                made.setdefault(str(record.value.get("id")), record.value)
        if problems:
            raise problems[0]
        parts = [part for answer in made.values() for part in answer.get("passages", ())]
        names = {part.get("chunk", {}).get("document_id") for part in parts}
        readers = [self.documents[name].readers if name in self.documents else frozenset[str]() for name in names]
        return self._written("answers", path, list(made.values()), Counter(), readers)

    def _written(
        self, form: str, path: Path, made: Sequence[Mapping[str, Any]], left_out: Counter[str], readers: Sequence[frozenset[str]]
    ) -> Exported:
        if not made:
            why = ", ".join(f"{count} {name}" for name, count in left_out.items()) or "there are none"
            raise StateError(f"no row is left to export: {why}", "type: groundtune examples audit")
        text = forms.table(made) if form == "csv" else "".join(stored_rows.written(row) + "\n" for row in made)
        write_atomic(path, text)
        allowed = tuple(sorted(frozenset.intersection(*readers))) if readers else None
        return Exported(
            form=form,
            path=str(path),
            rows=len(made),
            left_out=dict(left_out),
            readers=allowed,
            prompt=prompt_now(self.settings),
        )

    # ── by hand ──

    def review(
        self, terminal: Terminal, by: str, *, statuses: Sequence[str] = ("draft",), names: Sequence[str] = (), stale: bool = False
    ) -> dict[str, int]:
        """Go through rows, pairs and ratings with a person; each decision is in the files and in the ledger at once.

        Returns how many got which status.
        """
        from groundtune.examples.review import review

        found = self.rows()
        self.in_step(found)
        desk, desks = self.desk(by), {"pair": self.pair_desk(by), "rating": self.rating_desk(by)}
        ignored: list[ExampleError] = []
        items: list[tuple[Stored, Desk]] = [(item, desk) for item in found.rows]
        items += [(item, desks[kind]) for item, kind in self.judged(ignored)]
        if stale:
            old = self.stale(found)
            items = [(item, desk) for item in found.rows if item.id in old]
        elif names:
            known = {item.id for item, _ in items}
            for name in names:
                if name not in known:
                    raise UnknownName.of("row", name, sorted(known)[:20], "type: groundtune examples audit")
            items = [(item, own) for item, own in items if item.id in names]
        else:
            items = [(item, own) for item, own in items if item.status in statuses]
        return review(items, terminal)

    def drafts(self) -> int:
        """Return how many rows, pairs and ratings nobody has decided on yet."""
        ignored: list[ExampleError] = []
        return sum(item.status == "draft" for item in (*self.rows().rows, *(item for item, _ in self.judged(ignored))))

    def stale(self, found: Reading | None = None) -> set[str]:
        """Return the ids of rows in use whose document changed or is gone since."""
        from groundtune.examples import checks
        from groundtune.examples.findings import case_of

        rows = (found or self.rows()).rows
        cases = [case_of(item, self.settings.answers.answer_field) for item in rows if item.status in ("approved", "draft")]
        return {name for finding in checks.stale(cases, self.documents) for name in finding.rows}

    def desk(self, by: str) -> Desk:
        """Return what a review of rows needs."""
        from groundtune.examples.review import Desk

        return Desk(**self._needs(by), record=self.reported)

    def pair_desk(self, by: str) -> PairDesk:
        """Return what a review of preference pairs needs."""
        from groundtune.examples.pairs import PairDesk

        return PairDesk(**self._needs(by), record=lambda item: self.reported(item, "pair"))

    def rating_desk(self, by: str) -> RatingDesk:
        """Return what a review of replies that were rated one by one needs."""
        from groundtune.examples.pairs import RatingDesk

        return RatingDesk(**self._needs(by), record=lambda item: self.reported(item, "rating"))

    def _needs(self, by: str) -> dict[str, Any]:
        from groundtune.records.ledger import now

        return {
            "documents": self.documents,
            "principals": self.principals,
            "schema": self.schema,
            "answer_field": self.settings.answers.answer_field,
            "by": by,
            "now": now,
        }

    def reported(self, item: Stored, what: str = "example") -> None:
        """Write a decision on a row into the ledger, once."""
        said = item.row.get("reviewed")
        if not isinstance(said, dict):
            return
        details = {
            **said,
            "status": item.status,
            "reason": item.row.get("reason", ""),
            "content": fingerprint(stored_rows.content(item.row)),
        }
        self.project.ledger.audit(fingerprint(item.id, details), "review", f"{what}:{item.id}", details, at=str(said.get("at")))

    def in_step(self, found: Reading | None = None) -> None:
        """Bring the ledger in step with the files: a review that was killed between the two left one decision unreported."""
        for item in (found or self.rows()).rows:
            self.reported(item)
        ignored: list[ExampleError] = []
        for item, kind in self.judged(ignored):
            self.reported(item, kind)


def _kind(reason: str) -> str:
    """Return a reason without what differs from row to row."""
    return reason.split(";")[0].split(":")[0][:80]
