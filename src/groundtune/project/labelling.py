"""An audit that several windows look at: the answers of a sample, what checkers propose, and one person's labels as the file has them.

    labels file  →  answers(Wanted(show="todo"))  →  give("response:3f…", "wrong fact", seen=None)  →  Given(number=1, …)

``seen`` is the person's own label that the window showed. Another one in the file by now is a ``StateError``, and nothing is written; the
comparison is made while the file is locked. What others said is not shown: two people agree only if neither follows the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundtune.decisions.audit import labels as files
from groundtune.decisions.audit.labels import Labels
from groundtune.decisions.audit.propose import LABELS, Label, Proposal, propose
from groundtune.decisions.audit.responses import Response
from groundtune.decisions.audit.shares import Audited, audited
from groundtune.errors import StateError, UnknownName
from groundtune.project.before import Audit

Show = Literal["todo", "mine", "disputed", "all"]
SHOWS: Mapping[str, str] = {"todo": "to do", "mine": "labelled by you", "disputed": "labelled differently by two", "all": "all"}
NONE = "no proposal"
SHOW_AGAIN = "look at it as it is now, and label it again"
MOST_SECONDS = 600.0  # a longer look was a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which answers are gone through: what of them is labelled, and what is proposed first (``NONE``: nothing); empty: whatever."""

    show: str = "todo"
    proposal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A label that is on disk: what stood there before, and the number by which it can be taken back."""

    number: int
    response: str
    before: Label | None
    label: Label | None


class Labelling:
    """What one labeller does in any number of windows."""

    def __init__(self, audit: Audit, labeller: str, log: Path) -> None:
        self.audit = audit
        self.labeller = files.labeller_named(labeller)
        self.log = log
        self._sample = files.read(audit.path).sample
        self._mark = self._stat()
        self._proposals: dict[str, tuple[Proposal, ...]] = {}
        self._past: dict[int, Given] = {}
        self._numbers = 0

    # ── what is there ──

    def labels(self) -> Labels:
        """Return what the file says now. Raises ``StateError`` where it is broken, or now is about another sample."""
        there = files.read(self.audit.path)
        self._same_sample(there)
        return there

    def _same_sample(self, there: Labels) -> None:
        if there.sample != self._sample:
            raise StateError(
                f"{self.audit.path} is about another sample now: the audit was started anew elsewhere",
                "stop this one, and start it again with the same --sample and --seed",
            )

    def log_changed(self) -> bool:
        """Return whether the log is no longer as it was read. Labels go by what an answer says, so they stay right."""
        return self._stat() != self._mark

    def _stat(self) -> tuple[int, ...] | None:
        try:
            stat = self.log.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def mine(self, there: Labels) -> Mapping[str, Label]:
        """Return this person's labels."""
        return there.by.get(self.labeller, {})

    def labelled(self, there: Labels) -> int:
        """Return how many answers of the sample this person labelled."""
        return len(self.mine(there).keys() & self.audit.responses.keys())

    def proposals(self, response: str) -> tuple[Proposal, ...]:
        """Return what the checkers hold against an answer."""
        if response not in self._proposals:
            self._proposals[response] = propose(self.audit.responses[response], self.audit.house)
        return self._proposals[response]

    def answers(self, wanted: Wanted, there: Labels) -> list[Response]:
        """Return the answers that are wanted, in the order of the sample."""
        mine = self.mine(there)
        disputed = set(there.disputed())
        kept = []
        for name, response in self.audit.responses.items():
            shown = {"todo": name not in mine, "mine": name in mine, "disputed": name in disputed}.get(wanted.show, True)
            if shown and (not wanted.proposal or wanted.proposal == self.first(name)):
                kept.append(response)
        return kept

    def first(self, response: str) -> str:
        """Return the label that is proposed first, or ``NONE``."""
        found = self.proposals(response)
        return found[0].label if found else NONE

    def after(self, response: str, wanted: Wanted, there: Labels) -> Response | None:
        """Return the next wanted answer behind one that may no longer be wanted itself."""
        names = list(self.audit.responses)
        place = names.index(response) if response in names else -1
        return next((item for item in self.answers(wanted, there) if names.index(item.id) > place), None)

    def find(self, response: str) -> Response:
        """Return an answer of the sample. Raises ``StateError`` where there is none."""
        if response not in self.audit.responses:
            raise StateError("there is no such answer in this sample", "go on with the next one")
        return self.audit.responses[response]

    def result(self) -> Audited:
        """Return what all labels come to so far."""
        return audited(self.labels())

    # ── what is labelled ──

    def give(self, response: str, label: str, seen: str | None, seconds: float | None = None) -> Given:
        """Keep a label; it is on disk when this returns. Raises ``StateError`` where the person's own label is not what was shown."""
        self.find(response)
        known = next((item for item in LABELS if item == label), None)
        if known is None:
            raise UnknownName.of("label", label, LABELS, SHOW_AGAIN)
        spent = seconds if seconds is not None and 0 <= seconds <= MOST_SECONDS else None
        before = self._add(response, known, seen, spent)
        self._numbers += 1
        self._past[self._numbers] = given = Given(number=self._numbers, response=response, before=before, label=known)
        return given

    def undo(self, number: int) -> Given:
        """Take a label back: what stood there before stands again. Raises ``StateError`` where it was given anew since."""
        done = self._past.get(number)
        if done is None:
            raise StateError("there is no such label to take back any more", "find the answer among those labelled by you")
        self._add(done.response, done.before, done.label)
        del self._past[number]
        return Given(number=number, response=done.response, before=done.label, label=done.before)

    def past(self, number: int) -> Given | None:
        """Return a label that can still be taken back."""
        return self._past.get(number)

    def _add(self, response: str, label: Label | None, seen: str | None, seconds: float | None = None) -> Label | None:
        """Write a label, or with ``None`` that there is none any more; return what stood there before."""
        proposed = dict.fromkeys(item.label for item in self.proposals(response)) if label else ()
        before: list[Label | None] = []

        def check(there: Labels) -> None:
            self._same_sample(there)
            now = self.mine(there).get(response)
            if now != seen:
                is_now = f"labelled “{now}”" if now else "without a label"
                raise StateError(f"this answer is {is_now} by {self.labeller} meanwhile, in another window", SHOW_AGAIN)
            before.append(now)

        files.add(self.audit.path, response, label, self.labeller, proposed=list(proposed), seconds=seconds, check=check)
        return before[0]
