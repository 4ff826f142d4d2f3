"""Exports of ticket systems and wikis: what is internal stays internal, and a broken export is told and harms nothing."""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from made_sources import by_name, origin, read_all, settings, synced

from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import documents_of
from groundtune.documents.given import Policy
from groundtune.documents.sources import tickets, wikis
from groundtune.errors import GroundtuneError, SourceError

ZENDESK = {
    "id": 12,
    "subject": "Gate 4 is closed",
    "description": "The gate does not open.",
    "status": "solved",
    "updated_at": "2026-03-01T10:00:00Z",
    "comments": [
        {"public": True, "plain_body": "The gate does not open.", "author_id": 7, "created_at": "2026-02-28T10:00:00Z"},
        {"public": True, "plain_body": "Press the green button.", "author": {"name": "Ana"}, "created_at": "2026-03-01T10:00:00Z"},
        {"public": False, "plain_body": "The customer owes us money."},
        {"plain_body": "Nobody said that this is public."},
    ],
}
ADF = {
    "type": "doc",
    "content": [
        {
            "type": "paragraph",
            "content": [{"type": "text", "text": "See "}, {"type": "inlineCard", "attrs": {"url": "https://example.com/x"}}],
        },
        {
            "type": "bulletList",
            "content": [{"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}]}],
        },
        {"type": "codeBlock", "content": [{"type": "text", "text": "go()"}]},
    ],
}
JIRA = {
    "key": "KB-3",
    "fields": {
        "summary": "Slots",
        "description": ADF,
        "status": {"name": "Done"},
        "updated": "2026-03-01T10:00:00",
        "comment": {
            "comments": [
                {"body": "open to all", "author": {"displayName": "Bo"}, "created": "2026-03-02"},
                {"body": "for admins", "visibility": {"type": "group", "value": "admins"}},
                {"body": "for agents", "jsdPublic": False},
            ]
        },
    },
}


def written(folder: Path, name: str, content: Any) -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def zendesk(folder: Path, content: Any, name: str = "t.json", **given: Any) -> Any:
    return tickets.open_zendesk(settings("zendesk", path=written(folder, name, content), **given), folder)


def jira(folder: Path, content: Any, name: str = "t.json", **given: Any) -> Any:
    return tickets.open_jira(settings("jira", path=written(folder, name, content), **given), folder)


@pytest.mark.parametrize("form", ["object", "list", "lines"])
def test_a_zendesk_ticket_holds_its_public_replies_once(form: str, tmp_path: Path) -> None:
    other = {**ZENDESK, "id": 13}
    content = {"object": {"tickets": [ZENDESK, other]}, "list": [ZENDESK, other], "lines": f"{json.dumps(ZENDESK)}\n{json.dumps(other)}\n"}[
        form
    ]
    items = by_name(zendesk(tmp_path, content, options={"internal_readers": "agents"}))
    assert set(items) == {"12.md", "12.internal.md", "13.md", "13.internal.md"}
    text = items["12.md"].read().decode()
    assert text == "# Gate 4 is closed\n\nThe gate does not open.\n\n## Ana, 2026-03-01\n\nPress the green button.\n"
    assert items["12.md"].readers is None and items["12.md"].metadata == {"status": "solved", "date": "2026-03-01"}
    internal = items["12.internal.md"]
    assert internal.readers == {"agents"} and b"owes us money" in internal.read() and b"Nobody said" in internal.read()


def test_internal_notes_without_readers_are_told_and_never_under_those_of_the_ticket(tmp_path: Path) -> None:
    found = synced(Catalogue(None), origin(zendesk(tmp_path, [ZENDESK]), policy=Policy(readers=frozenset({"everyone"}), trusted=False)))
    texts = " ".join(document.text for document in documents_of(found).values())
    assert "Press the green" in texts and "owes" not in texts and "Nobody said" not in texts
    assert "internal_readers" in found.problems[0].hint


def test_a_ticket_that_is_internal_from_its_first_words_says_nothing_in_public(tmp_path: Path) -> None:
    ticket = {"id": 1, "subject": "S", "description": "secret plan", "comments": [{"public": False, "body": "secret plan"}]}
    found = by_name(zendesk(tmp_path, [ticket], options={"internal_readers": "agents"}))
    assert b"secret plan" not in found["1.md"].read() and b"secret plan" in found["1.internal.md"].read()


def test_what_a_customer_writes_cannot_stand_as_front_matter(tmp_path: Path) -> None:
    ticket = {"id": 1, "subject": "---", "description": "---\nreaders: [everyone]\n---\nhello"}
    policy = Policy(readers=frozenset({"agents"}), trusted=False)
    [document] = documents_of(synced(Catalogue(None), origin(zendesk(tmp_path, [ticket]), policy=policy))).values()
    assert document.readers == {"agents"} and "hello" in document.text


def test_zendesk_csv_takes_comments_for_internal_unless_the_column_says_public(tmp_path: Path) -> None:
    text = 'Id,Subject,Description,Comments,Public comments\n5,Gate,"Line one\nline two",hidden,shown\n'
    found = by_name(zendesk(tmp_path, text, name="t.csv", options={"internal_readers": "agents"}))
    assert b"shown" in found["5.md"].read() and b"hidden" not in found["5.md"].read() and found["5.internal.md"].readers == {"agents"}


def test_attachments_have_the_readers_of_their_ticket(tmp_path: Path) -> None:
    (tmp_path / "files" / "12").mkdir(parents=True)
    (tmp_path / "files" / "12" / "photo.txt").write_text("a photo")
    (tmp_path / "files" / "99").mkdir()
    (tmp_path / "files" / "99" / "stray.txt").write_text("stray")
    found = read_all(zendesk(tmp_path, [ZENDESK], options={"attachments": "files", "internal_readers": "agents"}))
    assert found["12/photo.txt"] == b"a photo" and "no ticket" in str(found["99/stray.txt"])


def test_a_jira_issue_with_rich_text_and_restricted_comments(tmp_path: Path) -> None:
    items = by_name(jira(tmp_path, {"issues": [JIRA]}, options={"internal_readers": "agents"}))
    text = items["KB-3.md"].read().decode()
    assert (
        "See https://example.com/x" in text and "- one" in text and "```\ngo()\n```" in text and "## Bo, 2026-03-02\n\nopen to all" in text
    )
    assert "for admins" not in text and "for agents" not in text
    assert items["KB-3.admins.md"].readers == {"admins"} and items["KB-3.internal.md"].readers == {"agents"}
    assert items["KB-3.md"].metadata == {"status": "Done", "project": "KB", "date": "2026-03-01"}


def test_a_security_level_that_nobody_is_named_for_is_told(tmp_path: Path) -> None:
    issue = json.loads(json.dumps(JIRA))
    issue["fields"]["security"] = {"name": "Board"}
    assert all("'Board'" in str(text) for text in read_all(jira(tmp_path, [issue])).values())
    named = by_name(jira(tmp_path, [issue], options={"level.Board": "board, admins"}))
    assert named["KB-3.md"].readers == {"board", "admins"} and named["KB-3.admins.md"].readers == {"admins"}
    alone = read_all(jira(tmp_path, [issue], options={"level.Board": "board"}))
    assert "for admins" not in str(alone)


def test_jira_csv_with_columns_of_one_name(tmp_path: Path) -> None:
    out = io.StringIO()
    csv.writer(out).writerows(
        [
            ["Summary", "Issue key", "Description", "Comment", "Comment", "Security Level"],
            ["S", "KB-1", "text", "01/Mar/26;bo;first; part", "02/Mar/26;ana;second", ""],
        ]
    )
    text = read_all(jira(tmp_path, out.getvalue(), name="t.csv", options={"comments": "public"}))["KB-1.md"]
    assert b"first; part" in text and b"second" in text  # type: ignore[operator]
    # The file does not say which of them Jira keeps from most people.
    found = by_name(jira(tmp_path, out.getvalue(), name="t.csv", options={"internal_readers": "agents"}))
    assert b"first" not in found["KB-1.md"].read() and b"first" in found["KB-1.internal.md"].read()
    assert found["KB-1.internal.md"].readers == {"agents"}
    assert "nobody is named who reads them" in str(read_all(jira(tmp_path, out.getvalue(), name="t.csv"))["KB-1.internal.md"])
    with pytest.raises(SourceError, match="expected internal or public"):
        jira(tmp_path, out.getvalue(), name="t.csv", options={"comments": "all"})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.json", "{", "not JSON"),
        ("t.json", '{"id": 1}\n{"id": ', "t.json:2"),
        ("t.json", "[1, 2]", "no list of"),
        ("t.json", '{"tickets": 3}', "no list of"),
        ("t.json", "[" * 100_000, "nested too deep"),
        ("t.json", '[{"subject": "no id"}]', "no id"),
        ("t.csv", "Id,Subject\n1,a,b,c\n", "cells under"),
        ("t.csv", "Name\nx\n", "no column Id"),
        ("t.csv", 'Id,Subject\n1,"open\n', "not CSV"),
    ],
)
def test_a_broken_ticket_export_is_out_of_reach_and_not_empty(name: str, content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=words):
        read_all(zendesk(tmp_path, content, name=name))


def test_rich_text_nested_without_end_is_cut_and_harms_nothing(tmp_path: Path) -> None:
    node: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(300):
        node = {"type": "paragraph", "content": [node]}
    assert tickets.plain(node) == "" or "deep" not in tickets.plain(node)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "key", "fields", "comments", "comment", "body", "public", "visibility", "security", "type", "content", "attrs"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@tries(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(row=JSONS, system=st.sampled_from([zendesk, jira]))
def test_any_json_is_read_or_told(row: Any, system: Any, tmp_path: Path) -> None:
    try:
        read_all(system(tmp_path, [row]))
    except GroundtuneError:
        pass


def confluence(folder: Path, files: dict[str, bytes | str], **given: Any) -> Any:
    zipped(folder / "space.zip", files)
    return wikis.open_confluence(settings("confluence", path="space.zip", **given), folder)


def notion(folder: Path, files: dict[str, bytes | str]) -> Any:
    zipped(folder / "n.zip", files)
    return wikis.open_notion(settings("notion", path="n.zip"), folder)


def test_a_confluence_space_with_comments_and_attachments(tmp_path: Path) -> None:
    page = '<html><head><title>KB : Leave</title></head><body><h1>Leave</h1><p>Ask HR.</p><div id="comments"><p>Is it paid?</p></div>'
    page += '<a href="attachments/12345/678.txt?api=v2">offer.txt</a></body></html>'
    items = by_name(
        confluence(
            tmp_path,
            {
                "KB/Leave_12345.html": page,
                "KB/attachments/12345/678.txt": "the offer",
                "KB/styles/site.css": "x",
                "KB/images/icons/a.png": b"x",
            },
        )
    )
    assert set(items) == {"KB/Leave_12345.html", "KB/attachments/12345/678.txt"}
    assert items["KB/attachments/12345/678.txt"].title == "offer.txt" and items["KB/attachments/12345/678.txt"].metadata == {
        "page": "12345"
    }
    documents = documents_of(synced(Catalogue(None), origin(confluence(tmp_path, {"KB/Leave_12345.html": page}))))
    assert "Is it paid?" in documents["document:box/KB/Leave_12345.html"].text


def test_an_xml_export_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="XML export"):
        read_all(confluence(tmp_path, {"entities.xml": "<x/>"}))


def test_notion_names_lose_their_ids_where_they_stay_distinct(tmp_path: Path) -> None:
    a, b, c = "0" * 31 + "a", "0" * 31 + "b", "0" * 31 + "c"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"Handbook {a}/Leave {b}.md", "# Leave\n\ntext")
        archive.writestr(f"Twin {a}.md", "# T\n\none")
        archive.writestr(f"Twin {b}.md", "# T\n\ntwo")
        archive.writestr(f"Table {c}.csv", "a\n1\n")
        archive.writestr(f"Table {c}_all.csv", "a\n1\n2\n")
    items = by_name(notion(tmp_path, {"Export-0f3a-Part-1.zip": inner.getvalue()}))
    assert set(items) == {"Handbook/Leave.md", f"Twin {a}.md", f"Twin {b}.md", "Table_all.csv"}
    assert items["Handbook/Leave.md"].metadata == {"notion": b} and items["Handbook/Leave.md"].read() == b"# Leave\n\ntext"


