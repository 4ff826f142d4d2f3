"""``Project``: what a folder with a groundtune.toml can do, one method per verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from groundtune import config, plugins
from groundtune.errors import Problems, StateError, UnknownName
from groundtune.progress import Progress, Silent
from groundtune.project import content as contents
from groundtune.project import lock as locks
from groundtune.types import Answer, Arm, Asked, Decision, ModelVersion, Passage, Principal

if TYPE_CHECKING:
    from groundtune.access.filter import Filter
    from groundtune.access.jwks import Published
    from groundtune.answers.respond import House, Retrieve
    from groundtune.chunks.build import IndexVersion
    from groundtune.chunks.store import Store
    from groundtune.decisions.costs.report import Costed
    from groundtune.decisions.needs.advise import Advice
    from groundtune.models.chat import Chat
    from groundtune.models.embed import Embed
    from groundtune.passages.retrieve import Steps
    from groundtune.probes.report import Report as Probed
    from groundtune.project.before import Audit
    from groundtune.project.calibrations import Calibration
    from groundtune.project.check import Report
    from groundtune.project.evaluate import Evaluation
    from groundtune.project.index import Versions
    from groundtune.project.ingest import Ingested
    from groundtune.project.models import Models
    from groundtune.project.pilot import Piloted
    from groundtune.project.watch import Step
    from groundtune.project.what_if import WhatIf
    from groundtune.records.ledger import Ledger


class Project:
    """A project folder. Reading it costs nothing until a verb needs it; models are loaded once and kept."""

    def __init__(self, folder: Path, *, progress: Progress | None = None) -> None:
        self.folder = folder.absolute()
        loaded = config.load(self.folder)
        self.settings = loaded.settings
        self.sources: Mapping[str, str] = loaded.sources
        self.progress: Progress = progress or Silent()
        self.state = self.folder / contents.STATE

    # ── what is there ──

    @cached_property
    def content(self) -> contents.Content:
        """Documents, examples and principals, read and checked once. Raises ``Problems``."""
        return contents.read_or_raise(self.folder, self.settings)

    @cached_property
    def served(self) -> contents.Content:
        """The same, less the documents that cannot be read: what questions are answered from while somebody mends those."""
        content, problems = contents.read(self.folder, self.settings, strict=False)
        if content is None:
            raise problems[0] if len(problems) == 1 else Problems(problems)
        return content

    @cached_property
    def ledger(self) -> Ledger:
        """The project's ledger, created on first use."""
        from groundtune.records.ledger import RECORDS, Ledger

        return Ledger(self.state / RECORDS)

    @cached_property
    def chat(self) -> Chat:
        """The chat model that groundtune.toml names."""
        opened: Chat = plugins.load("chat", self.settings.chat.use)(self.settings.chat.model_dump())
        return opened

    @cached_property
    def embed(self) -> Embed:
        """The embedder that groundtune.toml names."""
        opened: Embed = plugins.load("embed", self.settings.embed.use)(self.settings.embed.model_dump())
        return opened

    @cached_property
    def store(self) -> Store:
        """The engine that keeps index versions."""
        opened: Store = plugins.load("index", self.settings.index.engine)(self.settings.index.model_dump(), self.state / "index")
        return opened

    @cached_property
    def house(self) -> House:
        """How this project asks and answers."""
        from groundtune.project.arms import house_of

        return house_of(self.settings, self.content)

    @property
    def arms(self) -> list[Arm]:
        """The arms of groundtune.toml, in their order: the simplest first."""
        from groundtune.project.arms import arm_of

        return [arm_of(table) for table in self.settings.arms]

    def verified(self, token: str) -> Principal:
        """Return the principal that a signed token proves. Raises ``TokenError`` for any other token, ``ConfigError`` without keys."""
        from groundtune.access.tokens import verified
        from groundtune.project.people import issuer_of

        return verified(token, issuer_of(self.folder, self.settings, self._published), self.served.directory)

    @cached_property
    def _published(self) -> Published | None:
        from groundtune.project.people import published_of

        return published_of(self.settings)

    def principal(self, name: str) -> Principal:
        """Return who goes by that name. Raises ``UnknownName`` with the known ones."""
        people = self.served.principals
        if name not in people:
            file = self.folder / self.settings.access.file
            hint = f"add it to {file}, or ask as a known one: groundtune ask --as {next(iter(people), 'NAME')}"
            raise UnknownName.of("principal", name, list(people), hint)
        return people[name]

    @cached_property
    def steps(self) -> Steps:
        """What is done for a question beside the two searches, as [passages] and [rerank] say."""
        from groundtune.passages.retrieve import Steps
        from groundtune.passages.synonyms import load

        table, rerank = self.settings.passages, self.settings.rerank
        writes = table.standalone or table.hyde or table.variants or table.parts
        return Steps(
            fusion=table.fusion,
            dense_weight=table.dense_weight,
            synonyms=load(self.folder / table.synonyms) if table.synonyms else None,
            rerank=plugins.load("rerank", rerank.use)(rerank.model_dump()) if rerank.use else None,
            rerank_depth=rerank.depth,
            diversity=table.diversity,
            chat=self.chat if writes else None,
            seed=self.settings.project.seed,
            standalone=table.standalone,
            hyde=table.hyde,
            variants=table.variants,
            parts=table.parts,
        )

    def retriever(self, limit: int | None = None, *, history: Sequence[Mapping[str, str]] = ()) -> Retrieve:
        """Return search over the live index, for respond() and for training rows: ``(question, principal, filter) → passages``.

        ``history`` is the conversation before the question, by which ``passages.standalone`` rewrites it.
        """
        from groundtune.chunks.build import open_live
        from groundtune.passages import retrieve as passages
        from groundtune.passages.newest import newest

        index, _ = open_live(self.state / "index", embed=self.embed, splitter=self.splitter, engine=self.store)
        table, steps = self.settings.passages, self.steps

        def search(question: str, principal: Principal, filter: Filter) -> tuple[Passage, ...]:
            found = passages.search(
                question,
                principal,
                index=index,
                embed=self.embed,
                limit=limit or table.limit,
                candidates=table.candidates,
                rrf_k=table.rrf_k,
                filter=newest(filter, self.settings.documents.newest_wins) or None,
                steps=steps,
                history=history,
            )
            for note in found.notes:
                self.progress.note(f"search: {note}")
            return found.passages

        return search

    @property
    def splitter(self) -> dict[str, Any]:
        """The splitter's settings, as the index is stamped with them."""
        return contents.splitter_of(self.settings)

    def versions(self) -> dict[str, ModelVersion]:
        """Return the adapters that are tuned for the project as it stands, by the name of their [tuning.*] table."""
        from groundtune.project.tune import standing

        return standing(self)

    # ── the verbs ──

    def check(self) -> Report:
        """Read everything, and return the problems, what is there, an estimate of the pilot and what its test set can show."""
        from groundtune.project.check import check

        return check(self)

    def lock(self, *, relock: bool = False) -> locks.Lock:
        """Lock the test set, the rubric and the arms. Raises ``LockedError`` when they changed and ``relock`` is not set."""
        return locks.lock(self.folder, self.content, self.settings, relock=relock)

    @cached_property
    def index(self) -> Versions:
        """The index versions: list, verify, diff, promote, rollback, gc."""
        from groundtune.project.index import Versions

        return Versions(self)

    @cached_property
    def models(self) -> Models:
        """The model versions: list, show, compare, promote, rollback, retire, export."""
        from groundtune.project.models import Models

        return Models(self)

    def ingest(
        self,
        *,
        strict: bool = True,
        fetch: bool = True,
        retry: bool = False,
        reread: bool = False,
        drop: Sequence[str] = (),
        emptied: Sequence[str] = (),
        promote: bool = True,
        rebuild: bool = False,
        accept: bool = False,
    ) -> Ingested:
        """Bring the index in step with the sources: one new tagged version, or the live one when nothing changed.

        ``strict`` raises for anything that cannot be read; otherwise it is in the result, and the rest goes on. ``promote=False`` leaves
        the version that is live, for a look at the new one before ``index.promote``; ``rebuild=True`` writes every document again,
        whatever the index holds. Raises ``StateError`` for a mass change of readers, unless it is accepted.
        """
        from groundtune.project.ingest import ingest

        return ingest(
            self,
            strict=strict,
            fetch=fetch,
            retry=retry,
            reread=reread,
            drop=drop,
            emptied=emptied,
            promote=promote,
            rebuild=rebuild,
            accept=accept,
        )

    def plan_ingest(self, *, retry: bool = False, reread: bool = False, drop: Sequence[str] = (), emptied: Sequence[str] = ()) -> Ingested:
        """Return what ``ingest`` would do and what it would cost; nothing is written."""
        from groundtune.project.ingest import plan

        return plan(self, retry=retry, reread=reread, drop=drop, emptied=emptied)

    def watch(self, *, stop: Event, told: Callable[[Step], None], every: float = 0.5, others: float = 300.0) -> None:
        """Ingest now, and again whenever files change, until ``stop`` is set; ``told`` hears of what was done and of what went wrong.

        Folders are looked at every ``every`` seconds, all other sources are asked every ``others`` seconds.
        """
        from groundtune.project.watch import watch

        watch(self, stop=stop, told=told, every=every, others=others)

    def apply_access(self, *, accept: bool = False) -> IndexVersion:
        """Give what is indexed the readers that hold now; texts and vectors stay. A mass change has to be accepted."""
        from groundtune.project.readers import apply

        return apply(self, accept=accept)

    def report_access(self) -> dict[str, Any]:
        """Return how fresh membership and readers are, and what the rules do not cover."""
        from groundtune.project.permissions import report

        return report(self)

    def explain_access(self, principal: str | Principal, document: str) -> list[dict[str, Any]]:
        """Return for each part of a document whether this principal may read it, and by which rule. Raises ``UnknownName``."""
        from groundtune.project.permissions import explain

        name = document if document.startswith("document:") else f"document:{document}"
        if name not in self.served.as_read:
            known = [item.removeprefix("document:") for item in self.served.as_read]
            who = principal if isinstance(principal, str) else principal.id
            raise UnknownName.of("document", document, known, f"name one of these: groundtune access explain {who} DOCUMENT")
        person = self.principal(principal) if isinstance(principal, str) else principal
        return explain(self.served.as_read[name], person, self.served.directory)

    def index_versions(self) -> list[IndexVersion]:
        """Return the finished index versions, oldest first."""
        from groundtune.chunks.build import versions

        return versions(self.state / "index")

    def verify_index(self) -> list[str]:
        """Compare the live index with its manifest and the documents; return what differs, in words."""
        return [item.message for item in self.index.verify().differences]

    def tune(self, names: Sequence[str] | None = None) -> list[ModelVersion]:
        """Train the adapters of the [tuning.*] tables, or those named; what is there already is not trained again."""
        from groundtune.project.tune import tune

        return tune(self, names)

    def ask(
        self,
        question: str,
        *,
        arm: str,
        asker: str | Principal,
        filter: Filter | None = None,
        history: Sequence[Mapping[str, str]] = (),
    ) -> Answer:
        """Answer one question. The answer holds its passages, which rule let each through, and the exact prompt.

        ``asker`` is a name of the access file, or whom ``verified()`` returned. ``history`` is the conversation before it, as messages
        with ``role`` (user or assistant) and ``content``; it permits nothing.
        """
        from groundtune.project.ask import ask

        return ask(self, question, arm, asker, filter or {}, history)

    def calibrate(self, arm: str = "rag", *, retrieval_only: bool = False) -> Calibration:
        """Fit when an arm had better say that it does not know, on the dev questions, and keep it for the live index version."""
        from groundtune.project.calibrate import calibrate

        return calibrate(self, arm, retrieval_only=retrieval_only)

    def evaluate(self, arms: Sequence[str] | None = None, *, asked: Asked = "test") -> Evaluation:
        """Answer the locked test questions by every arm, and score the answers; what was answered before is not asked again.

        ``asked="holdout"`` asks the second set, which nothing else ever does.
        """
        from groundtune.project.evaluate import evaluate

        return evaluate(self, arms, asked)

    def probe(self) -> Probed:
        """Try every arm on a copy of the project: changed facts, permission, deletion, injection, load. Nothing is done twice."""
        from groundtune.project.probing.run import probe

        return probe(self)

    def decide(self, evaluation: Evaluation | None = None, *, asked: Asked = "test") -> Decision:
        """Apply the rubric to an evaluation, and write the decision to ``decisions/``. Without one, ``asked`` is evaluated."""
        from groundtune.project.decide import decide

        return decide(self, evaluation or self.evaluate(asked=asked))

    def advise(self) -> Advice:
        """Return the first recommendation by ``[needs]``, before anything is measured."""
        from groundtune.project.before import advice

        return advice(self)

    def audit(self, file: Path, *, size: int = 200, seed: int | None = None, labels: Path | None = None) -> Audit:
        """Read logged answers and draw the sample that people are to label. The labels are in the file that the audit names."""
        from groundtune.project.before import open_audit

        return open_audit(self, file, size=size, seed=self.settings.project.seed if seed is None else seed, labels=labels)

    def costs(self) -> Costed:
        """Reckon every arm's costs from the sheet of assumptions and what the latest decision measured."""
        from groundtune.project.before import costs

        return costs(self)

    def what_if(self, changes: Mapping[str, str]) -> WhatIf:
        """Return recommendation, verdict and costs as they would be with the changes; nothing is measured again or written."""
        from groundtune.project.what_if import what_if

        return what_if(self, changes)

    def pilot(self, *, relock: bool = False) -> Piloted:
        """Check, lock, ingest, tune, evaluate, probe, decide. Broken off, the same call goes on where it stopped."""
        from groundtune.project.pilot import pilot

        return pilot(self, relock=relock)

    def require_lock(self) -> locks.Lock:
        """Return the lock, made sure that it is of what stands now. Raises ``StateError`` when nothing was locked."""
        if locks.read(self.folder) is None:
            raise StateError("the test set and the rubric are not locked yet", "type: groundtune lock")
        return self.lock()

    def described(self) -> dict[str, Any]:
        """Return fingerprints of everything a result depends on, models aside."""
        return {
            "documents": self.content.documents_fingerprint,
            "train": self.content.split_fingerprint("train"),
            "dev": self.content.split_fingerprint("dev"),
            "test": self.content.split_fingerprint("test"),
        }
