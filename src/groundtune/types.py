"""The way of the data, top to bottom, as frozen dataclasses. Standard library only.

    Document → Chunk → Passage → Answer → Score → Estimate → Decision → Release

Every identifier is a string with a kind prefix (``document:product/v5/slots.md``, ``answer:9f2c…``), so that one verb can take
any of them. What several folders share lives here; what one step hands to its neighbour stays with that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from groundtune.annex import Annex

# ── who asks, and what there is to know ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody, or something, that asks. ``groups`` decides what may be read; nobody is in no group by accident."""

    id: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """From character ``start`` of a document's text on, up to the next place, the text is from ``name``: "page 3", "Prices!row 14"."""

    start: int
    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """``text[start:end]`` of a document, and who reads it."""

    start: int
    end: int
    readers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source text, as it was read.

    ``id`` is ``document:`` + the path below the documents folder; ``text`` is the normalised text (Markdown for HTML sources) that
    every offset points into. ``content_hash`` is over the text, the title, the metadata and the places, never over the readers: who may
    read is written by another hand than what is written. ``readers`` empty means nobody. ``places`` says where in the source each part of
    the text stands, in rising order of their starts; empty for sources that have nothing but headings.

    ``unnamed``: nothing of the document itself says who reads it; ``readers`` are then a default, which any rule replaces. ``sections``
    cover the text where rules give its parts different readers; ``readers`` are then those who may read all of it.
    """

    id: str
    source: str
    title: str
    text: str
    content_hash: str
    readers: frozenset[str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    sections: tuple[Section, ...] = ()
    unnamed: bool = False

    def readers_of(self, start: int, end: int) -> frozenset[str]:
        """Return who may read ``text[start:end]``: those whom every section that it overlaps names; ``readers`` without sections."""
        touched = [item.readers for item in self.sections if item.start < end and start < item.end]
        return frozenset.intersection(*touched) if touched else self.readers

    @property
    def any_readers(self) -> frozenset[str]:
        """Who may read some of it, or all."""
        return self.readers.union(*(item.readers for item in self.sections))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document that is searched as one. ``document.text[start:end] == text``, in characters.

    ``ordinal`` counts from 0 within the document; ``heading_path`` is the headings above it, outermost first. ``place`` is where all of
    it stands in the source ("pages 3-4"), ``places`` the document's places that it touches, so that a quote from it gets its own.
    ``lead`` is the blanks between the chunk before it and itself, so that neighbours can be put together again exactly. ``reads`` is the
    first and the last ordinal of the chunks that are read when this one is found; ``None``: itself alone. ``context`` is the line that is
    searched before the text; ``None``: its title and headings.
    """

    id: str
    document_id: str
    document_hash: str
    ordinal: int
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...]
    title: str
    readers: frozenset[str]
    tokens: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    places: tuple[Place, ...] = ()
    lead: str = ""
    reads: tuple[int, int] | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk that was found for a question, and why it was shown; where more is read than is searched, the wider text around it.

    ``score`` is the fused score; ``found_by`` holds the rank (from 1) in each search that found it; ``similarity`` is the cosine
    with the question, or ``None`` when no vector search ran; ``allowed_by`` names the reader groups that let the asker see it.
    ``rule`` says in words which rule made these its readers; empty where nobody asked. ``scores`` holds what the search by words gave the
    question (``bm25``), the fusion (``fused``) and a reranker (``rerank``).
    """

    chunk: Chunk
    rank: int
    score: float
    similarity: float | None
    found_by: Mapping[str, int]
    allowed_by: tuple[str, ...]
    rule: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


# ── what is asked, and how it is answered ──

Kind = Literal["answerable", "version", "forbidden", "refuse", "out_of_scope", "adversarial"]
Split = Literal["train", "dev", "test", "holdout"]
Asked = Literal["test", "holdout"]  # the splits that decide
HELD: tuple[Split, ...] = ("dev", "test", "holdout")  # the splits that nothing may be trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Gold evidence: a verbatim quote, as character offsets into ``Document.text``; never a chunk id."""

    document_id: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A labelled question: who asks, what a good reply is, and where the document says so.

    ``reply`` is the wanted JSON object; ``answerable`` is false when the right reply is a refusal, be it that no document says it
    or that ``asker`` may not see the one that does. ``split_group`` keeps questions of one source on one side of a split. ``also`` are
    other wordings of the answer that are as good: text metrics take them as further references, and nothing is trained on them.
    """

    id: str
    question: str
    asker: str
    reply: Mapping[str, Any]
    evidence: tuple[Evidence, ...]
    answerable: bool
    split: Split
    split_group: str
    kind: Kind = "answerable"
    filter: Mapping[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of answering, as data: all arms go through the same ``respond()``.

    ``adapter`` names a ``[tuning.*]`` table of groundtune.toml, or ``None`` for the base model. ``shots`` examples from the
    training split are shown in the prompt. ``constrained`` decodes against the project's reply schema.
    """

    name: str
    retrieves: bool = False
    adapter: str | None = None
    shots: int = 0
    whole_corpus: bool = False
    constrained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A quote that was found in a passage the asker may see: ``document.text[start:end]``, in characters.

    ``place`` is where the quote itself stands in the source ("page 3"), or empty where the source has no places.
    """

    document_id: str
    chunk_id: str
    quote: str
    start: int
    end: int
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Wall-clock seconds as the asker would feel them; ``batch`` is how many questions were answered at once.

    ``first_token`` and ``total`` count from the start of the batch; ``retrieval`` is this question's own.
    """

    retrieval: float = 0.0
    first_token: float | None = None
    total: float = 0.0
    batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence of a passage at ``document.text[start:end]``; ``says`` is its figure ("4 hours").

    ``version`` and ``date`` are what its document says of itself, empty where it says nothing.
    """

    document_id: str
    chunk_id: str
    text: str
    start: int
    end: int
    says: str
    version: str = ""
    date: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two sentences about the same that give different figures. ``newer`` is whether their versions or dates put the first one later.

    ``why`` says how the two were paired, in words.
    """

    first: Statement
    second: Statement
    newer: bool
    why: str