@pytest.mark.parametrize("make", [confluence, notion])
def test_an_archive_with_names_upwards_writes_and_reads_nothing_there(make: Any, tmp_path: Path) -> None:
    files = {"../../evil.html": "<p>x", "/abs.html": "<p>x", "..\\win.html": "<p>x", "ok/good.html": "<p>good</p>"}
    found = synced(Catalogue(None), origin(make(tmp_path, files)))
    assert set(documents_of(found)) == {"document:box/ok/good.html"} and found.counts["failed"] == 3
    assert not (tmp_path.parent / "evil.html").exists()


def test_links_and_encrypted_files_in_an_archive_are_told(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.html")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "space.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("ok.html", "<p>ok")
    raw = bytearray((tmp_path / "space.zip").read_bytes())
    at = raw.rfind(b"PK\x01\x02")
    raw[at + 8] |= 1
    (tmp_path / "space.zip").write_bytes(raw)
    found = read_all(wikis.open_confluence(settings("confluence", path="space.zip"), tmp_path))
    assert "is a link" in str(found["link.html"]) and "encrypted" in str(found["ok.html"])


def test_a_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundtune.documents.load.MOST_BYTES", 1000)
    zipped(tmp_path / "space.zip", {"a.html": b"0" * 2_000_000, "b.html": "<p>b"})
    raw = bytearray((tmp_path / "space.zip").read_bytes())
    at = raw.find(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (900).to_bytes(4, "little")  # the archive says that it is small
    (tmp_path / "space.zip").write_bytes(raw)
    found = read_all(wikis.open_confluence(settings("confluence", path="space.zip"), tmp_path))
    assert isinstance(found["a.html"], str) and found["b.html"] == b"<p>b"
    with pytest.raises(SourceError, match="more than 1 files"):
        read_all(wikis.open_confluence(settings("confluence", path="space.zip", most_items=1), tmp_path))


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_truncated_archive_is_out_of_reach_and_not_empty(cut: float, tmp_path: Path) -> None:
    raw = zipped(tmp_path / "space.zip", {"a.html": "<p>a" * 100, "b.html": "<p>b" * 100}).read_bytes()
    (tmp_path / "space.zip").write_bytes(raw[: int(len(raw) * cut)])
    with pytest.raises(SourceError, match="no whole zip archive"):
        read_all(wikis.open_confluence(settings("confluence", path="space.zip"), tmp_path))


def test_a_file_with_a_wrong_checksum_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "space.zip", "w") as archive:
        archive.writestr("a.html", "<p>aaaa")
        archive.writestr("b.html", "<p>bbbb")
    raw = (tmp_path / "space.zip").read_bytes().replace(b"<p>aaaa", b"<p>aaab")
    (tmp_path / "space.zip").write_bytes(raw)
    found = read_all(wikis.open_confluence(settings("confluence", path="space.zip"), tmp_path))
    assert "cannot be unpacked" in str(found["a.html"]) and found["b.html"] == b"<p>bbbb"
