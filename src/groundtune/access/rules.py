"""Rules → readers of a place in a document, with the rules that decided.

    match = ""                                 readers = ["staff"]
    match = "finance/"                         readers = ["finance"]   deny = ["interns"]
    match = "finance/q3.md" section = "Bonus"  readers = ["user:ana"]

Whether they stand in access.toml or in groundtune.toml, there is one order: a longer section beats a shorter one, then a longer path a
shorter. Of the rules that fit a place, the most specific with ``readers`` says who reads it; ``deny`` of a rule at least as specific takes
away from that. So specific beats general, and at the same specificity deny beats allow. What a document says of itself can only narrow
what a rule allows (unless the rule ``overrides``), and counts by itself where no rule allows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.access import paths
from groundtune.access.groups import USER, own, widened
from groundtune.types import Document, Principal

OPEN = frozenset({"everyone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule table, ``number`` from 1 in its file. ``allow`` is ``None`` where it names no readers; empty means that nobody reads."""

    number: int
    match: str
    section: tuple[str, ...] = ()
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    overrides: bool = False
    written_in: str = "access.toml"

    @property
    def name(self) -> str:
        """What people call it: ``rule 3 of access.toml (finance/q3.md › Bonus)``."""
        return f"rule {self.number} of {self.written_in} ({' › '.join([self.match or 'all documents', *self.section])})"

    @property
    def specificity(self) -> tuple[int, int, int]:
        """How specific it is; larger beats smaller."""
        return len(self.section), *paths.specificity(self.match)

    def of(self, source: str) -> bool:
        """Return whether it speaks of this document, or of a section of it."""
        return paths.fits(self.match, source)

    def holds(self, headings: Sequence[str]) -> bool:
        """Return whether it speaks of text below these headings, in a document that it is of."""
        wide = len(self.section)
        wanted, found = [same(item) for item in self.section], [same(item) for item in headings]
        return not wide or any(found[at : at + wide] == wanted for at in range(len(found) - wide + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who there is when readers are worked out: principals with all groups that they are in, and the groups above each group.

    ``open``: groups that are all people; a document that names one of them narrows nothing.
    """

    principals: Mapping[str, Principal] = field(default_factory=dict)
    above: Mapping[str, frozenset[str]] = field(default_factory=dict)
    open: frozenset[str] = OPEN

    def over(self, reader: str) -> frozenset[str]:
        """Return a reader and all groups that whoever it names is in for certain."""
        found = widened([reader], self.above)
        person = self.principals.get(reader.removeprefix(USER)) if reader.startswith(USER) else None
        return found | person.groups if person is not None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Who reads a place, and why: the rules that allowed, the denials that counted, and what the document's own word did.

    ``own`` is ``alone`` where no rule allows and the document's word counts, ``default`` where it has none either, ``narrows`` where
    it takes away from a rule, and ``nothing`` where it changes nothing.
    """

    readers: frozenset[str]
    allowed_by: tuple[Rule, ...]
    denied_by: tuple[Rule, ...]
    own: str

    def why(self) -> str:
        """Return the reason in words."""
        if self.allowed_by:
            by = " and ".join(rule.name for rule in self.allowed_by)
            by += ", narrowed by the document's own readers" if self.own == "narrows" else ""
        else:
            by = "the default readers of its source" if self.own == "default" else "the document's own readers"
        return by + "".join(f", less {', '.join(sorted(rule.deny))} by {rule.name}" for rule in self.denied_by)


def same(heading: str) -> str:
    """Return a heading in the form in which two are compared."""
    return " ".join(unicodedata.normalize("NFC", heading).casefold().split())


def ruling(rules: Iterable[Rule], document: Document, headings: Sequence[str], people: People) -> Ruling:
    """Return who reads the text below these headings. ``document.readers`` are those that it names, or its source's default.

    Readers that a document names itself can only narrow what a rule allows, so that whoever writes content cannot open what a rule closed.
    Where they are empty, that is nobody, whatever a rule says that does not override them.
    """
    fitting = [rule for rule in rules if rule.of(document.source) and rule.holds(headings)]
    top = max((rule.specificity for rule in fitting if rule.allow is not None), default=(-1, -1, -1))
    # Rules of one specificity have to agree.
    allowing = tuple(rule for rule in fitting if rule.allow is not None and rule.specificity == top)
    denying = tuple(rule for rule in fitting if rule.deny and rule.specificity >= top)
    allow, word = document.readers, "default" if document.unnamed else "alone"
    if allowing:
        allow, word = allowing[0].allow or frozenset(), "nothing"
        for rule in allowing[1:]:
            allow = meet(allow, rule.allow or frozenset(), people)
        silent = document.unnamed or all(rule.overrides for rule in allowing)
        if not silent and people.open.isdisjoint(document.readers):
            narrowed = meet(allow, document.readers, people)
            allow, word = narrowed, "nothing" if narrowed == allow else "narrows"
    denied = frozenset().union(*(rule.deny for rule in denying))
    return Ruling(readers=without(allow, denied, people), allowed_by=allowing, denied_by=denying, own=word)


def meet(left: frozenset[str], right: frozenset[str], people: People) -> frozenset[str]:
    """Return the readers that are certain to be among both: of two nested groups the inner one, a user where a group holds them.

    Two groups that share members by chance have no reader in common: the strictest that a set of names can say without naming people.
    """
    return frozenset(
        reader for ours, theirs in ((left, right), (right, left)) for reader in ours if not people.over(reader).isdisjoint(theirs)
    )


def without(readers: frozenset[str], denied: frozenset[str], people: People) -> frozenset[str]:
    """Return the readers less everybody in a denied group, by name.

    "In staff, and not in interns" is no union of groups: the readers that are left are the known principals themselves. One who is not
    known here, be it that only a token names them, is not among them: a denial closes rather than opens.
    """
    if not denied:
        return readers
    return frozenset(
        own(name)
        for name, person in people.principals.items()
        if not person.groups.isdisjoint(readers) and person.groups.isdisjoint(denied)
    )


def spread(readers: frozenset[str], named: frozenset[str], people: People) -> frozenset[str]:
    """Return the readers with all of ``named`` that are certain to be among them, so that plain intersection is ``meet()``."""
    return readers | frozenset(reader for reader in named if not people.over(reader).isdisjoint(readers))
