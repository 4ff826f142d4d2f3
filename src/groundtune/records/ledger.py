"""The ledger of one project: runs, answered batches, looks at the test set, lineage, and the audit lines of what was switched or removed.

A run's ``key`` fingerprints its inputs. Asking for the same work again finds the finished run and does nothing, or finds the
unfinished one and goes on where it stopped; that is all that "resume" means here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune import __version__
from groundtune.errors import StorageError
from groundtune.files import fingerprint, plain, storing
from groundtune.records.migrations import migrate
from groundtune.types import Run

RECORDS = "records.sqlite"
MOST_STEPS = 100  # from a thing whose parents are all recorded to one that is recorded by differences


def now() -> str:
    """Return the present time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Ledger:
    """Open (and create or migrate) the ledger at ``path``. One object a process; SQLite keeps several processes apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._told():
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn SQLite's complaints about the disk into an error that names the ledger."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise StorageError(f"the ledger {self.path} cannot be used: {error}", f"see: df -h {self.path.parent}") from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file; the object is of no use afterwards."""
        self._db.close()

    def begin(self, verb: str, key: str, inputs: Mapping[str, str], seed: int) -> Run:
        """Return the run of this verb with this key: the finished one, else the unfinished one to go on with, else a new one."""
        with self._write() as db:
            found = self._find(verb, key)
            if found is not None:
                if found.status != "done":
                    db.execute("UPDATE runs SET status = 'running', ended_at = NULL WHERE id = ?", (found.id,))
                return self.run(found.id)
            number = db.execute("SELECT count(*) FROM runs").fetchone()[0] + 1
            run_id = f"run:{number:04d}-{verb}-{key[:8]}"
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, 'running', ?, NULL, ?, ?, '{}', ?)",
                (run_id, verb, key, now(), seed, json.dumps(plain(inputs), sort_keys=True), __version__),
            )
        return self.run(run_id)

    def _find(self, verb: str, key: str) -> Run | None:
        row = self._db.execute(
            "SELECT id FROM runs WHERE verb = ? AND key = ? ORDER BY status = 'done' DESC, rowid DESC LIMIT 1", (verb, key)
        ).fetchone()
        return None if row is None else self.run(row[0])

    def done(self, verb: str, key: str) -> Run | None:
        """Return the finished run of this verb with this key, if there is one."""
        found = self._find(verb, key)
        return found if found is not None and found.status == "done" else None

    def end(self, run_id: str, status: str, outputs: Mapping[str, Any] | None = None) -> None:
        """Record how a run ended, and what it made."""
        with self._write() as db:
            db.execute(
                "UPDATE runs SET status = ?, ended_at = ?, outputs = ? WHERE id = ?",
                (status, now(), json.dumps(plain(outputs or {}), sort_keys=True), run_id),
            )

    def run(self, run_id: str) -> Run:
        """Return one run. Raises ``KeyError`` when there is none of that id."""
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise KeyError(run_id)
        return Run(
            id=row[0],
            verb=row[1],
            key=row[2],
            status=row[3],
            started_at=row[4],
            ended_at=row[5],
            seed=row[6],
            inputs=json.loads(row[7]),
            outputs=json.loads(row[8]),
            code_version=row[9],
        )

    def runs(self, verb: str | None = None) -> list[Run]:
        """Return all runs, oldest first, of one verb or of all."""
        query = "SELECT id FROM runs WHERE ? IS NULL OR verb = ? ORDER BY rowid"
        return [self.run(row[0]) for row in self._db.execute(query, (verb, verb)).fetchall()]

    def keep_batch(self, arm_key: str, batch: int, answers: Iterable[Any]) -> None:
        """Store one batch of answers; a batch is there whole or not at all. ``arm_key`` fingerprints all that went into them."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)",
                (arm_key, batch, json.dumps(plain(list(answers)), ensure_ascii=False), now()),
            )

    def batches(self, arm_key: str) -> dict[int, list[dict[str, Any]]]:
        """Return the batches that are stored under this key, by number."""
        rows = self._db.execute("SELECT batch, answers FROM batches WHERE arm_key = ? ORDER BY batch", (arm_key,))
        return {number: json.loads(text) for number, text in rows.fetchall()}

    def look(self, lock: str, run_id: str, arms: Iterable[str]) -> None:
        """Record that a run saw the locked test set. The same run is one look, however often it is resumed."""
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO looks VALUES (?, ?, ?, ?)", (lock, run_id, ",".join(arms), now()))

    def looks(self, lock: str) -> int:
        """Return how many runs have seen the test set of this lock."""
        count: int = self._db.execute("SELECT count(*) FROM looks WHERE lock = ?", (lock,)).fetchone()[0]
        return count

    def link(self, run_id: str, edges: Iterable[tuple[str, str]]) -> None:
        """Record that each child was made from its parent, by this run."""
        with self._write() as db:
            db.executemany("INSERT OR IGNORE INTO lineage VALUES (?, ?, ?)", [(child, parent, run_id) for child, parent in edges])

    def link_step(self, run_id: str, child: str, base: str, parents: Collection[str], before: Collection[str]) -> None:
        """Record that ``child`` was made from ``parents``, as its difference to what ``base`` was made from (``before``).

        So a version that differs by one document costs one row. Where the base is not recorded, or is itself the last of many steps, every
        parent is recorded; a child that is recorded already stays as it is.
        """
        with self._write() as db:
            if self._recorded(child) is not None:
                return
            depth = self._recorded(base)
            if depth is None or depth >= MOST_STEPS or child == base:
                db.executemany("INSERT OR IGNORE INTO lineage VALUES (?, ?, ?)", [(child, parent, run_id) for parent in parents])
                return
            now_, then = set(parents), set(before)
            db.execute("INSERT INTO lineage_steps VALUES (?, ?, ?, ?)", (child, base, depth + 1, run_id))
            db.executemany("INSERT INTO lineage_changes VALUES (?, ?, 0)", [(child, parent) for parent in now_ - then])
            db.executemany("INSERT INTO lineage_changes VALUES (?, ?, 1)", [(child, parent) for parent in then - now_])

    def _recorded(self, child: str) -> int | None:
        """Return how many steps a thing is from one whose parents are all recorded; ``None`` where nothing is recorded of it."""
        found = self._db.execute("SELECT depth FROM lineage_steps WHERE child = ?", (child,)).fetchone()
        if found is not None:
            return int(found[0])
        return None if self._db.execute("SELECT 1 FROM lineage WHERE child = ? LIMIT 1", (child,)).fetchone() is None else 0

    def parents(self, child: str) -> list[str]:
        """Return what a thing was made from."""
        chain = [child]
        while base := self._db.execute("SELECT base FROM lineage_steps WHERE child = ?", (chain[-1],)).fetchone():
            chain.append(base[0])
        found: set[str] = set()
        for place in reversed(chain):
            for parent, gone in self._db.execute("SELECT parent, gone FROM lineage_changes WHERE child = ?", (place,)):
                (found.discard if gone else found.add)(parent)
            found |= {row[0] for row in self._db.execute("SELECT parent FROM lineage WHERE child = ?", (place,))}
        return sorted(found)

    def children(self, parent: str) -> list[str]:
        """Return what was made from a thing."""
        query = "SELECT child FROM lineage WHERE parent = ? UNION SELECT child FROM lineage_changes WHERE parent = ? AND NOT gone"
        waiting = [row[0] for row in self._db.execute(query, (parent, parent))]
        lost = {row[0] for row in self._db.execute("SELECT child FROM lineage_changes WHERE parent = ? AND gone", (parent,))}
        found = set(waiting)
        while waiting:
            steps = self._db.execute("SELECT child FROM lineage_steps WHERE base = ?", (waiting.pop(),)).fetchall()
            new = {row[0] for row in steps} - lost - found
            found |= new
            waiting += new
        return sorted(found)

    def audit(self, key: str, verb: str, subject: str, details: Mapping[str, Any], at: str | None = None) -> bool:
        """Add an audit line, once for each ``key``; return whether it was new. A line holds the hash of the one before it."""
        with self._write() as db:
            if db.execute("SELECT 1 FROM audit WHERE key = ?", (key,)).fetchone() is not None:
                return False
            last = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone() or (0, "")
            row = (last[0] + 1, key, at or now(), verb, subject, json.dumps(plain(details), sort_keys=True, ensure_ascii=False), last[1])
            db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, fingerprint(*row, length=64)))
        return True

    def unaudited(self, keys: Sequence[str]) -> set[str]:
        """Return which of these keys have no audit line."""
        missing = set(keys)
        for begin in range(0, len(keys), 500):
            part = keys[begin : begin + 500]
            marks = ", ".join("?" * len(part))
            missing -= {row[0] for row in self._db.execute(f"SELECT key FROM audit WHERE key IN ({marks})", part)}  # noqa: S608
        return missing

    def audited(self, verb: str | None = None) -> list[dict[str, Any]]:
        """Return the audit lines, oldest first, of one verb or of all."""
        query = "SELECT number, key, at, verb, subject, details FROM audit WHERE ? IS NULL OR verb = ? ORDER BY number"
        names = ("number", "key", "at", "verb", "subject", "details")
        found = [dict(zip(names, row, strict=True)) for row in self._db.execute(query, (verb, verb)).fetchall()]
        return [{**row, "details": json.loads(row["details"])} for row in found]

    def audit_broken(self) -> int | None:
        """Return the number of the first audit line that is not as it was written, or follows one that is missing; ``None`` if all are."""
        before, wanted = "", 1
        for *row, stored in self._db.execute("SELECT number, key, at, verb, subject, details, before, hash FROM audit ORDER BY number"):
            if row[0] != wanted or row[6] != before or fingerprint(*row, length=64) != stored:
                return wanted
            before, wanted = stored, wanted + 1
        return None
