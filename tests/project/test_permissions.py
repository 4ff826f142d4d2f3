"""Rules from the files to what a search shows: sections, denials, changes without embedding, alarms, tokens, reasons."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from groundtune.cli.main import main
from groundtune.errors import GroundtuneError, StateError, UnknownName
from groundtune.project import Project

CONFIG = """
[project]
name = "p"
owner = "o"
[answers]
instructions = "x"
[chat]
use = "scripted"
model = "SCRIPT"
[embed]
use = "hashed"
[chunks]
max_tokens = 40
min_tokens = 2
[[arms]]
name = "rag"
retrieves = true
"""
ACCESS = """
[principals]
ana = ["everyone", "finance"]
bob = ["everyone"]
cy = ["everyone", "finance", "interns"]
"""
RULE = '[[rules]]\nmatch = "hr/"\nsection = "Salaries"\nreaders = ["finance"]\ndeny = ["interns"]\n'
BOOK = "# Handbook\n\nThe crane is oiled weekly.\n\n## Salaries\n\nThe pilot earns 900 coins.\n\n## Leave\n\nLeave is thirty days.\n"


def written(folder: Path, name: str, text: str, readers: str | None = "everyone") -> None:
    path = folder / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if readers is None else f"---\nreaders: [{readers}]\n---\n{text}")


def configured(folder: Path, more: str) -> None:
    (folder / "groundtune.toml").write_text(CONFIG.replace("SCRIPT", str(folder / "script.json")) + more)


def made(folder: Path, access: str = ACCESS + RULE, config: str = "") -> Path:
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    (folder / "script.json").write_text('["It is so."]')
    configured(folder, config)
    (folder / "access.toml").write_text(access)
    written(folder, "hr/book.md", BOOK)
    written(folder, "open.md", "# Tide\n\nThe tide turns at noon.\n", "finance")
    row = '{"id":"1","question":"how often is the crane oiled","asker":"ana","split":"test","split_group":"a","kind":"refuse","evidence":[]'
    (folder / "examples" / "a.jsonl").write_text(row + ',"reply":{"answer":"I do not know"}}\n')
    return folder


def shown(folder: Path, name: str) -> str:
    project = Project(folder)
    found = project.retriever(20)("what does the pilot earn", project.principal(name), {})
    return " ".join(passage.chunk.text for passage in found)


def ran(folder: Path, *arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([*arguments, "-p", str(folder), "--progress", "silent"])
    return int(left.value.code or 0), out.getvalue(), err.getvalue()


def no_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    from groundtune.models.hashed import HashedEmbed

    def refused(*_: Any) -> None:
        raise AssertionError("nothing is to be embedded")

    monkeypatch.setattr(HashedEmbed, "documents", refused)


@pytest.mark.parametrize("engine", ["lance", "qdrant"])
def test_a_section_is_shown_to_those_only_whom_its_rule_names_and_a_change_embeds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    folder = made(tmp_path, config=f'[index]\nengine = "{engine}"\n')

    def project() -> Project:
        found = Project(folder)
        if engine == "qdrant":
            found.__dict__["store"] = store
        return found

    store = Project(folder).store if engine == "qdrant" else None

    def seen(name: str) -> str:
        one = project()
        return " ".join(p.chunk.text for p in one.retriever(20)("what does the pilot earn", one.principal(name), {}))

    first = project().ingest().version
    assert first is not None
    assert "900 coins" in seen("ana")
    for name in ("bob", "cy"):
        assert "900 coins" not in seen(name)
        assert "thirty days" in seen(name)
    assert project().verify_index() == []
    (folder / "access.toml").write_text(ACCESS + RULE.replace('"interns"', '"user:ana"'))
    assert any("changed since" in text for text in project().verify_index())
    with monkeypatch.context() as patched:
        no_embedding(patched)
        second = project().apply_access()
    assert (second.restamped, second.changed, second.added) == (1, 0, 0)
    assert second.contents["document:hr/book.md"]["parts"]
    assert "900 coins" not in seen("ana")
    assert "900 coins" in seen("cy")
    assert project().verify_index() == []
    assert project().apply_access().id == second.id
    [part] = [item for item in project().explain_access("ana", "hr/book.md") if "Salaries" in item["section"]]
    assert not part["allowed"] and "less user:ana by rule 1 of access.toml (hr/ › Salaries)" in part["rule"]
    assert project().explain_access("cy", "hr/book.md")[0]["allowed"]
    with pytest.raises(UnknownName, match="book.md"):
        project().explain_access("cy", "hr/bok.md")


def test_verify_finds_a_chunk_whose_readers_are_not_those_of_the_manifest(tmp_path: Path) -> None:
    folder = made(tmp_path)
    project = Project(folder)
    version = project.ingest().version
    assert version is not None
    draft = project.store.draft(version.table, project.embed.dimensions)
    opened = tuple(frozenset(["everyone"]) for _ in range(version.contents["document:hr/book.md"]["chunks"]))
    draft.restamp({"document:hr/book.md": opened})
    draft.publish(version.tag)
    assert any("not as its manifest says: readers ['everyone'], and by chunk [" in text for text in Project(folder).verify_index())
    repaired = Project(folder).ingest(rebuild=True).version
    assert repaired is not None and Project(folder).verify_index() == []
    assert "900 coins" not in shown(folder, "bob")


def test_opening_to_all_is_not_applied_until_it_is_accepted_and_then_recorded(tmp_path: Path) -> None:
    folder = made(tmp_path)
    Project(folder).ingest()
    written(folder, "open.md", "# Tide\n\nThe tide turns at noon.\n")
    for attempt in (Project(folder).ingest, Project(folder).apply_access):
        with pytest.raises(StateError, match=r"opened to all: open\.md"):
            attempt()
    code, _, err = ran(folder, "ingest")
    assert code == 2 and "opened to all: open.md" in err and "--accept" in err
    assert "noon" not in shown(folder, "bob")
    code, out, _ = ran(folder, "access", "report")
    assert code == 1 and "not applied: 1\n  open.md" in out
    code, out, _ = ran(folder, "access", "apply", "--accept")
    assert code == 0 and "1 documents with other readers" in out
    assert "noon" in shown(folder, "bob")
    [line] = Project(folder).ledger.audited("access apply --accept")
    assert line["details"]["opened"] == ["open.md"]
    assert ran(folder, "access", "report")[0] == 0
    code, _, err = ran(folder, "index", "rollback")
    assert code == 0, err
    assert "noon" not in shown(folder, "bob")
    code, _, err = ran(folder, "index", "promote", Project(folder).index_versions()[-1].id)
    assert code == 2 and "opened to all" in err


def test_a_mass_change_is_alarming_in_either_direction_and_only_in_an_index_that_has_a_mass(tmp_path: Path) -> None:
    folder = made(tmp_path, config="[access]\nalarm_chunks = 12\nalarm_share = 0.25\n")
    for number in range(10):
        written(folder, f"many/{number}.md", f"# Number {number}\n\nText of {number}.\n")
    Project(folder).ingest()
    (folder / "access.toml").write_text(ACCESS + RULE + '[[rules]]\nmatch = "many/"\nreaders = ["finance"]\n')
    with pytest.raises(StateError, match="the readers of 10 documents with"):
        Project(folder).apply_access()
    configured(folder, "[access]\nalarm_chunks = 1000\n")
    assert Project(folder).apply_access().restamped == 10


def test_readers_are_taken_away_though_the_text_changed_too_and_what_is_gone_is_read_by_nobody(tmp_path: Path) -> None:
    folder = made(tmp_path)
    Project(folder).ingest()
    written(folder, "hr/book.md", "# New\n\nOther words.\n", "finance")
    (folder / "documents" / "open.md").unlink()
    Project(folder).apply_access()
    assert shown(folder, "bob") == ""
    assert "noon" not in shown(folder, "ana")
    assert "oiled" in shown(folder, "ana") and "Other words" not in shown(folder, "ana")


def test_what_is_gone_is_not_brought_back_by_a_rollback_behind_a_change_of_readers(tmp_path: Path) -> None:
    folder = made(tmp_path)
    Project(folder).ingest()
    (folder / "documents" / "open.md").unlink()
    Project(folder).apply_access()
    assert "noon" not in shown(folder, "ana") and "oiled" in shown(folder, "ana")
    assert Project(folder).index.rollback().done
    assert "noon" not in shown(folder, "ana") and "oiled" in shown(folder, "ana")


def test_hiding_what_is_gone_opens_nothing_that_waits_to_be_accepted(tmp_path: Path) -> None:
    folder = made(tmp_path)
    written(folder, "gone.md", "# Gone\n\nThe wreck lies north.\n")
    Project(folder).ingest()
    assert "wreck" in shown(folder, "bob")
    (folder / "documents" / "gone.md").unlink()
    (folder / "access.toml").write_text(ACCESS + '[[rules]]\nmatch = "open.md"\nreaders = ["everyone"]\noverrides = true\n')
    code, _, err = ran(folder, "ingest")
    assert code == 2 and "opened to all: hr/book.md, open.md" in err
    seen = shown(folder, "bob")
    assert "wreck" not in seen and "noon" not in seen and "900 coins" not in seen


@pytest.mark.parametrize("strict", [False, True])
def test_an_alarm_that_nobody_accepts_keeps_hidden_what_must_not_be_served(tmp_path: Path, strict: bool) -> None:
    folder = made(tmp_path)
    written(folder, "gone.md", "# Gone\n\nThe wreck lies north.\n")
    written(folder, "broken.html", "<p>The reef is sharp.</p>", None)
    written(folder, "broken.html.meta.toml", 'readers = ["everyone"]\n', None)
    written(folder, "unsaid.md", "# Unsaid\n\nThe anchor drags.\n")
    Project(folder).ingest()
    assert all(word in shown(folder, "bob") for word in ("wreck", "reef", "anchor", "oiled"))
    (folder / "documents" / "gone.md").unlink()
    if not strict:
        (folder / "documents" / "broken.html").write_bytes(b"%PDF-1.7 no page of the web")
        written(folder, "unsaid.md", "# Unsaid\n\nThe anchor drags.\n", None)
    # What opens something to all is an alarm; what else the same command finds does not wait for an answer to it.
    written(folder, "open.md", "# Tide\n\nThe tide turns at noon.\n")
    for _ in range(2):
        with pytest.raises(StateError, match=r"opened to all: open\.md"):
            Project(folder).ingest(strict=strict)
        seen = shown(folder, "bob")
        assert "oiled" in seen and "wreck" not in seen and "noon" not in seen
        assert ("reef" in seen, "anchor" in seen) == (strict, strict)
    done = Project(folder).ingest(strict=strict, accept=True)
    assert "noon" in shown(folder, "bob") and len(done.problems) == (0 if strict else 2)


def test_a_text_that_waits_with_its_new_readers_is_shown_to_nobody_meanwhile(tmp_path: Path) -> None:
    folder = made(tmp_path, config="[access]\nalarm_chunks = 1\nalarm_share = 0.1\n")
    written(folder, "plan.md", "# Plan\n\nThe harbour grows.\n")
    written(folder, "gone.md", "# Gone\n\nThe wreck lies north.\n")
    Project(folder).ingest()
    # Closed, and only then written in: the alarm keeps the old readers, so it has to keep the old text as well.
    written(folder, "plan.md", "# Plan\n\nThe harbour is sold.\n", "finance")
    for attempt in range(2):
        with pytest.raises(StateError, match="the readers of 1 documents"):
            Project(folder).ingest(strict=False)
        (folder / "documents" / "gone.md").unlink(missing_ok=True)
        assert "grows" in shown(folder, "bob") and "sold" not in shown(folder, "bob") + shown(folder, "ana"), attempt
    assert "wreck" not in shown(folder, "bob")


def test_what_cannot_be_read_is_hidden_though_nothing_can_be_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path)
    written(folder, "unsaid.md", "# Unsaid\n\nThe anchor drags.\n")
    Project(folder).ingest()
    written(folder, "unsaid.md", "# Unsaid\n\nThe anchor drags.\n", None)
    written(folder, "new.md", "# New\n\nThe buoy is red.\n")
    no_embedding(monkeypatch)
    with pytest.raises(AssertionError, match="nothing is to be embedded"):
        Project(folder).ingest(strict=False)
    monkeypatch.undo()
    seen = shown(folder, "bob")
    assert "anchor" not in seen and "buoy" not in seen and "oiled" in seen


def test_a_rule_whose_heading_is_not_there_hides_its_document_and_is_told(tmp_path: Path) -> None:
    folder = made(tmp_path)
    Project(folder).ingest()
    (folder / "access.toml").write_text(ACCESS + RULE.replace("hr/", "hr/book.md").replace("Salaries", "Salary"))
    with pytest.raises(GroundtuneError, match="has no such heading"):
        Project(folder).content  # noqa: B018
    code, out, _ = ran(folder, "ingest")
    assert code == 1 and "has no such heading" in out
    assert "crane" not in shown(folder, "ana")


def test_the_report_says_what_is_not_covered_and_how_old_it_is(tmp_path: Path) -> None:
    more = '[services]\nbot = ["nothing"]\n[[rules]]\nmatch = "open.md"\nreaders = []\n[[rules]]\nmatch = "gone/"\nreaders = ["finance"]\n'
    folder = made(tmp_path, ACCESS + RULE + more + '[[rules]]\nmatch = "hr/"\nsection = "Wages"\nreaders = ["finance"]\n')
    written(folder, "plain.md", "# Plain\n\nNo readers of its own.\n", None)
    configured(folder, '[documents]\nreaders = ["everyone"]\n')
    found = Project(folder).report_access()
    assert found["applied_at"] is None
    assert found["read_by_nobody"] == ["open.md"]
    assert found["rules_that_fit_nothing"] == ["rule 3 of access.toml (gone/)"]
    assert found["rules_whose_heading_is_nowhere"] == ["rule 4 of access.toml (hr/ › Wages)"]
    assert found["principals_who_read_nothing"] == ["bot"]
    assert (found["by_rule"], found["by_themselves"], found["by_default"], found["with_sections"]) == (2, 0, 1, 1)
    assert found["without_rule"] == ["plain.md"] and found["services"] == ["bot"]
    assert found["membership"][0]["days_old"] == 0
    Project(folder).ingest()
    after = Project(folder).report_access()
    assert after["applied_at"] and after["sources"]["[documents]"]["listed_at"] and after["not_applied"] == []


def test_rules_change_without_a_file_being_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundtune.documents import item

    folder = made(tmp_path, ACCESS, '[documents]\nreaders = ["finance"]\n[[documents.rules]]\nmatch = "in/"\nreaders = ["everyone"]\n')
    written(folder, "in/plain.md", "# Plain\n\nThe wreck lies north.\n", None)
    Project(folder).ingest()
    assert "wreck" in shown(folder, "bob")

    def refused(*_: Any) -> None:
        raise AssertionError("no file is to be parsed")

    (folder / "access.toml").write_text(ACCESS + '[[rules]]\nmatch = "in/plain.md"\nreaders = ["finance"]\n')
    old = time.time() - 60
    for path in (folder / "documents").rglob("*.md"):
        os.utime(path, (old, old))
    Project(folder).ingest()
    monkeypatch.setattr(item, "made", refused)
    (folder / "access.toml").write_text(ACCESS + '[[rules]]\nmatch = "in/plain.md"\nreaders = ["user:cy"]\n')
    assert Project(folder).ingest(strict=False).version.restamped == 1  # type: ignore[union-attr]
    assert "wreck" in shown(folder, "cy") and "wreck" not in shown(folder, "ana")


def test_ask_says_which_rule_let_each_passage_through(tmp_path: Path) -> None:
    folder = made(tmp_path)
    assert ran(folder, "ingest")[0] == 0
    code, out, _ = ran(folder, "ask", "what does the pilot earn", "--as", "ana", "--why")
    assert code in (0, 1) and "let through by rule 1 of access.toml (hr/ › Salaries), less interns by rule 1" in out
    assert "let through by the document's own readers" in out
    answer = json.loads(ran(folder, "ask", "what does the pilot earn", "--as", "ana", "--json")[1])
    rules = {passage["chunk"]["text"].split("\n")[0]: passage["rule"] for passage in answer["passages"]}
    assert "rule 1 of access.toml (hr/ › Salaries)" in rules["## Salaries"]
    (folder / "access.toml").write_text(ACCESS)
    later = json.loads(ran(folder, "ask", "what does the pilot earn", "--as", "ana", "--json")[1])
    assert any("older than the rules" in passage["rule"] for passage in later["passages"])


def test_members_of_a_database_ask_like_any_other(tmp_path: Path) -> None:
    config = '[access.sql]\nurl = "sqlite:///people.db"\nquery = "SELECT login, team FROM members"\n'
    folder = made(tmp_path, '[services]\nbot = ["interns"]\n' + RULE, config)
    with sqlite3.connect(folder / "people.db") as db:
        db.execute("CREATE TABLE members (login TEXT, team TEXT)")
        db.executemany("INSERT INTO members VALUES (?, ?)", [("ana", "finance"), ("ana", "everyone"), ("bob", "everyone")])
    db.close()
    Project(folder).ingest()
    assert "900 coins" in shown(folder, "ana") and "900 coins" not in shown(folder, "bob")
    assert [item["from"] for item in Project(folder).report_access()["membership"]] == [str(folder / "access.toml"), "sqlite:///people.db"]
    (folder / "people.db").unlink()
    with pytest.raises(GroundtuneError, match="no such file"):
        shown(folder, "ana")


def test_a_token_asks_for_whom_it_proves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = '[access.tokens]\nissuer = "https://sso"\naudience = "kb"\nsecret_env = "KB_SECRET"\n'
    folder = made(tmp_path, ACCESS + RULE, config)
    monkeypatch.setenv("KB_SECRET", "s" * 32)
    Project(folder).ingest()
    claims = {"iss": "https://sso", "aud": "kb", "sub": "eve", "exp": int(time.time()) + 60, "groups": ["everyone"]}
    path = folder / "token"
    path.write_text(jwt.encode(claims, "s" * 32, algorithm="HS256") + "\n")
    code, out, err = ran(folder, "ask", "what does the pilot earn", "--token-file", str(path), "--why")
    assert code in (0, 1) and "thirty days" in out and "900 coins" not in out, err
    path.write_text(jwt.encode(claims, "t" * 32, algorithm="HS256"))
    code, out, err = ran(folder, "ask", "what does the pilot earn", "--token-file", str(path))
    assert code == 2 and out == "" and "not valid here" in err
    assert ran(folder, "ask", "x", "--token-file", str(path), "--as", "ana")[0] == 2
    assert ran(folder, "ask", "x")[0] == 2
    monkeypatch.delenv("KB_SECRET")
    assert "not set" in ran(folder, "ask", "x", "--token-file", str(path))[2]


def test_after_an_ingestion_that_was_killed_apply_writes_no_text_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundtune.chunks import manifest

    folder = made(tmp_path)
    Project(folder).ingest()
    written(folder, "open.md", "# Tide\n\nChanged words here.\n", "finance")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            Project(folder).ingest()
    (folder / "access.toml").write_text(ACCESS + RULE.replace('"interns"', '"user:ana"'))
    with pytest.raises(GroundtuneError, match=r"the text of open\.md is not in the index"):
        Project(folder).apply_access()
    assert "noon" in shown(folder, "ana")
    Project(folder).ingest()
    assert "900 coins" not in shown(folder, "ana")
