"""The audit's pages over HTTP, without a script: labels on disk, two people, two windows, the log that changes, the result."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pages import DOCUMENT, HOSTILE, Window, audited, logged, project, text

import groundtune
from groundtune.decisions.audit import labels as files
from groundtune.decisions.audit.propose import LABELS
from groundtune.errors import StateError, UnknownName
from groundtune.project.labelling import NONE, Labelling, Wanted

ANSWERS = [
    {"question": "How late?", "answer": "Within 45 days.", "passages": [{"text": DOCUMENT, "document": "a.md"}], "id": "log-1"},
    {"question": "How much?", "answer": "20 EUR.", "passages": [DOCUMENT], "expected": "20 EUR."},
    {"question": "Who?", "answer": "", "answerable": False},
    *({"question": f"q{number}?", "answer": "Fine."} for number in range(9)),
]


def prepared(folder: Path, answers: list[dict[str, Any]] | None = None) -> tuple[Path, Path]:
    made = project(folder, [])
    return made, logged(made, ANSWERS if answers is None else answers)


def labels(folder: Path) -> files.Labels:
    return files.read(folder / "audits/responses.labels.jsonl")


def opened(folder: Path, log: Path, by: str = "ana") -> Labelling:
    return Labelling(groundtune.open(folder).audit(log), by, log)


def test_a_label_is_on_disk_when_the_next_answer_is_shown_and_undo_takes_it_back(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    with audited(folder, log) as door:
        window = Window(door)
        first, page = window.form("/answers/give")["response"], window.page
        window.press("/answers/give", label="wrong tone", seconds="3.2")
        assert labels(folder).by == {"ana": {first: "wrong tone"}} and labels(folder).seconds == (3.2,)
        second = window.form("/answers/give")["response"]
        assert second != first and "<b>1</b> of 12 labelled" in window.page
        for seconds in ("", "nan", "-1", "1e9", "x"):
            window.press("/answers/give", label="not a failure", seconds=seconds)
        assert len(labels(folder).by["ana"]) == 6 and labels(folder).seconds == (3.2,)
        for _ in range(6):
            window.press("/answers/undo")
        assert labels(folder).by == {} and window.form("/answers/give")["response"] == first and "/answers/undo" not in window.page
        assert text(page).partition("<main")[2] in text(window.page).replace("&past=", "") or first in window.page


def test_proposals_are_shown_and_the_first_is_what_enter_takes(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    with audited(folder, log) as door:
        window = Window(door)
        labelling = opened(folder, log)
        by_line = {item.line: item.id for item in labelling.audit.responses.values()}
        assert "45 stands in no passage shown" in window.get(f"/answers?at={by_line[1]}")
        assert re.search(r'value="wrong fact"[^>]*data-enter', window.page) and window.page.count("data-enter") == 1
        assert "log-1" in window.page and DOCUMENT in window.page
        assert "says what was expected" in window.get(f"/answers?at={by_line[2]}") and "A good answer" in window.page
        assert "(nothing)" in window.get(f"/answers?at={by_line[3]}") and "should be refused" in window.page
        window.get(f"/answers?at={by_line[4]}")
        assert "data-enter" not in window.page and window.page.count('name="label"') == len(LABELS)


def test_the_second_of_two_windows_is_told_and_overwrites_nothing(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    with audited(folder, log) as door, audited(folder, log) as again:
        one, two = Window(door), Window(again)
        tab = one.other()
        one.press("/answers/give", label="wrong fact")
        kept = (folder / "audits/responses.labels.jsonl").read_bytes()
        for window in (tab, two):
            window.press("/answers/give", label="wrong tone")
            assert window.status == 409 and "labelled “wrong fact” by ana meanwhile, in another window" in window.page
        assert (folder / "audits/responses.labels.jsonl").read_bytes() == kept
        two.get("/answers?show=mine")
        assert "yours: wrong fact" in two.page
        two.press("/answers/give", label="wrong tone")
        one.press("/answers/undo")
        assert one.status == 409 and list(labels(folder).by["ana"].values()) == ["wrong tone"]
        two.press("/answers/undo")
        assert list(labels(folder).by["ana"].values()) == ["wrong fact"]


def test_two_people_label_apart_and_the_result_shows_how_far_they_agree(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    with audited(folder, log, "ana") as door, audited(folder, log, "ben") as other:
        ana, ben = Window(door), Window(other)
        for number in range(12):
            ana.press("/answers/give", label=LABELS[number % 3])
            assert "wrong" not in re.sub(r"<(select|button|ul).*?</\1>", "", ben.get("/answers?show=todo"), flags=re.DOTALL)
            ben.press("/answers/give", label=LABELS[0 if number == 1 else number % 3])
        assert "That was the last one" in ana.page and "12 labelled" in ana.page
        disputed = ben.get("/answers?show=disputed")
        assert "yours: wrong fact" in disputed and "1 answer that people dispute here" in disputed
        result = text(ana.get("/result"))
        assert "ana and ben" in result and re.search(r"0\.8\d \(0\.\d+ to 1\.00, n = 12\)", result) and "11 labelled" not in result
        assert "1 were labelled differently by two people" in result
        ben.get("/answers?show=disputed")
        ben.press("/answers/give", label=LABELS[1])
        assert "Nothing is disputed" not in ben.page and labels(folder).disputed() == ()


def test_answers_are_narrowed_by_what_is_labelled_and_what_is_proposed(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    labelling = opened(folder, log)

    def lines(**wanted: str) -> list[int]:
        return sorted(item.line for item in labelling.answers(Wanted(**wanted), labelling.labels()))

    assert lines() == list(range(1, 13)) and lines(proposal="wrong fact") == [1] and lines(proposal="wrong format") == [3]
    assert lines(proposal="not a failure") == [2] and lines(proposal=NONE) == list(range(4, 13))
    own = next(item.id for item in labelling.audit.responses.values() if item.line == 5)
    labelling.give(own, "wrong tone", None)
    assert lines(show="mine") == [5] and 5 not in lines() and len(lines(show="all")) == 12 and lines(show="disputed") == []
    with pytest.raises(UnknownName, match="unknown label 'fine'"):
        labelling.give(own, "fine", "wrong tone")
    with pytest.raises(StateError, match="no such answer"):
        labelling.give("response:gone", "wrong tone", None)
    with pytest.raises(StateError, match="no such label"):
        labelling.undo(77)


def test_a_log_that_changes_and_labels_that_are_broken_or_of_another_sample_are_told(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    with audited(folder, log) as door:
        window = Window(door)
        assert "changed on disk" not in window.page
        form = window.form("/answers/give")
        log.write_text(log.read_text() + json.dumps({"question": "new?", "answer": "a"}) + "\n")
        assert "responses.jsonl changed on disk since this was started" in window.get("/answers")
        log.unlink()
        assert "changed on disk" in window.get("/answers") and window.status == 200
        path = folder / "audits/responses.labels.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + b"{broken}\n")
        assert "responses.labels.jsonl:2: not JSON" in window.get("/answers") and window.status == 409
        assert window.send("/answers/give", form | {"label": "wrong fact"}).status_code == 409
        path.write_bytes(whole)
        files.start(path, files.Sample(source="responses.jsonl", rows=3, seed=9, responses=("response:1",)))
        assert "is about another sample now" in window.send("/answers/give", form | {"label": "wrong fact"}).text
        assert window.status == 409 and labels(folder).by == {}
        path.unlink()
        assert window.get("/answers") and window.status == 409


def test_hostile_answers_are_text_and_never_markup(tmp_path: Path) -> None:
    rows = [
        {"question": HOSTILE, "answer": HOSTILE, "expected": HOSTILE, "id": HOSTILE, "passages": [{"text": HOSTILE, "document": HOSTILE}]},
        {"question": "q", "answer": f"{{{HOSTILE}", "format": "json"},
        {"question": "q", "answer": "“<b>these are words</b>”", "passages": ["p"] * 9},
    ]
    folder, log = prepared(tmp_path / "p", rows)
    with audited(folder, log, by="<b>ana</b>") as door:
        window = Window(door)
        for _ in rows:
            assert window.page.count("<script") == 1 and "<img" not in window.page and "<b>these" not in window.page
            assert "\u202e" not in window.page and "\x1b" not in window.page and "<b>ana" not in window.page
            window.press("/answers/give", label="wrong fact")
        assert window.page.count("<script") == 1 and labels(folder).by.keys() == {"<b>ana</b>"}
        assert "<b>ana" not in window.get("/result")


def test_of_any_windows_at_any_pace_no_label_is_put_over_one_that_was_not_shown(tmp_path: Path) -> None:
    folder, log = prepared(tmp_path / "p")
    audit = groundtune.open(folder).audit(log)
    names = list(audit.responses)[:2]
    moves = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from([*LABELS[:2], "undo", "look"])), max_size=20)
    whole = audit.path.read_bytes()

    @settings(max_examples=30)
    @given(moves=moves)
    def play(moves: list[tuple[int, int, str]]) -> None:
        audit.path.write_bytes(whole)
        windows = [Labelling(audit, name, log) for name in ("ana", "ana", "ben")]
        shown: list[dict[str, str]] = [{}, {}, {}]
        done: list[list[int]] = [[], [], []]
        for who, place, what in moves:
            window, name = windows[who], names[place]
            before = files.read(audit.path).by
            mine = before.get(window.labeller, {}).get(name)
            if what == "look":
                shown[who] = dict(before.get(window.labeller, {}))
                continue
            if what == "undo" and not done[who]:
                continue
            try:
                if what == "undo":
                    window.undo(done[who].pop())
                else:
                    done[who].append(window.give(name, what, shown[who].get(name)).number)
                    assert mine == shown[who].get(name)
                    shown[who][name] = what
                    assert files.read(audit.path).by[window.labeller][name] == what
            except StateError:
                assert files.read(audit.path).by == before
            other = "ben" if window.labeller == "ana" else "ana"
            assert files.read(audit.path).by.get(other) == before.get(other)

    play()
