"""Rules, groups in groups and denials against an oracle that asks for each principal and each place alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.access.directory import read
from groundtune.access.filter import allowed
from groundtune.access.groups import closed, own
from groundtune.access.paths import fits, specificity
from groundtune.access.rules import People, Rule, ruling, spread
from groundtune.errors import ConfigError, GroundtuneError
from groundtune.types import Document, Principal, Section

CASES = int(os.environ.get("GROUNDTUNE_CASES", "300"))
GROUPS = ("a", "b", "c", "d")
HEADINGS = (("T",), ("T", "S"), ("T", "S", "U"))
# Each pattern, whether it is for f/d.md, and how specific it is: said here once more, by hand.
MATCHES = {
    "": (True, (0, 0)),
    "f/": (True, (1, 0)),
    "f/d.md": (True, (2, 0)),
    "f/*.md": (True, (1, 1)),
    "*.md": (False, (0, 1)),
    "g": (False, (1, 0)),
}
groups = st.frozensets(st.sampled_from(GROUPS), max_size=3)
readers = st.frozensets(st.sampled_from([*GROUPS, "everyone", own("x"), own("y")]), max_size=3)
# Only upwards in the alphabet, so that there is no cycle.
nestings = st.fixed_dictionaries({g: st.sets(st.sampled_from(GROUPS[i + 1 :] or ("d",)), max_size=2) for i, g in enumerate(GROUPS[:-1])})
rules = st.lists(
    st.builds(
        Rule,
        number=st.integers(1, 9),
        match=st.sampled_from(sorted(MATCHES)),
        section=st.sampled_from([(), ("S",), ("s", "U")]),
        allow=st.none() | readers,
        deny=readers,
        overrides=st.booleans(),
    ),
    max_size=5,
)
members = st.fixed_dictionaries({name: st.frozensets(st.sampled_from([*GROUPS, "everyone"]), max_size=3) for name in "xyz"})


def people_of(nested: dict[str, set[str]], members: dict[str, frozenset[str]]) -> People:
    above = closed(nested)
    held = {name: frozenset().union(*(above.get(g, frozenset({g})) for g in mine)) | {own(name)} for name, mine in members.items()}
    return People(principals={name: Principal(id=name, groups=mine) for name, mine in held.items()}, above=above)


def document(named: frozenset[str], *, unnamed: bool = False, source: str = "f/d.md") -> Document:
    return Document(id=f"document:{source}", source=source, title="", text="", content_hash="", readers=named, unnamed=unnamed)


def may_read(person: Principal, written: list[Rule], headings: tuple[str, ...], named: frozenset[str], unnamed: bool) -> bool:
    """The oracle: walk from the most specific level to the least, for one person at one place."""
    folded = [heading.casefold() for heading in headings]

    def holds(rule: Rule) -> bool:
        wanted = [heading.casefold() for heading in rule.section]
        return MATCHES[rule.match][0] and (not wanted or wanted in [folded[i : i + len(wanted)] for i in range(len(folded))])

    here = [(len(rule.section), *MATCHES[rule.match][1], rule) for rule in written if holds(rule)]
    for level in sorted({row[:3] for row in here}, reverse=True):
        said = [row[3] for row in here if row[:3] == level]
        if any(person.groups & rule.deny for rule in said):
            return False
        allowing = [rule for rule in said if rule.allow is not None]
        if allowing:
            bound = not unnamed and "everyone" not in named and not all(rule.overrides for rule in allowing)
            return all(person.groups & (rule.allow or frozenset()) for rule in allowing) and (not bound or bool(person.groups & named))
    return bool(person.groups & named)


@settings(max_examples=CASES, deadline=None)
@given(rules, nestings, members, readers, st.booleans(), st.integers(0, 2), st.integers(0, 2))
def test_nobody_reads_what_the_oracle_hides(
    written: list[Rule],
    nested: dict[str, set[str]],
    members: dict[str, frozenset[str]],
    named: frozenset[str],
    unnamed: bool,
    first: int,
    last: int,
) -> None:
    people = people_of(nested, members)
    found = [ruling(written, document(named, unnamed=unnamed), headings, people) for headings in HEADINGS]
    for person in people.principals.values():
        for headings, item in zip(HEADINGS, found, strict=True):
            wanted = may_read(person, written, headings, named, unnamed)
            shown = allowed(person).permits(item.readers)
            assert shown <= wanted, item.why()
            # One list of readers, or none: nothing has to be worked out without naming people, so nothing is lost either.
            if len(item.allowed_by) < 2 and item.own != "narrows":
                assert shown == wanted, item.why()
    every = frozenset().union(*(item.readers for item in found))
    sections = tuple(Section(10 * n, 10 * n + 10, spread(item.readers, every, people)) for n, item in enumerate(found))
    whole = Document(id="document:f/d.md", source="f/d.md", title="", text="", content_hash="", readers=frozenset(), sections=sections)
    low, high = sorted((first, last))
    chunk = whole.readers_of(10 * low, 10 * high + 10)
    for person in people.principals.values():
        if allowed(person).permits(chunk):
            assert all(may_read(person, written, HEADINGS[n], named, unnamed) for n in range(low, high + 1))


def test_patterns_fit_and_are_as_specific_as_the_oracle_has_them() -> None:
    for pattern, (fitting, specific) in MATCHES.items():
        assert fits(pattern, "f/d.md") is fitting
        assert specificity(pattern) == specific
    assert fits("hr", "hr/in/a.md") and fits("hr/", "hr.zip!/a.md") is False and fits("hr.zip", "hr.zip!/a.md")
    assert fits("mails/*.eml", "mails/a.eml!/offer.pdf") and not fits("**/*.pdf", "mails/a.eml!/offer.pdf")
    assert not fits("public/*", "public/drafts/a.md") and fits("public/**", "public/drafts/a.md") and not fits("h", "hr/a.md")


def rule(match: str, allow: set[str] | None = None, deny: set[str] | None = None, section: tuple[str, ...] = (), **more: bool) -> Rule:
    allowed_to = None if allow is None else frozenset(allow)
    return Rule(number=1, match=match, section=section, allow=allowed_to, deny=frozenset(deny or ()), **more)


def test_specific_beats_general_and_deny_beats_allow_at_the_same_specificity() -> None:
    people = people_of({}, {"x": frozenset({"a"}), "y": frozenset({"a", "b"})})

    def who(*written: Rule) -> frozenset[str]:
        return ruling(written, document(frozenset({"a"})), ("T", "S"), people).readers

    assert who(rule("f", {"a"}), rule("f", deny={"b"})) == {own("x")}
    assert who(rule("", deny={"b"}), rule("f", {"a"})) == {"a"}
    assert who(rule("f", {"a"}), rule("f/d.md", deny={"b"})) == {own("x")}
    assert who(rule("f/d.md", {"a"}), rule("f", set(), section=("S",))) == frozenset()
    assert who(rule("f/*.md", set()), rule("f/", {"a"})) == frozenset()


def test_a_document_cannot_open_what_a_rule_closed_and_may_narrow_it_unless_the_rule_overrides() -> None:
    people = people_of({}, {"x": frozenset({"a"})})

    def who(written: Rule, named: set[str], **more: bool) -> frozenset[str]:
        return ruling([written], document(frozenset(named), **more), (), people).readers

    assert who(rule("f", {"a"}), {"everyone"}) == {"a"}
    assert who(rule("f", {"a"}), {"b"}) == frozenset()
    assert who(rule("f", {"a"}), {own("x")}) == {own("x")}
    assert who(rule("f", {"a"}), set()) == frozenset()
    assert who(rule("f", {"a"}, overrides=True), {"b"}) == {"a"}
    assert who(rule("f", {"a"}), {"b"}, unnamed=True) == {"a"}
    assert who(rule("g", {"a"}), {"b"}, unnamed=True) == {"b"}


def test_the_reason_names_each_rule_that_counted() -> None:
    people = people_of({}, {"x": frozenset({"a"})})
    found = ruling([rule("f", {"a"}), rule("", deny={"b"}), rule("f", deny={"c"})], document(frozenset({own("x")})), (), people)
    assert found.why() == "rule 1 of access.toml (f), narrowed by the document's own readers, less c by rule 1 of access.toml (f)"
    assert ruling([], document(frozenset({"a"})), (), people).why() == "the document's own readers"
    assert ruling([], document(frozenset({"a"}), unnamed=True), (), people).why() == "the default readers of its source"


def test_a_cycle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a → b → a"):
        closed({"a": ["b"], "b": ["a"]})
    path = tmp_path / "access.toml"
    path.write_text('[groups]\na = ["b"]\nb = ["c"]\nc = ["a"]\n[principals]\nana = ["a"]\n')
    with pytest.raises(ConfigError, match="a → b → c → a"):
        read(path)
    assert len(closed({str(n): [str(n + 1)] for n in range(3000)})["0"]) == 3001


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rules]]\nmatch = "f"\nreaders = ["finanse"]\n', "did you mean 'finance'"),
        ('[[rules]]\nmatch = "f"\nreaders = ["user:anna"]\n', "did you mean 'ana'"),
        ('[[rules]]\nmatch = "../f"\nreaders = ["finance"]\n', "not the path of a folder"),
        ('[[rules]]\nmatch = "/f"\nreaders = ["finance"]\n', "not the path of a folder"),
        ('[[rules]]\nreaders = ["finance"]\n', "None is not a path"),
        ('[[rules]]\nmatch = "f"\n', "neither readers nor deny"),
        ('[[rules]]\nmatch = "f"\nreader = []\ndeny = ["finance"]\n', "did you mean 'readers'"),
        ('[[rules]]\nmatch = "f"\nreaders = ["finance"]\noverrides = "no"\n', "overrides must be true or false"),
        ('[[rules]]\nmatch = "f"\nreaders = ["finance"]\nsection = [3]\n', "section must be a heading"),
        ('[services]\nbot = ["user:ana"]\n', "somebody's own group"),
        ('[services]\nana = ["finance"]\n', "two principals of one name"),
        ("[groups]\nfinance = []\n[services]\nbot = ['finanse']\n", "did you mean 'finance'"),
    ],
)
def test_what_is_wrong_in_rules_is_said_with_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "access.toml"
    path.write_text('[principals]\nana = ["finance"]\n' + text)
    with pytest.raises(GroundtuneError) as raised:
        read(path)
    assert said in str(raised.value)


def test_rules_of_both_files_are_one_list_with_one_order(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text('[principals]\nana = ["finance", "hr"]\n[[rules]]\nmatch = "f/"\nreaders = ["finance"]\n')
    found = read(path, tables=[{"match": "f/d.md", "readers": ["hr"]}, {"match": "x", "metadata": {"product": "x"}}])
    assert [item.name for item in found.rules] == ["rule 1 of access.toml (f/)", "rule 1 of groundtune.toml (f/d.md)"]
    item = ruling(found.rules, document(frozenset({"everyone"})), (), found.people)
    assert item.readers == {"hr"} and item.why() == "rule 1 of groundtune.toml (f/d.md)"
    with pytest.raises(ConfigError, match=r"groundtune.toml: \[\[documents.rules\]\]: rule 1: readers: no group 'hx'"):
        read(path, tables=[{"match": "f/d.md", "readers": ["hx"]}])
