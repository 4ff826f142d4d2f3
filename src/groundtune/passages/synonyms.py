"""A text file of the project's own words → what else to search for when one of them is asked.

    # one line for each set of words that mean the same here
    TOS, terminal operating system
    haulier, carrier, trucking company
    # an arrow: who asks for the left also gets the right, not the other way round
    ULD => unit load device

Only the search by words is widened; the search by meaning, the prompt and the answer keep the question as it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundtune.chunks.words import words
from groundtune.errors import ConfigError, Problems

HINT = "write: word, other word; or: word => other word; then type: groundtune check"
MOST_ADDED = 24  # words; a question is not to drown in what it might mean


@dataclass(frozen=True, slots=True)
class Synonyms:
    """What is written for a phrase, by its first word: ``rules["tos"] = [(("tos",), ("terminal operating system",))]``."""

    rules: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]]

    def widen(self, question: str) -> str:
        """Return the question with the synonyms of its words behind it; itself where there are none."""
        asked = words(question)
        known, added = set(asked), list[str]()
        for place, word in enumerate(asked):
            for phrase, others in self.rules.get(word, ()):
                if tuple(asked[place : place + len(phrase)]) != phrase:
                    continue
                for other in others:
                    new = [part for part in words(other) if part not in known]
                    if len(added) + len(new) <= MOST_ADDED:
                        known.update(new)
                        added += new
        return f"{question} {' '.join(added)}" if added else question


def load(path: Path) -> Synonyms:
    """Read a file of synonyms. Raises ``ConfigError`` for one line that is none, and ``Problems`` for several."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", "correct passages.synonyms, then type: groundtune check") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "save it as UTF-8, then type: groundtune check") from None
    problems: list[ConfigError] = []
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            for phrase, others in _line(line.partition("#")[0]):
                found.setdefault(phrase, {}).update(dict.fromkeys(others))
        except ValueError as error:
            problems.append(ConfigError(f"{path}:{number}: {error}", HINT))
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    rules: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {}
    for phrase, others_of in found.items():
        rules[phrase[0]] = (*rules.get(phrase[0], ()), (phrase, tuple(others_of)))
    return Synonyms(rules)


def _line(line: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    if not line.strip():
        return
    left, arrow, right = line.partition("=>")
    if "=>" in right:
        raise ValueError("more than one arrow; expected: word => other word")
    asked = _terms(left)
    given = _terms(right) if arrow else asked
    if len(asked) < (1 if arrow else 2) or not given:
        raise ValueError("one word alone; expected at least two, with a comma or an arrow between them")
    for term in asked:
        others = [other for other in given if words(other) != words(term)]
        if others:
            yield tuple(words(term)), others


def _terms(text: str) -> list[str]:
    terms = [term.strip() for term in text.split(",")]
    for term in terms:
        if term and not words(term):
            raise ValueError(f"{term!r} has no letter or digit")
    return [term for term in terms if term]
