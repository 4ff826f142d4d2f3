"""Costs: the sheet and what it refuses, bills by hand, break-evens that are where the bills meet, ranges, the tornado."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_estimates import estimate

from groundtune.decisions.costs import sheet as sheets
from groundtune.decisions.costs.compare import MOST, cross, crossing, draws, line, month, month_range, swings
from groundtune.decisions.costs.defaults import BY_NAME, DEFAULTS, GROUPS, HOURS_A_MONTH
from groundtune.decisions.costs.gather import gather
from groundtune.decisions.costs.report import AXES, all_in, costed, section
from groundtune.decisions.costs.spend import bill, trainings_a_month, values_of
from groundtune.decisions.wording import number
from groundtune.errors import ConfigError, Problems, UnknownName
from groundtune.tables import NeedsTable, Settings
from groundtune.types import Arm

PROMPT, RAG, TUNED, HYBRID = (
    Arm(name="prompt"),
    Arm(name="rag", retrieves=True, shots=2),
    Arm(name="tuned", adapter="closed"),
    Arm(name="hybrid", retrieves=True, adapter="reader"),
)
ARMS = (PROMPT, RAG, TUNED, HYBRID)
BASE = values_of(sheets.defaults())
FREE = {line.name: 0.0 for line in DEFAULTS if line.unit == "money"}


def settings_of(**tables: Any) -> Settings:
    given = {"project": {"name": "x", "owner": "y"}, "answers": {"instructions": "z"}, "arms": [{"name": "prompt"}], **tables}
    return Settings.model_validate(given)


def written(folder: Path, text: str) -> Path:
    path = folder / "costs.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tokens_are_paid_by_the_million_and_examples_and_passages_make_the_prompt_longer() -> None:
    prices = {**BASE, **FREE, "prompt_million": 2.0, "completion_million": 8.0, "questions_a_month": 1000.0, "answer_tokens": 100.0}
    prompt = bill(PROMPT, prices, local=False)
    # (250 + 30) tokens read at 2 and 100 written at 8 a million, a thousand times
    assert prompt.month == pytest.approx((280 * 2 + 100 * 8) * 1000 / 1e6)
    assert prompt.thousand == pytest.approx(prompt.month)
    rag = bill(RAG, prices, local=False)
    assert rag.running["tokens"] - prompt.running["tokens"] == pytest.approx((480 + 2 * 220) * 2 * 1000 / 1e6)


def test_a_machine_is_paid_asked_or_not_until_it_is_full() -> None:
    given = {**BASE, **FREE, "machine_hour": 1.0, "prompt: machine_seconds": 3.6, "utilisation": 0.5}
    assert bill(PROMPT, {**given, "questions_a_month": 0.0}, local=True).running["hosting"] == pytest.approx(HOURS_A_MONTH)
    full = HOURS_A_MONTH * 1000 * 0.5  # 3.6 s are a thousandth of an hour
    assert bill(PROMPT, {**given, "questions_a_month": full}, local=True).running["hosting"] == pytest.approx(HOURS_A_MONTH)
    assert bill(PROMPT, {**given, "questions_a_month": 3 * full}, local=True).running["hosting"] == pytest.approx(3 * HOURS_A_MONTH)
    assert bill(PROMPT, given, local=False).running["hosting"] == 0.0
    own = bill(TUNED, {**given, "tuned_machines_on": 2.0}, local=False)
    assert own.running["hosting"] == pytest.approx(2 * HOURS_A_MONTH)


def test_an_arm_without_documents_is_trained_again_when_facts_change_and_one_with_them_only_when_the_task_does() -> None:
    given = {**BASE, "updates_a_month": 30.0, "retrain_share": 0.5, "task_changes_a_year": 6.0}
    assert trainings_a_month(TUNED, given) == pytest.approx(15.5)
    assert trainings_a_month(HYBRID, given) == pytest.approx(0.5)
    assert trainings_a_month(RAG, given) == 0.0
    month_of = bill(TUNED, {**given, "tuning_hours": 2.0, "tuning_hour": 3.0, "runs_a_training": 4.0}, local=True)
    assert month_of.running["tuning"] == pytest.approx(15.5 * 24) and month_of.once["tuning"] == pytest.approx(24)


def test_what_was_measured_of_an_arm_takes_the_place_of_its_assumptions_and_of_no_other_arms() -> None:
    given = {**BASE, "prompt_million": 1.0, "rag: prompt_tokens": 5000.0}
    assert bill(RAG, given, local=False).running["tokens"] == pytest.approx(10_000 * 5000 / 1e6)
    assert bill(PROMPT, given, local=False) == bill(PROMPT, {**BASE, "prompt_million": 1.0}, local=False)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([line for line in DEFAULTS if line.unit in ("money", "hours") and line.name != "tuned_factor"]),
    st.floats(0.1, 100),
    st.sampled_from(ARMS),
    st.booleans(),
)
def test_no_price_or_hour_that_rises_makes_any_arm_cheaper(line: Any, times: float, arm: Arm, local: bool) -> None:
    low = {**BASE, line.name: 1.0}
    high = {**BASE, line.name: 1.0 + times}
    if line.name == "embedding_million":
        return  # what is paid by the token is not paid by the hour, so the first price takes an hour's place
    assert month(arm, low, local=local) <= month(arm, high, local=local) + 1e-9


VALUES = st.fixed_dictionaries(
    {
        "prompt_million": st.floats(0, 20),
        "completion_million": st.floats(0, 60),
        "machine_hour": st.floats(0, 5),
        "tuning_hours": st.floats(0, 50),
        "tuned_machines_on": st.floats(0, 3),
        "retrain_share": st.floats(0, 1),
        "questions_a_month": st.floats(1, 1e7),
        "updates_a_month": st.floats(0.01, 100),
        "engineer_hour": st.floats(0, 200),
    }
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(["questions_a_month", "updates_a_month"]), st.permutations(ARMS), st.booleans())
def test_at_a_break_even_both_arms_cost_the_same_and_either_side_one_is_cheaper(
    values: dict[str, float], axis: Any, arms: list[Arm], local: bool
) -> None:
    given_values = {**BASE, **values}
    one, other = (line(arm, axis, given_values, local=local) for arm in arms[:2])
    at = cross(one, other, values[axis], MOST[axis])
    assert at == cross(other, one, values[axis], MOST[axis])
    for place in (0.0, 3.0, 1e3, 1e4):
        assert one.at(place) == pytest.approx(month(arms[0], {**given_values, axis: place}, local=local), rel=1e-6, abs=1e-6)

    def apart(place: float) -> float:
        point = {**given_values, axis: place}
        return month(arms[0], point, local=local) - month(arms[1], point, local=local)

    if at is not None:
        scale = month(arms[0], {**given_values, axis: at}, local=local)
        assert abs(apart(at)) <= 1e-6 * max(1.0, scale)
    else:
        # Where there is none, the same arm is at least as cheap wherever one looks.
        signs = {
            apart(place) > 0 for place in (1e-3, 1.0, 1e2, 1e4) if abs(apart(place)) > 1e-6 * month(arms[0], given_values, local=local)
        }
        assert len(signs) <= 1


def test_break_even_by_hand() -> None:
    given = {**BASE, **FREE, "prompt_million": 10.0, "engineer_hour": 100.0, "test_rows": 0.0, "training_rows": 0.0, "training_hours": 0.0}
    # A month of tuned has its share of 80 hours of setup and 4 of care; rag has its own, and reads 480 + 440 tokens more an answer.
    tuned = (80 / 12 + 4) * 100
    rag = (60 / 12 + 6 + 0.2 * given["updates_a_month"]) * 100
    per_answer = 920 * 10 / 1e6

    def lines(values: dict[str, float]) -> dict[str, Any]:
        return {arm.name: line(arm, "questions_a_month", values, local=False) for arm in (RAG, TUNED)}

    assert rag > tuned and cross(*lines(given).values(), 10_000, 1e9) is None
    given["retrieval_care"] = 0.0
    rag -= 600
    at = cross(*lines(given).values(), 10_000, 1e9)
    assert at == pytest.approx((tuned - rag) / per_answer)
    drawn = {name: [found] * 30 for name, found in lines(given).items()}
    found = crossing("rag", "tuned", "questions_a_month", 10_000, lines(given), drawn, {"rag": [], "tuned": []})
    assert found.measured is None
    assert found.below == "rag" and found.value == pytest.approx(at)
    assert found.all is not None and found.all.low == pytest.approx(found.all.high) == pytest.approx(at) and found.share == 1.0


def test_draws_are_the_same_whatever_the_order_and_stay_within_the_ranges_and_the_measured_have_their_interval() -> None:
    inputs = sheets.defaults() | {
        "rag: prompt_tokens": sheets.Known(value=1000, low=900, high=1100, unit="tokens", source="pilot", state="measured", n=100)
    }
    drawn = draws(inputs, seed=3, count=2000)
    assert drawn == draws(dict(reversed(list(inputs.items()))), seed=3, count=2000)
    assert drawn != draws(inputs, seed=4, count=2000)
    for name, known in inputs.items():
        values = [row[name] for row in drawn]
        if known.state == "measured":
            inside = sum(known.low <= value <= known.high for value in values) / len(values)
            assert 0.93 < inside < 0.97 and abs(sum(values) / len(values) - 1000) < 10
        else:
            assert known.low <= min(values) and max(values) <= known.high
    hours = [row["label_hour"] for row in drawn]
    assert 0.47 < sum(hour < 40 for hour in hours) / len(hours) < 0.53
    assert abs(sum(hours) / len(hours) - ((25 + 80) / 6 + 40 * 2 / 3)) < 1.0
    sure = draws(inputs, seed=3, count=200, measured_only=True)
    assert {row["label_hour"] for row in sure} == {40.0} and len({row["rag: prompt_tokens"] for row in sure}) == 200


def test_a_range_holds_the_value_and_nothing_unknown_is_no_range() -> None:
    inputs = sheets.defaults()
    spread = month_range(RAG, draws(inputs, seed=7, count=300), local=True)
    assert spread.low < month(RAG, values_of(inputs), local=True) < spread.high
    fixed = {name: replace(known, low=known.value, high=known.value) for name, known in inputs.items()}
    none = month_range(RAG, draws(fixed, seed=7, count=5), local=True)
    assert none.low == none.high == pytest.approx(month(RAG, values_of(fixed), local=True))


def test_the_tornado_is_the_bill_at_either_end_the_widest_first() -> None:
    inputs = sheets.defaults()
    found = swings(TUNED, ARMS, inputs, local=True)
    widths = [abs(item.at_high - item.at_low) for item in found]
    assert widths == sorted(widths, reverse=True) and len(found) == 10
    for item in found:
        assert item.at_high == pytest.approx(month(TUNED, {**values_of(inputs), item.name: inputs[item.name].high}, local=True))
    assert "passages_tokens" not in {item.name for item in found}  # no documents, so nothing hangs on it


def test_later_sources_go_over_earlier_ones(tmp_path: Path) -> None:
    written(tmp_path, "[use]\nquestions_a_month = 500\n[machines]\nmachine_hour = { value = 3, source = 'bill of May' }\n")
    table = settings_of(costs={"machine_hour": 2.0, "prompt_million": 0.5})
    measured = [estimate("prompt_tokens", "prompt", 300.0), estimate("machine_seconds", "prompt", 2.0), estimate("cost", "prompt", 1.0)]
    needs = NeedsTable(volume=9000, churn="daily")
    found = gather(table, folder=tmp_path, needs=needs, corpus_tokens=5000, estimates=measured, tuning_seconds={"tuned": 7200.0})
    states = {name: (known.value, known.state) for name, known in found.items()}
    assert states["questions_a_month"] == (500, "written") and states["machine_hour"] == (3, "written")
    assert states["prompt_million"] == (0.5, "written") and states["corpus_tokens"] == (5000, "project")
    assert states["updates_a_month"] == (365.25 / 12, "needs") and states["label_hour"] == (40, "assumed")
    assert states["prompt: prompt_tokens"] == (300.0, "measured") and found["prompt: prompt_tokens"].n == 100
    assert states["prompt: machine_seconds"] == (2.0, "measured") and states["tuned: tuning_hours"] == (2.0, "measured")
    assert gather(table, folder=tmp_path / "none", needs=needs)["questions_a_month"].value == 9000
    remote = settings_of(chat={"use": "endpoint"})
    assert "prompt: machine_seconds" not in gather(remote, folder=tmp_path, needs=needs, estimates=measured)
    missing = [estimate("prompt_tokens", "prompt", None)]
    assert "prompt: prompt_tokens" not in gather(table, folder=tmp_path, needs=needs, estimates=missing)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[prices]\nprompt_million = -1\n", 2, "prices.prompt_million: value is -1, expected 0 or more"),
        ("[prices]\n\nprompt_million = { value = 1, low = -2 }\n", 3, "low is -2, expected 0 or more"),
        ("[prices]\nprompt_milion = 1\n", 2, "unknown line; did you mean prompt_million in [prices]?"),
        ("[people]\nprompt_million = 1\n", 2, "it stands in [prices]"),
        ("[people]\nxyzzy = 1\n", 2, "known in [people]: engineer_hour, prompt_hours"),
        ("[price]\nprompt_million = 1\n", 1, "unknown table; known: use, tokens, prices"),
        ("[prices]\nprompt_million = 'cheap'\n", 2, "value is 'cheap', expected a number"),
        ("[prices]\nprompt_million = true\n", 2, "value is True, expected a number"),
        ("[prices]\nprompt_million = nan\n", 2, "value is nan, expected a number"),
        ("[prices]\nprompt_million = inf\n", 2, "value is inf, expected a number"),
        ("[prices]\nprompt_million = { low = 1 }\n", 2, "with at least value"),
        ("[prices]\nprompt_million = { value = 1, hight = 2 }\n", 2, "expected a number, or { value, low, high, source }"),
        ("[prices]\nprompt_million = { value = 1, low = 2, high = 3 }\n", 2, "expected low ≤ value ≤ high"),
        ("[prices]\nprompt_million = { value = 1, source = ' ' }\n", 2, "source is empty"),
        ("[machines]\nutilisation = 1.5\n", 2, "expected 0.01 to 1"),
        ("[use]\nhorizon_months = 0\n", 2, "expected 1 or more"),
    ],
)
def test_a_wrong_sheet_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        sheets.read(path)
    assert caught.value.message.startswith(f"{path}:{line}: ") and words in caught.value.message
    assert "groundtune costs" in caught.value.hint


def test_all_that_is_wrong_is_said_at_once_and_a_file_that_is_no_toml_too(tmp_path: Path) -> None:
    path = written(tmp_path, "[prices]\nprompt_million = -1\ncompletion_million = -2\n[nonsense]\nx = 1\n")
    with pytest.raises(Problems) as caught:
        sheets.read(path)
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="not TOML"):
        sheets.read(written(tmp_path, "[prices"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        sheets.read(path)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = written(tmp_path_factory.mktemp("sheet"), text.replace("\x00", "").encode("utf-8", "replace").decode())
    try:
        sheets.read(path)
    except (ConfigError, Problems) as error:
        assert str(path) in error.message


def test_a_written_sheet_reads_back_as_nothing_edited_and_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "costs.toml"
    inputs = sheets.defaults() | {"machine_hour": sheets.exactly("machine_hour", 2.0, "[costs] of groundtune.toml", "written")}
    sheets.write(path, inputs, "EUR")
    assert sheets.read(path) == {name: known for name, known in sheets.defaults().items() if name != "machine_hour"}
    text = path.read_text(encoding="utf-8")
    assert "# machine_hour = 2   # now from [costs] of groundtune.toml" in text and text.count("assumption") > 30
    with pytest.raises(ConfigError, match="is there already"):
        sheets.write(path, inputs, "EUR")
    path.write_text(text.replace("label_hour = { value = 40", "label_hour = { value = 45"), encoding="utf-8")
    edited = {name for name, known in sheets.read(path).items() if known.state == "written"}
    assert edited == {"label_hour"}


def test_every_assumption_has_a_source_a_unit_and_a_range_that_holds_it() -> None:
    assert len(BY_NAME) == len(DEFAULTS) and {line.group for line in DEFAULTS} == set(GROUPS)
    for one in DEFAULTS:
        assert one.low <= one.value <= one.high and one.least <= one.low and one.unit and one.about
        assert one.source == "assumption" or one.source.startswith(("assumption: ", "docs/"))


def test_what_if_values_are_checked_like_the_sheets() -> None:
    assert sheets.changed("label_hour", "2e2").value == 200
    with pytest.raises(ConfigError, match="expected 0 or more"):
        sheets.changed("label_hour", "-1")
    with pytest.raises(ConfigError, match="expected a number"):
        sheets.changed("label_hour", "much")
    with pytest.raises(UnknownName):
        sheets.changed("labels", "1")


def test_the_section_has_every_arm_every_number_with_its_source_and_the_same_as_a_drawing() -> None:
    inputs = sheets.defaults() | {
        "rag: prompt_tokens": sheets.Known(value=900, low=850, high=950, unit="tokens read", source="the pilot", state="measured", n=84)
    }
    found = costed(ARMS, inputs, currency="EUR", local=True, seed=7, reference="rag", count=60)
    made = section(found)
    bills, items, crossings, tornado, sheet = made.grids
    assert [row[0] for row in bills.rows] == ["prompt", "rag ←", "tuned", "hybrid"]
    assert [row[4] for row in bills.rows] == ["not measured", "the same", "not measured", "not measured"]
    shown = {(row[0], row[1]) for row in crossings.rows}
    assert ("rag and tuned", "answers a month") in shown and len(found.crossings) == 6
    for item in found.crossings:
        named = (f"{item.arm} and {item.versus}", AXES[item.axis]) in shown
        assert named == (item.value is not None or item.all is not None)
        assert named or item.below in crossings.note
    assert sheet.rows[0][0] == "rag: prompt_tokens" and sheet.rows[0][-2:] == ("measured", "the pilot, n = 84")
    assert len(sheet.rows) == len(inputs) and all(row[-1] for row in sheet.rows)
    assert made.bars is not None and [row[0] for row in made.bars.rows] == [row[0] for row in tornado.rows]
    assert "1 of " in "".join(made.lines) and made.lines[0].startswith("rag costs ") and "prompt is the cheapest arm" in made.lines[1]
    assert all(len(row) == len(grid.head) for grid in made.grids for row in grid.rows)
    assert costed(ARMS, inputs, currency="EUR", local=True, seed=7, reference="rag", count=60) == found


def test_what_passes_is_told_from_what_is_cheapest_and_what_was_not_run_is_said() -> None:
    found = costed(ARMS, sheets.defaults(), currency="EUR", local=True, seed=7, reference="hybrid", count=60)
    lines = section(found, ["rag", "hybrid"], ["tuned"]).lines
    assert "prompt is the cheapest arm" in lines[1]
    assert lines[2].startswith("Of the arms that pass every gate, rag is the cheapest, at ")
    assert lines[3] == "Not run, so of assumptions alone: tuned."
    assert not any(line.startswith("Of the arms") for line in section(found, ["prompt", "rag"]).lines)
    told = all_in(found, ["hybrid", "rag", "hybrid"])
    spread = found.ranges["rag"]
    assert told.startswith("All in, EUR a month for ") and told.count("hybrid") == 1
    assert f"rag {number(found.bills['rag'].month)} ({number(spread.low)} to {number(spread.high)})" in told
    assert "0 measured numbers" in told and all_in(found, ["nobody"]) == ""
