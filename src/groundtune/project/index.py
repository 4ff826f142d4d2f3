"""The project's index versions: which there are, whether they are whole, which one is live, which may go.

Every change of what is live is written together with its record (``live.json``); ``settle`` copies the records to the ledger's audit
lines, and is called by each verb, so a command that was killed in between leaves a line that is late and never one that is missing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.chunks import gc as garbage
from groundtune.chunks import holding, manifest, narrow, switch
from groundtune.chunks.build import version_id
from groundtune.chunks.diff import Difference, diff
from groundtune.chunks.manifest import IndexVersion
from groundtune.chunks.store import widest
from groundtune.chunks.verify import Difference as Wrong
from groundtune.chunks.verify import Verified, verify_version
from groundtune.errors import StaleIndex, StateError, UnknownName
from groundtune.files import fingerprint
from groundtune.project import lock as locks
from groundtune.project import readers
from groundtune.types import Document

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from groundtune.project.main import Project

KEEP = 3  # versions that stay beside the live one, where nothing else is asked


class Versions:
    """What ``groundtune index`` does, one method for each of its actions."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._store: Path = project.state / "index"

    def named(self, name: str) -> IndexVersion:
        """Return the version of that id, of the one id that begins so, or the ``live`` one. Raises ``UnknownName`` or ``StaleIndex``."""
        if name == "live":
            version = manifest.live(self._store)
            if version is None:
                raise StaleIndex("there is no index yet", "type: groundtune ingest")
            return version
        known = {version.id: version for version in manifest.versions(self._store)}
        begin = name if name.startswith("index:") else f"index:{name}"
        found = [item for item in known if re.fullmatch("index:[0-9a-f]+", begin) and item.startswith(begin)]
        if len(found) != 1:
            raise UnknownName.of("index version", name, list(known), "see what there is: groundtune index list")
        return known[found[0]]

    def live(self) -> str | None:
        """Return the id of the live version."""
        now = manifest.state(self._store)
        return None if now is None else now.id

    def verify(self, name: str = "live") -> Verified:
        """Compare a version with what is stored, the ledger and the documents; the live one also has to be of the documents as they are."""
        project = self._project
        version = self.named(name)
        documents = self._documents()
        found = verify_version(version, project.store, documents=documents, recorded=self._recorded(version))
        extra: tuple[Wrong, ...] = ()
        if version.id == self.live() and version.id != version_id(documents, project.embed, project.splitter):
            extra = (Wrong("documents", "", "the documents changed since the index was built; type: groundtune ingest"),)
        return Verified(found.version, (*found.differences, *extra))

    def diff(self, before: str, after: str) -> Difference:
        """Compare two versions."""
        return diff(self.named(before), self.named(after), self._project.store)

    def promote(self, name: str, *, other_settings: bool = False, accept: bool = False) -> switch.Switched:
        """Make a whole version live. Raises ``StaleIndex`` for one that this project's settings cannot search, unless asked to.

        Raises ``StateError`` where readers change as much as to be an alarm, or documents that are gone would be served again, unless
        that is accepted.
        """
        with holding.writing(self._store):
            version = self.named(name)
            if not other_settings:
                self._refuse(version, f"promote {version.id}")
            gone = self._gone_from(version)
            if gone and not accept:
                named = f"{', '.join(sorted(item.removeprefix('document:') for item in gone)[:5])}{' …' if len(gone) > 5 else ''}"
                told = f"{version.id} would serve {len(gone)} documents again that are gone, cannot be read or have no readers: {named}"
                raise StateError(told, f"type: groundtune ingest; if it is meant, type: groundtune index promote {name} --accept")
            self._guard(version, "promote", accept)
            if gone:
                from groundtune.records.ledger import now

                at = now()
                details = {"brought_back": sorted(gone)[:50], "documents": len(gone)}
                self._project.ledger.audit(f"gone accepted {version.id} {at}", "index promote --accept", version.id, details, at)
            done = switch.promote(self._store, version, self._project.store, documents=self._documents(), recorded=self._recorded(version))
            self.settle()
        return done

    def rollback(self, *, other_settings: bool = False, accept: bool = False) -> switch.Switched:
        """Go back to the version that was live before, without what is gone since: cannot be found, be read, or has no readers.

        The version has the readers of its time: ``groundtune access apply`` gives it those that hold now. Raises as ``promote``. A
        rollback that was killed after it was done is not done a second time.
        """
        with holding.writing(self._store):
            late = self.settle()
            state = manifest.state(self._store)
            if state is not None and late and late[-1] == state.switches[-1]["number"] and state.switches[-1]["verb"] == "rollback":
                return switch.Switched(id=state.id, was=state.switches[-1]["from"], done=True, verified=Verified(state.id, ()))
            target, gone = switch.rollback_target(self._store, self._gone_from)
            if not other_settings:
                self._refuse(target, "rollback")
            self._guard(target, "rollback", accept, gone)
            version = self._without(target, gone, "rollback") if gone else target
            done = switch.rollback(self._store, target, version, self._project.store)
            self.settle()
        return done

    def hide(self, left: Collection[str]) -> None:
        """Take the documents that are not ``left`` (ids) out of what is live; what stays is as it was, readers as well."""
        live = manifest.live(self._store)
        if live is None or live.contents.keys() <= set(left):
            return
        with holding.writing(self._store):
            live = manifest.live(self._store)
            gone = frozenset() if live is None else live.contents.keys() - set(left)
            # What searches of this project refuse needs no hiding from them: the version that comes replaces it.
            if live is not None and gone and narrow.narrows(live, self._project.embed, self._project.store):
                try:
                    hidden = self._without(live, gone, "hide")
                except StaleIndex as error:
                    # What is live is damaged. That must not keep an ingestion from putting a whole version in its place.
                    self._project.progress.note(f"{len(gone)} documents are hidden only by the next version: {error.message}")
                    return
                switch.hide(self._store, hidden)
                self.settle()

    def _without(self, version: IndexVersion, gone: Collection[str], verb: str) -> IndexVersion:
        project = self._project
        run = project.ledger.begin(verb, fingerprint(version.id, sorted(gone)), {"from": version.id}, project.settings.project.seed)
        made = narrow.without(version, gone, store=self._store, engine=project.store, embed=project.embed)
        if run.status != "done":
            project.ledger.link_step(run.id, made.id, version.id, made.contents.keys(), version.contents.keys())
            project.ledger.end(run.id, "done", {"index": made.id})
        return made

    def _gone_from(self, version: IndexVersion) -> frozenset[str]:
        """Return which documents of a version nobody is served now, nor would be by what the sources have: it would bring them back."""
        live = manifest.live(self._store)
        # What is gone is still in a version that ``access apply`` made, and read by nobody.
        read = set() if live is None else {name for name, item in live.contents.items() if widest(manifest.readers_in(item))}
        back = {name for name, item in version.contents.items() if name not in read and widest(manifest.readers_in(item))}
        # Looking at the sources takes time; mostly nothing would come back, and then it is not needed.
        return frozenset(back - self._project.served.documents.keys()) if back else frozenset()

    def plan_gc(self, keep: int = KEEP) -> garbage.Plan:
        """Return what ``gc`` would remove, and why the rest stays."""
        known = [version.id for version in manifest.versions(self._store)]
        return garbage.plan(self._store, self._project.store, last=keep, named=garbage.named_in(self._texts(), known))

    def gc(self, keep: int = KEEP) -> tuple[garbage.Plan, list[str], list[str]]:
        """Remove what the plan says; return the plan, what is gone, and what stayed since a reader opened it meanwhile."""
        with holding.writing(self._store):
            self.settle()
            planned = self.plan_gc(keep)
            gone, stayed = garbage.collect(self._store, self._project.store, planned, record=self._gone)
        return planned, gone, stayed

    def settle(self) -> list[int]:
        """Copy to the ledger the records of switches that it does not have yet; return their numbers."""
        now = manifest.state(self._store)
        late = []
        records = {f"index live {record['number']}": record for record in (() if now is None else now.switches)}
        missing = self._project.ledger.unaudited(list(records))
        for key, record in records.items():
            details = {"from": record["from"]}
            if key in missing and self._project.ledger.audit(key, f"index {record['verb']}", record["id"], details, record["at"]):
                late.append(int(record["number"]))
        return late

    def _gone(self, version: IndexVersion) -> None:
        number = manifest.path_of_gone(self._store, version.id).stat().st_mtime_ns
        details = {"documents": version.documents, "chunks": version.chunks}
        self._project.ledger.audit(f"index gone {version.id} {number}", "index gc", version.id, details)

    def _guard(self, version: IndexVersion, action: str, accept: bool, gone: Collection[str] = ()) -> None:
        after = {name: readers.Readers.kept(name, item) for name, item in version.contents.items() if name not in gone}
        readers.guard(self._project, after, f"index {action}", accept=accept)

    def _refuse(self, version: IndexVersion, action: str) -> None:
        hint = f"name those settings again, or ask for it all the same: groundtune index {action} --other-settings"
        switch.refuse_other_settings(version, self._project.embed, self._project.splitter, self._project.store, hint)

    def _documents(self) -> Sequence[Document]:
        # As they are served: a file that cannot be read is told by the verbs that read files, and is no reason to look at no version.
        return list(self._project.served.documents.values())

    def _recorded(self, version: IndexVersion) -> list[str]:
        return [name for name in self._project.ledger.parents(version.id) if name.startswith("document:")]

    def _texts(self) -> dict[str, str]:
        """Return the texts in which a version may be named by something that still needs it: runs that used one, the lock, releases."""
        project = self._project
        # These make a version; to have made it is no need of it.
        makers = ("ingest", "hide", "access", "rollback")
        texts = {run.id: f"{dict(run.inputs)} {dict(run.outputs)}" for run in project.ledger.runs() if run.verb not in makers}
        places = [project.folder / locks.FILE, *sorted((project.folder / "releases").rglob("*.json"))]
        for path in [*places, *sorted((project.state / "releases").rglob("*.json"))]:
            if path.is_file():
                texts[str(path.relative_to(project.folder))] = path.read_text(encoding="utf-8", errors="replace")
        return texts