Abstained = Literal["answered", "declined", "below threshold", "nothing found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """Why an answer was given or withheld.

    ``nothing found``: no passage, so nothing was asked; ``below threshold``: less sure than the calibration asks for, so that the
    project's fallback stands in the answer's place and ``withheld`` holds what the model had written (empty where it was not asked);
    ``declined``: the model's own refusal. ``probability`` is that of the passages holding the answer, ``None`` without a calibration.
    """

    state: Abstained
    probability: float | None = None
    threshold: float | None = None
    calibration: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an arm said. ``failure`` is why there is no answer; a failed answer counts against its arm, in the open.

    ``text`` is the model's raw output. ``reply`` is that text parsed as a JSON object, or ``None`` when it is not one. ``said``
    is the part a person reads: the reply's answer field, else the raw text. ``cited`` holds only quotes that were found;
    ``quoted`` is what the model offered as a quote, found or not. ``refused`` is whether it declines to answer. ``fallback``
    marks a refusal made without asking the model, because nothing was found. ``unsupported`` holds the sentences that no shown
    passage supports, where the project has them flagged, or left out of ``said``. ``abstention`` is why it was given or withheld, where
    that was judged; ``conflicts`` are passages that contradict each other in a figure.
    """

    id: str
    question: str
    asker: str
    arm: str
    text: str
    said: str
    reply: Mapping[str, Any] | None
    quoted: str
    cited: tuple[Citation, ...]
    refused: bool
    fallback: bool
    passages: tuple[Passage, ...]
    model: str
    prompt_hash: str
    prompt_tokens: int
    completion_tokens: int
    seconds: Seconds
    cost: float
    failure: str | None = None
    example_id: str | None = None
    messages: tuple[Mapping[str, str], ...] = ()
    unsupported: tuple[str, ...] = ()
    abstention: Abstention | None = None
    conflicts: tuple[Conflict, ...] = ()


# ── what it was worth ──

Evidenced = Literal["measured", "not run", "failed", "too few"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric on one answer. ``value`` is ``None`` when the metric does not apply (``reason`` says why) or scoring failed."""

    answer_id: str
    example_id: str
    arm: str
    metric: str
    value: float | None
    reason: str
    signature: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean, or a paired difference of means (``arm`` minus ``versus``), with its interval.

    ``value``, ``low`` and ``high`` are ``None`` unless ``state`` is ``measured``. ``n`` counts the questions behind it,
    ``n_failed`` those whose answer failed (counted as the worst value). ``p_value`` is two-sided; ``p_holm`` is the same after
    Holm's correction over the arms compared.
    """

    metric: str
    arm: str
    versus: str | None
    state: Evidenced
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_failed: int
    signature: str
    p_value: float | None = None
    p_holm: float | None = None
    reason: str = ""


Verdict = Literal["ship", "can't tell", "none passes", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one evaluation by a rubric written beforehand.

    ``choice`` is the arm to ship, or ``None``. ``questions_needed`` is the number of further questions that would settle a
    "can't tell". ``inputs`` are the fingerprints of everything that went in; ``not_covered`` what nobody measured. ``sections`` is what
    is known beside the evidence: needs, audit, costs. ``sure`` says in a sentence or two how sure the verdict is, and of what not.
    """

    id: str
    verdict: Verdict
    choice: str | None
    fallback: str | None
    primary: str
    reasons: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    not_covered: tuple[str, ...]
    assumptions: tuple[str, ...]
    flips: tuple[str, ...]
    questions_needed: int | None
    owner: str
    made_on: date
    revisit_on: date
    inputs: Mapping[str, str]
    supersedes: str | None = None
    sections: tuple[Annex, ...] = ()
    sure: str = ""


# ── what is kept ──


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A base model, or a base and an adapter, with how it was made.

    ``readers`` is the intersection over the readers of every document its training rows drew on: a principal outside it is not
    answered by this adapter. ``None`` means a base model, trained on nothing of the project's. ``base`` is the fingerprint of the base's
    weights, ``base_name`` and ``revision`` are what they were asked for by (a commit, a package version, or a fingerprint of files);
    ``template_hash`` is of the chat template, ``licence`` of the base. ``started_from`` is the version whose weights it began with: its
    documents and readers count for this one too. What was not recorded is empty.
    """

    id: str
    name: str
    base: str
    adapter_path: str | None
    trained_on: str
    prompt_hash: str
    recipe: Mapping[str, Any]
    readers: frozenset[str] | None
    document_ids: tuple[str, ...]
    metrics: Mapping[str, float]
    base_name: str = ""
    revision: str = ""
    template_hash: str = ""
    licence: str = ""
    made_at: str = ""
    started_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Index, prompt, model and thresholds pinned as one."""

    id: str
    arm: Arm
    index_version: str | None
    model: str
    prompt_hash: str
    decision_id: str


RunStatus = Literal["running", "done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a verb. ``key`` fingerprints its inputs: the same key is the same work, and is not done twice."""

    id: str
    verb: str
    key: str
    status: RunStatus
    started_at: str
    ended_at: str | None
    seed: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    code_version: str


Status = Literal["approved", "draft", "rejected", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two replies to one question, of which ``chosen`` is better. A reply is an object of the project's schema, or plain text.

    ``asker`` is who asks (``as`` in the file); ``source`` names the document that the pair draws on, and so its readers, or is empty.
    """

    id: str
    question: str
    asker: str
    chosen: Mapping[str, Any] | str
    rejected: Mapping[str, Any] | str
    source: str = ""
    status: Status = "approved"
