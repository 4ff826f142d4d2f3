"""Who may read an item, and what is known of it: the nearest to the text wins, and not supplied is never everyone."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from made_sources import Memory, origin, synced

from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import documents_of
from groundtune.documents.given import Given, Policy, Rule, made, matches, read_sidecar
from groundtune.documents.given import given as weigh
from groundtune.documents.sources.folder import Item
from groundtune.errors import DocumentError
from groundtune.types import Document

PLAIN = "# A\n\ntext"
NAMED = "---\nreaders: [file]\nteam: file\n---\n# A\n\ntext"


def read(texts: dict[str, str], policy: Policy) -> tuple[dict[str, Document], list[str]]:
    found = synced(Catalogue(None), origin(Memory(texts), policy=policy))
    return documents_of(found), [error.message for error in found.problems]


def test_the_nearest_to_the_text_wins() -> None:
    rules = (Rule(match="box/**", metadata={"team": "rule", "from": "rule"}),)
    policy = Policy(readers=frozenset({"source"}), rules=rules, metadata={"from": "source", "origin": "source"})
    texts = {"a.md": NAMED, "a.md.meta.toml": 'readers = ["sidecar"]\nteam = "sidecar"\nsize = 3', "b.md": PLAIN, "c.md": PLAIN}
    texts["c.md.meta.toml"] = 'readers = ["sidecar"]'
    documents, problems = read(texts, policy)
    assert not problems
    assert {key.removeprefix("document:box/"): (sorted(d.readers), d.unnamed) for key, d in documents.items()} == {
        "a.md": (["file"], False),
        "b.md": (["source"], True),
        "c.md": (["sidecar"], False),
    }
    assert documents["document:box/a.md"].metadata == {"team": "file", "from": "rule", "origin": "source", "size": "3"}


def test_a_rule_of_readers_covers_what_names_none_and_leaves_it_to_be_worked_out() -> None:
    policy = Policy(rules=(Rule(match="box/hr/", covers=True),))
    documents, problems = read({"hr/a.md": PLAIN, "hr/in/b.md": NAMED, "c.md": PLAIN}, policy)
    assert ["c.md" in problem for problem in problems] == [True]
    assert {key.removeprefix("document:box/"): (sorted(d.readers), d.unnamed) for key, d in documents.items()} == {
        "hr/a.md": ([], True),
        "hr/in/b.md": (["file"], False),
    }


def test_not_supplied_is_an_error_and_never_everyone() -> None:
    documents, problems = read({"a.md": PLAIN}, Policy())
    assert not documents and "names no readers" in problems[0]
    documents, problems = read({"a.md": NAMED}, Policy(trusted=False))
    assert not documents and "not trusted" in problems[0]


def test_a_file_from_a_source_that_is_not_trusted_cannot_widen_its_readers() -> None:
    policy = Policy(readers=frozenset({"agents"}), trusted=False)
    documents, _ = read(
        {"a.md": "---\nreaders: [everyone]\n---\n# A\n\ntext", "b.html": '<meta name="readers" content="everyone"><p>text'}, policy
    )
    assert [sorted(document.readers) for document in documents.values()] == [["agents"], ["agents"]]
    documents, problems = read({"a.md": PLAIN, "a.md.meta.toml": 'readers = ["everyone"]'}, policy)
    assert not documents and "not trusted" in problems[0]


def test_a_changed_sidecar_changes_its_document() -> None:
    catalogue, box = Catalogue(None), Memory({"a.md": PLAIN, "a.md.meta.toml": 'readers = ["x"]'})
    synced(catalogue, origin(box, policy=Policy()))
    box.texts["a.md.meta.toml"] = 'readers = ["y"]\ntitle = "Better"'
    document = documents_of(synced(catalogue, origin(box, policy=Policy())))["document:box/a.md"]
    assert document.readers == {"y"} and document.title == "Better"
    del box.texts["a.md.meta.toml"]
    assert synced(catalogue, origin(box, policy=Policy())).counts["failed"] == 1


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"readers = [", "not TOML"),
        (b"\xff", "not UTF-8"),
        (b"a = [1, 2]", "more than one value"),
        (b"[a]\nb = 1", "more than one value"),
        (b"a = " + b"[" * 50_000, "TOML"),
        (b"#" * 100_001, "bytes"),
    ],
)
def test_a_bad_sidecar_is_told(written: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_sidecar("a.md.meta.toml", written)


@pytest.mark.parametrize("readers", ["3", "[1]", "{a = 1}", '[""]'])
def test_readers_of_a_sidecar_that_are_no_groups_are_told(readers: str) -> None:
    documents, problems = read({"a.md": PLAIN, "a.md.meta.toml": f"readers = {readers}"}, Policy(readers=frozenset({"everyone"})))
    assert not documents and "list of group names" in problems[0]


def test_a_sidecar_without_its_file_is_told() -> None:
    documents, problems = read({"b.md": PLAIN, "a.md.meta.toml": "x = 1"}, Policy(readers=frozenset({"x"})))
    assert set(documents) == {"document:box/b.md"} and "is not there" in problems[0]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("hr/**", "hr/a/b.md", True),
        ("hr/**", "hrx/a.md", False),
        ("*.md", "a.md", True),
        ("*.md", "in/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "in/deep/a.md", True),
        ("a?.md", "ab.md", True),
        ("a.md", "aXmd", False),
        ("[x].md", "[x].md", True),
    ],
)
def test_patterns_stay_within_a_folder_unless_doubled(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


GROUPS = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=2)


@settings(max_examples=200, deadline=None)
@drawn(own=st.none() | GROUPS, column=st.none() | GROUPS, covered=st.booleans(), source=st.none() | GROUPS, trusted=st.booleans())
def test_readers_come_only_from_who_may_name_them(
    own: frozenset[str] | None, column: frozenset[str] | None, covered: bool, source: frozenset[str] | None, trusted: bool
) -> None:
    head = "" if own is None else f"---\nreaders: [{', '.join(sorted(own))}]\n---\n"
    policy = Policy(readers=source, trusted=trusted, rules=(Rule(match="**", covers=covered),))
    item = Item(name="a.md", read=lambda: b"", readers=column)
    known: Given = weigh("box/a.md", item, policy, None)
    documents, problems = made("box/a.md", f"{head}# A\n\ntext".encode(), known)
    named = next((readers for readers in (own if trusted else None, column) if readers is not None), None)
    if named is None and source is None and not covered:
        assert not documents and problems
    else:
        assert [(document.readers, document.unnamed) for document in documents] == [(named or frozenset(), named is None)]
