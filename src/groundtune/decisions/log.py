"""Every decision, in order, as lines that cannot be changed unseen: ``decisions/log.jsonl``.

    {"number": 2, "at": "…", "decision": "decision:0002-hybrid", "supersedes": "decision:0001-rag", "record": "sha256…",
     "evidence": "sha256…", "before": "hash of line 1", "hash": "sha256 of all this", "key": "3f9a01c2", "signature": "hmac-sha256 of hash"}

A line holds the hash of the one before it, so no line can be changed, moved or taken out of the middle; the signature, an HMAC-SHA256
(RFC 2104) under the project's key, so nobody without the key can write the rest anew; ``record`` and ``evidence`` are the digests of the
decision's own file and of what it was worked out from. What the end of the log was is kept in the ledger too, which shows a cut.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.decisions import record
from groundtune.errors import BrokenLog, GroundtuneError
from groundtune.files import file_sha256, fingerprint, storing, write_atomic
from groundtune.types import Decision

FILE = "log.jsonl"
ENVIRONMENT = "GROUNDTUNE_DECISION_KEY"
FIELDS = ("number", "at", "decision", "supersedes", "record", "evidence", "before")
MEND = "restore decisions/ from version control, then type: groundtune decide --verify"


@dataclass(frozen=True, slots=True)
class Key:
    """The bytes that sign, and the name by which a line says which key it was."""

    secret: bytes

    @property
    def id(self) -> str:
        """The first digits of the key's own hash; they tell nothing of the key."""
        return hashlib.sha256(b"groundtune decision key" + self.secret).hexdigest()[:8]

    def sign(self, digest: str) -> str:
        """Return the signature of a line's hash, 64 hex digits."""
        return hmac.new(self.secret, digest.encode(), hashlib.sha256).hexdigest()


def key_at(path: Path, *, create: bool) -> Key | None:
    """Return the key from the environment, else from its file, else, where ``create`` is set, a new one in that file.

    Raises ``BrokenLog`` for one that is no key of 32 bytes or more, written in hex.
    """
    written = os.environ.get(ENVIRONMENT)
    where = f"${ENVIRONMENT}"
    if written is None and path.is_file():
        written, where = path.read_text(encoding="utf-8", errors="replace"), str(path)
    if written is None:
        if not create:
            return None
        made = secrets.token_hex(32)
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
                stream.write(made + "\n")
        return Key(bytes.fromhex(made))
    try:
        secret = bytes.fromhex(written.strip())
    except ValueError:
        secret = b""
    if len(secret) < 32:
        raise BrokenLog(
            f"{where}: is no key; 64 hex digits or more were expected", "restore the key, then type: groundtune decide --verify"
        )
    return Key(secret)


def append(folder: Path, decision: Decision, key: Key, *, at: str, evidence: str = "") -> dict[str, Any]:
    """Add a decision's line, once for each decision, and return it. Raises ``BrokenLog`` where the log's end cannot be read."""
    lines = list(_lines(folder / FILE))
    for line in lines:
        if line["decision"] == decision.id:
            return line
    row: dict[str, Any] = {
        "number": len(lines) + 1,
        "at": at,
        "decision": decision.id,
        "supersedes": decision.supersedes,
        "record": file_sha256(_record(folder, decision.id)),
        "evidence": evidence,
        "before": lines[-1]["hash"] if lines else "",
    }
    row["hash"] = _hash(row)
    row |= {"key": key.id, "signature": key.sign(row["hash"])}
    path = folder / FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_atomic(path, before + json.dumps(row, ensure_ascii=False) + "\n")
    return row


