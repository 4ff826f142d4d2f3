"""The projects of benchmarks/tasks.py and the task files of benchmarks/capability.py, from small files of the same form."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import capability
import groundtune as gt
import tasks
from groundtune.examples.schema import check
from tasks_data import TASKS, Item, Sizes, drawn

SIZES = Sizes(train=6, dev=2, test=4, intents=2, seed=7)
WORDS = "harbour crane quay rudder anchor winch mast rope tide keel buoy pilot fog gull lock dock".split()


def table(path: Path, head: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerows([head, *rows])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name, begin in (("train", 0), ("test", 40)):
        rows = [(f"why is my {WORDS[n % 16]} {n + begin} not at the {WORDS[(n * 7 + 3) % 16]}?", f"intent_{n % 3}") for n in range(24)]
        table(folder / "banking77" / f"{name}.csv", ("text", "category"), rows)
        facts = [f"name[The {WORDS[n % 16]} {n + begin}], food[{WORDS[(n * 5 + 1) % 16]}]" for n in range(16)]
        said = [(fact, f"{fact[9:15]} serves food, wording {way}.") for fact in facts for way in range(3)]
        table(folder / "e2e_nlg" / ("devset.csv" if name == "train" else "testset_w_refs.csv"), ("mr", "ref"), said)
    for intent in ("GetWeather", "RateBook"):
        place = folder / "snips" / intent
        place.mkdir(parents=True)
        for name, begin in ((f"train_{intent}_full", 0), (f"validate_{intent}", 40)):
            rows = [request(f"what of {WORDS[n]} number {n + begin} in ", "Málaga" if n % 2 else WORDS[n + 1], intent) for n in range(12)]
            rows.append({"data": [{"text": "a", "entity": "city"}, {"text": " and "}, {"text": "b", "entity": "city"}]})
            (place / f"{name}.json").write_bytes(json.dumps({intent: rows}, ensure_ascii=False).encode("latin-1"))
    return folder


def request(begin: str, value: str, intent: str) -> dict[str, Any]:
    return {"data": [{"text": begin}, {"text": f" {value} ", "entity": "city" if intent == "GetWeather" else "object_name"}, {"text": "?"}]}


@pytest.mark.parametrize("name", list(TASKS))
def test_each_task_is_a_project_that_passes_its_own_check(data: Path, tmp_path: Path, name: str) -> None:
    task = TASKS[name](data, SIZES)
    assert {split: len(rows) for split, rows in task.rows.items()} == {"test": 4, "dev": 2, "train": 6}
    tasks.build(task, tmp_path / name, 7)
    before = {path: path.read_bytes() for path in sorted((tmp_path / name).rglob("*")) if path.is_file()}
    report = gt.open(tmp_path / name).check()
    assert report.problems == () and report.counts["train"] == 6 and report.counts["test"] == 4
    assert all(check(item.reply, task.schema) == [] for rows in task.rows.values() for item in rows if task.schema)
    tasks.build(TASKS[name](data, SIZES), tmp_path / name, 7)
    assert before == {path: path.read_bytes() for path in before}


def test_texts_with_letters_of_latin_1_stay_whole_and_a_slot_named_twice_is_left_out(data: Path) -> None:
    task = TASKS["snips"](data, SIZES)
    values = {value for rows in task.rows.values() for item in rows for value in item.reply["slots"].values()}
    assert "Málaga" in values
    assert "4 requests left out: a slot is named twice" in task.told


def test_facts_keep_every_wording_for_the_test_and_one_of_them_for_training(data: Path) -> None:
    task = TASKS["e2e_nlg"](data, SIZES)
    assert all(len(item.also) == 2 for item in task.rows["test"])
    assert all(item.also == () for item in task.rows["train"])
    assert len({item.reply["answer"][-2:] for item in task.rows["train"]}) > 1


def test_a_training_row_that_nearly_asks_a_test_question_is_passed_over_and_told() -> None:
    test = [Item(question="where is the old crane of the north harbour", reply={})]
    near = Item(question="Where is the old crane of the north harbour?", reply={})
    other = Item(question="when does the tide turn", reply={})
    rows, told = drawn([near, other], test, Sizes(train=5, dev=0, test=1, intents=1, seed=1))
    assert rows["train"] == [other] and rows["test"] == test
    assert told == ("1 rows passed over: nearly a question of another split", "only 1 train rows: the data has no more")


def result() -> dict[str, Any]:
    mean = {"arm": "prompt", "metric": "exact", "versus": None, "state": "measured", "value": 0.5, "low": 0.25, "high": 0.75, "n": 4}
    lines = [mean | {"n_failed": 1}, mean | {"metric": "valid_json", "n": 3, "n_failed": 0}]
    lines.append(mean | {"arm": "tuned", "state": "too few", "value": None, "n_failed": 0})
    lines.append(mean | {"arm": "tuned", "versus": "prompt", "low": -0.1, "p_holm": 0.25})
    return {
        "title": "T",
        "told": ["why"],
        "rows": {"train": 6, "dev": 2, "test": 4},
        "shown": ["exact", "valid_json"],
        "arms": ["prompt", "tuned"],
        "estimates": lines,
        "not_run": {"few-shot": "does not fit"},
        "decision": {"verdict": "ship", "choice": "tuned", "reasons": ["a", "b"]},
        "curve": {"metric": "exact", "says": "can't say", "points": [[1, 0.1], [3, 0.2]]},
        "seconds": {"tune": 10.0, "evaluate": 5.0},
    }


def test_the_table_shows_what_failed_what_was_not_measured_and_another_n() -> None:
    shown = tasks.table(result())
    assert "| prompt | 0.50 (0.25–0.75, 1 failed) | 0.50 (0.25–0.75, n = 3) |" in shown
    assert "| tuned | too few | – |" in shown
    assert "`exact`, tuned minus the best without tuning (prompt): +0.50 (-0.10 to +0.75, n = 4, p = 0.250 after Holm" in shown
    assert "Not run: few-shot: does not fit." in shown and "1 rows 0.100, 3 rows 0.200. Can't say." in shown


def test_files_of_another_form_are_an_error_that_names_the_column(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(data / "banking77" / "test.csv", ("message", "category"), [("x", "y")])
    assert tasks.main([str(data), "--out", str(tmp_path / "out"), "--build-only"]) == 2
    assert "test.csv: has no column text; it has message, category" in capsys.readouterr().err
    assert tasks.main([str(tmp_path / "nothing"), "--out", str(tmp_path / "out"), "--build-only"]) == 2


def test_capability_tasks_are_of_choosing_where_there_is_a_choice(tmp_path: Path) -> None:
    place = tmp_path / "bbh" / "bbh"
    place.mkdir(parents=True)
    lettered = [{"input": "Which?\nOptions:\n(A) red\n(B) blue", "target": "(B)"}, {"input": "Which?\nOptions:\n(A) red", "target": "(C)"}]
    for name, examples in (
        ("colours", lettered),
        ("truth", [{"input": "not True is", "target": "False"}, {"input": "True is", "target": "True"}]),
        ("sorting", [{"input": f"sort {n}", "target": f"word {n}"} for n in range(8)]),
    ):
        (place / f"{name}.json").write_text(json.dumps({"examples": examples}))
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "2 × 600?", "answer": "So\n#### 1,200"}) + "\n")
    counts, left_out = capability.build(tmp_path, tmp_path / "out")
    assert counts == {"bbh_colours": 1, "bbh_truth": 2, "gsm8k_local": 1} and left_out == ["sorting"]
    [row] = [json.loads(line) for line in (tmp_path / "out" / "bbh_colours.jsonl").read_text().splitlines()]
    assert row == {"question": "Which?\nOptions:\n(A) red\n(B) blue", "choices": ["(A)", "(B)"], "right": 1}
    assert json.loads((tmp_path / "out" / "gsm8k_local.jsonl").read_text())["right"] == "1200"
    assert "test: bbh_truth.jsonl" in (tmp_path / "out" / "bbh_truth.yaml").read_text()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "?", "answer": "12"}) + "\n")
    with pytest.raises(ValueError, match="item 1 has no ####"):
        capability.build(tmp_path, tmp_path / "out")
