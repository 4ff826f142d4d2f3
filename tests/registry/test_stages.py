import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import StateError
from groundtune.records.ledger import Ledger
from groundtune.registry.stages import Line, history, stages, write


def line(verb: str, version: str, name: str = "closed") -> Line:
    return Line(number=0, at="", verb=verb, version=version, name=name, was=None, by="", why="", details={})


def test_a_rollback_goes_back_one_promotion_at_a_time() -> None:
    lines = [line("promote", "a"), line("promote", "b"), line("promote", "c")]
    assert stages(lines).live == {"closed": "c"} and stages(lines).before == {"closed": ("a", "b")}
    lines.append(line("rollback", "b"))
    assert stages(lines).live == {"closed": "b"} and stages(lines).before == {"closed": ("a",)}
    assert [stages(lines).of(item) for item in "abc"] == ["candidate", "live", "candidate"]


def test_a_retired_version_is_neither_live_nor_gone_back_to() -> None:
    lines = [line("promote", "a"), line("promote", "b"), line("retire", "a"), line("retire", "b")]
    now = stages(lines)
    assert now.live == {} and now.before == {"closed": ()} and now.of("a") == now.of("b") == "retired"


@given(st.lists(st.tuples(st.sampled_from(["promote", "rollback", "retire", "export"]), st.sampled_from("abcd"), st.sampled_from("xy"))))
def test_whatever_happened_no_retired_version_is_live_and_tables_do_not_mix(moves: list[tuple[str, str, str]]) -> None:
    lines: list[Line] = []
    for verb, version, name in moves:
        now = stages(lines)
        full = f"{name}-{version}"
        before = now.before.get(name, ())
        if verb in ("promote", "export") and full in now.retired:
            continue
        if verb == "rollback":
            if not before:
                continue
            full = before[-1]
        lines.append(line(verb, full, name))
        then = stages(lines)
        assert not set(then.live.values()) & then.retired
        assert not {item for items in then.before.values() for item in items} & then.retired
        assert all(item.startswith(table) for table, item in then.live.items())
        if verb == "rollback":
            assert then.live[name] == full and then.before[name] == before[:-1]
        if verb == "export":
            assert then == now


def test_two_who_switch_at_once_do_not_both_succeed(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "r.sqlite"), Ledger(tmp_path / "r.sqlite")
    seen = history(first)
    write(first, "promote", "model:a", name="closed", seen=seen, by="ana", why="better", details={"evidence": "run:1"})
    with pytest.raises(StateError, match="another process switched closed"):
        write(second, "promote", "model:b", name="closed", seen=seen, by="ben", why="mine", details={})
    [only] = history(second)
    assert (only.version, only.by, only.why, only.was, only.details["evidence"]) == ("model:a", "ana", "better", None, "run:1")
    write(second, "promote", "model:b", name="closed", seen=history(second), by="ben", why="mine", details={})
    assert history(first)[1].was == "model:a"


def test_a_history_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "r.sqlite")
    write(ledger, "promote", "model:a", name="closed", seen=[], by="ana", why="better", details={})
    with sqlite3.connect(tmp_path / "r.sqlite") as raw:
        raw.execute("UPDATE audit SET subject = 'model:evil'")
    with pytest.raises(StateError, match="audit line 1 was changed"):
        history(ledger)
