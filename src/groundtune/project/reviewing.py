"""A review that several windows look at: rows, pairs and ratings as they stand on disk now, each found again by its key, decided once.

    files on disk  →  items()  →  matching(Wanted(statuses=("draft",)))  →  decide(key, version, "approved")  →  Done(number=3, …)

``version`` is what the row said when it was shown. Another text on disk by now, whoever wrote it, is a ``StateError``, and nothing is
written: the check is made again under the lock of the files. Each decision is on disk and in the ledger when the call returns. One thread.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groundtune.errors import ExampleError, StateError, UnknownName
from groundtune.examples import load, pairs
from groundtune.examples.card import Card, card_of
from groundtune.examples.pairs import PairDesk, RatingDesk, Side
from groundtune.examples.review import DECISIONS, Desk
from groundtune.examples.rows import Stored, content, written
from groundtune.files import fingerprint

if TYPE_CHECKING:
    from groundtune.project.examples import Curation

Kind = Literal["row", "pair", "rating"]
Kinds = Literal["", "rows", "pairs", "ratings"]  # what is gone through; all kinds where it is empty
SHOW_AGAIN = "look at it as it is now, and decide again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row, a pair or a rating. ``key`` stays the same whatever is decided."""

    key: str
    stored: Stored
    kind: Kind

    @property
    def version(self) -> str:
        """What identifies all that the row says now, its status included."""
        return fingerprint(dict(self.stored.row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which items are gone through: of these statuses (any where there is none), of one finding of the last audit, of one kind."""

    statuses: tuple[str, ...] = ("draft",)
    finding: str = ""
    kind: Kinds = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A decision that is on disk: what was there before and after, and the number by which it can be taken back."""

    number: int
    key: str
    name: str
    status: str
    before: Stored
    after: Stored
    kind: Kind = "row"


class Review:
    """What a reviewer does in any number of windows. ``names`` and ``stale`` narrow it to some rows, as in the terminal."""

    def __init__(self, curation: Curation, by: str, *, names: Sequence[str] = (), stale: bool = False) -> None:
        self.curation = curation
        self.by = by
        self.rows: Desk = curation.desk(by)
        self.pairs: PairDesk = curation.pair_desk(by)
        self.ratings: RatingDesk = curation.rating_desk(by)
        self._cache: dict[Path, tuple[tuple[int, ...], list[Item], list[ExampleError]]] = {}
        self._past: dict[int, Done] = {}
        self._numbers = 0
        self.only: frozenset[str] | None = None
        curation.in_step()
        if names or stale:
            known = [item.stored.id for item in self.items()]
            for name in names:
                if name not in known:
                    raise UnknownName.of("row", name, sorted(known)[:20], "type: groundtune examples audit")
            self.only = frozenset(names) or frozenset(curation.stale())

    # ── what is there ──

    def items(self) -> list[Item]:
        """Return all items in the order of files and lines; a file is read again only when it changed."""
        return [item for _, found, _ in self._files() for item in found if self.only is None or item.stored.id in self.only]

    def problems(self) -> list[ExampleError]:
        """Return the lines that are no rows, and files that cannot be read."""
        return [problem for _, _, found in self._files() for problem in found]

    def _files(self) -> Iterator[tuple[tuple[int, ...], list[Item], list[ExampleError]]]:
        place = self.curation.place
        unread: list[ExampleError] = []
        paths: dict[Path, bool | None] = dict.fromkeys(load.files(place, unread)) if place.exists() else {}
        paths |= {path: rated for path, rated in self.curation.preferred().items() if path.is_file()}
        for path, rated in paths.items():
            try:
                stat = path.stat()
            except OSError:  # taken away since the folder was listed
                continue
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if path not in self._cache or self._cache[path][0] != mark:
                problems: list[ExampleError] = []
                found = list(self._read(path, rated, problems))
                self._cache[path] = (mark, found, problems)
            yield self._cache[path]

    def _read(self, path: Path, rated: bool | None, problems: list[ExampleError]) -> Iterator[Item]:
        """Yield the items of a file. ``rated`` is ``None`` for one of rows."""
        again: Counter[str] = Counter()
        place = path.relative_to(self.curation.place).as_posix() if path.is_relative_to(self.curation.place) else str(path)
        found: list[tuple[Stored, Kind]] = [*self.curation.judged_in(path, bool(rated), problems)]
        for stored, kind in found:
            name = stored.row.get("id")
            own = name if isinstance(name, str) and name else fingerprint(content(stored.row))
            again[own] += 1
            key = sha256(f"{place}\0{own}\0{again[own]}".encode()).hexdigest()[:16]
            yield Item(key=key, stored=stored, kind="row" if rated is None else kind)

    def find(self, key: str) -> Item:
        """Return an item as it is now. Raises ``StateError`` where it is no longer there."""
        for item in self.items():
            if item.key == key:
                return item
        raise StateError(
            "this row is no longer in its file: it was removed or renamed by another hand meanwhile", "go on with the next one"
        )

    def matching(self, wanted: Wanted) -> list[Item]:
        """Return the items that are wanted, in the order of files and lines."""
        names = self.findings.get(wanted.finding) if wanted.finding else None
        return [
            item
            for item in self.items()
            if (not wanted.statuses or item.stored.status in wanted.statuses)
            and wanted.kind in ("", f"{item.kind}s")
            and (not wanted.finding or item.stored.id in (names or ()))
        ]

    def after(self, key: str, wanted: Wanted) -> Item | None:
        """Return the next wanted item behind one that may no longer be wanted itself."""
        left = {item.key for item in self.matching(wanted)}
        behind = False
        for item in self.items():
            if behind and item.key in left:
                return item
            behind = behind or item.key == key
        return None

    @cached_property
    def findings(self) -> dict[str, tuple[str, ...]]:
        """Return finding → ids of rows, as the last ``groundtune examples audit`` wrote them; none where there was none."""
        try:
            report = json.loads((self.curation.project.state / "examples" / "audit.json").read_text(encoding="utf-8"))
            rows = {str(item["kind"]): tuple(map(str, item["rows"])) for item in report["findings"] if item["rows"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        known = {item.stored.id for item in self.items()}
        return {kind: names for kind, names in rows.items() if known.intersection(names)}

    def card(self, item: Item) -> Card:
        """Return what is shown of a row."""
        return card_of(item.stored.row, self.rows.documents, self.rows.answer_field)

    def wrong(self, item: Item) -> list[str]:
        """Return what stands against approving an item as it is."""
        return self._twice(item) + self.desk(item.kind).wrong(item.stored.row)

    def _twice(self, item: Item) -> list[str]:
        name = item.stored.row.get("id")
        # A file of pairs or ratings names its lines by itself; all files of rows do so together.
        place = None if item.kind == "row" else item.stored.path
        others = (other for other in self.items() if (None if other.kind == "row" else other.stored.path) == place)
        first = next((other for other in others if other.stored.row.get("id") == name), item)
        return [] if name is None or first.key == item.key else [f"id {name!r} was used before, at {first.stored.where}"]

    def desk(self, kind: Kind) -> Desk:
        """Return what deciding on items of a kind needs."""
        return {"row": self.rows, "pair": self.pairs, "rating": self.ratings}[kind]

    # ── what is decided ──

    def decide(self, key: str, version: str, did: str, reason: str = "") -> Done:
        """Approve, reject or quarantine. Raises ``StateError`` for a row that changed, or that cannot be approved as it is."""
        item = self._as_shown(key, version)
        if did not in DECISIONS.values():
            raise UnknownName.of("decision", did, list(DECISIONS.values()), SHOW_AGAIN)
        if did == "approved":
            self._fit(self.wrong(item))
        return self._done(item, did, self.desk(item.kind).decide(item.stored, did, " ".join(reason.split())))

    def better(self, key: str, version: str, side: Side) -> Done:
        """Approve a pair with one of its replies as the better one."""
        item = self._of_kind("pair", key, version)
        row = item.stored.row if side == "chosen" else pairs.turned(item.stored.row)
        self._fit(self._twice(item) + self.pairs.wrong(row))
        return self._done(item, "approved", self.pairs.better(item.stored, side))

    def rate(self, key: str, version: str, desirable: bool) -> Done:
        """Approve a rating: its reply is what is wanted, or is not."""
        item = self._of_kind("rating", key, version)
        self._fit(self._twice(item) + self.ratings.wrong({**item.stored.row, "desirable": desirable}))
        return self._done(item, "approved", self.ratings.rated(item.stored, desirable))

    def swap(self, key: str, version: str) -> Done:
        """Let the other reply of a pair be the better one; it is a draft then."""
        item = self._of_kind("pair", key, version)
        if not {"chosen", "rejected"} <= set(item.stored.row):
            raise StateError("a pair that lacks a reply cannot be swapped", "edit or reject it")
        return self._done(item, "swapped", self.pairs.swapped(item.stored))

    def edit(self, key: str, version: str, text: str) -> Done:
        """Write an item as a person changed it, as one JSON object; it is a draft then."""
        item = self._as_shown(key, version)
        return self._done(item, "edited", self.desk(item.kind).edited(item.stored, text))

    def undo(self, number: int) -> Done:
        """Take a decision back: the row is as it was before. Raises ``StateError`` where another hand changed it since."""
        done = self._past.pop(number, None)
        if done is None:
            raise StateError("there is no such decision to take back any more", "find the row by its status, and decide again")
        try:
            restored = self.desk(done.kind).undone(done.before, done.after)
        except StateError:
            raise StateError(f"{done.name} was changed by another hand since, so it is left as it is", SHOW_AGAIN) from None
        return Done(number=number, key=done.key, name=done.name, status="undone", before=done.after, after=restored, kind=done.kind)

    def tally(self) -> dict[str, int]:
        """Return how many decisions of each kind stand, of all windows."""
        return dict(Counter(done.status for done in self._past.values()))

    def past(self, number: int) -> Done | None:
        """Return a decision that can still be taken back."""
        return self._past.get(number)

    def _as_shown(self, key: str, version: str) -> Item:
        item = self.find(key)
        if item.version != version:
            said = item.stored.row.get("reviewed")
            who = f" by {said.get('by')} at {said.get('at')}" if isinstance(said, dict) else ""
            raise StateError(f"{item.stored.id} was changed{who} since it was shown here: it is {item.stored.status} now", SHOW_AGAIN)
        return item

    def _of_kind(self, kind: Kind, key: str, version: str) -> Item:
        item = self._as_shown(key, version)
        if item.kind != kind:
            raise StateError(f"{item.stored.id} is a {item.kind}, not a {kind}", SHOW_AGAIN)
        return item

    @staticmethod
    def _fit(wrong: list[str]) -> None:
        if wrong:
            raise StateError(f"it cannot be approved: {'; '.join(wrong)}", "edit it, or reject it")

    def _done(self, item: Item, status: str, after: Stored) -> Done:
        self._numbers += 1
        done = Done(number=self._numbers, key=item.key, name=item.stored.id, status=status, before=item.stored, after=after, kind=item.kind)
        self._past[done.number] = done
        return done


def edited(row: dict[str, Any], answer_field: str, said: dict[str, str]) -> str:
    """Return a row or rating as JSON with the texts that a form holds: ``question``, ``answer``, and ``quote-0`` … for its evidence.

    Texts that did not change stay as they are in the row, so a form cannot change a value of another kind by showing it.
    """
    made = json.loads(written(content(row)))
    reply, evidence = made.get("reply"), made.get("evidence")
    places = [(made, "question", "question"), (made, "reply", "answer") if isinstance(reply, str) else (reply, answer_field, "answer")]
    places += [(part, "quote", f"quote-{number}") for number, part in enumerate(evidence if isinstance(evidence, list) else ())]
    for place, name, field in places:
        if isinstance(place, dict) and isinstance(place.get(name), str) and field in said and _one_kind(place[name]) != said[field]:
            place[name] = said[field]
    return written(made)


def _one_kind(text: str) -> str:
    """Return a text with one kind of line end: a browser sends no other."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
