import sqlite3
import tempfile
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import StorageError
from groundtune.records import ledger as ledgers
from groundtune.records import migrations
from groundtune.records.ledger import Ledger


def test_the_same_work_is_the_same_run_until_it_is_done(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    first = ledger.begin("tune", "k" * 16, {"a": "b"}, 7)
    assert first.status == "running"
    assert ledger.begin("tune", "k" * 16, {"a": "b"}, 7).id == first.id
    assert ledger.done("tune", "k" * 16) is None
    ledger.end(first.id, "done", {"model": "m"})
    again = ledger.begin("tune", "k" * 16, {"a": "b"}, 7)
    assert again.id == first.id and again.status == "done" and again.outputs == {"model": "m"}
    assert ledger.begin("tune", "other" * 4, {}, 7).id != first.id
    assert [run.verb for run in ledger.runs()] == ["tune", "tune"]


def test_a_failed_run_is_taken_up_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    run = ledger.begin("ingest", "k" * 16, {}, 7)
    ledger.end(run.id, "failed")
    assert ledger.begin("ingest", "k" * 16, {}, 7).status == "running"


def test_batches_are_kept_whole_and_by_key(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    ledger.keep_batch("key", 1, [{"a": 1}])
    ledger.keep_batch("key", 0, [{"a": 0}, {"a": 2}])
    ledger.keep_batch("else", 0, [{"a": 9}])
    assert ledger.batches("key") == {0: [{"a": 0}, {"a": 2}], 1: [{"a": 1}]}
    assert ledger.batches("nothing") == {}


def test_one_run_is_one_look_however_often_it_is_resumed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    ledger.look("lock:a", "run:1", ["rag"])
    ledger.look("lock:a", "run:1", ["rag"])
    ledger.look("lock:a", "run:2", ["rag"])
    ledger.look("lock:b", "run:3", ["rag"])
    assert ledger.looks("lock:a") == 2


def test_lineage_goes_both_ways(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    ledger.link("run:1", [("model:a", "document:x"), ("model:a", "document:y"), ("index:1", "document:x")])
    assert ledger.parents("model:a") == ["document:x", "document:y"]
    assert ledger.children("document:x") == ["index:1", "model:a"]


def test_a_ledger_of_the_first_schema_is_lifted_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY)")
    name, script = migrations.STEPS[0]
    old.executescript(script)
    old.execute("INSERT INTO migrations VALUES (?)", (name,))
    old.execute("INSERT INTO runs VALUES ('run:1', 'ingest', 'k', 'done', 't', 't', 7, '{}', '{}', '0')")
    old.commit()
    old.close()
    ledger = Ledger(path)
    assert ledger.run("run:1").verb == "ingest"
    ledger.keep_batch("key", 0, [])
    assert ledger.batches("key") == {0: []}


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    assert migrations.migrate(connection) == [name for name, _ in migrations.STEPS]
    assert migrations.migrate(connection) == []


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"this is not a database, and long enough to be one" * 20)
    with pytest.raises(StorageError, match="cannot be used"):
        Ledger(tmp_path / "records.sqlite")


def _write_many(path: Path, name: str) -> None:
    ledger = Ledger(path)
    for number in range(25):
        ledger.keep_batch(name, number, [{"n": number}])


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    Ledger(path)
    spawn = get_context("spawn")
    workers = [spawn.Process(target=_write_many, args=(path, name)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger = Ledger(path)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(ledger.batches("a")) == len(ledger.batches("b")) == 25


@settings(max_examples=40, deadline=None)
@given(
    versions=st.lists(st.tuples(st.integers(0, 5), st.sets(st.sampled_from("abcdef"), max_size=5)), min_size=1, max_size=9),
    most=st.integers(0, 4),
)
def test_lineage_by_steps_is_what_lineage_one_by_one_is(versions: list[tuple[int, set[str]]], most: int) -> None:
    """``versions``: (number of the version that it is a step from, what it was made from)."""
    whole, steps = Ledger(Path(tempfile.mkdtemp()) / "a.sqlite"), Ledger(Path(tempfile.mkdtemp()) / "b.sqlite")
    made: list[set[str]] = []
    with patch.object(ledgers, "MOST_STEPS", most):
        for number, (base, parents) in enumerate(versions):
            whole.link("run:x", [(f"index:{number}", parent) for parent in parents])
            before = min(base, number)
            steps.link_step("run:x", f"index:{number}", f"index:{before}", parents, made[before] if before < number else set())
            if parents:  # once recorded, it stays
                steps.link_step("run:y", f"index:{number}", "index:0", {"never"}, set())
            made.append(parents)
    for number, parents in enumerate(made):
        if parents:
            assert steps.parents(f"index:{number}") == whole.parents(f"index:{number}") == sorted(parents)
    named = {f"index:{number}" for number, parents in enumerate(made) if parents}
    for parent in "abcdef":
        assert set(steps.children(parent)) & named == set(whole.children(parent))
    whole.close()
    steps.close()


def test_a_step_is_as_many_rows_as_it_changes_and_now_and_then_all(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    documents = [f"document:{number}" for number in range(50)]
    with patch.object(ledgers, "MOST_STEPS", 3):
        for number in range(6):
            ledger.link_step("run:1", f"index:{number}", f"index:{number - 1}", documents, documents)
    count = ledger._db.execute("SELECT (SELECT count(*) FROM lineage) + (SELECT count(*) FROM lineage_changes)").fetchone()[0]
    assert count == 100 and all(len(ledger.parents(f"index:{number}")) == 50 for number in range(6))
    assert ledger.children("document:7") == [f"index:{number}" for number in range(6)]


def test_keys_without_an_audit_line_are_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.sqlite")
    ledger.audit("a", "promote", "x", {})
    assert ledger.unaudited(["a", "b", *map(str, range(1200))]) == {"b", *map(str, range(1200))}
    assert ledger.unaudited([]) == set()
