"""The verbs of ``groundtune examples`` on a small whole project: in, out, audit, fixes, drafts; readers are kept all the way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import groundtune
from groundtune.errors import ExampleError, StateError, UnknownName
from groundtune.examples.findings import Report
from groundtune.examples.intake import Wish
from groundtune.models.scripted import ScriptedChat
from groundtune.project.examples import Curation
from groundtune.project.examples_audit import audit, fix, write
from groundtune.project.examples_synthesize import plan, synthesize

THINGS = "anchor buoy crane derrick engine ferry gangway hatch".split()


def row(number: int, **changed: Any) -> dict[str, Any]:
    thing = THINGS[number]
    whole = {
        "id": f"r{number}",
        "question": f"when does anybody look after our {thing}",
        "asker": "ana",
        "split": "train",
        "split_group": thing,
        "evidence": [{"document": f"{thing}.md", "quote": f"checked every {number + 12} weeks"}],
        "reply": {"answer": f"Every {number + 12} weeks."},
    }
    return whole | changed


def make(folder: Path, rows: list[dict[str, Any]] | None = None, *, more: str = "") -> Path:
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    script = folder / "script.json"
    script.write_text(json.dumps({"": "{}"}))
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n')
    (folder / "groundtune.toml").write_text(
        '[project]\nname = "<b>small</b>"\nowner = "o"\n[answers]\ninstructions = "Reply plainly."\nfallback = "I don\'t know."\n'
        f'max_new_tokens = 20\n[embed]\nuse = "hashed"\n[chat]\nuse = "scripted"\nmodel = "{script}"\n'
        f'[examples]\nnear = 0.95\n[chunks]\nmax_tokens = 60\nmin_tokens = 5\n[[arms]]\nname = "prompt"\n{more}'
    )
    for number, thing in enumerate(THINGS):
        readers = "finance" if thing == "hatch" else "everyone"
        text = f"The {thing} is checked every {number + 12} weeks by its own crew. Whoever breaks the {thing} pays {number + 1}0 coins."
        (folder / "documents" / f"{thing}.md").write_text(f"---\ntitle: {thing}\nreaders: [{readers}]\n---\n# {thing}\n\n{text}\n")
    given = [row(number) for number in range(6)] if rows is None else rows
    (folder / "examples" / "all.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given))
    return folder


def opened(folder: Path) -> Curation:
    return Curation(groundtune.open(folder))


def kinds(report: Report) -> dict[str, str]:
    return {item.kind: item.severity for item in report.findings}


def on_disk(folder: Path, name: str = "all.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "examples" / name).read_text().splitlines()]


def test_an_import_goes_to_its_own_file_and_twice_is_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    other = tmp_path / "old.jsonl"
    other.write_text(
        json.dumps({"prompt": "what do I pay for the engine?", "completion": "Whoever breaks the engine pays 50 coins."}) + "\n{\n"
    )
    dry = opened(folder).take(other, Wish(asker="ana"), dry_run=True)
    assert dry.counts == {"draft": 1} and not (folder / "examples/old.jsonl").exists()
    done = opened(folder).take(other, Wish(asker="ana"))
    assert done.path == str(folder / "examples/old.jsonl") and len(done.problems) == 1 and "old.jsonl:2" in done.problems[0].message
    assert opened(folder).take(other, Wish(asker="ana")).present == 1
    [stored] = on_disk(folder, "old.jsonl")
    assert stored["evidence"][0]["document"] == "engine.md" and stored["status"] == "draft"
    assert len(groundtune.open(folder).content.examples) == 6
    with pytest.raises(StateError, match="among the examples already"):
        opened(folder).take(folder / "examples/all.jsonl", Wish())


def test_every_form_that_goes_out_comes_back_in_with_the_same_words(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    curation = opened(folder)
    for form in ("chat", "prompt-completion", "alpaca", "sharegpt", "csv", "rows"):
        path = tmp_path / f"{form}.{'csv' if form == 'csv' else 'jsonl'}"
        assert curation.give(form, path).rows == 6
        again = opened(make(tmp_path / f"p-{form}", []))
        done = again.take(path, Wish(asker="ana"))
        assert done.form == form and sum(done.counts.values()) == 6 and not done.problems
        said = {(item.row["question"], item.row["reply"]["answer"]) for item in again.rows().rows}
        assert said == {(item["question"], item["reply"]["answer"]) for item in on_disk(folder)}


def test_an_export_says_who_may_read_it_and_what_was_left_out(tmp_path: Path) -> None:
    hidden = row(7, asker="femi", id="f")
    folder = make(tmp_path / "p", [row(0), row(1, status="draft"), row(2, split="dev"), row(3, asker="x"), hidden])
    done = opened(folder).give("chat", tmp_path / "out.jsonl")
    assert (done.rows, done.readers) == (2, ())
    assert done.left_out == {"draft": 1, "split dev": 1, "malformed": 1}
    messages = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["messages"]
    assert [item["role"] for item in messages] == ["system", "user", "assistant"] and messages[0]["content"] == "Reply plainly."
    with pytest.raises(StateError, match="no row is left to export"):
        opened(folder).give("chat", tmp_path / "none.jsonl", statuses=["quarantined"])
    with pytest.raises(UnknownName, match="unknown form 'parquet'"):
        opened(folder).give("parquet", tmp_path / "x")


def test_pairs_go_in_and_out_and_their_documents_bind_them(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        json.dumps({"id": "p1", "question": "how?", "as": "femi", "chosen": "so", "rejected": "no", "source": "hatch.md"}) + "\n"
    )
    done = opened(folder).take(pairs, Wish(status="approved"))
    assert done.form == "preference" and done.path == str(folder / "examples/preferences.jsonl")
    assert opened(folder).take(pairs, Wish()).present == 1
    path = folder / "documents/hatch.md"
    text = path.read_text()
    path.write_text(text + "\nIt is green.\n")
    assert kinds(audit(opened(folder)))["preference pairs: stale"] == "warning"
    path.write_text(text)
    assert "preference pairs: stale" not in kinds(audit(opened(folder)))
    given = opened(folder).give("preference", tmp_path / "out.jsonl")
    assert given.readers == ("finance",)
    assert json.loads((tmp_path / "out.jsonl").read_text())["rejected"] == [{"role": "assistant", "content": "no"}]
    assert len(groundtune.open(folder).content.examples) == 6
    (folder / "documents/hatch.md").unlink()
    assert kinds(audit(opened(folder)))["preference pairs"] == "error"


def test_ratings_go_in_and_out_and_their_documents_bind_them(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", [row(0), row(1, split="test")])
    thumbs = tmp_path / "thumbs.jsonl"
    lines = [
        {"prompt": "how?", "completion": "so", "label": True},
        {"prompt": "how?", "completion": "so", "label": False},
        {"prompt": row(1)["question"], "completion": "so", "label": False},
        {"id": "t9", "question": "how?", "as": "femi", "reply": {"answer": "no"}, "desirable": False, "source": "hatch.md"},
        {"prompt": "how?", "completion": "so", "label": 3},
    ]
    thumbs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = opened(folder).take(thumbs, Wish(asker="ana", status="approved"))
    assert done.form == "rating" and done.path == str(folder / "examples/ratings.jsonl")
    assert done.counts == {"approved": 3, "quarantined": 1} and "thumbs.jsonl:5: label is 3" in done.problems[0].message
    assert opened(folder).take(thumbs, Wish(asker="ana")).present == 4
    kept = on_disk(folder, "ratings.jsonl")
    assert [item.get("reason") for item in kept] == [None, None, "leak: its question is asked in test", None]
    assert kept[3]["id"] == "t9" and kept[3]["made_from"].keys() == {"hatch.md"}
    assert kinds(audit(opened(folder)))["ratings: conflicts"] == "error"
    given = opened(folder).give("rating", tmp_path / "out.jsonl")
    assert (given.rows, given.readers) == (3, ("finance",))
    again = opened(make(tmp_path / "q", []))
    assert again.take(tmp_path / "out.jsonl", Wish(asker="ana")).counts == {"draft": 3}
    said = [(item["question"], item["reply"], item["desirable"]) for item in on_disk(tmp_path / "q", "ratings.jsonl")]
    assert said == [("how?", "so", True), ("how?", "so", False), ("how?", "no", False)]


def test_pairs_and_ratings_are_audited_as_rows_are_wherever_they_stand(tmp_path: Path) -> None:
    held = row(5, split="test")
    table = '[tuning.liked]\nobjective = "kto"\nreaders = ["everyone"]\npreferences = "service/thumbs.jsonl"\n'
    folder = make(tmp_path / "p", [row(0), held], more=f'{table}[[arms]]\nname = "t"\nadapter = "liked"\n')
    common = {"question": held["question"], "as": "ana"}
    (folder / "service").mkdir()
    for name, more in (
        ("examples/preferences.jsonl", {"chosen": "so", "rejected": "no"}),
        ("examples/ratings.jsonl", {"reply": "so", "desirable": True}),
        ("service/thumbs.jsonl", {"reply": "no", "desirable": False}),
    ):
        (folder / name).write_text(json.dumps({"id": name, **common, **more}) + "\n")
    report = audit(opened(folder))
    assert [(item.kind, item.rows) for item in report.findings if item.kind.endswith(": leaks")] == [
        ("preference pairs: leaks", ("examples/preferences.jsonl",)),
        ("ratings: leaks", ("examples/ratings.jsonl",)),
        ("ratings: leaks", ("service/thumbs.jsonl",)),
    ]
    assert fix(opened(folder), report, "ana") == {}


def test_a_pair_that_asks_a_held_question_is_a_leak_at_the_door(tmp_path: Path) -> None:
    held = row(5, split="holdout")
    folder = make(tmp_path / "p", [row(0), held])
    given = tmp_path / "pairs.jsonl"
    asked = {"held": held["question"].upper(), "other": "how deep is the ferry"}
    given.write_text(
        "".join(json.dumps({"id": i, "question": q, "as": "ana", "chosen": "so", "rejected": "no"}) + "\n" for i, q in asked.items())
    )
    assert opened(folder).take(given, Wish(status="approved")).counts == {"quarantined": 1, "approved": 1}
    assert [item.get("reason") for item in on_disk(folder, "preferences.jsonl")] == ["leak: its question is asked in holdout", None]


def test_answer_logs_of_evaluations_go_out_and_those_of_test_questions_stay_out_of_training(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", [row(0), row(1, split="test")])
    answer = {
        "id": "answer:1",
        "question": row(1)["question"],
        "arm": "rag",
        "asker": "ana",
        "said": "All 13 weeks.",
        "reply": None,
        "refused": False,
        "failure": None,
        "passages": [{"chunk": {"document_id": "document:hatch.md"}}],
        "cited": [{"document_id": "document:buoy.md", "quote": "checked every 13 weeks"}],
    }
    runs = folder / ".groundtune/runs"
    for name in ("one", "two"):
        (runs / name).mkdir(parents=True)
        (runs / name / "answers.jsonl").write_text(json.dumps(answer) + "\n")
    done = opened(folder).give("answers", tmp_path / "log.jsonl")
    assert (done.rows, done.readers) == (1, ("finance",))
    taken = opened(folder).take(tmp_path / "log.jsonl", Wish(status="approved"))
    assert taken.counts == {"quarantined": 1} and any("leak" in reason for reason in taken.reasons)


def test_a_clean_set_has_no_errors_and_the_page_escapes_what_rows_say(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    report = audit(opened(folder))
    assert report.worst != "error", report.findings
    page = Path(write(opened(folder), report)).read_text()
    assert "<b>small</b>" not in page and "&lt;b&gt;small&lt;/b&gt;" in page
    assert not re.search(r"<script|src=|https?://", page)
    assert json.loads((folder / ".groundtune/examples/audit.json").read_text())["project"] == "<b>small</b>"


def test_an_empty_set_and_one_with_every_row_rejected_are_two_errors(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there are no examples yet"):
        audit(opened(make(tmp_path / "a", [])))
    with pytest.raises(StateError, match="no row is left to use: 1 rejected, 1 quarantined"):
        audit(opened(make(tmp_path / "b", [row(0, status="rejected"), row(1, status="quarantined")])))


def test_rows_longer_than_the_context_and_longer_than_an_adapter_takes_are_errors(tmp_path: Path) -> None:
    long = row(0, question="word " * 9000)
    folder = make(tmp_path / "p", [long, row(1)], more='[tuning.closed]\nmax_tokens = 64\n[[arms]]\nname = "t"\nadapter = "closed"\n')
    found = audit(opened(folder)).of("rows too long")
    assert [(item.severity, item.rows) for item in found] == [("error", ("r0",)), ("error", ("r0",))]
    assert "context of 8,192" in found[0].says and "[tuning.closed]" in found[1].says


def test_a_chat_model_that_cannot_be_opened_is_not_measured_and_no_pass(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    (folder / "script.json").write_text("7")
    [finding] = audit(opened(folder)).of("rows too long")
    assert finding.state == "not run" and "a script is a list of texts" in finding.says
    assert "A check that did not run is no pass" in Path(write(opened(folder), audit(opened(folder)))).read_text()


BAD = [
    row(0),
    row(0, id="copy"),
    row(1, asker="nobody"),
    row(2, evidence=[{"document": "crane.md", "quote": "checked every 99 weeks"}]),
    row(3, question="I am jane.roe@example.org, when is the derrick looked after?"),
    row(4, made_from={"engine.md": "0" * 16}),
    row(5, split="test"),
    row(5, id="leak", split_group="other"),
    row(6, question="is the gangway fine?", reply={"answer": "Every 18 weeks."}),
    row(6, id="odds", question="is the gangway fine?", reply={"answer": "Every 19 weeks."}),
]


def test_fix_changes_the_status_of_training_rows_with_a_reason_and_nothing_else(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", BAD)
    before = {item["id"]: item for item in on_disk(folder)}
    report = audit(opened(folder))
    assert {"exact duplicates", "malformed rows", "stale rows", "personal data", "leaks", "conflicting answers"} <= set(kinds(report))
    fixed = fix(opened(folder), report, "ana")
    assert {name: item["status"] for name, item in fixed.items()} == {
        "copy": "rejected",
        "r1": "quarantined",
        "r2": "quarantined",
        "r3": "quarantined",
        "r4": "draft",
        "leak": "quarantined",
    }
    for item in on_disk(folder):
        kept = {key: value for key, value in item.items() if key not in ("status", "reason", "reviewed")}
        assert kept == before[item["id"]]
        assert (item["id"] in fixed) == ("status" in item)
    assert {item["reason"].split(":")[0] for item in on_disk(folder) if "reason" in item} >= {"exact duplicates", "leaks", "personal data"}
    after = audit(opened(folder))
    assert set(kinds(after)) & {"exact duplicates", "malformed rows", "personal data", "leaks"} == set()
    assert kinds(after)["conflicting answers"] == "error"
    assert fix(opened(folder), after, "ana") == {}
    lines = groundtune.open(folder).ledger.audited("review")
    assert {line["subject"] for line in lines} == {f"example:{name}" for name in fixed}
    assert all(line["details"]["by"] == "ana" and line["at"] for line in lines)


def test_an_audit_of_a_broken_file_names_the_lines(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    with (folder / "examples/all.jsonl").open("a") as stream:
        stream.write('{"id": 1\n')
    [finding] = audit(opened(folder)).of("unreadable lines")
    assert finding.severity == "error" and "all.jsonl:7" in finding.samples[0][1]


def test_mixed_formats_are_told_with_samples(tmp_path: Path) -> None:
    rows = [
        row(
            n % 6,
            id=f"x{n}",
            question=f"question number {n} of {THINGS[n % 6]}",
            reply={"answer": "So it is." if n % 3 else "- one\n- two"},
        )
        for n in range(24)
    ]
    [finding] = audit(opened(make(tmp_path / "p", rows))).of("mixed formats")
    assert "67% ends a sentence" in finding.says and "33% a list" in finding.says and len(finding.samples) == 4


def test_a_set_of_facts_points_to_retrieval_with_what_search_finds(tmp_path: Path) -> None:
    rows = [
        row(n, id=f"{what}{n}", **changed)
        for n in range(6)
        for what, changed in (
            ("a", {}),
            (
                "b",
                {
                    "question": f"what do I owe for the {THINGS[n]}",
                    "reply": {"answer": f"{n + 1}0 coins."},
                    "evidence": [{"document": f"{THINGS[n]}.md", "quote": f"pays {n + 1}0 coins"}],
                },
            ),
        )
    ]
    more = '[tuning.closed]\n[[arms]]\nname = "t"\nadapter = "closed"\n'
    folder = make(tmp_path / "p", rows, more=more)
    [before] = audit(opened(folder)).of("fact recall")
    assert "was not measured" in before.says and "without passages: closed" in before.says
    groundtune.open(folder).ingest()
    [after] = audit(opened(folder)).of("fact recall")
    assert "search shows the evidence of 12 of 12" in after.says and after.severity == "warning"


def test_rows_without_documents_bind_an_adapter_by_their_own_readers(tmp_path: Path) -> None:
    from groundtune.project.tune import rows_for

    bare = {
        "id": "bare",
        "question": "route this ticket",
        "asker": "femi",
        "split": "train",
        "split_group": "x",
        "evidence": [],
        "readers": ["finance"],
        "reply": {"answer": "billing"},
    }
    more = '[tuning.closed]\n[[arms]]\nname = "t"\nadapter = "closed"\n'
    project = groundtune.open(make(tmp_path / "p", [bare], more=more))
    assert rows_for(project, "closed").readers == {"finance"}
    with pytest.raises(StateError, match="nobody could read this adapter"):
        rows_for(groundtune.open(make(tmp_path / "q", [bare, row(0)], more=more)), "closed")
    narrowed = more.replace("[tuning.closed]\n", '[tuning.closed]\nreaders = ["everyone"]\n')
    left = rows_for(groundtune.open(make(tmp_path / "r", [bare, row(0)], more=narrowed)), "closed")
    assert [item.example_id for item in left.rows] == ["r0"] and sum(left.left_out.values()) == 1


def answering(request: Any) -> str:
    text = request.messages[-1]["content"]
    thing = re.search(r"Document: (\w+)\.md", text)[1]  # type: ignore[index]
    if '"missing"' in text:
        return json.dumps({"question": f"Does the {thing} come in turquoise somewhere?", "missing": "turquoise"})
    quote = re.search(r"pays \d+ coins", text)[0]  # type: ignore[index]
    if thing == "crane":
        quote = "pays 7777 coins"
    return json.dumps({"question": f"What do I owe for a damaged {thing}?", "quote": quote, "answer": quote.removeprefix("pays ")})


def test_drafts_are_written_once_checked_and_never_taught(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", [row(0), row(5, split="test")])
    curation = opened(folder)
    curation.project.chat = ScriptedChat(answering)
    made = plan(curation, count=20, asker="ana", unanswerable=0.25, match=())
    # One chunk a document; hatch is not ana's to read, ferry belongs to the test set.
    assert len(made.tasks) == 6 and made.held_back == ("ferry.md",) and made.answered == 0 and made.prompt_tokens > 0
    done = synthesize(curation, made, asker="ana")
    assert done.kept + sum(done.dropped.values()) == 6 and done.unanswerable >= 1
    calls = len(curation.project.chat.calls)
    rows = on_disk(folder, "synthetic.jsonl")
    assert {item["status"] for item in rows} == {"draft"} and {item["origin"]["form"] for item in rows} == {"synthetic"}
    assert all("finance" not in json.dumps(item) and "hatch" not in json.dumps(item) for item in rows)
    assert len(groundtune.open(folder).content.examples) == 2
    again = synthesize(curation, plan(curation, count=20, asker="ana", unanswerable=0.25), asker="ana")
    assert (again.kept, again.present) == (0, done.kept) and len(curation.project.chat.calls) == calls
    assert plan(curation, count=20, asker="ana", unanswerable=0.25).answered == 6


def test_a_run_that_was_killed_asks_nothing_twice(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", [row(0)])
    asked: list[str] = []

    def dying(request: Any) -> str:
        asked.append(request.messages[-1]["content"])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answering(request)

    curation = opened(folder)
    curation.project.chat = ScriptedChat(dying, batch=1, name="m")
    curation.project.chat.fingerprint = "m"
    made = plan(curation, count=6, asker="ana", unanswerable=0.0)
    with pytest.raises(KeyboardInterrupt):
        synthesize(curation, made, asker="ana")
    with (folder / ".groundtune/examples/asked.jsonl").open("a") as stream:
        stream.write('\n["cut sho')
    resumed = opened(folder)
    resumed.project.chat = ScriptedChat(
        lambda request: asked.append(request.messages[-1]["content"]) or answering(request), batch=1, name="m"
    )
    resumed.project.chat.fingerprint = "m"
    assert synthesize(resumed, plan(resumed, count=6, asker="ana", unanswerable=0.0), asker="ana").asked == 6
    assert len(asked) == 7 and len(set(asked)) == 6


def test_nothing_to_ask_about_and_an_unknown_asker_are_told(tmp_path: Path) -> None:
    curation = opened(make(tmp_path / "p", [row(0)]))
    with pytest.raises(UnknownName, match="unknown principal 'nobody'"):
        plan(curation, count=1, asker="nobody", unanswerable=0)
    with pytest.raises(StateError, match="ana may read no document to ask about"):
        plan(curation, count=1, asker="ana", unanswerable=0, match=["hatch*"])


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="none.jsonl"):
        opened(make(tmp_path / "p")).take(tmp_path / "none.jsonl", Wish())
