"""The log shows what was changed, taken out, added, cut off or signed by somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_estimates import decided, pairs, passing

from groundtune.decisions import log, record
from groundtune.errors import BrokenLog, UnknownName
from groundtune.types import Decision

DECISION = decided([*passing("rag", 0.5), *passing("hybrid", 0.7), *pairs({"rag": 0.5, "hybrid": 0.7}, 0.001)])
KEY = log.Key(b"k" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three decisions, each superseding the one before, all logged."""
    changes: list[Decision] = [
        DECISION,
        replace(DECISION, verdict="can't tell", choice=None),
        replace(DECISION, verdict="none passes", choice=None, fallback=None),
    ]
    for number, item in enumerate(changes):
        log.append(tmp_path, record.write(item, tmp_path), KEY, at=f"2026-11-2{number}T10:00:00+00:00", evidence="e")
    return tmp_path


def ends(folder: Path) -> dict[str, str]:
    return {line["decision"]: line["hash"] for line in map(json.loads, (folder / log.FILE).read_text().splitlines())}


def test_what_was_written_is_found_as_it_was(folder: Path) -> None:
    assert log.verify(folder, KEY, ends(folder)) == (3, [])
    lines = [json.loads(line) for line in (folder / log.FILE).read_text().splitlines()]
    assert [line["supersedes"] for line in lines] == [None, lines[0]["decision"], lines[1]["decision"]]
    assert KEY.secret.hex() not in (folder / log.FILE).read_text()


def test_a_decision_is_logged_once(folder: Path) -> None:
    before = (folder / log.FILE).read_text()
    latest = record.latest(folder)
    assert latest is not None
    log.append(folder, latest, KEY, at="2027-01-01T00:00:00+00:00")
    assert (folder / log.FILE).read_text() == before


def edit(change: Callable[[list[dict[str, object]]], object]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / log.FILE
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return do


def rewritten(lines: list[dict[str, object]]) -> None:
    """Write the second line and all after it anew, hashes and all, as one without the key would."""
    before = lines[0]["hash"]
    for line in lines[1:]:
        line["at"], line["before"] = "2020-01-01", before
        line["hash"] = before = log._hash(line)


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


HARM: list[tuple[Callable[[Path], None], str]] = [
    (edit(lambda lines: lines[1].update(at="2020-01-01")), "was changed after it was written"),
    (edit(lambda lines: lines[1].update(record="0" * 64)), "was changed after it was written"),
    (edit(lambda lines: lines.pop(1)), "does not follow"),
    (edit(lambda lines: lines.pop()), "its line is gone"),
    (edit(lambda lines: lines.reverse()), "does not follow"),
    (edit(rewritten), "signature is wrong"),
    (edit(rewritten), "the ledger holds another hash"),
    (edit(lambda lines: lines[0].update(signature="0" * 64)), "signature is wrong"),
    (edit(lambda lines: lines[0].update(key="00000000")), "was signed with the key 00000000"),
    (edit(lambda lines: lines[2].update(supersedes=None)), "supersedes None"),
    (write("0001-hybrid.json", "{}"), "was changed after it was decided"),
    (lambda folder: (folder / "0002-cannot-tell.json").unlink(), "has no record"),
    (lambda folder: (folder / log.FILE).unlink(), "is not in the log"),
    (
        lambda folder: (folder / "0009-extra.json").write_text((folder / "0001-hybrid.json").read_text()) and None,
        "0009-extra.json: is not in",
    ),
    (edit(lambda lines: lines[0].update(decision="decision:../../etc/passwd")), "has no record"),
    (write(log.FILE, "not json\n"), "not JSON"),
    (write(log.FILE, '{"number": 1}\n'), "not a line of the decision log"),
    (write(log.FILE, "[" * 100_000), "not JSON"),
]


@pytest.mark.parametrize(("harm", "says"), HARM, ids=range(len(HARM)))
def test_every_harm_is_told(folder: Path, harm: Callable[[Path], None], says: str) -> None:
    kept = ends(folder)
    harm(folder)
    _, problems = log.verify(folder, KEY, kept)
    assert any(says in problem for problem in problems), problems


def test_without_the_key_nothing_is_called_good(folder: Path) -> None:
    _, problems = log.verify(folder, None, ends(folder))
    assert len(problems) == 3 and all("cannot be checked without the key" in problem for problem in problems)
    _, problems = log.verify(folder, log.Key(b"x" * 32), ends(folder))
    assert len(problems) == 3 and all("was signed with the key" in problem for problem in problems)


def test_a_log_that_cannot_be_read_is_not_written_on(folder: Path) -> None:
    (folder / log.FILE).write_text("torn")
    with pytest.raises(BrokenLog, match="not JSON"):
        log.append(folder, DECISION, KEY, at="2026-11-21")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / "decisions.key"
    assert log.key_at(path, create=False) is None
    made = log.key_at(path, create=True)
    assert made is not None and len(made.secret) == 32 and path.stat().st_mode & 0o777 == 0o600
    assert log.key_at(path, create=True) == made
    monkeypatch.setenv(log.ENVIRONMENT, "ab" * 32)
    given = log.key_at(path, create=False)
    assert given is not None and given.secret == bytes.fromhex("ab" * 32) and given.id != made.id


@pytest.mark.parametrize("text", ["", "secret", "abcd", "zz" * 32])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(BrokenLog, match="is no key"):
        log.key_at(tmp_path / "key", create=True)


@pytest.mark.parametrize("name", ["1", "0001", "0001-hybrid", "decision:0001-hybrid", "0001-hybrid.json"])
def test_a_decision_goes_by_its_number_or_name(folder: Path, name: str) -> None:
    assert log.read(folder, name).id == "decision:0001-hybrid"


@pytest.mark.parametrize("name", ["7", "hybrid", "", "../0001-hybrid", "decision:"])
def test_an_unknown_decision_is_told_with_the_known_ones(folder: Path, name: str) -> None:
    with pytest.raises(UnknownName, match="0001-hybrid"):
        log.read(folder, name)


def test_older_records_can_be_logged_in_their_order(tmp_path: Path) -> None:
    first = record.write(DECISION, tmp_path)
    second = record.write(replace(DECISION, verdict="can't tell", choice=None), tmp_path)
    assert [item.id for item in log.unlogged(tmp_path)] == [first.id, second.id]
    for item in log.unlogged(tmp_path):
        log.append(tmp_path, item, KEY, at="2026-11-21")
    assert log.verify(tmp_path, KEY, {}) == (2, []) and log.unlogged(tmp_path) == []
