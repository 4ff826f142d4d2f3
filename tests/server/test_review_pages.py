"""The review's pages over HTTP, without a script: every decision by forms and links, and what happens where two hands meet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pages import HOSTILE, Window, on_disk, pair, project, rating, reviewed, row, text, write

import groundtune
from groundtune.errors import StateError, UnknownName
from groundtune.examples import ratings
from groundtune.project.examples import Curation
from groundtune.project.reviewing import Review, Wanted, edited


def opened(folder: Path, by: str = "ana", **narrowed: object) -> Review:
    return Review(Curation(groundtune.open(folder)), by, **narrowed)  # type: ignore[arg-type]


def statuses(folder: Path) -> list[str]:
    return [item["status"] for item in on_disk(folder)]


def test_each_decision_is_on_disk_and_in_the_ledger_when_the_next_row_is_shown(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Window(door)
        assert "Question number 0?" in window.page and "<mark>within 30 days</mark>" in window.page
        window.press("/rows/decide", did="approved")
        assert "Question number 1?" in window.page and statuses(folder) == ["approved", "draft", "draft"]
        window.press("/rows/decide", did="rejected", reason="wrong")
        window.press("/rows/decide", did="quarantined", words=" look\n again ")
        assert "That was the last one" in window.page and "No drafts are left" in window.page
    first, second, third = on_disk(folder)
    assert first["reviewed"]["by"] == "ana" and first["made_from"].keys() == {"a.md"}
    assert (second["reason"], third["reason"]) == ("wrong", "look again")
    lines = groundtune.open(folder).ledger.audited("review")
    assert [(line["subject"], line["details"]["status"]) for line in lines] == [
        ("example:r0", "approved"), ("example:r1", "rejected"), ("example:r2", "quarantined"),
    ]  # fmt: skip


def test_skip_leaves_a_row_and_the_end_says_how_many_are_left(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Window(door)
        for _ in range(3):
            window.get(text(re.findall(r'data-next="([^"]+)"', window.page)[0]))
        assert "3 drafts are left" in window.page and statuses(folder) == ["draft"] * 3


def test_undo_brings_back_exactly_what_was_and_only_of_this_window(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(0, odd=...), *(row(number) for number in (1, 2))])
    before = (folder / "examples/all.jsonl").read_bytes()
    with reviewed(folder) as door:
        one = Window(door)
        two = one.other()
        one.press("/rows/decide", did="approved")
        two.get("/rows?status=draft")
        assert "/rows/undo" in one.page and "/rows/undo" not in two.page
        one.press("/rows/decide", did="rejected")
        one.press("/rows/undo")
        assert "Question number 1?" in one.page and statuses(folder) == ["approved", "draft", "draft"]
        one.press("/rows/undo")
        assert "Question number 0?" in one.page and (folder / "examples/all.jsonl").read_bytes() == before
        assert "/rows/undo" not in one.page
        assert one.send("/rows/undo", {"csrf": door.csrf, "number": "1"}).status_code == 409
        assert one.send("/rows/undo", {"csrf": door.csrf, "number": "x"}).status_code == 400


def test_the_second_of_two_windows_is_told_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder, by="ana") as door, reviewed(folder, by="ben") as other:
        ana, ben = Window(door), Window(other)
        second = ana.other()
        ana.press("/rows/decide", did="approved")
        kept = (folder / "examples/all.jsonl").read_bytes()
        for window in (second, ben):
            window.press("/rows/decide", did="rejected")
            assert window.status == 409 and "r0 was changed by ana at" in window.page and "it is approved now" in window.page
        assert (folder / "examples/all.jsonl").read_bytes() == kept
        ben.get("/rows?status=draft")
        ben.press("/rows/decide", did="rejected")
        assert statuses(folder) == ["approved", "rejected", "draft"]
        ana.get("/rows?status=approved")
        ana.press("/rows/decide", did="quarantined")
        assert statuses(folder) == ["quarantined", "rejected", "draft"]


def test_an_undo_of_what_another_hand_changed_since_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Window(door)
        window.press("/rows/decide", did="approved")
        rows = on_disk(folder)
        rows[0]["question"] = "Mended by hand?"
        write(folder / "examples/all.jsonl", rows)
        window.press("/rows/undo")
        assert window.status == 409 and "changed by another hand since" in window.page
        assert on_disk(folder)[0]["question"] == "Mended by hand?"


def test_a_file_that_changed_on_disk_is_read_again_and_what_is_gone_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Window(door)
        form = window.form("/rows/decide")
        write(folder / "examples/all.jsonl", [row(0, question="New words?"), row(2), row(9)])
        assert "was changed" in window.send("/rows/decide", form | {"did": "approved"}).text and window.status == 409
        assert "New words?" in window.get("/rows")
        write(folder / "examples/all.jsonl", [row(2)])
        assert "no longer in its file" in window.send("/rows/decide", form | {"did": "approved"}).text and window.status == 409
        (folder / "examples/all.jsonl").write_text('{"id": "r2"}\n{broken\n')
        assert "1 line is no row" in window.get("/rows") and "all.jsonl:2: not JSON" in window.page
        (folder / "examples/all.jsonl").unlink()
        assert "There is nothing here" in window.get("/rows") and window.status == 200


def test_a_row_with_a_fault_cannot_be_approved_until_it_is_edited(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(0, evidence=[{"document": "a.md", "quote": "within 60 days"}]), row(1), row(1)])
    with reviewed(folder) as door:
        window = Window(door)
        assert "not found there" in window.page and re.search(r'value="approved"[^>]*disabled', window.page)
        window.press("/rows/decide", did="approved")
        assert window.status == 409 and "it cannot be approved: evidence is not in a.md" in text(window.page)
        key = window.get("/rows") and window.form("/rows/decide")["key"]
        window.get(f"/rows/edit?at={key}")
        window.press("/rows/save", question="Mended?", answer="30.", **{"quote-0": "within 30 days"})
        assert "Mended?" in window.page and on_disk(folder)[0]["status"] == "draft"
        window.press("/rows/decide", did="approved")
        assert statuses(folder)[0] == "approved" and on_disk(folder)[0]["reply"] == {"answer": "30."}
        window.press("/rows/decide", did="approved")
        window.press("/rows/decide", did="approved")
        assert window.status == 409 and "id 'r1' was used before, at" in text(window.page)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": "other"}, "the id of a row does not change"),
        ({"evidence": []}, "needs evidence"),
        ({"split": "exam"}, "split is 'exam'"),
        ("{", "not JSON"),
        ("[]", "expected one JSON object"),
        ('{"id": "r0", "id": "r0"}', "stands twice"),
        ("[" * 5000, "nested too deep"),
    ],
)
def test_a_bad_edit_is_not_saved_and_what_was_typed_is_not_lost(tmp_path: Path, changed: object, words: str) -> None:
    folder = project(tmp_path / "p", [row(0)])
    typed = changed if isinstance(changed, str) else json.dumps({**{k: v for k, v in row(0).items() if k != "status"}, **changed})
    before = on_disk(folder)
    with reviewed(folder) as door:
        window = Window(door)
        window.get(f"/rows/edit?at={window.form('/rows/decide')['key']}")
        assert window.send("/rows/save", window.form("/rows/save", 1) | {"whole": typed}).status_code == 409
    assert words in text(window.page) and "nothing was saved" in window.page
    shown = text(re.findall(r'<textarea name="whole"[^>]*>\n(.*?)</textarea>', window.page, re.DOTALL)[0])
    assert "".join(shown.split()) == "".join(typed.split()) or "twice" in words
    assert on_disk(folder) == before


def test_an_edit_of_a_row_that_changed_meanwhile_is_not_saved(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(0)])
    with reviewed(folder) as door:
        window = Window(door)
        window.get(f"/rows/edit?at={window.form('/rows/decide')['key']}")
        write(folder / "examples/all.jsonl", [row(0, question="Theirs?")])
        window.press("/rows/save", question="Mine?", answer="a", **{"quote-0": "within 30 days"})
        assert window.status == 409 and "was changed" in window.page and "Mine?" in window.page
        assert on_disk(folder)[0]["question"] == "Theirs?"


def test_a_form_that_changes_nothing_keeps_every_value_of_another_kind() -> None:
    odd = {"question": "a\r\nb", "reply": {"answer": 7, "x": None}, "evidence": [3, {"quote": "q\rr"}, {"quote": 5}], "status": "draft"}
    said = {"question": "a\nb", "answer": "7", "quote-0": "x", "quote-1": "q\nr", "quote-2": "y"}
    assert json.loads(edited(odd, "answer", said)) == {name: value for name, value in odd.items() if name != "status"}
    assert json.loads(edited(odd, "answer", said | {"question": "c"}))["question"] == "c"


def test_pairs_are_decided_by_which_reply_is_better_whatever_the_file_said(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [], [pair(number) for number in range(5)])
    with reviewed(folder) as door:
        window = Window(door)
        window.press("/rows/decide", did="chosen")
        window.press("/rows/decide", did="rejected-is-better")
        window.press("/rows/decide", did="swap")
        assert "p2" in window.page and on_disk(folder, "examples/preferences.jsonl")[2]["status"] == "draft"
        window.get(text(re.findall(r'data-next="([^"]+)"', window.page)[0]))
        window.press("/rows/decide", did="rejected", reason="both are wrong")
        window.press("/rows/decide", did="approved")
        window.press("/rows/undo")
    kept = on_disk(folder, "examples/preferences.jsonl")
    assert [(item["chosen"], item["status"]) for item in kept] == [
        ("so", "approved"), ("no", "approved"), ("no", "draft"), ("so", "rejected"), ("so", "draft"),
    ]  # fmt: skip
    assert all({item["chosen"], item["rejected"]} == {"so", "no"} for item in kept) and kept[3]["reason"] == "both are wrong"
    assert list(kept[1])[:5] == list(pair(1))[:5] and "reviewed" not in kept[4]
    said = [line["subject"] for line in groundtune.open(folder).ledger.audited("review")]
    assert said[:3] == ["pair:p0", "pair:p1", "pair:p2"]


def test_a_pair_with_a_fault_is_not_approved_and_its_better_side_is_not_always_the_left_one(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "p", [], [pair(0, **{"as": "nobody"}), pair(1, source="none.md"), *(pair(number) for number in range(2, 30))]
    )
    review = opened(folder)
    items = review.matching(Wanted())
    for item, words in zip(items, ("is no principal", "is no document"), strict=False):
        with pytest.raises(StateError, match=words):
            review.better(item.key, item.version, "chosen")
    with reviewed(folder) as door:
        window = Window(door)
        first = []
        for item in items:
            page = window.get(f"/rows?at={item.key}")
            first.append("marked as the better" in page.partition("marked as the")[1] + page.partition("marked as the")[2][:20])
    assert 5 < sum(first) < 25


def test_ratings_are_decided_by_whether_the_reply_is_wanted_whatever_the_file_said(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [], None, [*(rating(number) for number in range(5)), pair(5), rating(6, **{"as": "nobody"})])
    name = "examples/ratings.jsonl"
    with reviewed(folder) as door:
        window = Window(door)
        assert "said 0" in window.page and "It is marked as wanted now" in window.page
        window.press("/rows/decide", did="wanted")
        window.press("/rows/decide", did="unwanted")
        window.press("/rows/decide", did="quarantined", words="look again")
        assert window.press("/rows/decide", did="swap").status_code == 409 and "t3 is a rating, not a pair" in window.page
        window.get("/rows")
        window.press("/rows/decide", did="unwanted")
        window.press("/rows/undo")
        key = window.form("/rows/decide")["key"]
        window.get(f"/rows/edit?at={key}")
        window.press("/rows/save", question="How so?", answer="said otherwise")
        assert "How so?" in window.page and "said otherwise" in window.page
        for _ in range(2):
            window.press("/rows/decide", did="unwanted")
        assert "Which reply is better?" in window.page
        window.press("/rows/decide", did="chosen")
        window.press("/rows/decide", did="wanted")
        assert window.status == 409 and "it cannot be approved: asker 'nobody' is no principal" in text(window.page)
    kept = on_disk(folder, name)
    assert [(item.get("desirable"), item["status"]) for item in kept] == [
        (True, "approved"), (False, "approved"), (True, "quarantined"), (False, "approved"), (False, "approved"), (None, "approved"),
        (True, "draft"),
    ]  # fmt: skip
    assert kept[2]["reason"] == "look again" and (kept[3]["question"], kept[3]["reply"]) == ("How so?", "said otherwise")
    assert [rated.desirable for rated in ratings.load(folder / name)] == [True, False, False, False, True, False]
    said = [line["subject"] for line in groundtune.open(folder).ledger.audited("review")]
    assert said[:3] == ["rating:t0", "rating:t1", "rating:t2"] and said[-1] == "pair:p5"


def test_files_that_a_tuning_table_names_are_reviewed_as_what_it_learns(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [], [pair(0)], [rating(0)])
    with (folder / "groundtune.toml").open("a") as stream:
        for name, objective in (("liked", "kto"), ("better", "dpo")):
            stream.write(f'[tuning.{name}]\nobjective = "{objective}"\npreferences = "{name}.jsonl"\nreaders = ["everyone"]\n')
    write(folder / "liked.jsonl", [rating(1, reply={"answer": "so"}), {"id": 7, "desirable": [1]}])
    write(folder / "better.jsonl", [pair(1), rating(2)])
    review = opened(folder)
    assert [(item.stored.id, item.kind) for item in review.matching(Wanted())] == [
        ("p0", "pair"), ("t0", "rating"), ("t1", "rating"), ("p1", "pair"), ("t2", "pair"),
    ]  # fmt: skip
    last = review.matching(Wanted(statuses=()))
    assert len({item.key for item in last}) == 6 and len(review.matching(Wanted(kind="ratings"))) == 2
    odd = next(item for item in last if item.stored.row.get("id") == 7)
    with pytest.raises(StateError, match="id is missing or no text"):
        review.rate(odd.key, odd.version, True)
    with reviewed(folder, status="any") as door:
        window = Window(door)
        for item in last:
            assert window.get(f"/rows?status=any&at={item.key}") and window.status == 200


KNOWN = set(
    "html head meta title link script body a header div h1 span form input label select option button progress main article p b h2 dl dt dd"
    " figure figcaption blockquote mark ul li kbd section footer dialog textarea details summary code".split()
)


def parsed(page: str) -> tuple[list[str], set[str], str]:
    """Return the tags of a page, the names of all attributes, and what a reader sees outside of fields."""
    from html.parser import HTMLParser

    tags: list[str] = []
    attributes: set[str] = set()
    words: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            attributes.update(name for name, _ in attrs)

        def handle_data(self, data: str) -> None:
            if tags and tags[-1] != "textarea":
                words.append(data)

    Reader().feed(page)
    return tags, attributes, "".join(words)


def test_hostile_rows_and_documents_are_text_and_never_markup(tmp_path: Path) -> None:
    reply = {"answer": HOSTILE, HOSTILE: HOSTILE}
    hostile = [
        row(0, id=HOSTILE, question=HOSTILE, reply=reply, asker=HOSTILE, reason=HOSTILE, filter={HOSTILE: HOSTILE}, split=HOSTILE),
        row(1, evidence=[{"document": HOSTILE, "quote": HOSTILE}], origin={"form": "synthetic", "model": HOSTILE}),
        {"id": 7, "status": HOSTILE, "reply": 3, "evidence": "no", "question": None},
        {"status": "draft", "evidence": [7, {"quote": 1}], "readers": [HOSTILE], "reviewed": HOSTILE},
    ]
    pairs = [pair(0, question=HOSTILE, chosen={"answer": HOSTILE, "more": [HOSTILE]}, source=HOSTILE, id=HOSTILE), {"id": 5, "chosen": 9}]
    folder = project(tmp_path / "p", hostile, pairs)
    (folder / ".groundtune/examples").mkdir(parents=True)
    (folder / ".groundtune/examples/audit.json").write_text(json.dumps({"findings": [{"kind": HOSTILE, "rows": [HOSTILE]}]}))
    with reviewed(folder, by=HOSTILE.replace("\x1b", "").replace("\u202e", ""), status="any") as door:
        window = Window(door)
        keys = [item.key for item in opened(folder).matching(Wanted(statuses=()))]
        assert len(keys) == 6
        for key in keys:
            for page in (window.get(f"/rows?status=any&finding={HOSTILE[:9]}&at={key}"), window.get(f"/rows/edit?at={key}")):
                assert window.status == 200
                tags, attributes, words = parsed(page)
                assert set(tags) <= KNOWN and tags.count("script") == 1 and not [name for name in attributes if name.startswith("on")]
                assert not {"\u202e", "\x1b"} & set(words)
        assert "\\u202e" in window.get(f"/rows?at={keys[0]}")
        window.press("/rows/decide", did="rejected", words=HOSTILE)
        assert window.status == 200 and on_disk(folder)[0]["reason"].startswith("<script>")


def test_rows_are_narrowed_by_status_finding_kind_and_name(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(0, status=...), row(1), row(2, status="rejected")], [pair(0)])
    (folder / ".groundtune/examples").mkdir(parents=True)
    findings = [{"kind": "near duplicates", "rows": ["r2", "gone"]}, {"kind": "old", "rows": ["gone"]}, {"kind": "none", "rows": []}]
    (folder / ".groundtune/examples/audit.json").write_text(json.dumps({"findings": findings}))
    review = opened(folder)

    def names(**wanted: object) -> list[str]:
        return [item.stored.id for item in review.matching(Wanted(**wanted))]  # type: ignore[arg-type]

    assert names() == ["r1", "p0"] and names(statuses=()) == ["r0", "r1", "r2", "p0"] and names(statuses=("approved",)) == ["r0"]
    assert names(kind="pairs") == ["p0"] and names(kind="rows") == ["r1"]
    assert names(statuses=(), finding="near duplicates") == ["r2"] and names(statuses=(), finding="unknown") == []
    assert review.findings == {"near duplicates": ("r2", "gone")}
    (folder / ".groundtune/examples/audit.json").write_text("{broken")
    assert opened(folder).findings == {}
    assert [item.stored.id for item in opened(folder, names=["r2"]).items()] == ["r2"]
    with pytest.raises(UnknownName, match="unknown row 'r7'"):
        opened(folder, names=["r7"])
    (folder / "documents/a.md").write_text("---\nreaders: [everyone]\n---\nNothing of it any more.\n")
    assert {item.stored.id for item in opened(folder, stale=True).items()} == {"r0", "r1"}


def test_a_decision_that_a_kill_kept_from_the_ledger_is_brought_there_by_the_next_review(tmp_path: Path) -> None:
    said = {"by": "ana", "at": "2026-03-01T10:00:00+00:00", "did": "approved"}
    changed = {"status": "approved", "reviewed": said}
    folder = project(tmp_path / "p", [row(0, **changed)], [pair(0, **changed)], [rating(0, **changed)])
    opened(folder)
    opened(folder)
    assert [line["subject"] for line in groundtune.open(folder).ledger.audited("review")] == ["example:r0", "pair:p0", "rating:t0"]


MOVES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["approved", "rejected", "undo", "look", "hand"])), max_size=20)


def test_of_any_windows_at_any_pace_each_write_is_of_what_its_window_showed(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    curations = [(Curation(groundtune.open(folder)), name) for name in ("ana", "ben", "cai")]

    @settings(max_examples=30)
    @given(moves=MOVES)
    def play(moves: list[tuple[int, str]]) -> None:
        write(folder / "examples/all.jsonl", [row(0), row(1)])
        windows = [Review(curation, name) for curation, name in curations]
        shown = [{item.key: item for item in window.items()} for window in windows]
        keys = list(shown[0])
        done: list[list[int]] = [[], [], []]
        for step, (who, what) in enumerate(moves):
            place = step % 2
            before = on_disk(folder)
            item = shown[who][keys[place]]
            if what == "look":
                shown[who] = {item.key: item for item in windows[who].items()}
            elif what == "hand":
                before[place]["question"] += "?"
                write(folder / "examples/all.jsonl", before)
            elif what == "undo":
                number = done[who].pop() if done[who] else 99
                left = windows[who].past(number)
                try:
                    windows[who].undo(number)
                except StateError:
                    assert on_disk(folder) == before and (left is None or dict(left.after.row) not in before)
                else:
                    assert left is not None and dict(left.after.row) in before and dict(left.before.row) in on_disk(folder)
            else:
                try:
                    done[who].append(windows[who].decide(item.key, item.version, what).number)
                except StateError:
                    assert on_disk(folder) == before and dict(item.stored.row) != before[place]
                else:
                    assert dict(item.stored.row) == before[place]
                    assert on_disk(folder)[place]["reviewed"]["by"] == windows[who].by
                    assert on_disk(folder)[1 - place] == before[1 - place]

    play()


def test_a_kill_loses_nothing_that_was_confirmed_and_the_next_review_goes_on(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(number) for number in range(6)])
    command = [sys.executable, "-m", "groundtune", "examples", "review", "--web", "--by", "ana", "-p", str(folder), "--progress", "silent"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr is not None
        link = next(line for line in server.stderr if "http://" in line).strip()
        with httpx.Client(verify=False) as client:
            page = client.get(link)
            base = text(re.findall(r'<a href="([^"]+)"', page.text)[0])
            origin = link.partition("/enter")[0].rpartition("/")[0]
            shown = client.get(origin + base).text
            fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.partition("/rows/decide")[2]))
            headers = {"Origin": origin, "Accept": "application/json"}
            said = client.post(f"{origin}{base}rows/decide", data=fields | {"did": "approved"}, headers=headers)
            assert said.status_code == 200 and said.json()["says"] == "r0 is approved"
            os.kill(server.pid, signal.SIGKILL)
    assert statuses(folder) == ["approved"] + ["draft"] * 5
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None and server.stdout is not None
        next(line for line in server.stderr if "http://" in line)
        os.kill(server.pid, signal.SIGINT)
        assert "decided by ana: nothing; 5 drafts are left" in server.stdout.read()
    assert server.returncode == 0
