"""A review: each key is on disk before the next row is shown; text cannot play with the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from made_examples import DOCUMENTS, PEOPLE, row, write

from groundtune.examples import review as reviewing
from groundtune.examples.pairs import PairDesk, RatingDesk
from groundtune.examples.pairs import read as read_judged
from groundtune.examples.review import Desk, clean
from groundtune.examples.rows import Stored, hash_of, read


class Played:
    """A terminal that presses the keys it was given, and looks at the disk before each."""

    def __init__(
        self, keys: str, *, before: Callable[[], None] = lambda: None, edit: Callable[[str], str | None] = lambda text: None
    ) -> None:
        self.keys = list(keys)
        self.shown: list[str] = []
        self._before, self._edit = before, edit

    def show(self, lines: Sequence[str]) -> None:
        self.shown += lines

    def key(self) -> str:
        self._before()
        return self.keys.pop(0) if self.keys else "x"

    def line(self, prompt: str) -> str:
        return " in my own words "

    def edit(self, text: str) -> str | None:
        return self._edit(text)


def review(rows: Sequence[Stored], desk: Desk, terminal: Played) -> dict[str, int]:
    return reviewing.review([(row, desk) for row in rows], terminal)


def desk(records: list[Stored] | None = None, kind: type[Desk] = Desk) -> Desk:
    kept = records if records is not None else []
    return kind(
        documents={item.id: item for item in DOCUMENTS},
        principals=PEOPLE,
        schema=None,
        answer_field="answer",
        by="ana",
        now=lambda: "2026-03-01T10:00:00+00:00",
        record=kept.append,
    )


def drafts(tmp_path: Path, *given: dict[str, Any]) -> list[Stored]:
    path = write(tmp_path / "a.jsonl", given or [row(id=f"r{number}", status="draft") for number in range(3)])
    return list(read(path, DOCUMENTS, PEOPLE).rows)


def on_disk(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]


def test_a_decision_is_on_disk_before_the_next_row_is_shown(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    played = Played("ar2q03", before=lambda: seen.append([item["status"] for item in on_disk(tmp_path)]))
    done = review(drafts(tmp_path), desk(), played)
    assert done == {"approved": 1, "rejected": 1, "quarantined": 1}
    assert seen[1] == ["approved", "draft", "draft"] and seen[3] == ["approved", "rejected", "draft"]
    first, second, third = on_disk(tmp_path)
    assert first["reviewed"] == {"by": "ana", "at": "2026-03-01T10:00:00+00:00", "did": "approved"}
    assert first["made_from"] == {"slots.md": hash_of(DOCUMENTS[0])} and "reason" not in first
    assert second["reason"] == "not in the document" and third["reason"] == "in my own words"


def test_an_approved_refusal_still_knows_the_document_that_it_was_written_beside(tmp_path: Path) -> None:
    refusal = row(
        status="draft", kind="refuse", evidence=[], reply={"answer": "I don't know."}, made_from={"slots.md": "0", "gone.md": "1"}
    )
    review(drafts(tmp_path, refusal), desk(), Played("a"))
    assert on_disk(tmp_path)[0]["made_from"] == {"slots.md": hash_of(DOCUMENTS[0])}


def test_what_was_decided_is_not_asked_again(tmp_path: Path) -> None:
    review(drafts(tmp_path), desk(), Played("a"))
    left = [item for item in read(tmp_path / "a.jsonl", DOCUMENTS, PEOPLE).rows if item.status == "draft"]
    assert [item.id for item in left] == ["r1", "r2"]


def test_skip_leaves_and_undo_brings_back_exactly_what_was(tmp_path: Path) -> None:
    rows = drafts(tmp_path)
    before = on_disk(tmp_path)
    records: list[Stored] = []
    assert review(rows, desk(records), Played("sauauu")) == {}
    assert on_disk(tmp_path) == before
    assert [item.row["reviewed"]["did"] for item in records] == ["approved", "undone", "approved", "undone"]


def test_a_malformed_row_cannot_be_approved_but_edited_and_then_approved(tmp_path: Path) -> None:
    rows = drafts(tmp_path, row(status="draft", asker="nobody"))

    def mended(text: str) -> str:
        return json.dumps({**json.loads(text), "asker": "cust"})

    played = Played("aea", edit=mended)
    assert review(rows, desk(), played) == {"approved": 1}
    assert any("cannot be approved: asker 'nobody'" in line for line in played.shown)
    assert on_disk(tmp_path)[0]["asker"] == "cust" and on_disk(tmp_path)[0]["status"] == "approved"


def test_a_bad_edit_changes_nothing_and_says_why(tmp_path: Path) -> None:
    for text, words in (
        ("{", "not JSON"),
        ("[]", "expected one JSON object"),
        ('{"id": "other"}', "the id of a row does not change"),
        (json.dumps(row(id="r0", evidence=[])), "needs evidence"),
        ('{"id": "r0", "id": "r0"}', "stands twice"),
        ('{"id": "\\ud800"}', "half of a surrogate pair"),
    ):
        rows = drafts(tmp_path)
        before = on_disk(tmp_path)
        played = Played("e", edit=lambda _, text=text: text)
        review(rows, desk(), played)
        assert on_disk(tmp_path) == before and any(words in line for line in played.shown), words


def test_an_edit_takes_fields_away_too_and_makes_a_draft(tmp_path: Path) -> None:
    rows = drafts(tmp_path, row(status="draft", filter={"version": "4"}, reason="look"))
    review(rows, desk(), Played("e", edit=lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "filter"})))
    [after] = on_disk(tmp_path)
    assert "filter" not in after and after["status"] == "draft" and "reason" not in after and after["reviewed"]["did"] == "edited"


def test_a_row_that_changed_meanwhile_is_told_and_passed_over(tmp_path: Path) -> None:
    rows = drafts(tmp_path)
    write(tmp_path / "a.jsonl", [row(id="r0", status="draft", question="another?"), *(row(id=f"r{n}", status="draft") for n in (1, 2))])
    played = Played("aa")
    assert review(rows, desk(), played) == {"approved": 1}
    assert [item["status"] for item in on_disk(tmp_path)] == ["draft", "approved", "draft"]
    assert any("changed or removed by another hand" in line for line in played.shown)


def test_a_card_shows_quote_doubts_and_lost_numbers_but_no_control_characters(tmp_path: Path) -> None:
    hostile = "Ok\x1b[2J\u202eevil\x07\r\nsecond"
    rows = drafts(tmp_path, row(status="draft", question=hostile, reply={"answer": "7 hours"}, reason="found by words"))
    played = Played("")
    review(rows, desk(), played)
    text = "\n".join(played.shown)
    assert "»without fee** until 2 hours before«" in text and "!  found by words" in text
    assert "numbers that its documents do not hold: 7" in text
    assert not any(letter in text for letter in "\x1b\x07\u202e\r") and "Ok[2Jevil second" in text.replace("  ", " ")
    assert clean("a\nb\x00c") == "a bc"


def test_odd_rows_are_shown_and_never_stop_the_review(tmp_path: Path) -> None:
    odd = [
        {"id": "x", "status": "draft", "reply": 3, "evidence": "no", "question": None},
        {"status": "draft", "evidence": [7, {"quote": 1}]},
    ]
    assert review(drafts(tmp_path, *odd), desk(), Played("ss")) == {}


def judged(tmp_path: Path, *given: dict[str, Any]) -> list[Stored]:
    return read_judged(write(tmp_path / "a.jsonl", list(given)), [])


def test_a_pair_is_decided_by_the_reply_that_stands_under_the_key_whatever_the_file_said(tmp_path: Path) -> None:
    pair = {"question": "How?", "as": "cust", "chosen": "so", "rejected": "no", "status": "draft"}
    rows = judged(tmp_path, *(pair | {"id": f"p{number}"} for number in range(12)))
    played = Played("12" * 6)
    assert review(rows, desk(kind=PairDesk), played) == {"approved": 12}
    replies = [[line.split()[1] for line in played.shown if line.startswith(f"{key}  ")] for key in "12"]
    kept = [(item["chosen"], item["rejected"]) for item in on_disk(tmp_path)]
    assert kept == [(first, second)[:: 1 if number % 2 == 0 else -1] for number, (first, second) in enumerate(zip(*replies, strict=True))]
    assert len(set(replies[0])) == 2
    assert all(item["status"] == "approved" and item["reviewed"]["by"] == "ana" for item in on_disk(tmp_path))


def test_a_rating_is_decided_rejected_undone_and_not_approved_with_a_fault(tmp_path: Path) -> None:
    rating = {"question": "How?", "as": "cust", "reply": {"answer": "Ages!\x1b[2J"}, "desirable": True, "status": "draft"}
    rows = judged(tmp_path, *(rating | {"id": f"r{number}"} for number in range(3)), rating | {"id": "r3", "as": "nobody"})
    before = on_disk(tmp_path)
    records: list[Stored] = []
    played = Played("21r3us12x")
    assert review(rows, desk(records, RatingDesk), played) == {"approved": 2}
    first, second, third, fourth = on_disk(tmp_path)
    assert (first["desirable"], first["status"]) == (False, "approved") and (second["desirable"], second["status"]) == (True, "approved")
    assert third == before[2] and fourth == before[3]
    shown = "\n".join(played.shown)
    assert "marked as wanted now" in shown and "\x1b" not in shown and "1 wanted  2 not wanted" in shown
    assert shown.count("it cannot be approved: asker 'nobody' is no principal") == 2
    assert [item.row["reviewed"]["did"] for item in records] == ["approved", "approved", "rejected", "undone"]
