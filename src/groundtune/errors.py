"""Every error a user can meet. Each prints as two lines: what is wrong, and the next command to type.

GroundtuneError
├── ConfigError        groundtune.toml or a file it names is not as it should be
├── InputError         a document, an example or a question is not as it should be
│   ├── DocumentError
│   ├── SourceError    a source of documents cannot be reached, or lists what cannot be trusted
│   ├── ExampleError
│   ├── UnknownName    a principal, an arm, a plug-in, a verb's argument that does not exist
│   │   └── UnknownMetric  a rubric or [scores] names a metric that nothing measures
│   └── TokenError     a token proves nothing: its signature, issuer, audience, time or claims are wrong
│       └── KeysError  the keys of the tokens' issuer cannot be had, so no token can be checked
├── StateError         the project is not in the state that the verb needs
│   ├── LockedError    the test set or the rubric changed after it was locked
│   ├── NotComparable  two decisions were made on different test sets
│   ├── BrokenLog      the decision log, or a record that it names, is not as it was written
│   ├── StaleIndex     the index was built by another embedder or splitter, or does not hold what the ledger says
│   ├── NothingToLearn  a training set is empty, was rejected whole, or teaches one thing only
│   ├── HalfWritten    a model version or an export was broken off while it was written
│   └── StaleCalibration  the abstention was calibrated for another index version, search, prompt or model
├── ModelError         a model cannot be found, loaded or reached
│   ├── WeightsError   missing weights, or weights with a wrong checksum
│   ├── OtherBase      an adapter was made for another base model than the project's
│   ├── OtherTemplate  a model was tuned under another chat template than the tokenizer has now
│   ├── UnsafeWeights  a pickle, a link or a malformed weight file, which is never opened
│   ├── ExportRefused  a model cannot be written in that form, or answers differently in it
│   ├── EndpointError  a remote model timed out, refused or answered nonsense
│   └── JudgeError     the judge is the model that wrote the answers, or its labels cannot be used
├── MissingExtra       an optional dependency is not installed
├── StorageError       the disk is full, or a file cannot be written
└── Problems           several of the above, found in one pass
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

MOST_COMPARED = 2_000  # names; each takes some hundredths of a millisecond, and a file may hold as many wrong ones


def meant(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" for the known name that is most like this one, or nothing; nothing too where there are very many."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=1) if len(names) <= MOST_COMPARED else []
    return f"; did you mean {near[0]!r}?" if near else ""


class GroundtuneError(Exception):
    """``message`` names the file, line or key and what was expected; ``hint`` ends with the command to type next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"


class ConfigError(GroundtuneError):
    """groundtune.toml, or a file that it names, is not as it should be."""


class InputError(GroundtuneError):
    """Something that a user handed in is not as it should be."""


class DocumentError(InputError):
    """A document cannot be read, or says nothing.

    ``state`` is what kind of trouble it is, so that files can be counted and retried by it: ``unreadable`` (not as its format wants it),
    ``no readers``, ``unsupported`` (no loader), ``wrong type`` (its first bytes are those of another format), ``encrypted``, ``too large``
    (over a limit of size, pages, parts or memory), ``timed out``, ``crashed`` (its reader was ended by a signal), ``no text layer``.
    """

    def __init__(self, message: str, hint: str, *, state: str = "unreadable") -> None:
        super().__init__(message, hint)
        self.state = state


class SourceError(InputError):
    """A source of documents cannot be reached or listed. What was read from it before stays as it was."""


class ExampleError(InputError):
    """A labelled example is malformed, or its evidence is in no document."""


class UnknownName(InputError):
    """A name that nothing here goes by; the message lists the known ones."""

    @classmethod
    def of(cls, what: str, name: str, known: Sequence[str], hint: str) -> Self:
        """Build the message from what was asked for and what there is."""
        listed = ", ".join(sorted(known)) or "none"
        return cls(f"unknown {what} {name!r}{meant(name, known)}; known: {listed}", hint)


class TokenError(InputError):
    """A token proves nothing here: its signature, issuer, audience, time or claims are not as they have to be."""


class KeysError(TokenError):
    """The keys of the tokens' issuer cannot be fetched, or are too old: no token can be checked, so none is taken."""


class UnknownMetric(UnknownName):
    """A rubric or ``[scores]`` names a metric that nothing here or installed measures, or a plug-in that is none."""


class StateError(GroundtuneError):
    """The project is not in the state that the verb needs."""


class LockedError(StateError):
    """The test set, the rubric or the arms changed after they were locked."""


class NotComparable(StateError):
    """Two decisions were made on different test sets, so their numbers say nothing about each other."""


class BrokenLog(StateError):
    """The decision log, or a record that it names, is not as it was written and signed."""


class StaleIndex(StateError):
    """The index does not match what the project now asks for, or what the ledger says it holds."""


class NothingToLearn(StateError):
    """A training set is empty, none of its rows is approved, or all of them teach one and the same thing."""


class HalfWritten(StateError):
    """A model version or an export was broken off while it was written; nothing of it is used."""


class StaleCalibration(StateError):
    """An arm's abstention was calibrated for something else than what would answer now: its threshold means nothing there."""


class ModelError(GroundtuneError):
    """A model cannot be found, loaded or reached."""


class WeightsError(ModelError):
    """Model weights are missing, or their checksum is not the pinned one."""


class OtherBase(ModelError):
    """An adapter was made for another base model than the one that the project names."""


class OtherTemplate(ModelError):
    """A model was tuned under another chat template than the base's tokenizer has now, so its prompts would be none that it knows."""


class UnsafeWeights(ModelError):
    """A pickle, a link or a malformed weight file lies where weights should be; it is not opened."""


class ExportRefused(ModelError):
    """A model cannot be written in the form that was asked for, or answers differently once it is."""


class EndpointError(ModelError):
    """A remote model timed out, refused, or answered something that is not an answer."""


class JudgeError(ModelError):
    """The judge is the model that wrote the answers, or its rubric or the people's labels beside it cannot be used."""


class MissingExtra(GroundtuneError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, module: str, extra: str) -> MissingExtra:
        """Name the module that is missing and the extra that brings it."""
        return cls(f"{module} is not installed", f"type: pip install 'groundtune[{extra}]'")


class StorageError(GroundtuneError):
    """The disk is full, or a file cannot be written; nothing half-written is left behind."""


class Problems(GroundtuneError):
    """Several errors found in one pass, so that they can be mended in one pass."""

    def __init__(self, problems: Sequence[GroundtuneError], hint: str = "mend these, then type: groundtune check") -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        lines = "\n".join(f"  - {p.message}" for p in self.problems)
        super().__init__(f"{len(self.problems)} {noun} found:\n{lines}", hint)
