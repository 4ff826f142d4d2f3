import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import StateError
from groundtune.files import plain
from groundtune.probes.report import ArmFound, Count, Latency, Report, estimates, from_text, to_text
from groundtune.probes.section import grids, section
from groundtune.scores.probed import MEASURED
from groundtune.scores.registry import find


def made(**counts: Count) -> Report:
    rag = ArmFound(
        name="rag",
        sees_documents=True,
        counts=counts,
        more={"neither": Count(hits=1, n=6)},
        kinds={"plain order": Count(hits=1, n=2), "link": Count(n=0, reason="it did not reach a prompt")},
        load=(Latency(callers=1, seconds=(0.5,)), Latency(callers=4, seconds=(1.0, 2.0, 3.0, 4.0), tokens=40)),
    )
    return Report(
        key="k",
        questions=6,
        seconds=12.0,
        arms=(rag,),
        not_run={"whole-corpus": "it does not fit"},
        said={"permission": ("Said <b>so</b>.",), "permission hits": ("rag, q1: leaked",)},
        facts=(("q1", "36 hours", "46 hours", "a.md", 2),),
        kept=(("live index", "0 of 3", "gone"),),
    )


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = made(leak=Count(hits=1, n=6, failed=2), obeyed=Count(reason="nothing was planted"))
    assert from_text(to_text(report), "here") == report


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "arms": 3}', "\x00"])
def test_what_is_no_report_is_named_with_the_way_out(text: str) -> None:
    with pytest.raises(StateError, match="here.json: not a report of probes") as caught:
        from_text(text, "here.json")
    assert caught.value.hint.endswith("groundtune probe")


def test_a_report_with_an_arm_torn_off_is_refused() -> None:
    row = json.loads(to_text(made()))
    del row["arms"][0]["load"]
    with pytest.raises(StateError):
        from_text(json.dumps(row), "here.json")


def test_every_probed_metric_can_be_named_by_a_rubric_and_no_other() -> None:
    assert all(find(f"probed:{name}").name == f"probed:{name}" for name in MEASURED)
    with pytest.raises(Exception, match="probes measure"):
        find("probed:nothing")
    assert find("probed:leak").better == "lower" and find("probed:fresh").better == "higher"


def test_what_was_not_measured_has_a_reason_and_no_number() -> None:
    report = made(leak=Count(hits=0, n=6), obeyed=Count(reason="nothing was planted"))
    found = {(item.metric, item.arm): item for item in estimates(report, ["rag", "whole-corpus", "new"], "")}
    assert found["probed:leak", "rag"].value == 0.0 and found["probed:leak", "rag"].n == 6
    assert found["probed:obeyed", "rag"].state == "not run" and found["probed:obeyed", "rag"].reason == "nothing was planted"
    assert found["probed:leak", "whole-corpus"].reason == "it does not fit"
    assert found["probed:stale", "rag"].state == "not run"
    silent = estimates(None, ["rag"], "questions is 0")
    assert len(silent) == len(MEASURED)
    assert all(item.state == "not run" and item.value is None and item.reason == "questions is 0" for item in silent)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_share_is_only_given_with_an_interval_that_holds_it(hits: int, more: int) -> None:
    [found] = [e for e in estimates(made(leak=Count(hits=hits, n=hits + more)), ["rag"], "") if e.metric == "probed:leak"]
    if not hits + more:
        assert found.state == "not run"
        return
    assert found.low is not None and found.high is not None and found.value is not None
    assert 0 <= found.low <= found.value <= found.high <= 1 and found.low < found.high


def test_the_section_names_the_gates_and_says_when_nothing_was_probed() -> None:
    told = section(made(leak=Count(hits=1, n=6)), "", ["leak at most 0", "probed:leak at most 0"])
    assert any("The rubric asks for probed:leak at most 0" in line for line in told.lines)
    assert any("whole-corpus was not probed: it does not fit" in line for line in told.lines)
    titles = [grid.title.split(":")[0] for grid in told.grids]
    assert titles == [
        "Freshness", "The facts that were changed", "Permission", "Deletion", "What else holds the forgotten document",
        "Injection", "By kind of instruction, over all arms", "Load",
    ]  # fmt: skip
    assert all(len(row) == len(grid.head) for grid in told.grids for row in grid.rows)
    assert "1 of 6: 17% (3% to 56%)" in told.grids[2].rows[0]
    silent = section(None, "[probes] questions is 0", ["probed:leak at most 0"])
    assert silent.grids == () and "what was not measured does not pass" in silent.lines[0]


def test_latency_is_by_the_nearest_rank_and_answers_a_second_by_the_slowest() -> None:
    four = Latency(callers=4, seconds=(1.0, 4.0, 2.0, 3.0))
    assert (four.quantile(0.5), four.quantile(0.95), four.rate) == (2.0, 4.0, 1.0)
    assert Latency(callers=1, seconds=()).quantile(0.5) is None and Latency(callers=1, seconds=()).rate is None


def test_a_decision_names_rows_and_documents_and_says_no_word_of_them_and_the_terminal_does() -> None:
    secret = "rag, q1: says '46 hours', which stands in a.md and in nothing that bo may read"
    report = replace(made(leak=Count(hits=1, n=6)), said={"permission hits": (secret,), "deletion hits": ("rag, q2: says 'eight words'",)})
    held = json.dumps(plain(section(report, "", ())))
    assert "hours" not in held and "eight words" not in held
    assert "Found in: rag, q1; what was said is in .groundtune/probes/k/report.json." in held
    assert "Found in: rag, q2;" in held and "a.md" in held
    shown = json.dumps(plain(grids(report, quoted=True)))
    assert "36 hours" in shown and "46 hours" in shown and "eight words" in shown


def test_no_percentile_is_given_of_so_few_and_no_interval_of_what_is_not_independent() -> None:
    load, kinds = (next(grid for grid in grids(made()) if grid.title.startswith(name)) for name in ("Load", "By kind"))
    assert load.rows[0][1:3] == ("0.50 s, 2.00 answers a second (n = 1)", "median 2.00 s, slowest 4.00 s, 1.00 answers a second (n = 4)")
    many = replace(made().arms[0], load=(Latency(callers=20, seconds=tuple(float(n) for n in range(1, 21))),))
    [row] = grids(replace(made(), arms=(many,)))[-1].rows
    assert row[1] == "median 10.00 s, p95 19.00 s, 1.00 answers a second (n = 20)"
    assert "fill = true" not in load.note
    few = replace(made().arms[0], name="few", load=(Latency(callers=1, seconds=(0.5,)), Latency(callers=4, seconds=())))
    held = next(grid for grid in grids(replace(made(), arms=(*made().arms, few))) if grid.title.startswith("Load"))
    assert "fill = true" in held.note
    assert kinds.rows == (("plain order", "1 of 2"), ("link", "not measured: it reached no prompt")) and "no interval" in kinds.note