def verify(folder: Path, key: Key | None, ends: Mapping[str, str]) -> tuple[int, list[str]]:
    """Return how many lines there are, and what is wrong, in words; nothing where all is as it was written.

    ``ends`` maps decisions to the hash of their line, as the ledger kept them.
    """
    problems: list[str] = []
    path = folder / FILE
    try:
        lines = list(_lines(path))
    except BrokenLog as error:
        return 0, [error.message]
    before, last = "", None
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number} ({line['decision']})"
        if line["number"] != number or line["before"] != before:
            problems.append(f"{where}: does not follow the line before it; a line was taken out, added or moved")
        if line["hash"] != _hash(line):
            problems.append(f"{where}: was changed after it was written")
        problems += _signature_problems(where, line, key)
        if line["supersedes"] != last:
            problems.append(f"{where}: supersedes {line['supersedes']}, but the decision before it is {last}")
        problems += _record_problems(folder, where, line)
        if ends.get(line["decision"], line["hash"]) != line["hash"]:
            problems.append(f"{where}: the ledger holds another hash for it; the log was written anew")
        before, last = line["hash"], line["decision"]
    known = {line["decision"] for line in lines}
    problems += [f"{path}: {name} is in the ledger, but its line is gone" for name in sorted(ends) if name not in known]
    problems += [f"{folder / file}: is not in the log" for file, name in _written(folder) if name not in known]
    return len(lines), problems


def read(folder: Path, number: str) -> Decision:
    """Return the decision of a number (``1``, ``0001``), an id or the name of its file. Raises what ``record.read`` does."""
    from groundtune.errors import UnknownName

    asked = number.removeprefix("decision:").removesuffix(".json")
    names = [name.removeprefix("decision:") for _, name in _written(folder)]
    found = [name for name in names if name == asked or (asked.isdigit() and int(name.split("-")[0]) == int(asked))]
    if len(found) != 1:
        raise UnknownName.of("decision", number, names, "see what there is: ls decisions; name one by its number, such as 0001")
    return record.read(folder / f"{found[0]}.json")


def unlogged(folder: Path) -> list[Decision]:
    """Return the decisions of the folder that have no line yet, by their numbers."""
    known = {line["decision"] for line in _lines(folder / FILE)}
    return [record.read(folder / file) for file, name in _written(folder) if name not in known]


def entry(folder: Path, decision_id: str) -> dict[str, Any] | None:
    """Return a decision's line, or ``None``."""
    return next((line for line in _lines(folder / FILE) if line["decision"] == decision_id), None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    wanted = {*FIELDS, "hash", "key", "signature"}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BrokenLog(f"{path}: not UTF-8 at byte {error.start}", MEND) from None
    for number, written in enumerate(text.splitlines(), start=1):
        try:
            line = json.loads(written)
        except (ValueError, RecursionError):
            raise BrokenLog(f"{path}:{number}: not JSON", MEND) from None
        if (
            not isinstance(line, dict)
            or line.keys() != wanted
            or not all(isinstance(line[name], str) for name in wanted - {"number", "supersedes"})
        ):
            raise BrokenLog(f"{path}:{number}: not a line of the decision log", MEND)
        yield line


def _hash(line: Mapping[str, Any]) -> str:
    return fingerprint([line[name] for name in FIELDS], length=64)


def _signature_problems(where: str, line: Mapping[str, Any], key: Key | None) -> list[str]:
    if key is None:
        return [f"{where}: its signature cannot be checked without the key; set ${ENVIRONMENT}"]
    if line["key"] != key.id:
        return [f"{where}: was signed with the key {line['key']}, not with {key.id}"]
    if not hmac.compare_digest(str(line["signature"]), key.sign(_hash(line))):
        return [f"{where}: its signature is wrong"]
    return []


def _record_problems(folder: Path, where: str, line: Mapping[str, Any]) -> list[str]:
    try:
        path = _record(folder, line["decision"])
        if file_sha256(path) != line["record"]:
            return [f"{path}: was changed after it was decided"]
        written = record.read(path)
    except GroundtuneError as error:
        return [f"{where}: {error.message}"]
    if (written.id, written.supersedes) != (line["decision"], line["supersedes"]):
        return [f"{path}: is {written.id}, superseding {written.supersedes}; the log says otherwise"]
    return []


def _record(folder: Path, decision_id: str) -> Path:
    """Return the file of a decision. An id that is no plain name is no file of this folder."""
    name = decision_id.removeprefix("decision:")
    path = folder / f"{name}.json"
    if record.NAME.match(path.name) is None or not path.is_file():
        raise BrokenLog(f"{decision_id}: has no record in {folder}", MEND)
    return path


def _written(folder: Path) -> list[tuple[str, str]]:
    """Return (file, decision id) of the records in the folder, sorted."""
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir() if record.NAME.match(path.name) and path.suffix == ".json")
    return [(name, f"decision:{name.removesuffix('.json')}") for name in names]
